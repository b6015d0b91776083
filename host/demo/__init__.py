# SPDX-License-Identifier: BSD-2-Clause
"""The demo: real speech on the simulated machine, beside the golden model and the float reference."""
