# SPDX-License-Identifier: BSD-2-Clause
"""The sequencer: fetches instructions, issues slots, runs loops and jumps, waits for streams and controller."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .fetch import CONTROL_LAYOUT
from .isa import (
    HEADER_WORDS,
    ISSUE_BITS,
    LAG_WORDS,
    MAC_FIELDS,
    Cond,
    Control,
    Flag,
    Op,
    Timing,
    sparse_slots,
)
from .lane_path import slot_layout
from .multiplier import conditional_sum

MAC_LAYOUT = data.StructLayout(dict(MAC_FIELDS))


class Sequencer(wiring.Component):
    """One instruction after the other, without a bubble between product instructions.

    An instruction is loaded in the last cycle of the one before it plus its stall; its slots follow. Loaded in cycle L
    with d slots, the next is loaded in L + d at the earliest. Costs are exactly those of docs/isa.md.

    run, abort                 from the host
    idle                       nothing is under way, and the memories are the host's: stopped, or at a FRAME that waits
    stopped                    not even the program is fetched: its next word is the first
    issue, pc                  the issue word under way and its number. With `fetch` there is another one in the next
                               cycle, chosen by again, jumping and taken, and stopped (see Fetch); begin_loop: a LOOP
    slot                       the slot of this cycle; v_row, w_row and s_address are its addresses, one cycle later
    hand_on                    two cycles after a snapshot's slot; from the next cycle on, for `lanes` cycles:
    finish_pc                  number of its finish word; row and parity, from two cycles earlier on
    header_*                   one cycle each as the header's words pass
    plan, jump, decide, judge / done  to and from the step controller; time_left; within is what a judge found;
                               accepted toggles the parity
    emit, emit_word            a word for the output FIFO
    lag, trailer_sent          to and from what sends words of its own; flag sets bits of the status
    take, begin, follow        to the tracker, with list, target and imm; list_* is of the list taken, see Tracker
    list_index, column         entry of that list, and the column in it one cycle later
    count_*                    to the counters: columns of sparse products that were skipped, by skip_count
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable") -> None:
        self.config, self.vendor = config, vendor
        pc = (config.program_words - 1).bit_length()
        super().__init__(
            {
                "run": In(1),
                "abort": In(1),
                "idle": Out(1, init=1),
                "starved": Out(1),
                "illegal": Out(1),
                "stopped": Out(1),
                "fetch": Out(1),
                "again": Out(1),
                "jumping": Out(1),
                "taken": Out(1),
                "begin_loop": Out(1),
                "issue": In(ISSUE_BITS),
                "pc": In(pc),
                "slot": Out(slot_layout(config.lanes)),
                "v_row": Out((config.vector_rows - 1).bit_length()),
                "w_row": Out((config.weight_words - 1).bit_length()),
                "s_address": Out(8),
                "hand_on": In(1),
                "finish_pc": Out(pc - 1),
                "row": Out(8),
                "parity": Out(1),
                "in_level": In(range(config.fifo_words + 1)),
                "out_level": In(range(config.fifo_words + 1)),
                "header": Out(HEADER_WORDS),
                "flags": In(2),
                "log_dt": In(16),
                "inputs_left": Out(1),
                "input_take": In(1),
                "plan": Out(1),
                "jump": Out(1),
                "decide": Out(1),
                "judge": Out(1),
                "controller_done": In(1),
                "time_left": In(1),
                "within": In(1),
                "toggle": In(1),
                "emit": Out(1),
                "emit_word": Out(16),
                "frame_start": Out(1),
                "frame_done": Out(1),
                "lag": Out(1),
                "trailer_sent": In(1),
                "flag": Out(1),
                "take": Out(1),
                "begin": Out(1),
                "follow": Out(1),
                "list": Out(2),
                "target": Out(8),
                "imm": Out(16),
                "list_first": In(8),
                "list_more": In(8),
                "list_some": In(1),
                "list_index": Out(8),
                "column": In(8),
                "count_rhs": Out(1),
                "count_mac": Out(1),
                "count_skip": Out(1),
                "skip_count": Out(signed(10)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, kept = self.config.lanes, self.config.column_skip
        mac, control = (
            data.View(MAC_LAYOUT, self.issue[: MAC_LAYOUT.size]),
            data.View(CONTROL_LAYOUT, self.issue[: CONTROL_LAYOUT.size]),
        )
        # Loop state, parity, weight pointer. loop_left counts the row under way, loop_more says that there are others.
        loop_left, row, in_loop, loop_more = Signal(8), Signal(8), Signal(), Signal()
        parity, pointer = Signal(), Signal(len(self.w_row))

        # ---- The slots of the instruction under way
        busy, left, snapping, is_dot, is_term, last = Signal(), Signal(8), Signal(), Signal(), Signal(), Signal()
        v_row, at_lane = Signal(len(self.v_row)), Signal(range(lanes))
        slot_pc, slot_row = Signal(len(self.finish_pc)), Signal(8)
        ending, over, near = Signal(), Signal(), Signal()
        free = Signal(init=1)  # not busy, or in the last cycle of being so
        # A sparse product: its columns less one, the entries that are left, and slots that it takes at the least.
        is_sparse, entries, columns, padding = Signal(), Signal(), Signal(8), Signal(range(sparse_slots(lanes)))
        m.d.comb += [
            over.eq((left == 0) & (padding == 0)),
            near.eq((left[1:] == 0) & (padding[1:] == 0)),  # over now or in the next cycle
            ending.eq(busy & free),
            self.slot.product.eq(busy & ~snapping & (is_dot | is_term | entries)),
            self.slot.snapshot.eq(busy & snapping),
            self.slot.scalar.eq(~is_dot),
            self.slot.row.eq(~is_dot & ~is_sparse),
            self.slot.lane.eq(at_lane),
            self.count_mac.eq(busy & ~snapping & (is_dot | entries)),
        ]
        with m.If(busy):
            with m.If(left != 0):
                m.d.sync += left.eq(left - 1)
            with m.Else():
                m.d.sync += entries.eq(0)
            with m.If(padding != 0):
                m.d.sync += padding.eq(padding - 1)
            with m.If(over & last & ~snapping):
                m.d.sync += snapping.eq(1)
            m.d.sync += at_lane.eq(at_lane + 1)
            with m.If(at_lane == lanes - 1):
                m.d.sync += v_row.eq(v_row + 1)
            # The scales of a sparse product lie behind all of its columns.
            with m.If(is_dot | (is_sparse & over)):
                m.d.sync += pointer.eq(pointer + Mux(is_sparse & ~snapping, columns, 0) + 1)
        # The memories are addressed in the cycle after the slot. S's address is 0 where nobody asks, so that the step
        # controller's can be or-ed to it.
        scalar, entry = Signal(8), Signal(8)
        m.d.sync += [self.v_row.eq(v_row), self.w_row.eq(pointer), self.s_address.eq(Mux(busy & is_term, scalar, 0))]
        if kept:
            # IDX is read in the cycle before the slot, so that the column is known in it.
            m.d.comb += self.list_index.eq(Mux(busy & ~ending, entry + 1, self.list_first))
            m.d.sync += entry.eq(self.list_index)
            w_row = Signal(signed(len(pointer)))
            columned = is_sparse & ~snapping
            column = Cat(self.column, Const(0, 1)).as_signed()
            conditional_sum(m, "w_row", pointer.as_signed(), column, columned, w_row, self.vendor)
            m.d.sync += self.w_row.eq(w_row)
            with m.If(busy & is_sparse):
                m.d.sync += self.s_address.eq(entry)
            # Of an empty list the entries less one are -1.
            m.d.comb += self.skip_count.eq(columns - Cat(self.list_more, ~self.list_some).as_signed())
        self._hand_on(m, slot_pc, slot_row, parity)

        # ---- Loading the next instruction
        sparse = Signal()
        if kept:
            m.d.comb += sparse.eq(mac.op == Op.SPARSE)
        m.d.comb += [self.list.eq(control.list), self.target.eq(control.target), self.imm.eq(control.imm)]
        m.d.sync += self.count_skip.eq(0)
        waited, ready, load = Signal(6), Signal(), Signal()
        stalled, held, advance = Signal(), Signal(), Signal()
        with m.If(ending):
            m.d.sync += [busy.eq(0), snapping.eq(0)]
        with m.If(ready & free):
            m.d.sync += waited.eq(Mux(stalled, waited + 1, 0))
        again = in_loop & control.loop_end & loop_more
        is_control = control.op == Op.CONTROL
        m.d.comb += [
            stalled.eq(waited != control.stall),
            load.eq(ready & free & ~stalled),
            # A jump is followed when its condition is known, and ROOM when there is room.
            held.eq(is_control & ((control.control == Control.JUMP) | (control.control == Control.ROOM))),
            advance.eq(load & ~held),
            self.fetch.eq(advance),
            self.again.eq(again),
        ]
        with m.If(advance & in_loop & control.loop_end):
            m.d.sync += [
                loop_left.eq(loop_left - 1),
                loop_more.eq(loop_left != 2),
                in_loop.eq(again),
                row.eq(Mux(again, row + 1, 0)),
            ]
        with m.If(load):
            m.d.sync += free.eq(is_control | ((mac.cols == 0) & ~mac.last & ~sparse))
        with m.Else():
            m.d.sync += free.eq(free | Mux(last, over, near))

        words_left = Signal(len(self.in_level))
        m.d.sync += self.inputs_left.eq(words_left != 0)
        with m.If(self.input_take | self.header.any()):
            m.d.sync += [words_left.eq(words_left - 1), self.inputs_left.eq(words_left != 1)]
        condition, repeats = Signal(), Signal(8)
        m.d.sync += self.taken.eq(condition)
        first, trace = self.flags[0], self.flags[1]
        assert (Flag.FIRST, Flag.TRACE) == (1, 2)
        with m.Switch(control.cond):
            for cond, value in (
                (Cond.ALWAYS, 1), (Cond.FIRST, first), (Cond.NOT_FIRST, ~first), (Cond.TIME_LEFT, self.time_left),
                (Cond.NO_TIME_LEFT, ~self.time_left), (Cond.TRACE, trace), (Cond.NOT_TRACE, ~trace),
                (Cond.AGAIN, repeats != 0), (Cond.OK, self.within), (Cond.NOT_OK, ~self.within),
                (Cond.LOG_DT, self.log_dt == control.imm),
            ):  # fmt: skip
                with m.Case(cond):
                    m.d.comb += condition.eq(value)

        # A word that an instruction pushes is in the level two cycles later: a FRAME or ROOM has stood for one before
        # it looks, and what it saw counts in the next.
        at_frame, standing, enough = Signal(), Signal(), Signal()
        wanted, room_ok, words_ok = Signal(len(self.out_level) + 1), Signal(), Signal()
        m.d.comb += [
            wanted.eq(self.out_level + Cat(0, 0, control.target)),
            room_ok.eq(wanted < self.config.fifo_words),
            words_ok.eq(self.in_level >= control.imm[: len(self.in_level)]),
            at_frame.eq(is_control & (control.control == Control.FRAME)),
        ]
        m.d.sync += [
            self.idle.eq(0), self.starved.eq(0), standing.eq(0), enough.eq(0), self.header.eq(self.header << 1),
        ]  # fmt: skip

        def execute() -> None:
            """Effects of a control instruction in the cycle in which it is loaded."""
            with m.Switch(control.control):
                with m.Case(Control.NOP):
                    pass
                with m.Case(Control.LOOP):
                    m.d.sync += [
                        loop_left.eq(control.imm),
                        loop_more.eq(control.imm[:8] != 1),
                        row.eq(0),
                        in_loop.eq(1),
                    ]
                    m.d.comb += [self.begin_loop.eq(1), self.count_rhs.eq(control.imm[15])]
                with m.Case(Control.SWAP):
                    m.d.sync += parity.eq(~parity)
                with m.Case(Control.JUMP):
                    m.next = "JUMP"
                with m.Case(Control.REPEAT):
                    m.d.sync += repeats.eq(control.imm)
                with m.Case(Control.PLAN, Control.DECIDE, Control.JUDGE):
                    m.d.sync += self.jump.eq(control.imm[0])
                    m.d.comb += [
                        self.plan.eq(control.control == Control.PLAN),
                        self.decide.eq(control.control == Control.DECIDE),
                        self.judge.eq(control.control == Control.JUDGE),
                    ]
                    m.next = "CONTROLLER"
                with m.Case(Control.EMIT):
                    m.d.comb += [self.emit.eq(1), self.emit_word.eq(control.imm)]
                with m.Case(Control.DONE):
                    m.d.comb += self.frame_done.eq(1)
                    m.next = "TRAILER"
                with m.Case(Control.LAG):
                    m.d.comb += self.lag.eq(1)
                    m.next = "TRAILER"
                with m.Case(Control.FLAG):
                    m.d.comb += self.flag.eq(1)
                with m.Case(Control.ROOM):
                    m.next = "ROOM"
                if kept:
                    for kind, strobe in (
                        (Control.TAKE, self.take), (Control.LIST, self.begin), (Control.TRACK, self.follow),
                    ):  # fmt: skip
                        with m.Case(kind):
                            m.d.comb += strobe.eq(1)
                with m.Default():
                    m.next = "ILLEGAL"

        with m.FSM(name="sequencer"):
            with m.State("IDLE"):
                m.d.comb += [self.stopped.eq(1), self.fetch.eq(1)]
                m.d.sync += [self.idle.eq(1), in_loop.eq(0), row.eq(0), waited.eq(0), parity.eq(0)]
                with m.If(self.run):
                    m.next = "READY"
            with m.State("READY"):
                m.d.comb += ready.eq(~at_frame)
                m.d.comb += self.frame_start.eq(enough & self.run)
                with m.If(at_frame & ~busy):
                    with m.If(~self.run):
                        m.next = "IDLE"
                    with m.Elif(enough):
                        m.d.comb += self.fetch.eq(1)
                        m.d.sync += [words_left.eq(control.imm), self.header.eq(1)]
                        m.next = "HEADER"
                    with m.Else():
                        # Idle still in the cycle in which a frame begins, which uses no memory.
                        m.d.sync += [self.idle.eq(1), standing.eq(1)]
                        with m.If(standing):
                            m.d.sync += [enough.eq(words_ok & room_ok), self.starved.eq(~(words_ok & room_ok))]
                with m.If(load):
                    with m.If(~is_control):
                        m.d.sync += [
                            busy.eq(1),
                            snapping.eq(0),
                            left.eq(Mux(sparse, Mux(self.list_some, self.list_more, 0), mac.cols)),
                            padding.eq(Mux(sparse, sparse_slots(lanes) - 1, 0)),
                            entries.eq(sparse & self.list_some),
                            columns.eq(mac.cols),
                            is_sparse.eq(sparse),
                            last.eq(mac.last),
                            is_dot.eq(mac.op == Op.DOT),
                            is_term.eq(mac.op == Op.TERM),
                            v_row.eq(self._vector_row(mac, row, parity)),
                            at_lane.eq(0),
                            slot_pc.eq(self.pc[1:]),
                            slot_row.eq(row),
                            scalar.eq(mac.w[:8]),
                        ]
                        with m.If(((mac.op == Op.DOT) | sparse) & mac.w_load & (row == 0)):
                            m.d.sync += pointer.eq(mac.w)
                        m.d.sync += self.count_skip.eq(sparse & ~mac.x[0])
                        with m.If(mac.op > (Op.SPARSE if kept else Op.IN)):
                            m.next = "ILLEGAL"
                    with m.Else():
                        execute()
            with m.State("HEADER"):
                with m.If(self.header[-1]):
                    m.next = "READY"
                    with m.If(first):
                        m.d.sync += parity.eq(0)
            with m.State("JUMP"):
                m.d.comb += [self.fetch.eq(1), self.jumping.eq(1)]
                with m.If(self.taken & (control.cond == Cond.AGAIN)):
                    m.d.sync += repeats.eq(repeats - 1)
                m.next = "READY"
            with m.State("ROOM"):
                m.d.sync += enough.eq(room_ok & ~enough)
                with m.If(enough):
                    m.d.comb += self.fetch.eq(1)
                    m.next = "READY"
            with m.State("CONTROLLER"):
                with m.If(self.toggle):
                    m.d.sync += parity.eq(~parity)
                with m.If(self.controller_done):
                    m.next = "READY"
            with m.State("TRAILER"):
                with m.If(self.trailer_sent):
                    m.next = "READY"
            with m.State("ILLEGAL"):
                m.d.comb += self.illegal.eq(1)
            if (Timing.FRAME, Timing.LAG) != (HEADER_WORDS + 1, LAG_WORDS + 1):
                raise AssertionError("the costs of FRAME and LAG are their load and a cycle a word")
        return m

    def _vector_row(self, mac: data.View[data.StructLayout], row: Signal, parity: Signal) -> Value:
        """Row of V that an instruction starts at; the loop index moves a `term`, not a `dot`."""
        total = (mac.x + Mux(mac.indexed & (mac.op == Op.TERM), row, 0))[: len(self.v_row)]
        return Cat(total[:-1], total[-1] ^ (mac.x_par & parity))

    def _hand_on(self, m: Module, slot_pc: Signal, slot_row: Signal, parity: Signal) -> None:
        """Where a snapshot's finish word is, and its loop index and parity, held from slot to element pipeline.

        Captured with the snapshot's slot; the number again two cycles later, so that neither copy is overwritten by a
        row that follows `lanes` cycles behind.
        """
        held_pc = Signal.like(slot_pc)
        with m.If(self.slot.snapshot):
            m.d.sync += [held_pc.eq(slot_pc), self.row.eq(slot_row), self.parity.eq(parity)]
        with m.If(self.hand_on):
            m.d.sync += self.finish_pc.eq(held_pc)
