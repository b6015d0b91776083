# SPDX-License-Identifier: BSD-2-Clause
"""The step controller: PLAN, DECIDE and JUDGE of docs/isa.md over a batch, with their cycle costs.

Time is in ticks (unsigned 32 bits); logarithms are pseudo-logarithms, exponent and linear mantissa, Q5.11.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS, NORM_BITS, TIME_WIDTH
from liquid_accel.rtl.isa import Param, Timing
from liquid_accel.sim.golden.arithmetic import MANTISSA_MASK, MANTISSA_ONE, Bool, Int

_MARGIN_BITS = 7  # fraction bits of the controller's weights


@dataclass
class ControllerState:
    """Registers of the controller, each of shape (batch,).

    remaining    R, ticks left in the frame          step_ticks  T, the planned step
    step_code    DT, its float code, unsigned        newest      which error word is the newest
    fresh        the next PLAN starts a sequence     clipped     the step is shorter than its size says
    history      a step of the sequence was accepted at_limit    the size was raised to the smallest
    opening      the step after a jump of the input  judged      what JUDGE found
    norm, peak, saturated                            since the last PLAN, JUDGE or FRAME

    What is remembered from step to step is in the S memory (isa.Param).
    """

    remaining: Int
    step_ticks: Int
    step_code: Int
    newest: Int
    norm: Int
    peak: Int
    fresh: Bool
    clipped: Bool
    saturated: Bool
    history: Bool
    at_limit: Bool
    opening: Bool
    judged: Bool

    @classmethod
    def reset(cls, batch: int) -> ControllerState:
        flags = {"fresh", "clipped", "saturated", "history", "at_limit", "opening", "judged"}
        return cls(**{f.name: np.zeros(batch, np.bool_ if f.name in flags else np.int64) for f in fields(cls)})

    def take(self, index: Int) -> ControllerState:
        """A copy of the sequences in `index`."""
        return ControllerState(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def put(self, index: Int, part: ControllerState) -> None:
        """The inverse of `take`."""
        for f in fields(self):
            getattr(self, f.name)[index] = getattr(part, f.name)

    def clear(self) -> None:
        """Begin the norm, the peak and the saturation of a step anew."""
        for part in (self.norm, self.peak, self.saturated):
            part[:] = 0


def bit_length(x: Int) -> Int:
    """Bits of x >= 0, 0 for 0; width - bit_length is the count of leading zeros."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


def pseudo_log2(n: Int) -> Int:
    """{position of the leading one, the 11 bits below it} of n > 0: shorter numbers are filled with zeros."""
    exponent = bit_length(n) - 1
    return exponent << FLOAT_MANTISSA_BITS | (n << FLOAT_MANTISSA_BITS >> exponent) & MANTISSA_MASK


def _word(value: Int) -> Int:
    """An unsigned 16-bit value as the signed word that S holds."""
    return ((value + 0x8000) & 0xFFFF) - 0x8000


def plan(c: ControllerState, scalars: Int, jump: int = 0) -> Int:
    """Choose the next step, in place; `scalars` is the S memory, (batch, words), of which SIZE and STEP are written.

    With `jump` it begins with the size that the first step after the last jump led to, where one was accepted, and is
    itself such a step.
    Returns the cost without the stall. The caller has seen to it that time is left.
    """
    carried = np.where(~c.opening & bool(jump), scalars[:, Param.JUMP_SIZE], scalars[:, Param.SIZE])
    size = np.where(c.fresh, scalars[:, Param.LOG_START], carried) & 0xFFFF
    scalars[:, Param.SIZE] = _word(size)
    c.opening |= bool(jump)
    c.fresh[:] = False
    c.clear()
    exponent = size >> FLOAT_MANTISSA_BITS
    top = (MANTISSA_ONE + (size & MANTISSA_MASK)) << 20
    wanted = top >> (31 - exponent)
    rest = c.remaining
    last = rest <= wanted
    halved = ~last & ((exponent == 31) | (rest < top >> np.maximum(30 - exponent, 0)))
    c.step_ticks = np.where(last, rest, np.where(halved, rest >> 1, wanted))
    c.clipped = last | halved
    c.step_code = np.where(c.clipped, pseudo_log2(c.step_ticks), size)
    scalars[:, Param.STEP] = _word(c.step_code)
    normalise = np.where(c.clipped, TIME_WIDTH - bit_length(c.step_ticks) + 2, 0)
    return Timing.PLAN + (32 - exponent) + np.where(halved, 2, 0) + normalise


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


def _judged(c: ControllerState, scalars: Int) -> tuple[Int, Bool, Int]:
    """(L - LOG_ACCEPT, whether the norm is within LOG_ACCEPT and nothing saturated, leading zeros of the norm)."""
    n = c.norm | 1
    excess: Int = pseudo_log2(n) - (scalars[:, Param.LOG_ACCEPT] & 0xFFFF)
    return excess, (excess <= 0) & ~c.saturated, NORM_BITS - bit_length(n)


def judge(c: ControllerState, scalars: Int) -> Int:
    """Set `judged`, and begin the norm anew, in place. Returns the cost without the stall."""
    _, c.judged, cost = _judged(c, scalars)
    c.clear()
    return Timing.JUDGE + cost


def decide(c: ControllerState, scalars: Int) -> Decision:
    """Judge the step and choose the size of the next one, in place; `scalars` is the S memory, (batch, words).

    Parity and the counters are the caller's.
    """
    everyone = np.arange(len(scalars))

    def s(name: Param) -> Int:
        word: Int = scalars[:, name].copy()
        return word

    excess, ok, norm_cost = _judged(c, scalars)
    accept = ok | c.at_limit
    limited = accept & ~ok
    c.remaining = np.where(accept, c.remaining - c.step_ticks, c.remaining)

    error = excess >> 1
    scalars[everyone, Param.ERROR_0 + (1 - c.newest)] = error
    last_error, last_change = scalars[everyone, Param.ERROR_0 + c.newest], s(Param.CHANGE_LAST)
    change = (
        s(Param.SAFETY)
        - (_low_byte(s(Param.BETA1)) * error >> _MARGIN_BITS)
        - np.where(c.history, _low_byte(s(Param.BETA2)) * last_error >> _MARGIN_BITS, 0)
        - np.where(c.history, _low_byte(s(Param.ALPHA2)) * last_change >> _MARGIN_BITS, 0)
    )
    change = np.maximum(change, s(Param.CHANGE_MIN))
    change = np.minimum(change, np.where(accept, s(Param.CHANGE_MAX), s(Param.CHANGE_REJECT)))
    scalars[:, Param.CHANGE_LAST] = np.where(accept, change, last_change)
    c.newest = np.where(accept, 1 - c.newest, c.newest)
    c.history = c.history | accept

    wanted = c.step_code + change
    # A step that was cut short says little about how long the next may be.
    wanted = np.where(accept & c.clipped, np.maximum(wanted, s(Param.SIZE) & 0xFFFF), wanted)
    smallest, largest = s(Param.LOG_MIN) & 0xFFFF, s(Param.LOG_MAX) & 0xFFFF
    c.at_limit = wanted < smallest
    following = _word(np.minimum(np.maximum(wanted, smallest), largest))
    scalars[:, Param.SIZE] = following
    opened = accept & c.opening
    scalars[:, Param.JUMP_SIZE] = np.where(opened, following, s(Param.JUMP_SIZE))
    c.opening = c.opening & ~accept

    checked = accept & (c.remaining > 0) & (s(Param.HALT) != 0)
    time_bits = bit_length(c.remaining)
    halt = checked & (time_bits + bit_length(c.peak) <= s(Param.HALT))
    check_cost = Timing.HALT_CHECK + (TIME_WIDTH - time_bits)
    cost = Timing.DECIDE + norm_cost + np.where(checked, check_cost, 0)
    c.remaining = np.where(halt, 0, c.remaining)
    return Decision(accept, limited, halt, cost)
