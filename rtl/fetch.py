# SPDX-License-Identifier: BSD-2-Clause
"""The program memory and what is read from it next."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .isa import CONTROL_FIELDS, ISSUE_BITS, Control, Op
from .memory import PART, Ram, read_cycles

CONTROL_LAYOUT = data.StructLayout(dict(CONTROL_FIELDS))


class Fetch(wiring.Component):
    """The issue word under way, and in the cycle after `fetch` another one: without a bubble, whatever comes next.

    fetch          take the next word; else the word stays. It is known last in a cycle, and enables the memory
    again          the next word is the first of the loop, else the one after this
    jump, taken    in the second cycle of a JUMP: whether the next word is its target
    first          the machine stands still: the next word is word 0, or with `host` that of host_row
    begin_loop     the word after this is the first of a loop
    issue          the issue word, which the sequencer decodes; pc, its number
    write_row, write_data, write_parts   the host's, while the machine stands still

    Where block RAM has a register at its output (`read_cycles` of the vendor is 2), two words are on their way at any
    time. There are then two copies of the program: one is read in order, two words ahead; the other shows where a loop
    or a jump may lead, which is known a cycle before it is followed.
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable") -> None:
        self.config, self.vendor = config, vendor
        row = (config.program_words - 1).bit_length()
        parts = ISSUE_BITS // PART
        super().__init__(
            {
                "fetch": In(1),
                "again": In(1),
                "jump": In(1),
                "taken": In(1),
                "first": In(1),
                "host": In(1),
                "begin_loop": In(1),
                "issue": Out(ISSUE_BITS),
                "pc": Out(row),
                "host_row": In(row),
                "write_row": In(row),
                "write_data": In(ISSUE_BITS),
                "write_parts": In(parts),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pc, after, loop_start = self.pc, Signal.like(self.pc), Signal.like(self.pc)
        following, second = Signal.like(pc), Signal.like(pc)  # the next word's number, and that of the one after it
        control = data.View(CONTROL_LAYOUT, self.issue[: CONTROL_LAYOUT.size])
        m.d.comb += [after.eq(pc + 1), following.eq(after), second.eq(pc + 2)]
        for chosen, start in ((self.again, loop_start), (self.jump & self.taken, control.target), (self.first, 0)):
            with m.If(chosen):
                m.d.comb += [following.eq(start), second.eq(start + 1)]
        with m.If(self.begin_loop):
            m.d.sync += loop_start.eq(after)
        with m.If(self.fetch):
            m.d.sync += pc.eq(following)

        parts = len(self.write_parts)
        if read_cycles(self.vendor) == 1:
            m.submodules.program = program = Ram(self.config.program_words, parts)
            copies = [program]
            m.d.comb += [
                program.read_row.eq(Mux(self.host, self.host_row, following)),
                program.read_enable.eq(self.fetch),
                self.issue.eq(program.read_data),
            ]
        else:
            ordered, elsewhere = copies = [
                Ram(self.config.program_words, parts, vendor=self.vendor, registered=True) for _ in range(2)
            ]
            m.submodules.ordered, m.submodules.elsewhere = ordered, elsewhere
            led = Signal()  # the word under way is of the second copy
            m.d.comb += [
                # Both of its stages move with `fetch`: behind the word under way is the one after it.
                ordered.row_enable.eq(self.fetch),
                ordered.read_row.eq(Mux(self.host, self.host_row, second)),
                elsewhere.read_row.eq(self._elsewhere(m, control, after, loop_start)),
                self.issue.eq(Mux(led, elsewhere.read_data, ordered.read_data)),
            ]
            m.d.comb += [ram.read_enable.eq(self.fetch) for ram in copies]
            with m.If(self.fetch):
                m.d.sync += led.eq(self.again | (self.jump & self.taken) | (self.first & ~self.host))
        for ram in copies:
            m.d.comb += [
                ram.write_row.eq(self.write_row),
                ram.write_data.eq(self.write_data),
                ram.write_parts.eq(self.write_parts),
            ]
        return m

    def _elsewhere(self, m: Module, control: data.View[data.StructLayout], after: Signal, loop_start: Signal) -> Signal:
        """Where the next word may be, if not behind this one: known a cycle before it is.

        The first of a LOOP, while the LOOP stands; a JUMP's target, until its second cycle; else where the loop starts.
        """
        row = Signal.like(loop_start)
        is_control = control.op == Op.CONTROL
        m.d.comb += row.eq(loop_start)
        with m.If(self.first):
            m.d.comb += row.eq(0)
        with m.Elif(is_control & (control.control == Control.LOOP)):
            m.d.comb += row.eq(after)
        with m.Elif(is_control & (control.control == Control.JUMP) & ~self.jump):
            m.d.comb += row.eq(control.target)
        return row
