# SPDX-License-Identifier: BSD-2-Clause
"""Number formats, rounding and overflow modes: names and limits shared by gateware, golden model, compiler and driver.

A table: nothing here computes on the machine's data. `float_code` and friends encode constants (weights of the pool,
time) into the machine's words; the gateware and the golden model each have their own arithmetic.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


class Rounding(enum.Enum):
    """How bits below the least significant one are dropped."""

    HALF_UP = "half_up"  # floor(x + 1/2): every narrowing in the datapath
    FLOOR = "floor"  # towards minus infinity: logarithms in the step controller
    HALF_EVEN = "half_even"  # to nearest, ties to even: the driver's quantisation of inputs


class Overflow(enum.Enum):
    """What happens above the largest or below the smallest value."""

    SATURATE = "saturate"  # clamp, set the sticky flag, count
    PROVED = "proved"  # cannot happen: the compiler holds a bound


@dataclass(frozen=True)
class Q:
    """A fixed-point format: value = word / 2**frac_bits.

    `int_bits` excludes the sign bit, so Q(3, 12) is the 16-bit signed format written Q3.12.
    """

    int_bits: int
    frac_bits: int
    signed: bool = True

    @property
    def width(self) -> int:
        return self.int_bits + self.frac_bits + int(self.signed)

    @property
    def low(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.width - int(self.signed))) - 1

    @property
    def resolution(self) -> float:
        return 2.0**-self.frac_bits

    def __str__(self) -> str:
        return f"{'Q' if self.signed else 'UQ'}{self.int_bits}.{self.frac_bits}"


WORD = 16  # bits of a state, an activation, a scalar, a table entry, a bus word
ACCUMULATOR = 32  # bits of a lane's accumulator
SLOPE_LIMIT = 1024  # neighbouring entries of a function table differ by less: what the interpolator multiplies with

LOG2 = Q(4, 11)  # log2 of a time constant, of dt, of a gate: [-16, 16)

# Float code: an unsigned 16-bit number {exponent[5], mantissa[11]} = (1 + mantissa / 2**11) * 2**(exponent -
# FLOAT_BIAS). Gates and 1/tau carry their exponent, because time spans orders of magnitude. There is no zero and no
# sign.
FLOAT_MANTISSA_BITS = 11
FLOAT_EXPONENT_BITS = 5
FLOAT_BIAS = 16

# Time inside a frame is an integer of ticks, 2**TICK_BITS to a machine time unit, in 32 bits: exact sums, no drift.
# A step is quantised to the float code with bias 0 in ticks: {e, m} = (2**11 + m) * 2**(e - 11) ticks.
TICK_BITS = 20
TIME_WIDTH = 32

# The norm of a step's error: squares of magnitudes clamped to 8 bits, summed in 24 bits, which wrap beyond 258 units.
NORM_CLAMP = 255
NORM_BITS = 24
NORM_CHANGE_SHIFT = 4  # bits that the norm CHANGE_16 drops

# Counters of a frame: cycles and product cycles are long, the others short. They hold at their largest value.
LONG_COUNTER = 24
SHORT_COUNTER = 16


def float_code(value: float, bias: int = FLOAT_BIAS) -> int:
    """Nearest float code of a positive number; ValueError outside [2**-bias, 2**(32 - bias))."""
    if not value > 0:
        raise ValueError(f"float code of {value}: a positive number was expected")
    exponent = math.floor(math.log2(value))
    mantissa = round(value * 2.0 ** (FLOAT_MANTISSA_BITS - exponent))
    if mantissa < 1 << FLOAT_MANTISSA_BITS:  # log2 rounded up across a power of two
        exponent -= 1
        mantissa = round(value * 2.0 ** (FLOAT_MANTISSA_BITS - exponent))
    if mantissa == 2 << FLOAT_MANTISSA_BITS:
        exponent, mantissa = exponent + 1, mantissa // 2
    if not 0 <= exponent + bias < 1 << FLOAT_EXPONENT_BITS:
        raise ValueError(f"float code of {value}: outside [2**{-bias}, 2**{32 - bias})")
    return (exponent + bias) << FLOAT_MANTISSA_BITS | mantissa - (1 << FLOAT_MANTISSA_BITS)


def float_value(code: int, bias: int = FLOAT_BIAS) -> float:
    """The number that a float code stands for."""
    mantissa = (1 << FLOAT_MANTISSA_BITS) | code & ((1 << FLOAT_MANTISSA_BITS) - 1)
    return math.ldexp(mantissa, (code >> FLOAT_MANTISSA_BITS) - bias - FLOAT_MANTISSA_BITS)


def _exp2_rom() -> tuple[int, ...]:
    """256 words {rise[5], mantissa[11]} of 2**x on [0, 1).

    mantissa M[i] = round(2**11 (2**(i/256) - 1)), rise = M[i+1] - M[i].
    """
    points = [round((1 << FLOAT_MANTISSA_BITS) * (2 ** (i / 256) - 1)) for i in range(257)]
    return tuple((points[i + 1] - points[i]) << FLOAT_MANTISSA_BITS | points[i] for i in range(256))


EXP2_ROM = _exp2_rom()

# log2(1 + x) - x of the 64 segments of a mantissa, at their middles, in 1/2048: docs/isa.md, LOG_STEP.
LOG2_CORRECTION = (
    7, 20, 33, 45, 57, 68, 78, 87, 96, 105, 113, 120, 127, 134, 139, 145,
    150, 154, 158, 162, 165, 168, 170, 172, 174, 175, 176, 176, 176, 176, 175, 175,
    173, 172, 170, 168, 165, 163, 160, 156, 153, 149, 145, 140, 136, 131, 126, 120,
    115, 109, 103, 96, 90, 83, 76, 69, 62, 54, 46, 38, 30, 22, 13, 4,
)  # fmt: skip
