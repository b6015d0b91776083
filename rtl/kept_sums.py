# SPDX-License-Identifier: BSD-2-Clause
"""Kept sums: the memory M, and what a finished row adds to it or takes from it (docs/isa.md, finish, 0)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .formats import ACCUMULATOR
from .isa import Keep
from .memory import PART, Ram
from .multiplier import conditional_sum

ADDS = (Keep.ADD, Keep.READ)
WRITES = (Keep.ADD, Keep.SET)


class KeptSums(wiring.Component):
    """total = sum + (keep in ADDS ? M[row][l] : 0), modulo 2**32; M[row][l] = total where keep is in WRITES.

    start       high in the cycle before M is addressed for element 0
    row, keep   of the row, in the cycle after `start`
    sum         element l in cycle 2 + l after `start`
    total       element l in cycle 3 + l after `start`, at whose end it is in M

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
        m.submodules.memory = memory = Ram(self.config.kept_elements, ACCUMULATOR // PART)
        # Cycle 1: addressed, 2: added, 3: written.
        token1, token2 = Signal(), Signal()
        lane1, lane2, lane3 = (Signal(range(lanes)) for _ in range(3))
        row2, row3 = Signal.like(self.row), Signal.like(self.row)
        adds2, writes2, writes3, active3 = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [token1.eq(self.start), token2.eq(token1), lane2.eq(lane1), lane3.eq(lane2)]
        m.d.sync += lane1.eq(Mux(self.start, 0, lane1 + 1))
        with m.If(token1):
            m.d.sync += [
                row2.eq(self.row),
                adds2.eq(sum(self.keep == kind for kind in ADDS) != 0),
                writes2.eq(sum(self.keep == kind for kind in WRITES) != 0),
            ]
        with m.If(token2):
            m.d.sync += [row3.eq(row2), writes3.eq(writes2), active3.eq(1)]
        with m.Elif(lane3 == lanes - 1):
            m.d.sync += active3.eq(0)
        total = Signal(signed(ACCUMULATOR))
        conditional_sum(m, "kept", self.sum, memory.read_data.as_signed(), adds2, total, self.vendor)
        m.d.sync += self.total.eq(total)
        m.d.comb += [
            memory.read_row.eq(Cat(lane1, Mux(token1, self.row, row2))),
            memory.write_row.eq(Cat(lane3, row3)),
            memory.write_data.eq(self.total),
            memory.write_parts.eq((active3 & writes3).replicate(memory.parts)),
        ]
        return m
