# SPDX-License-Identifier: BSD-2-Clause
"""The step's logarithm: log2 of its float code, in machine time units."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import FLOAT_EXPONENT_BITS, FLOAT_MANTISSA_BITS, LOG2_CORRECTION, TICK_BITS, WORD

SEGMENT = FLOAT_MANTISSA_BITS - (len(LOG2_CORRECTION) - 1).bit_length()  # mantissa bits within a segment


class LogStep(wiring.Component):
    """log = sat16(((e - TICK_BITS) << 11) + m + LOG2_CORRECTION[m >> 5]) of `step` = {e[5], m[11]}, a cycle later.

    Cost: the table as logic, an adder of 17 bits.
    """

    def __init__(self) -> None:
        super().__init__({"step": In(WORD), "log": Out(signed(WORD))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        mantissa, exponent = self.step[:FLOAT_MANTISSA_BITS], self.step[FLOAT_MANTISSA_BITS:]
        correction = Signal(max(LOG2_CORRECTION).bit_length())
        with m.Switch(mantissa[SEGMENT:]):
            for segment, value in enumerate(LOG2_CORRECTION):
                with m.Case(segment):
                    m.d.comb += correction.eq(value)
        units = Signal(signed(FLOAT_EXPONENT_BITS + 1))
        total = Signal(signed(FLOAT_MANTISSA_BITS + len(units)))
        m.d.comb += [units.eq(exponent - TICK_BITS), total.eq(Cat(mantissa, units).as_signed() + correction)]
        # The exponent is at most 31, so that the sum stays below 2**15: it is clamped at its lower end alone.
        with m.If(total[-1] & ~total[-2]):
            m.d.sync += self.log.eq(-(1 << WORD - 1))
        with m.Else():
            m.d.sync += self.log.eq(total)
        return m
