# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark: liquid and gated networks on the same array, and what a user would take on a processor instead."""
