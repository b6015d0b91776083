# SPDX-License-Identifier: BSD-2-Clause
"""From slots to rows: operands out of the memories, the lanes, and the snapshot that is drained element by element."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .formats import ACCUMULATOR, WORD
from .isa import Timing
from .mac import MacArray

SCALE_BITS = 5


def slot_layout(lanes: int) -> data.StructLayout:
    """What one cycle of a product instruction asks for."""
    return data.StructLayout(
        {
            "product": 1,  # multiply and add a column
            "snapshot": 1,  # the row is complete: hand it on, clear the sums
            "scalar": 1,  # one operand is a scalar, not an element of the vector row
            "row": 1,  # the other is the vector row, not weights
            "lane": range(lanes),  # which element of the vector row
        }
    )


class LanePath(wiring.Component):
    """Slot in cycle t: V, W and S addressed in t + 1 (by the caller), operands meet in t + 2, summed by t + 5.

    slot                          what happens in this cycle
    vector_data, weight_data, scalar_data      two cycles after the slot
    clear                         zeroes the sums between two rows
    host, host_part, element      while nothing is under way: a word of V's row for the host
    start                         high two cycles after a snapshot slot
    sum, scale                    element l of the row in cycle SNAPSHOT_TO_STAGE0 + l after the snapshot's slot

    Cost: one choice of a lane's word for the broadcast, a 2:1 choice a bit for the operands, a register and a 2:1
    choice a bit for the sums (32 bits a lane) and the scales.
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable") -> None:
        self.config, self.vendor = config, vendor
        super().__init__(
            {
                "slot": In(slot_layout(config.lanes)),
                "vector_data": In(WORD * config.lanes),
                "weight_data": In(config.weight_bits * config.lanes),
                "scalar_data": In(signed(WORD)),
                "clear": In(1),
                "host": In(1),
                "host_part": In(range(config.lanes)),
                "element": Out(WORD),
                "start": Out(1),
                "sum": Out(signed(ACCUMULATOR)),
                "scale": Out(SCALE_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        m.submodules.array = array = MacArray(lanes, self.config.weight_bits, self.vendor)

        slots = [self.slot]
        for k in range(1, 2 + array.latency + 1):
            later = Signal(slot_layout(lanes), name=f"slot_{k}")
            m.d.sync += later.eq(slots[-1])
            slots.append(later)

        meet, settle = slots[2], slots[2 + array.latency - 1]
        m.d.comb += [
            self.element.eq(self.vector_data.word_select(Mux(self.host, self.host_part, meet.lane), WORD)),
            array.weights.eq(self.weight_data),
            array.row.eq(self.vector_data),
            array.use_row.eq(meet.row),
            array.broadcast.eq(Mux(meet.scalar, self.scalar_data, self.element.as_signed())),
            array.take.eq(settle.product),
            array.clear.eq(settle.snapshot | self.clear),
            self.start.eq(meet.snapshot),
        ]

        sums = Signal(ACCUMULATOR * lanes)
        with m.If(settle.snapshot):
            m.d.sync += sums.eq(array.sums)
        with m.Else():
            m.d.sync += sums.eq(sums[ACCUMULATOR:])
        m.d.comb += self.sum.eq(sums[:ACCUMULATOR])

        # The scales follow the weights in memory: they come with the snapshot's slot, and stand until its row drains.
        # Another row with scales comes when the one before has drained (isa.Timing.SCALE_GAP).
        scales = Signal(SCALE_BITS * lanes)
        bits = self.config.weight_bits
        scaled = [slot.snapshot & ~slot.row for slot in slots[2 : Timing.SNAPSHOT_TO_STAGE0]]
        with m.If(scaled[0]):
            m.d.sync += scales.eq(Cat(self.weight_data[bits * k : bits * k + SCALE_BITS] for k in range(lanes)))
        with m.Elif(~sum(scaled[1:]).any()):
            m.d.sync += scales.eq(scales[SCALE_BITS:])
        m.d.comb += self.scale.eq(scales[:SCALE_BITS])
        return m
