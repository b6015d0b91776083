# SPDX-License-Identifier: BSD-2-Clause
"""The tracker: which columns moved since a product was last computed with them, as lists for sparse products."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .formats import WORD
from .isa import LISTS, Track
from .memory import Ram

ENTRIES = 256  # words of S, and of IDX beside it
INDEX = (ENTRIES - 1).bit_length()


class Tracker(wiring.Component):
    """delta = value - X; where |delta| > threshold: S[end] = delta, IDX[end] = column, X = value (docs/isa.md, 8).

    value, track                an element and what is done with it: its entry is written in the next cycle
    x_read, x_write             its address in X, `read_cycles` of the vendor earlier, and with it; column is its number
    s_claim, s_write, s_row, s_data     the entry's word of S, in that cycle; s_claim is known early
    overflow                    one cycle, with the entry, where delta does not fit in 16 bits: no entry is made
    take, begin, follow         controls TAKE, LIST and TRACK, one cycle each, while no element is under way
    list, target, imm           what they say
    offset                      of the tracked list, in rows
    first, more, some           of the list taken: its first word, its entries less one, whether there are any
    index, column_of            IDX for sparse products: address, and its word one cycle later

    Cost: registers of 16 bits a list, 1 + ceil(kept_elements / 256) block RAMs.
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable") -> None:
        self.config, self.vendor = config, vendor
        address = (config.kept_elements - 1).bit_length()
        super().__init__(
            {
                "value": In(signed(WORD)),
                "track": In(Track),
                "x_read": In(address),
                "x_write": In(address),
                "column": In(INDEX),
                "overflow": Out(1),
                "s_claim": Out(1),
                "s_write": Out(1),
                "s_row": Out(INDEX),
                "s_data": Out(signed(WORD)),
                "take": In(1),
                "begin": In(1),
                "follow": In(1),
                "list": In(range(LISTS)),
                "target": In(8),
                "imm": In(16),
                "offset": Out(8),
                "first": Out(INDEX),
                "more": Out(INDEX),
                "some": Out(1),
                "index": In(INDEX),
                "column_of": Out(INDEX),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.operands = operands = Ram(self.config.kept_elements, vendor=self.vendor, registered=True)
        m.submodules.columns = columns = Ram(ENTRIES, vendor=self.vendor)

        threshold, tracked = Signal(WORD - 1), Signal(range(LISTS))
        delta = Signal(signed(WORD + 1))
        value, track, x_write, column = Signal(WORD), Signal(Track), Signal.like(self.x_write), Signal(INDEX)
        m.d.sync += [
            delta.eq(self.value - operands.read_data.as_signed()),
            value.eq(self.value),
            track.eq(self.track),
            x_write.eq(self.x_write),
            column.eq(self.column),
        ]
        # |delta| > threshold: delta >= threshold + 1, or ~delta >= threshold, which is one sum with a carry.
        sign = delta[-1]
        distance = delta[: WORD - 1] ^ sign.replicate(WORD - 1)
        compared = Signal(WORD + 1)
        m.d.comb += compared.eq(Cat(sign, distance) + Cat(sign, ~threshold))
        fits = delta[-1] == delta[-2]
        tracking = track == Track.MOVED
        moved = tracking & fits & compared[-1]
        m.d.comb += [
            operands.read_row.eq(self.x_read),
            operands.write_row.eq(x_write),
            operands.write_data.eq(value),
            operands.write_parts.eq(moved | (track == Track.SET)),
            self.overflow.eq(tracking & ~fits),
            self.s_claim.eq(tracking),
            self.s_write.eq(moved),
            self.s_data.eq(delta),
            columns.read_row.eq(self.index),
            columns.write_row.eq(self.s_row),
            columns.write_data.eq(column),
            columns.write_parts.eq(moved),
            self.column_of.eq(columns.read_data),
        ]

        # ---- Lists. Nothing is tracked while one is taken, so that one choice of four does for both: by what the
        # element asks for, which is known early, while whether a control instruction is carried out is known late.
        starts = Array(Signal(INDEX, name=f"start_{k}") for k in range(LISTS))
        ends = Array(Signal(INDEX, name=f"end_{k}") for k in range(LISTS))
        which = Mux(tracking, tracked, self.list)
        start, end = Signal(INDEX), Signal(INDEX)
        begins = Signal(INDEX)
        m.d.comb += [
            start.eq(starts[self.list]),
            end.eq(ends[which]),
            begins.eq(Mux(self.begin, self.imm[:INDEX], Cat(start[:-1], start[-1] ^ self.imm[0]))),
            self.s_row.eq(end),
        ]
        with m.If(self.take):
            m.d.sync += [self.first.eq(start), self.more.eq(end + ~start), self.some.eq(end != start)]
        with m.If(self.take | self.begin):
            m.d.sync += starts[self.list].eq(begins)
        with m.If(self.take | self.begin | moved):
            m.d.sync += ends[which].eq(Mux(tracking, end + 1, begins))
        with m.If(self.follow):
            m.d.sync += [tracked.eq(self.list), self.offset.eq(self.target), threshold.eq(self.imm)]
        return m
