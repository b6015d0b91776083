# SPDX-License-Identifier: BSD-2-Clause
"""Constants of the step controller (`isa.Param`, docs/isa.md "DECIDE")."""

from __future__ import annotations

import math
from dataclasses import dataclass

from liquid_accel.compiler.options import CompileOptions
from liquid_accel.compiler.target import Target
from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS, LOG2, TICK_BITS, TIME_WIDTH, float_code
from liquid_accel.rtl.isa import Param
from liquid_accel.rtl.tableaus import ButcherTableau

ERROR_FRAC = 4  # fraction bits of an error in units of its tolerance, as it enters the norm
HEAD_ROOM = 1 << ERROR_FRAC  # units of tolerance before the norm clamps: 8 bits with 4 fraction bits
SMALLEST = 2.0**-12  # step, of a machine time unit
MANTISSA = (1 << FLOAT_MANTISSA_BITS) - 1
REJECT_LOG2 = -0.25  # a rejected step shrinks at least so much
BETA_FRAC = 7


@dataclass(frozen=True)
class Scales:
    """Fraction bits of the slopes; shifts of stage and error sums at a step of one tick."""

    slope_frac: int
    stage_narrow: int
    error_narrow: int


def log_word(value: float) -> int:
    """log2 of a factor in Q4.11."""
    return round(math.log2(value) * (1 << LOG2.frac_bits))


def set_parameters(
    target: Target, scales: Scales, units: int, tableau: ButcherTableau, options: CompileOptions, first_step: float
) -> None:
    """Write them all; `units` is the true size of the layer, `first_step` a sequence's first, in machine time units."""
    # Beyond it a dynamic narrowing would have to shift left.
    top = min(scales.stage_narrow, scales.error_narrow, TIME_WIDTH - 1)
    largest = (top << FLOAT_MANTISSA_BITS) | MANTISSA
    smallest = float_code(SMALLEST * 2**TICK_BITS, bias=0)
    first = min(max(float_code(max(first_step, SMALLEST) * 2**TICK_BITS, bias=0), smallest), largest)
    norm = units << 2 * ERROR_FRAC
    order = options.order or tableau.order
    # early halt: bits(time left) + bits(peak) <= HALT means time * slope < 2**HALT
    halt = math.floor(TICK_BITS + scales.slope_frac + math.log2(options.atol)) if options.early_halt else 0
    values = {
        Param.LOG_START: first,
        Param.LOG_MIN: smallest,
        Param.LOG_MAX: largest,
        Param.SAFETY: log_word(options.safety),
        Param.BETA1: round(2**BETA_FRAC / order),
        Param.BETA2: 0,
        Param.ALPHA2: 0,
        Param.CHANGE_MIN: log_word(options.min_factor),
        Param.CHANGE_MAX: log_word(options.max_factor),
        Param.CHANGE_REJECT: round(REJECT_LOG2 * 2**LOG2.frac_bits),
        Param.LOG_ACCEPT: float_code(float(norm), bias=0),
        Param.HALT: max(halt, 0),
    }
    for name, value in values.items():
        target.parameter(name, value)
