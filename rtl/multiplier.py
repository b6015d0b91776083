# SPDX-License-Identifier: BSD-2-Clause
"""Small multipliers for the element pipeline, which has no DSP to itself: the lanes have them all."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RowMultiplier(wiring.Component):
    """total = start + a * b, a signed and b unsigned, combinational.

    a       `width` bits, signed
    b       `rows` bits, unsigned: one conditional addition each
    start   `width` + 1 bits signed: what an earlier multiplier of the same `a` left, so that a product may take two cycles
    total   `width` + 1 + `rows` bits, signed

    With vendor "ice40" a row is a chain of logic cells that add `a` or pass, one cell a bit: the gating rides in the free input of the adder's
    look-up table, since the carry does not matter where nothing is added. Yosys would take two cells a bit or a carry-save tree. Cost there: rows * (width + 1).
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
        from .vendor_ice40 import conditional_add

        upper, low_bits = self.start, []
        for index in range(self.rows):
            added = Signal(signed(self.width + 1), name=f"row_{index}")
            conditional_add(m, f"row{index}", upper, self.a, self.b[index], added)
            low_bits.append(added[0])
            # The sum of two numbers of `width` bits, halved, is one of `width` bits again: no row overflows.
            upper = Cat(added[1:], added[-1]).as_signed()
        m.d.comb += self.total.eq(Cat(*low_bits, upper).as_signed())
        return m

