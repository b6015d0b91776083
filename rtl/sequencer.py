# SPDX-License-Identifier: BSD-2-Clause
"""The sequencer: fetches instructions, issues slots, runs loops and jumps, waits for streams and controller."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .isa import CONTROL_FIELDS, HEADER_WORDS, ISSUE_BITS, MAC_FIELDS, Cond, Control, Flag, Op, Timing
from .lane_path import slot_layout

MAC_LAYOUT = data.StructLayout(dict(MAC_FIELDS))
CONTROL_LAYOUT = data.StructLayout(dict(CONTROL_FIELDS))


class Sequencer(wiring.Component):
    """One instruction after the other, without a bubble between product instructions.

    An instruction is loaded in the last cycle of the one before it plus its stall; its slots follow. Loaded in cycle L
    with d slots, the next is loaded in L + d at the earliest. Costs are exactly those of docs/isa.md.

    run, abort                 from the host
    fetch_row, issue           program memory: address, and the issue word one cycle later
    slot                       the slot of this cycle; v_row, w_row and s_address are its addresses, one cycle later
    finish_pc, row, parity     the finish word's address, in time for the element pipeline; row and parity stand with
                               `start`
    header_*                   one cycle each as the header's words pass
    plan, decide / done        to and from the step controller; time_left; accepted toggles the parity
    push, push_*               words for the output FIFO, from EMIT and the trailer
    """

    def __init__(self, config: LiquidConfig) -> None:
        self.config = config
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
                "finish_pc": Out(pc),
                "row": Out(8),
                "parity": Out(1),
                "in_level": In(range(config.fifo_words + 1)),
                "out_level": In(range(config.fifo_words + 1)),
                "header": Out(HEADER_WORDS),
                "flags": In(2),
                "inputs_left": Out(1),
                "input_take": In(1),
                "plan": Out(1),
                "decide": Out(1),
                "controller_done": In(1),
                "time_left": In(1),
                "toggle": In(1),
                "emit": Out(1),
                "emit_word": Out(16),
                "frame_start": Out(1),
                "frame_done": Out(1),
                "trailer_sent": In(1),
                "count_rhs": Out(1),
                "count_mac": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes = self.config.lanes
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
        slot_pc, slot_row = Signal.like(pc), Signal(8)
        ending = Signal()
        m.d.comb += [
            ending.eq(busy & (snapping | ((left == 0) & ~last))),
            self.slot.product.eq(busy & ~snapping & (is_dot | is_term)),
            self.slot.snapshot.eq(busy & snapping),
            self.slot.term.eq(~is_dot),
            self.slot.lane.eq(at_lane),
            self.count_mac.eq(busy & ~snapping & is_dot),
        ]
        with m.If(busy):
            with m.If(left != 0):
                m.d.sync += left.eq(left - 1)
            with m.Elif(last & ~snapping):
                m.d.sync += snapping.eq(1)
            m.d.sync += at_lane.eq(at_lane + 1)
            with m.If(at_lane == lanes - 1):
                m.d.sync += v_row.eq(v_row + 1)
            with m.If(is_dot):
                m.d.sync += pointer.eq(pointer + 1)
        # The memories are addressed in the cycle after the slot. S's address is 0 where no term asks, so that the step
        # controller's can be or-ed to it.
        scalar = Signal(8)
        m.d.sync += [self.v_row.eq(v_row), self.w_row.eq(pointer), self.s_address.eq(Mux(busy & is_term, scalar, 0))]
        self._hand_on(m, slot_pc, slot_row, parity)

        # ---- Loading the next instruction
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
        condition = Signal()
        first, trace = self.flags[0], self.flags[1]
        assert (Flag.FIRST, Flag.TRACE) == (1, 2)
        with m.Switch(control.cond):
            for cond, value in (
                (Cond.ALWAYS, 1), (Cond.FIRST, first), (Cond.NOT_FIRST, ~first), (Cond.TIME_LEFT, self.time_left),
                (Cond.NO_TIME_LEFT, ~self.time_left), (Cond.TRACE, trace), (Cond.NOT_TRACE, ~trace),
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
                with m.Case(Control.PLAN, Control.DECIDE):
                    advance(load)
                    m.d.comb += [
                        self.plan.eq(control.control == Control.PLAN),
                        self.decide.eq(control.control == Control.DECIDE),
                    ]
                    m.next = "CONTROLLER"
                with m.Case(Control.EMIT):
                    advance(load)
                    m.d.comb += [self.emit.eq(1), self.emit_word.eq(control.imm)]
                with m.Case(Control.DONE):
                    advance(load)
                    m.d.comb += self.frame_done.eq(1)
                    m.next = "TRAILER"
                with m.Case(Control.ROOM):
                    advance(room_ok)
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
                    m.d.comb += [self.idle.eq(~frame_ready), self.starved.eq(~frame_ready)]
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
                            left.eq(mac.cols),
                            last.eq(mac.last),
                            is_dot.eq(mac.op == Op.DOT),
                            is_term.eq(mac.op == Op.TERM),
                            v_row.eq(self._vector_row(mac, row, parity)),
                            at_lane.eq(0),
                            slot_pc.eq(pc),
                            slot_row.eq(row),
                            scalar.eq(mac.w[:8]),
                        ]
                        with m.If((mac.op == Op.DOT) & mac.w_load & (row == 0)):
                            m.d.sync += pointer.eq(mac.w)
                        with m.If(control.op > Op.IN):
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
            if Timing.FRAME != HEADER_WORDS + 1:
                raise AssertionError("the cost of FRAME is its load and a cycle a header word")
        return m

    def _vector_row(self, mac: data.View[data.StructLayout], row: Signal, parity: Signal) -> Value:
        """Row of V that an instruction starts at; the loop index moves a `term`, not a `dot`."""
        total = (mac.x + Mux(mac.indexed & (mac.op == Op.TERM), row, 0))[: len(self.v_row)]
        return Cat(total[:-1], total[-1] ^ (mac.x_par & parity))

    def _hand_on(self, m: Module, slot_pc: Signal, slot_row: Signal, parity: Signal) -> None:
        """Where a snapshot's finish word is, and its loop index and parity, held from slot to stage 0.

        Captured with the snapshot's slot and again three cycles later, so that neither copy is overwritten by a row
        that follows four cycles behind.
        """
        early = Signal(data.StructLayout({"pc": len(slot_pc), "row": 8, "parity": 1}))
        late = Signal.like(early)
        with m.If(self.slot.snapshot):
            m.d.sync += [early.pc.eq(slot_pc), early.row.eq(slot_row), early.parity.eq(parity)]
        snapshot = self.slot.snapshot
        for k in range(Timing.SNAPSHOT_TO_STAGE0 - 2):
            later = Signal(name=f"snapshot_{k + 1}")
            m.d.sync += later.eq(snapshot)
            snapshot = later
        with m.If(snapshot):
            m.d.sync += late.eq(early)
        m.d.comb += [self.finish_pc.eq(late.pc), self.row.eq(late.row), self.parity.eq(late.parity)]
