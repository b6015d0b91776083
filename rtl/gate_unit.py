# SPDX-License-Identifier: BSD-2-Clause
"""The gate: out = ((f - B) * factor >> shift) + B, the one update of every liquid cell, stage and pool."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import FLOAT_EXPONENT_BITS, FLOAT_MANTISSA_BITS, WORD
from .isa import Factor
from .multiplier import Multiplier, conditional_sum
from .narrow import Narrow, saturate, shift_amount

MANTISSA = FLOAT_MANTISSA_BITS + 1  # with its leading one
PRODUCT = WORD + 1 + MANTISSA


class GateUnit(wiring.Component):
    """d = f - (subtract ? base : 0); v = sat16(round(d * k / 2**(shift - x))); out = sat16(v + (add ? base : 0)).

    f, base, subtract, add                   an element a cycle
    factor, shift, code                      one cycle later: where (k, x) comes from, the right shift, the float code
                                             in memory
    step, pool                               float codes that stand still while rows are under way
    change, out, clamped                     v, out and whether something clamped, `latency` = 5 cycles after f,
                                             combinational there

    Cost: a 17 x 12 Multiplier, a 29-bit shifter, the base delayed by five words.
    """

    latency = 5

    def __init__(self, vendor: str = "portable") -> None:
        self.vendor = vendor
        super().__init__(
            {
                "f": In(signed(WORD)),
                "base": In(signed(WORD)),
                "subtract": In(1),
                "add": In(1),
                "factor": In(Factor),
                "shift": In(6),
                "code": In(WORD),
                "step": In(WORD),
                "pool": In(WORD),
                "change": Out(signed(WORD)),
                "out": Out(signed(WORD)),
                "clamped": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Stage 0: the difference.
        d0, d1 = Signal(signed(WORD + 1)), Signal(signed(WORD + 1))
        conditional_sum(m, "difference", self.f, self.base, self.subtract, d0, self.vendor, subtract=True)
        m.d.sync += d1.eq(d0)

        # Stages 1 and 2: the product.
        mantissa, exponent = Signal(FLOAT_MANTISSA_BITS), Signal(FLOAT_EXPONENT_BITS)
        with m.Switch(self.factor):
            with m.Case(Factor.MEMORY):
                m.d.comb += Cat(mantissa, exponent).eq(self.code)
            with m.Case(Factor.POOL):
                m.d.comb += Cat(mantissa, exponent).eq(self.pool)
            with m.Case(Factor.STEP):
                m.d.comb += mantissa.eq(self.step[:FLOAT_MANTISSA_BITS])
        k = Cat(mantissa, Const(1, 1))
        m.submodules.multiplier = multiplier = Multiplier(WORD + 1, MANTISSA, self.vendor, first=5)
        amount, negative = shift_amount(m, self.shift, exponent, "gate_shift")
        amount2, amount3, negative2 = Signal(5), Signal(5), Signal()
        m.d.comb += [multiplier.a.eq(d1), multiplier.b.eq(k)]
        m.d.sync += [amount2.eq(amount), negative2.eq(negative), amount3.eq(amount2)]

        # Stages 3 and 4: narrowed to 16 bits.
        m.submodules.narrow = narrow = Narrow(PRODUCT, latency=1)
        m.d.comb += [narrow.x.eq(multiplier.product), narrow.amount.eq(amount3)]
        negative3, negative4 = Signal(), Signal()
        v5, clamped5 = Signal(signed(WORD)), Signal()
        m.d.sync += [negative3.eq(negative2), negative4.eq(negative3)]
        m.d.sync += [v5.eq(narrow.q), clamped5.eq(narrow.clamped | negative4)]

        # Stage 5: onto the base.
        base, add = self.base, self.add
        for stage in range(self.latency):
            later_base, later_add = Signal(signed(WORD), name=f"base_{stage + 1}"), Signal(name=f"add_{stage + 1}")
            m.d.sync += [later_base.eq(base), later_add.eq(add)]
            base, add = later_base, later_add
        total = Signal(signed(WORD + 1))
        conditional_sum(m, "onto", v5, base, add, total, self.vendor)
        out, over = saturate(m, total, "gated")
        m.d.comb += [self.change.eq(v5), self.out.eq(out), self.clamped.eq(over | clamped5)]
        return m
