# SPDX-License-Identifier: BSD-2-Clause
"""Constants of the step controller (`isa.Param`, docs/isa.md "DECIDE")."""

from __future__ import annotations

import math

from liquid_accel.compiler.writer import Writer
from liquid_accel.errors import UserError
from liquid_accel.rtl.formats import (
    FLOAT_MANTISSA_BITS,
    LOG2,
    NORM_BITS,
    NORM_CHANGE_SHIFT,
    NORM_CLAMP,
    TICK_BITS,
    float_code,
)
from liquid_accel.rtl.isa import Param
from liquid_accel.rtl.tableaus import FILTERS

ERROR_FRAC = 4  # fraction bits of an error in units of its tolerance, as it enters the norm
HEAD_ROOM = 1 << ERROR_FRAC  # units of tolerance before the norm clamps: 8 bits with 4 fraction bits
SMALLEST = 2.0**-12  # step, of a machine time unit
MANTISSA = (1 << FLOAT_MANTISSA_BITS) - 1
LARGEST = (31 << FLOAT_MANTISSA_BITS) | MANTISSA  # pseudo-logarithm of the longest step
REJECT_LOG2 = -0.25  # a rejected step shrinks at least so much
BETA_FRAC = 7
HALT_NEVER = 0
CHANGE_ROOM = 4  # times what is tolerated before an element of the norm clamps


def log_word(value: float) -> int:
    """log2 of a factor in Q4.11."""
    return round(math.log2(value) * (1 << LOG2.frac_bits))


def log_size(step: float) -> int:
    """Pseudo-logarithm of a step in machine time units, in ticks."""
    code: int = float_code(max(step, SMALLEST) * 2**TICK_BITS, bias=0)
    return code


def halt_word(slope_frac: int, atol: float) -> int:
    """Early halt: bits(time left) + bits(peak) <= HALT means time * slope < 2**HALT, below `atol`."""
    return max(math.floor(TICK_BITS + slope_frac + math.log2(atol)), HALT_NEVER)


def change_norm(size: int, tolerance: float) -> tuple[int, float]:
    """For a norm of changes of a state in words: the bits that each is shifted right by, 0 or `NORM_CHANGE_SHIFT`, and
    the largest sum of squares of `size` of them whose root mean square is within `tolerance` words. `UserError` as for
    `check_norm`.

    An element clamps at `NORM_CLAMP`, at least `CHANGE_ROOM` times what is tolerated.
    """
    check_norm(size)
    shift = 0 if tolerance < NORM_CLAMP // CHANGE_ROOM else NORM_CHANGE_SHIFT
    return shift, size * (tolerance / (1 << shift)) ** 2


def check_norm(size: int) -> None:
    """`UserError` where the sum of squares of so many elements might wrap."""
    most = ((1 << NORM_BITS) - 1) // NORM_CLAMP**2
    if size > most:
        raise UserError(f"the layer has {size} units; expected at most {most} with a solver that judges its steps")


def set_parameters(
    writer: Writer, order: int, norm: float, largest: int = LARGEST, halt: int = HALT_NEVER, first: int | None = None
) -> None:
    """Write them all. `order` is k of the filters in `tableaus.FILTERS`; a step is accepted where the sum of squares is
    at most `norm`; `largest` is the pseudo-logarithm that a step may not pass, `first` that of a sequence's first."""
    options, unit, target = writer.options, writer.unit, writer.target
    smallest = log_size(options.min_step / unit if options.min_step else SMALLEST)
    if options.max_step:
        largest = min(largest, log_size(options.max_step / unit))
    if first is None:
        first = min(max(log_size(writer.ranges.first_step / unit), smallest), largest)
    k = options.order or order
    beta1, beta2, alpha2 = FILTERS[options.controller]
    values = {
        Param.LOG_START: first,
        Param.LOG_MIN: smallest,
        Param.LOG_MAX: largest,
        Param.SAFETY: log_word(options.safety),
        Param.BETA1: _beta(beta1 / k),
        Param.BETA2: _beta(beta2 / k),
        Param.ALPHA2: _beta(alpha2),
        Param.CHANGE_MIN: log_word(options.min_factor),
        Param.CHANGE_MAX: log_word(options.max_factor),
        Param.CHANGE_REJECT: round(REJECT_LOG2 * 2**LOG2.frac_bits),
        Param.LOG_ACCEPT: float_code(max(norm, 1.0), bias=0),
        Param.HALT: halt,
    }
    for name, value in values.items():
        target.parameter(name, value)


def _beta(value: float) -> int:
    return max(-128, min(127, round(value * (1 << BETA_FRAC)))) & 0xFF
