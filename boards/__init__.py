# SPDX-License-Identifier: BSD-2-Clause
"""One file a board: pins, clock, the build and its report."""
