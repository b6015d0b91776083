# SPDX-License-Identifier: BSD-2-Clause
"""Small multipliers for the element pipeline, which has no DSP to itself: the lanes have them all."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

PARALLEL = 5


def conditional_sum(
    m: Module, name: str, base: Value, a: Value, enable: Value, total: Signal, vendor: str, subtract: bool = False
) -> None:
    """total = base + (enable ? a : 0), or base - (enable ? a : 0); signed, `total` is wide enough."""
    if vendor == "ice40":
        from .vendor_ice40 import conditional_add

        # base - a = ~(~base + a)
        conditional_add(m, name, (~base).as_signed() if subtract else base, a, enable, total, inverted=subtract)
    else:
        gated = Mux(enable, a, 0)
        m.d.comb += total.eq(base - gated if subtract else base + gated)


class RowMultiplier(wiring.Component):
    """total = start + a * b, a signed and b unsigned, combinational.

    a       `width` bits, signed
    b       `rows` bits, unsigned: one conditional addition each
    start   a value of `width` bits, sign-extended by one: what an earlier multiplier of the same `a` left, so that a
            product may take two cycles
    total   `width` + 1 + `rows` bits, signed

    With vendor "ice40" a row is a chain of logic cells that add `a` or pass, one cell a bit, where yosys would take a
    carry-save tree of more than two. From PARALLEL rows on they are two chains, whose sums are added: half as deep.
    Cost there: rows * (width + 1), and width + 1 of two chains.
    """

    def __init__(self, width: int, rows: int, vendor: str = "portable") -> None:
        self.width, self.rows, self.vendor = width, rows, vendor
        super().__init__(
            {
                "a": In(signed(width)),
                "b": In(rows),
                "start": In(signed(width + 1)),
                "total": Out(signed(width + 1 + rows)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.vendor != "ice40":
            m.d.comb += self.total.eq(self.start + self.a * self.b)
            return m
        if self.rows < PARALLEL:
            low = self._chain(m, "row", self.start, range(self.rows))
            m.d.comb += self.total.eq(low)
            return m
        half = -(-self.rows // 2)
        low = self._chain(m, "row", self.start, range(half))
        high = self._chain(m, "row", Const(0, signed(self.width + 1)), range(half, self.rows))
        m.d.comb += self.total.eq(Cat(low[:half], low[half:].as_signed() + high))
        return m

    def _chain(self, m: Module, name: str, start: Value, rows: range) -> Value:
        """start + a * those bits of b, a conditional addition behind the other."""
        upper, low_bits = start, []
        for index in rows:
            added = Signal(signed(self.width + 1), name=f"{name}_{index}")
            conditional_sum(m, f"{name}{index}", upper, self.a, self.b[index], added, self.vendor)
            low_bits.append(added[0])
            # The sum of two numbers of `width` bits, halved, is one of `width` bits again: no row overflows.
            upper = Cat(added[1:], added[-1]).as_signed()
        return Cat(*low_bits, upper).as_signed()


class Multiplier(wiring.Component):
    """product = a * b two cycles later, a signed and b unsigned; a product a cycle.

    a       `width` bits, signed            product   `width` + `rows` bits, signed
    b       `rows` bits, unsigned
    first   rows of b, the lowest, that are added in the first cycle, behind whatever logic the operands come from; the
            others follow in the second. The portable and the iCE40 version alone
    vendor  "ecp5" and "gowin": one DSP block with its input and output registers; else in fabric, as RowMultiplier
    """

    latency = 2

    def __init__(self, width: int, rows: int, vendor: str = "portable", first: int = 0) -> None:
        self.width, self.rows, self.vendor, self.first = width, rows, vendor, first
        super().__init__({"a": In(signed(width)), "b": In(rows), "product": Out(signed(width + rows))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.vendor in ("ecp5", "gowin"):
            if self.vendor == "ecp5":
                from .vendor_ecp5 import multiply
            else:
                from .vendor_gowin import multiply
            m.d.comb += self.product.eq(multiply(m, "block", self.a, self.b))
            return m
        low = self.first
        a1, b1 = Signal(signed(self.width)), Signal(self.rows - low)
        m.d.sync += [a1.eq(self.a), b1.eq(self.b[low:])]
        m.submodules.high = high = RowMultiplier(self.width, self.rows - low, self.vendor)
        m.d.comb += [high.a.eq(a1), high.b.eq(b1)]
        if not low:
            m.d.sync += self.product.eq(high.total)
            return m
        m.submodules.low = lowest = RowMultiplier(self.width, low, self.vendor)
        partial = Signal(signed(len(lowest.total)))
        m.d.comb += [lowest.a.eq(self.a), lowest.b.eq(self.b[:low]), high.start.eq(partial[low:])]
        m.d.sync += [partial.eq(lowest.total), self.product.eq(Cat(partial[:low], high.total))]
        return m
