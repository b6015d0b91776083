# SPDX-License-Identifier: BSD-2-Clause
"""The version of the package. The instruction set and the image format have versions of their own, in their tables:
a new package must still say precisely which images it loads and which gateware it drives."""

PACKAGE_VERSION = "0.1.0"
