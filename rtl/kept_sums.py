# SPDX-License-Identifier: BSD-2-Clause
"""Kept sums: the memory M, and what a finished row adds to it or takes from it (docs/isa.md, finish, 0)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .formats import ACCUMULATOR
from .isa import Keep
from .memory import PART, Ram
from .multiplier import conditional_sum

ADDS = (Keep.ADD, Keep.READ)
WRITES = (Keep.ADD, Keep.SET)
SUM_CYCLE, WRITE_CYCLE = 3, 4


class KeptSums(wiring.Component):
    """total = sum + (keep in ADDS ? M[row][l] : 0), modulo 2**32; M[row][l] = total where keep is in WRITES.

    start       high in the cycle before row and keep stand
    row, keep   of the row, in the cycle after `start`
    sum         element l in cycle 3 + l after `start`
    total       the same a cycle later; it is in M at the end of that cycle

    Rows follow `lanes` cycles apart or more. Cost: an adder of 32 bits, 2 * ceil(kept_elements / 256) block RAMs.
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable") -> None:
        self.config, self.vendor = config, vendor
        super().__init__(
            {
                "start": In(1),
                "row": In((config.rows("K") - 1).bit_length()),
                "keep": In(Keep),
                "sum": In(signed(ACCUMULATOR)),
                "total": Out(signed(ACCUMULATOR)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
        m.submodules.memory = memory = Ram(
            self.config.kept_elements, ACCUMULATOR // PART, vendor=self.vendor, registered=True
        )
        tokens: list[Value] = [self.start]
        for k in range(1, WRITE_CYCLE):
            later = Signal(name=f"token_{k}")
            m.d.sync += later.eq(tokens[-1])
            tokens.append(later)

        def lane(cycle: int) -> Signal:
            """Lane of the element in `cycle`."""
            counter = Signal(range(lanes), name=f"lane_{cycle}")
            m.d.sync += counter.eq(Mux(tokens[cycle - 1], 0, counter + 1))
            return counter

        def held(value: Value, cycle: int, name: str) -> Signal:
            """`value` of the cycle before element 0 is in `cycle`, for the row's elements in that cycle."""
            copy = Signal.like(value, name=f"{name}_{cycle}")
            with m.If(tokens[cycle - 1]):
                m.d.sync += copy.eq(value)
            return copy

        # Cycle 1: row and keep. Read so that the word is there in cycle 3; cycle 4: written.
        row2 = held(self.row, 2, "row")
        adds3 = held(held(sum(self.keep == kind for kind in ADDS) != 0, 2, "adds"), SUM_CYCLE, "adds")
        writes3 = held(held(sum(self.keep == kind for kind in WRITES) != 0, 2, "writes"), SUM_CYCLE, "writes")
        row4 = held(held(row2, SUM_CYCLE, "row"), WRITE_CYCLE, "row")
        writes4, active4, lane4 = held(writes3, WRITE_CYCLE, "writes"), Signal(), lane(WRITE_CYCLE)
        with m.If(tokens[WRITE_CYCLE - 1]):
            m.d.sync += active4.eq(1)
        with m.Elif(lane4 == lanes - 1):
            m.d.sync += active4.eq(0)
        address_at = SUM_CYCLE - memory.latency
        read_row = row2 if address_at == 2 else Mux(tokens[1], self.row, row2)
        total = Signal(signed(ACCUMULATOR))
        conditional_sum(m, "kept", self.sum, memory.read_data.as_signed(), adds3, total, self.vendor)
        m.d.sync += self.total.eq(total)
        m.d.comb += [
            memory.read_row.eq(Cat(lane(address_at), read_row)),
            memory.write_row.eq(Cat(lane4, row4)),
            memory.write_data.eq(self.total),
            memory.write_parts.eq((active4 & writes4).replicate(memory.parts)),
        ]
        return m
