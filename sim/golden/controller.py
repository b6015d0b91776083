# SPDX-License-Identifier: BSD-2-Clause
"""The step controller: PLAN and DECIDE of docs/isa.md over a batch, with their cycle costs.

Time is in ticks (unsigned 32 bits); logarithms are pseudo-logarithms, exponent and linear mantissa, Q5.11.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS, TIME_WIDTH
from liquid_accel.rtl.isa import Param, Timing
from liquid_accel.sim.golden.arithmetic import MANTISSA_MASK, MANTISSA_ONE, Bool, Int, sat16

NORM_BITS = 24
PEAK_BITS = 16
_MARGIN_BITS = 7  # fraction bits of the controller's weights


@dataclass
class ControllerState:
    """Registers of the controller, each of shape (batch,).

    remaining    R, ticks left in the frame          step_ticks  T, the planned step
    step_code    DT, its float code, unsigned        log_step    ls, the next step
    last_error   el1                                 last_change x1
    fresh        the next PLAN starts a sequence     clipped     the step is shorter than ls says
    norm, peak, saturated                            of the step under way
    """

    remaining: Int
    step_ticks: Int
    step_code: Int
    log_step: Int
    last_error: Int
    last_change: Int
    norm: Int
    peak: Int
    fresh: Bool
    clipped: Bool
    saturated: Bool

    @classmethod
    def reset(cls, batch: int) -> ControllerState:
        flags = {"fresh", "clipped", "saturated"}
        return cls(**{f.name: np.zeros(batch, np.bool_ if f.name in flags else np.int64) for f in fields(cls)})

    def take(self, index: Int) -> ControllerState:
        """A copy of the sequences in `index`."""
        return ControllerState(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def put(self, index: Int, part: ControllerState) -> None:
        """The inverse of `take`."""
        for f in fields(self):
            getattr(self, f.name)[index] = getattr(part, f.name)


def bit_length(x: Int) -> Int:
    """Bits of x >= 0, 0 for 0; width - bit_length is the count of leading zeros."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def pseudo_log2(n: Int) -> Int:
    """{position of the leading one, the 11 bits below it} of n > 0: shorter numbers are filled with zeros."""
    exponent = bit_length(n) - 1
    return exponent << FLOAT_MANTISSA_BITS | (n << FLOAT_MANTISSA_BITS >> exponent) & MANTISSA_MASK


def plan(c: ControllerState, scalars: Int) -> Int:
    """Choose the next step, in place; `scalars` is the S memory, (batch, words). Returns the cost without the stall.

    The caller has seen to it that time is left.
    """
    c.log_step = np.where(c.fresh, scalars[:, Param.LOG_START] & 0xFFFF, c.log_step)
    c.last_error = np.where(c.fresh, 0, c.last_error)
    c.last_change = np.where(c.fresh, 0, c.last_change)
    for flag in (c.fresh, c.saturated, c.norm, c.peak):
        flag[:] = 0
    exponent = c.log_step >> FLOAT_MANTISSA_BITS
    wanted = (MANTISSA_ONE + (c.log_step & MANTISSA_MASK)) << 20 >> (31 - exponent)
    rest = c.remaining
    last = rest <= wanted
    halved = ~last & (rest - wanted < wanted)
    c.step_ticks = np.where(last, rest, np.where(halved, (rest + 1) >> 1, wanted))
    c.clipped = last | halved
    c.step_code = np.where(c.clipped, pseudo_log2(c.step_ticks), c.log_step)
    normalise = np.where(c.clipped, TIME_WIDTH - bit_length(c.step_ticks) + 1, 0)
    return Timing.PLAN + (32 - exponent) + normalise


@dataclass
class Decision:
    """What DECIDE found, each of shape (batch,); `cost` is without the stall."""

    accept: Bool
    limited: Bool
    halt: Bool
    cost: Int


def _low_byte(word: Int) -> Int:
    """The low eight bits, signed."""
    return ((word + 128) & 255) - 128


def decide(c: ControllerState, scalars: Int) -> Decision:
    """Judge the step and choose the size of the next one, in place; `scalars` is the S memory, (batch, words).

    Parity and the counters are the caller's.
    """

    def s(name: Param) -> Int:
        word: Int = scalars[:, name]
        return word

    bound = s(Param.ACCEPT_LOW) & 0xFFFF | (s(Param.ACCEPT_HIGH) & 0xFF) << 16
    ok = (c.norm <= bound) & ~c.saturated
    smallest, largest = s(Param.LOG_MIN) & 0xFFFF, s(Param.LOG_MAX) & 0xFFFF
    accept = ok | (c.step_code <= smallest)
    c.remaining = np.where(accept, c.remaining - c.step_ticks, c.remaining)

    n = c.norm | 1
    error = (pseudo_log2(n) - (s(Param.LOG_ACCEPT) & 0xFFFF)) >> 1
    total = (
        (s(Param.SAFETY) << _MARGIN_BITS)
        - _low_byte(s(Param.BETA1)) * error
        - _low_byte(s(Param.BETA2)) * c.last_error
        - _low_byte(s(Param.ALPHA2)) * c.last_change
    )
    change = np.maximum(sat16(total >> _MARGIN_BITS), s(Param.CHANGE_MIN))
    change = np.minimum(change, np.where(accept, s(Param.CHANGE_MAX), s(Param.CHANGE_REJECT)))
    wanted = c.step_code + change
    # A step that was cut short says little about how long the next may be.
    wanted = np.where(accept & c.clipped, np.maximum(wanted, c.log_step), wanted)
    c.log_step = np.minimum(np.maximum(wanted, smallest), largest)
    c.last_error = np.where(accept, error, c.last_error)
    c.last_change = np.where(accept, change, c.last_change)

    checked = accept & (c.remaining > 0) & (s(Param.HALT) != 0)
    time_bits, peak_bits = bit_length(c.remaining), bit_length(c.peak)
    halt = checked & (time_bits + peak_bits <= s(Param.HALT))
    check_cost = Timing.HALT_CHECK + (TIME_WIDTH - time_bits) + (PEAK_BITS - peak_bits)
    cost = Timing.DECIDE + (NORM_BITS - bit_length(n)) + np.where(checked, check_cost, 0)
    c.remaining = np.where(halt, 0, c.remaining)
    return Decision(accept, accept & ~ok, halt, cost)
