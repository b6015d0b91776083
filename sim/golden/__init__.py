# SPDX-License-Identifier: BSD-2-Clause
"""The golden model: predicts every word, decision and counter of the machine from docs/isa.md, bit for bit.

It shares the tables of `liquid_accel.rtl` (configuration, instruction set, formats, registers) with the gateware,
and no arithmetic.
"""

from liquid_accel.sim.golden.errors import GoldenError, IllegalInstruction
from liquid_accel.sim.golden.machine import GoldenMachine
from liquid_accel.sim.golden.transport import GoldenTransport

__all__ = ["GoldenError", "GoldenMachine", "GoldenTransport", "IllegalInstruction"]
