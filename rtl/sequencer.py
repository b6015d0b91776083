# SPDX-License-Identifier: BSD-2-Clause
"""The sequencer: fetches instructions, issues slots, runs loops and jumps, waits for streams and controller."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .isa import (
    CONTROL_FIELDS,
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
CONTROL_LAYOUT = data.StructLayout(dict(CONTROL_FIELDS))


class Sequencer(wiring.Component):
    """One instruction after the other, without a bubble between product instructions.

    An instruction is loaded in the last cycle of the one before it plus its stall; its slots follow. Loaded in cycle L
    with d slots, the next is loaded in L + d at the earliest. Costs are exactly those of docs/isa.md.

    run, abort                 from the host
    fetch_row, issue           program memory: address, and the issue word one cycle later
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
                "idle": Out(1),
                "starved": Out(1),
                "illegal": Out(1),
                "fetch_row": Out(pc),
                "issue": In(ISSUE_BITS),
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
        pc, next_pc = Signal(len(self.fetch_row)), Signal(len(self.fetch_row))
        m.d.comb += self.fetch_row.eq(next_pc)
        m.d.sync += pc.eq(next_pc)
        m.d.comb += next_pc.eq(pc)

        # Loop state, parity, weight pointer.
        loop_start, loop_left, row, in_loop = Signal.like(pc), Signal(8), Signal(8), Signal()
        parity, pointer = Signal(), Signal(len(self.w_row))

        # ---- The slots of the instruction under way
        busy, left, snapping, is_dot, is_term, last = Signal(), Signal(8), Signal(), Signal(), Signal(), Signal()
        v_row, at_lane = Signal(len(self.v_row)), Signal(range(lanes))
        slot_pc, slot_row = Signal(len(self.finish_pc)), Signal(8)
        ending, over = Signal(), Signal()
        # A sparse product: its columns less one, the entries that are left, and slots that it takes at the least.
        is_sparse, entries, columns, padding = Signal(), Signal(), Signal(8), Signal(range(sparse_slots(lanes)))
        m.d.comb += [
            over.eq((left == 0) & (padding == 0)),
            ending.eq(busy & (snapping | (over & ~last))),
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
        stalled = Signal()
        m.d.comb += [stalled.eq(waited != control.stall), load.eq(ready & (~busy | ending) & ~stalled)]
        with m.If(ending):
            m.d.sync += [busy.eq(0), snapping.eq(0)]
        with m.If(ready & (~busy | ending)):
            m.d.sync += waited.eq(Mux(stalled, waited + 1, 0))

        after = Signal.like(pc)
        again = Signal()
        m.d.comb += [again.eq(in_loop & control.loop_end & (loop_left != 0)), after.eq(Mux(again, loop_start, pc + 1))]

        def advance(enable: Value) -> None:
            with m.If(enable):
                m.d.comb += next_pc.eq(after)
                with m.If(in_loop & control.loop_end):
                    m.d.sync += [loop_left.eq(loop_left - 1), in_loop.eq(again), row.eq(Mux(again, row + 1, 0))]

        words_left = Signal(len(self.in_level))
        m.d.comb += self.inputs_left.eq(words_left != 0)
        with m.If(self.input_take | self.header.any()):
            m.d.sync += words_left.eq(words_left - 1)
        condition, repeats = Signal(), Signal(8)
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

        header = Signal(range(HEADER_WORDS + 1))
        frame_ready, at_frame, room_ok = Signal(), Signal(), Signal()
        wanted = Signal(len(self.out_level) + 1)
        m.d.comb += [
            wanted.eq(self.out_level + Cat(0, 0, control.target)),
            room_ok.eq(wanted < self.config.fifo_words),
            frame_ready.eq((self.in_level >= control.imm[: len(self.in_level)]) & room_ok),
            at_frame.eq((control.op == Op.CONTROL) & (control.control == Control.FRAME)),
        ]

        def execute() -> None:
            """Effects of a control instruction in the cycle in which it is loaded."""
            with m.Switch(control.control):
                with m.Case(Control.NOP):
                    advance(load)
                with m.Case(Control.LOOP):
                    advance(load)
                    m.d.sync += [loop_start.eq(pc + 1), loop_left.eq(control.imm[:8] - 1), row.eq(0), in_loop.eq(1)]
                    m.d.comb += self.count_rhs.eq(control.imm[15])
                with m.Case(Control.SWAP):
                    advance(load)
                    m.d.sync += parity.eq(~parity)
                with m.Case(Control.JUMP):
                    advance(load)
                    with m.If(condition):
                        m.d.comb += next_pc.eq(control.target)
                        with m.If(control.cond == Cond.AGAIN):
                            m.d.sync += repeats.eq(repeats - 1)
                with m.Case(Control.REPEAT):
                    advance(load)
                    m.d.sync += repeats.eq(control.imm)
                with m.Case(Control.PLAN, Control.DECIDE, Control.JUDGE):
                    advance(load)
                    m.d.sync += self.jump.eq(control.imm[0])
                    m.d.comb += [
                        self.plan.eq(control.control == Control.PLAN),
                        self.decide.eq(control.control == Control.DECIDE),
                        self.judge.eq(control.control == Control.JUDGE),
                    ]
                    m.next = "CONTROLLER"
                with m.Case(Control.EMIT):
                    advance(load)
                    m.d.comb += [self.emit.eq(1), self.emit_word.eq(control.imm)]
                with m.Case(Control.DONE):
                    advance(load)
                    m.d.comb += self.frame_done.eq(1)
                    m.next = "TRAILER"
                with m.Case(Control.LAG):
                    advance(load)
                    m.d.comb += self.lag.eq(1)
                    m.next = "TRAILER"
                with m.Case(Control.FLAG):
                    advance(load)
                    m.d.comb += self.flag.eq(1)
                with m.Case(Control.ROOM):
                    advance(room_ok)
                if kept:
                    for kind, strobe in (
                        (Control.TAKE, self.take), (Control.LIST, self.begin), (Control.TRACK, self.follow),
                    ):  # fmt: skip
                        with m.Case(kind):
                            advance(load)
                            m.d.comb += strobe.eq(1)
                with m.Default():
                    m.next = "ILLEGAL"

        with m.FSM(name="sequencer"):
            with m.State("IDLE"):
                m.d.comb += [self.idle.eq(1), next_pc.eq(0)]
                m.d.sync += [busy.eq(0), snapping.eq(0), in_loop.eq(0), row.eq(0), waited.eq(0), parity.eq(0)]
                with m.If(self.run):
                    m.next = "READY"
            with m.State("READY"):
                m.d.comb += ready.eq(~at_frame)
                with m.If(at_frame & ~busy):
                    # Idle still in the cycle in which a frame begins, which uses no memory: whether it does is known
                    # late, and `idle` steers every memory.
                    m.d.comb += [self.idle.eq(1), self.starved.eq(~frame_ready)]
                    with m.If(~self.run):
                        m.next = "IDLE"
                    with m.Elif(frame_ready):
                        m.d.comb += [self.frame_start.eq(1), next_pc.eq(after)]
                        m.d.sync += [words_left.eq(control.imm), header.eq(0)]
                        m.next = "HEADER"
                with m.If(load):
                    with m.If(control.op != Op.CONTROL):
                        advance(load)
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
                            slot_pc.eq(pc[1:]),
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
                m.d.comb += self.header.eq(1 << header)
                m.d.sync += header.eq(header + 1)
                with m.If(header == HEADER_WORDS - 1):
                    m.next = "READY"
                    with m.If(first):
                        m.d.sync += parity.eq(0)
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
