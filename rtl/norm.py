# SPDX-License-Identifier: BSD-2-Clause
"""What the step controller wants to know of a row: sum of squares of its scaled error, largest magnitude."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import NORM_BITS, NORM_CHANGE_SHIFT, NORM_CLAMP, WORD
from .multiplier import Multiplier

WIDTH = NORM_CLAMP.bit_length()


class ErrorNorm(wiring.Component):
    """norm += min(y, NORM_CLAMP)**2 where `square`, y = |measured|, shifted right by NORM_CHANGE_SHIFT where
    `sixteenth`; peak |= |measured| where `watch`.

    The error comes in units of 1/16 of the tolerance, so a root mean square of 1 over n units is norm = 256 n. `clear`
    zeroes both, and forgets values under way. Settled isa.Timing.NORM cycles after a value. Of the peak only its bit
    length is meant: that of the largest magnitude is that of all of them or-ed, and 2**15 counts as 2**15 - 1. More
    units than NORM_BITS hold are the compiler's to refuse.
    """

    def __init__(self, vendor: str = "portable") -> None:
        self.vendor = vendor
        super().__init__(
            {
                "measured": In(signed(WORD)),
                "sixteenth": In(1),
                "square": In(1),
                "watch": In(1),
                "clear": In(1),
                "norm": Out(NORM_BITS),
                "peak": Out(WORD - 1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sign = self.measured[-1]
        magnitude, y, large = Signal(WORD), Signal(WIDTH), Signal()
        sixteenth, watch, square = Signal(), Signal(), Signal(3)
        m.d.sync += [
            magnitude.eq((self.measured ^ sign.replicate(WORD)) + sign),
            sixteenth.eq(self.sixteenth),
            watch.eq(self.watch),
            square.eq(Cat(self.square, square)),
        ]
        beyond = magnitude[WIDTH + NORM_CHANGE_SHIFT :].any()
        with m.If(sixteenth):
            m.d.comb += [y.eq(magnitude[NORM_CHANGE_SHIFT:]), large.eq(beyond)]
        with m.Else():
            m.d.comb += [y.eq(magnitude), large.eq(beyond | magnitude[WIDTH : WIDTH + NORM_CHANGE_SHIFT].any())]
        clipped = Mux(large, NORM_CLAMP, y)
        m.submodules.multiplier = multiplier = Multiplier(WIDTH + 1, WIDTH, self.vendor, first=3)
        m.d.comb += [multiplier.a.eq(clipped), multiplier.b.eq(clipped)]

        with m.If(self.clear):
            m.d.sync += [self.norm.eq(0), self.peak.eq(0), square.eq(0), watch.eq(0)]
        with m.Else():
            with m.If(square[-1]):
                m.d.sync += self.norm.eq(self.norm + multiplier.product[: 2 * WIDTH])
            with m.If(watch):
                m.d.sync += self.peak.eq(self.peak | magnitude | (magnitude[-1] << WORD - 2))
        return m
