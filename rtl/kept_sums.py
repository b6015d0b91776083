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
    total       the same, combinational; it is in M at the end of that cycle

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
        # Cycle 1: addressed, 2: added and written.
        token1 = Signal()
        lane1, lane2 = Signal(range(lanes)), Signal(range(lanes))
        row2 = Signal.like(self.row)
        adds2, writes2, active2 = Signal(), Signal(), Signal()
        m.d.sync += [token1.eq(self.start), lane2.eq(lane1)]
        m.d.sync += lane1.eq(Mux(self.start, 0, lane1 + 1))
        with m.If(token1):
            m.d.sync += [
                active2.eq(1),
                row2.eq(self.row),
                adds2.eq(sum(self.keep == kind for kind in ADDS) != 0),
                writes2.eq(sum(self.keep == kind for kind in WRITES) != 0),
            ]
        with m.Elif(lane2 == lanes - 1):
            m.d.sync += active2.eq(0)
        conditional_sum(m, "kept", self.sum, memory.read_data.as_signed(), adds2, self.total, self.vendor)
        m.d.comb += [
            memory.read_row.eq(Cat(lane1, Mux(token1, self.row, row2))),
            memory.write_row.eq(Cat(lane2, row2)),
            memory.write_data.eq(self.total),
            memory.write_parts.eq((active2 & writes2).replicate(memory.parts)),
        ]
        return m
