# SPDX-License-Identifier: BSD-2-Clause
"""The multiply-accumulate lanes."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .formats import ACCUMULATOR, WORD
from .memory import read_cycles


class MacLane(wiring.Component):
    """sum += a * b, 16 x 16 bits signed into 32 bits that never wrap (the compiler holds a bound).

    Operands are registered, then the product: `take` and `clear` belong to the product two cycles after its operands.
    `clear` (without `take`) zeroes the sum. `enable` is the clock's, for a vendor's block, which an EnableInserter
    around the lane does not reach. Latency from operands to `sum`: 3 cycles. Cost: one multiplier with its registers.
    """

    latency = 3

    def __init__(self, vendor: str = "portable") -> None:
        self.vendor = vendor
        super().__init__(
            {
                "a": In(signed(WORD)),
                "b": In(signed(WORD)),
                "take": In(1),
                "clear": In(1),
                "enable": In(1, init=1),
                "sum": Out(signed(ACCUMULATOR)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        if self.vendor == "ice40":
            from .vendor_ice40 import elaborate_mac16

            return elaborate_mac16(self)
        m = Module()
        # No reset, as in the vendors' blocks: who uses it clears it.
        total = Signal(signed(ACCUMULATOR), reset_less=True)
        product: Value
        if self.vendor == "ecp5":
            from .vendor_ecp5 import multiply

            product = multiply(m, "multiplier", self.a, self.b)
        elif self.vendor == "gowin":
            from .vendor_gowin import multiply

            product = multiply(m, "multiplier", self.a, self.b)
        else:
            a, b, product = (Signal(signed(width), reset_less=True) for width in (WORD, WORD, 2 * WORD))
            m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        m.d.comb += self.sum.eq(total)
        with m.If(self.clear):
            m.d.sync += total.eq(0)
        with m.Elif(self.take):
            m.d.sync += total.eq(total + product)
        return m


class MacArray(wiring.Component):
    """`lanes` MacLanes with one broadcast operand and, a lane, a weight or a word of a vector row.

    weights    lanes x 8 bits signed      row    lanes x 16 bits signed      use_row   which of the two
    broadcast  16 bits signed             take, clear as in MacLane, common to all lanes, `latency` - 1 cycles after
                                          the operands; enable

    Operands out of memories without an output register are registered behind the choice, where it costs nothing on
    iCE40: a look-up table and a register share a cell.
    """

    def __init__(self, lanes: int, weight_bits: int = 8, vendor: str = "portable") -> None:
        self.lanes, self.vendor = lanes, vendor
        self.latency = MacLane.latency + 2 - read_cycles(vendor)
        super().__init__(
            {
                "weights": In(data.ArrayLayout(signed(weight_bits), lanes)),
                "row": In(data.ArrayLayout(signed(WORD), lanes)),
                "use_row": In(1),
                "broadcast": In(signed(WORD)),
                "take": In(1),
                "clear": In(1),
                "enable": In(1, init=1),
                "sums": Out(data.ArrayLayout(signed(ACCUMULATOR), lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        domain = "sync" if self.latency > MacLane.latency else "comb"
        broadcast = Signal(signed(WORD))
        m.d[domain] += broadcast.eq(self.broadcast)
        for index in range(self.lanes):
            m.submodules[f"lane{index}"] = lane = MacLane(self.vendor)
            chosen = Signal(signed(WORD), name=f"chosen_{index}")
            with m.If(self.use_row):
                m.d.comb += chosen.eq(self.row[index])
            with m.Else():
                m.d.comb += chosen.eq(self.weights[index])
            m.d[domain] += lane.b.eq(chosen)
            m.d.comb += [
                lane.a.eq(broadcast),
                lane.take.eq(self.take),
                lane.clear.eq(self.clear),
                lane.enable.eq(self.enable),
                self.sums[index].eq(lane.sum),
            ]
        return m
