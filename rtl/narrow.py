# SPDX-License-Identifier: BSD-2-Clause
"""Narrowing: shift right by a variable amount, round half up, saturate to 16 bits; and the saturating adder."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import WORD


def saturate(m: Module, value: Value, name: str) -> tuple[Signal, Signal]:
    """(sat16(value), whether that changed it), combinational. Overflow.SATURATE."""
    value = value.as_signed() if not isinstance(value, Signal) else value
    width = len(value)
    clamped = Signal(name=f"{name}_clamped")
    result = Signal(signed(WORD), name=name)
    sign = value[-1]
    m.d.comb += clamped.eq(value[WORD - 1 :] != sign.replicate(width - WORD + 1))
    limit = Cat((~sign).replicate(WORD - 1), sign)
    m.d.comb += result.eq(Mux(clamped, limit, value[:WORD]).as_signed())
    return result, clamped


def shift_amount(m: Module, base: Value, less: Value, name: str) -> tuple[Signal, Signal]:
    """(clamp(base - less, 0, 31), base < less): the shift of a value that carries the exponent `less`."""
    difference = Signal(signed(len(base) + 2), name=f"{name}_difference")
    amount = Signal(5, name=name)
    negative = Signal(name=f"{name}_negative")
    m.d.comb += [
        difference.eq(base - less),
        negative.eq(difference[-1]),
        amount.eq(Mux(negative, 0, Mux(difference[5:-1].any(), 31, difference[:5]))),
    ]
    return amount, negative


class Narrow(wiring.Component):
    """q = sat16((x + 2**(n-1)) >> n), half up; for n = 0, sat16(x). A value a cycle.

    x, amount (0 to 31)   in one cycle       q, clamped   `latency` cycles later
    Latency 1: a register after the shift. 2: another after the rounding. 3: another within the shift, after its coarse
    part. Saturation is combinational after the last.
    """

    def __init__(self, width: int, latency: int = 2) -> None:
        self.width, self.latency = width, latency
        super().__init__({"x": In(signed(width)), "amount": In(5), "q": Out(signed(WORD)), "clamped": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # One more bit below, so that the bit that decides the rounding is still there after the shift.
        wide = self.width + 1
        x = Cat(Const(0, 1), self.x).as_signed()
        # After the coarse shift at most 7 more follow, so bits above WORD + 1 + 7 only tell whether the value still
        # fits.
        kept = WORD + 1 + 8
        after_coarse = m.d["sync" if self.latency > 2 else "comb"]
        after_round = m.d["sync" if self.latency > 1 else "comb"]
        shifted = Signal(signed(wide))
        coarse, rest, above, sign = Signal(signed(kept)), Signal(3), Signal(), Signal()
        with m.Switch(self.amount[3:]):
            for step in range(4):
                with m.Case(step):
                    m.d.comb += shifted.eq(x >> 8 * step)
        after_coarse += [
            rest.eq(self.amount[:3]),
            coarse.eq(shifted[:kept]),
            above.eq(shifted[kept - 1 :] != shifted[-1].replicate(wide - kept + 1)),
            sign.eq(shifted[-1]),
        ]
        fine, above1, sign1 = Signal(signed(kept)), Signal(), Signal()
        m.d.sync += [fine.eq(coarse >> rest), above1.eq(above), sign1.eq(sign)]
        rounded, above2, sign2 = Signal(signed(kept + 1)), Signal(), Signal()
        after_round += [rounded.eq(fine + 1), above2.eq(above1), sign2.eq(sign1)]
        value = rounded[1:]
        m.d.comb += self.clamped.eq(above2 | (value[WORD - 1 :] != value[-1].replicate(len(value) - WORD + 1)))
        limit = Cat((~sign2).replicate(WORD - 1), sign2)
        m.d.comb += self.q.eq(Mux(self.clamped, limit, value[:WORD]))
        return m


class SaturatingAdd(wiring.Component):
    """s = sat16(a + b), combinational, or a cycle later: with a register between sum and saturation."""

    def __init__(self, latency: int = 0) -> None:
        self.latency = latency
        super().__init__({"a": In(signed(WORD)), "b": In(signed(WORD)), "s": Out(signed(WORD)), "clamped": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal(signed(WORD + 1))
        m.d["sync" if self.latency else "comb"] += total.eq(self.a + self.b)
        s, clamped = saturate(m, total, "added")
        m.d.comb += [self.s.eq(s), self.clamped.eq(clamped)]
        return m
