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
from .memory import read_cycles

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
    """Slot in cycle t: V, W and S addressed in t + 1 (by the caller), summed by t + 6.

    slot                          what happens in this cycle
    vector_data, weight_data      1 + `read_cycles` of the vendor after the slot
    scalar_data                   two cycles after the slot: S is read in one
    clear                         zeroes the sums between two rows
    enable                        of the clock, for the lanes' vendor blocks
    host, host_part, element      while nothing is under way: a word of V's row for the host
    start                         high 3 - `read_cycles` cycles after a snapshot's slot: a finish word whose address
                                  changes in the next cycle is there four cycles after the slot
    sum, scale                    element l of the row in cycle SNAPSHOT_TO_STAGE0 - 1 + l after the snapshot's slot

    Cost: one choice of a lane's word for the broadcast, a 2:1 choice a bit for the operands, a register and a 2:1
    choice a bit for the sums (32 bits a lane) and the scales, another register for the scales.
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
                "enable": In(1, init=1),
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

        reading = read_cycles(self.vendor)
        slots = [self.slot]
        for k in range(1, 1 + reading + array.latency):
            later = Signal(slot_layout(lanes), name=f"slot_{k}")
            m.d.sync += later.eq(slots[-1])
            slots.append(later)

        meet, settle = slots[1 + reading], slots[-1]
        assert len(slots) == Timing.SNAPSHOT_TO_STAGE0 - 1
        scalar = Signal(signed(WORD))
        if reading > 1:
            m.d.sync += scalar.eq(self.scalar_data)
        else:
            m.d.comb += scalar.eq(self.scalar_data)
        # Which lane's word is chosen a cycle before the row is there.
        lane = Signal.like(self.host_part)
        m.d.sync += lane.eq(Mux(self.host, self.host_part, slots[reading].lane))
        m.d.comb += [
            self.element.eq(self.vector_data.word_select(lane, WORD)),
            array.weights.eq(self.weight_data),
            array.row.eq(self.vector_data),
            array.use_row.eq(meet.row),
            array.broadcast.eq(Mux(meet.scalar, scalar, self.element.as_signed())),
            array.take.eq(settle.product),
            array.clear.eq(settle.snapshot | self.clear),
            self.start.eq(slots[3 - reading].snapshot),
            array.enable.eq(self.enable),
        ]

        sums = Signal(ACCUMULATOR * lanes)
        with m.If(settle.snapshot):
            m.d.sync += sums.eq(array.sums)
        with m.Else():
            m.d.sync += sums.eq(sums[ACCUMULATOR:])
        m.d.comb += self.sum.eq(sums[:ACCUMULATOR])

        # The scales follow the weights in memory: they come with the snapshot's slot, and are kept until the row before
        # has drained.
        following, scales = Signal(SCALE_BITS * lanes), Signal(SCALE_BITS * lanes)
        bits = self.config.weight_bits
        with m.If(meet.snapshot):
            m.d.sync += following.eq(Cat(self.weight_data[bits * k : bits * k + SCALE_BITS] for k in range(lanes)))
        with m.If(settle.snapshot):
            m.d.sync += scales.eq(following)
        with m.Else():
            m.d.sync += scales.eq(scales[SCALE_BITS:])
        m.d.comb += self.scale.eq(scales[:SCALE_BITS])
        return m
