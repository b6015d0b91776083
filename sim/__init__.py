# SPDX-License-Identifier: BSD-2-Clause
"""Golden model, float reference and the simulators of the gateware."""
