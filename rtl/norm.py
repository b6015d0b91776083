# SPDX-License-Identifier: BSD-2-Clause
"""What the step controller wants to know of a row: sum of squares of its scaled error, largest magnitude."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import NORM_BITS, NORM_CLAMP, WORD
from .multiplier import RowMultiplier


class ErrorNorm(wiring.Component):
    """norm += min(|value|, NORM_CLAMP)**2 where `square`; peak |= min(|value|, 32767) where `watch`.

    The error comes in units of 1/16 of the tolerance, so a root mean square of 1 over n units is norm = 256 n. `clear`
    zeroes both. Settled three cycles after a value (isa.Timing.NORM). Of the peak only its bit length is meant: that of
    the largest magnitude is that of all of them or-ed. More units than NORM_BITS hold are the compiler's to refuse.
    """

    def __init__(self, vendor: str = "portable") -> None:
        self.vendor = vendor
        super().__init__(
            {
                "value": In(signed(WORD)),
                "square": In(1),
                "watch": In(1),
                "clear": In(1),
                "norm": Out(NORM_BITS),
                "peak": Out(WORD - 1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        magnitude = Signal(WORD)
        m.d.comb += magnitude.eq((self.value ^ self.value[-1].replicate(WORD)) + self.value[-1])
        held, clipped = Signal(WORD - 1), Signal(8)
        square1, watch1, square2 = Signal(), Signal(), Signal()
        squared = Signal(16)
        m.d.sync += [
            held.eq(Mux(magnitude[-1], (1 << WORD - 1) - 1, magnitude)),
            square1.eq(self.square),
            watch1.eq(self.watch),
            square2.eq(square1),
        ]
        m.d.comb += clipped.eq(Mux(held[8:].any(), NORM_CLAMP, held[:8]))
        m.submodules.multiplier = multiplier = RowMultiplier(9, 8, self.vendor)
        m.d.comb += [multiplier.a.eq(clipped), multiplier.b.eq(clipped)]
        m.d.sync += squared.eq(multiplier.total)
        with m.If(self.clear):
            m.d.sync += [self.norm.eq(0), self.peak.eq(0)]
        with m.Else():
            with m.If(square2):
                m.d.sync += self.norm.eq(self.norm + squared)
            with m.If(watch1):
                m.d.sync += self.peak.eq(self.peak | held)
        return m
