# SPDX-License-Identifier: BSD-2-Clause
"""The interpreter: executes a program for a batch of sequences, those at one place of the program together."""

from __future__ import annotations

import numpy as np

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Control, Instruction, Op, sparse_slots
from liquid_accel.sim.golden import control
from liquid_accel.sim.golden.arithmetic import Int
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.hazards import HazardChecker
from liquid_accel.sim.golden.loops import WEIGHTED, Loop, LoopAnalyser
from liquid_accel.sim.golden.memory import SharedMemory
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import State
from liquid_accel.sim.golden.trace import Tracer

_PARKED = 1 << 30  # above every program counter: waits at FRAME, and there are no more frames


class Interpreter:
    """State and rows of a batch, and the program that moves them. `GoldenMachine` gives it memories and frames.

    Each sequence has its own program counter. Those that stand at the smallest one, at the same loop index, execute
    together. `hazards` and `tracer` watch one sequence, instruction by instruction.
    """

    def __init__(
        self,
        config: LiquidConfig,
        shared: SharedMemory,
        state: State,
        *,
        whole_loops: bool,
        limit: int,
        hazards: HazardChecker | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.config = config
        self.shared = shared
        self.hazards = hazards
        self.tracer = tracer
        self.observed = hazards is not None or tracer is not None
        self.whole_loops = whole_loops
        self.limit = limit
        self._analyser = LoopAnalyser(config)
        self._generation = -1
        self._loops: dict[int, Loop | None] = {}
        self._attach(state)

    @property
    def batch(self) -> int:
        return self.state.batch

    def _attach(self, state: State) -> None:
        self.state = state
        self.rows = RowUnit(self.config, self.shared, state)

    def _observe(self, pc: int, i: Instruction, r: int, parity: int, cost: Int | int) -> None:
        """Tell who watches of an instruction, before a product and after a control instruction."""
        state = self.state
        taken = int(state.taken_first[0]), int(state.taken_count[0])
        if self.hazards:
            self.hazards.issue(pc, i, r, parity, int(np.max(cost)), taken)
        if self.tracer:
            self.tracer.issue(pc, i, r, int(np.max(cost)), taken[1])

    def _interpret(self) -> None:
        state, executed = self.state, np.zeros(self.batch, np.int64)
        state.pc[:] = np.where(state.pc >= _PARKED, state.pc - _PARKED, state.pc)
        if self._generation != self.shared.generation:
            self._generation, self._loops = self.shared.generation, {}
        alone = np.zeros(1, np.int64)
        while True:
            # Searching arrays of one sequence would take as long as executing it.
            pc = int(state.pc.min()) if self.batch > 1 else int(state.pc[0])
            if pc >= _PARKED:
                return
            index = alone
            if self.batch > 1:
                index = np.flatnonzero(state.pc == pc)
                r = state.r[index]
                if r.min() != r.max():
                    index = index[r == r.min()]
            instruction = self.shared.instruction(pc)
            executed[index] += 1
            if executed[index[0]] > self.limit:
                raise GoldenError(f"instruction at pc {pc}: the frame does not come to an end")
            if instruction.op == Op.CONTROL:
                if instruction.control == Control.FRAME:
                    executed[index] = 0
                self._control(pc, instruction, index)
            else:
                self._product(pc, instruction, index)

    # ---- One instruction of some sequences, all at the same pc and loop index

    def _spend(self, index: Int, cost: Int | int) -> None:
        self.state.cycles[index] += np.where(self.state.counting[index], cost, 0)

    def _product(self, pc: int, i: Instruction, index: Int) -> None:
        control.check_product(pc, i, self.config.lanes)
        state, rows = self.state, self.rows
        r = int(state.r[index[0]])
        slots: Int | int = i.slots(self.config.lanes)
        if i.op in WEIGHTED:
            if i.w_load and r == 0:
                state.wp[index] = i.w % self.config.weight_words
            pointer = int(state.wp[index[0]])
            index = index[state.wp[index] == pointer]  # the others come next
            state.wp[index] = (pointer + i.cols + i.last) % self.config.weight_words
        else:
            pointer = 0
        if i.op == Op.DOT:
            state.mac_cycles[index] += i.cols
        elif i.op == Op.SPARSE:
            slots = self._count_sparse(i, index)
        cost = i.stall + slots
        if self.observed:
            self._observe(pc, i, r, int(state.parity[0]), cost)
        loop_index = np.array([r])
        sums = rows.products(pc, i, index, loop_index, (pointer,))[:, 0] + state.accumulators[index]
        rows.check(pc, sums)
        if i.last:
            if i.op in WEIGHTED:
                state.scale[index] = rows.scales(pointer + i.cols)
            rows.finish(pc, i.finish, index, loop_index, sums[:, None], state.scale[index][:, None])
        state.accumulators[index] = 0 if i.last else sums
        self._spend(index, cost)
        self._advance(i, index)

    def _count_sparse(self, i: Instruction, index: Int) -> Int:
        """Counters of a sparse product; returns its slots."""
        state, taken = self.state, self.state.taken_count[index]
        state.mac_cycles[index] += taken
        state.skipped[index] += 0 if i.x & 1 else i.cols - taken
        return np.maximum(taken, sparse_slots(self.config.lanes)) + i.last

    def _whole_loop(self, loop: Loop, index: Int) -> None:
        """All rows of a loop at once; the LOOP instruction itself has been executed."""
        state, rows = self.state, self.rows
        r = np.arange(loop.rows)
        pointers, state.wp[index] = loop.pointers(int(state.wp[index[0]]))
        sums: Int | None = None
        if self.observed:
            self._observe_loop(loop)
        for (pc, i), starts in zip(loop.body, pointers):
            product = rows.products(pc, i, index, r, starts)
            if sums is not None:
                product = product + sums
            rows.check(pc, product)
            sums = None if i.last else product
            if i.last:
                scale = state.scale[index][:, None]
                if i.op in WEIGHTED:
                    scale = np.stack([rows.scales(start + i.cols) for start in starts])
                    state.scale[index] = scale[-1]
                rows.finish(pc, i.finish, index, r, product, scale)
        cost, macs, skipped = loop.counts(state.taken_count[index])
        state.mac_cycles[index] += macs
        state.skipped[index] += skipped
        self._spend(index, cost)
        state.pc[index] = loop.end % self.config.program_words

    def _observe_loop(self, loop: Loop) -> None:
        """Tell who watches of every product of a loop, in the order of rows: what they need is known beforehand."""
        parity, entries = int(self.state.parity[0]), int(self.state.taken_count[0])
        lanes = self.config.lanes
        costs = [
            i.stall + (max(entries, sparse_slots(lanes)) + i.last if i.op == Op.SPARSE else i.slots(lanes))
            for _, i in loop.body
        ]
        for r in range(loop.rows):
            for (pc, i), cost in zip(loop.body, costs):
                self._observe(pc, i, r, parity, cost)

    def _loop_at(self, pc: int, i: Instruction) -> Loop | None:
        """The loop that the LOOP at `pc` begins, if it may run at once."""
        if pc not in self._loops:
            body = self._body(pc + 1)
            self._loops[pc] = self._analyser.analyse(body, i.imm & 255) if body else None
        return self._loops[pc]

    def _body(self, start: int) -> tuple[tuple[int, Instruction], ...]:
        """Instructions from `start` to the one with loop_end; empty if other than products come before it."""
        body: list[tuple[int, Instruction]] = []
        for pc in range(start, self.config.program_words):
            try:
                instruction = self.shared.instruction(pc)
                control.check_product(pc, instruction, self.config.lanes)
            except GoldenError:  # raised again once it is executed, what comes before it having been done
                return ()
            body.append((pc, instruction))
            if instruction.op == Op.CONTROL:
                return ()
            if instruction.loop_end:
                return tuple(body)
        return ()

    def _control(self, pc: int, i: Instruction, index: Int) -> None:
        state = self.state
        if i.control == Control.FRAME:
            control.check_inputs_taken(pc, state, self.rows.frames, index)
            frames = self.rows.frames
            more = frames.current[index] + 1 < frames.count[index]
            state.pc[index[~more]] = pc + _PARKED
            index = index[more]
            if not index.size:
                return
        r, parity = int(state.r[index[0]]), int(state.parity[index[0]])
        cost = control.execute(pc, i, index, state, self.rows)
        self._spend(index, cost)
        if self.observed:
            self._observe(pc, i, r, parity, cost)
        if i.control == Control.DONE:
            control.trailer(pc, index, state, self.rows)
        if i.control == Control.JUMP:
            taken = control.jumps(i, index, state)
            state.pc[index[taken]] = i.target % self.config.program_words
            index = index[~taken]
        if i.control == Control.LOOP and self.whole_loops and not state.accumulators[index].any():
            loop = self._loop_at(pc, i)
            if loop is not None and np.ptp(state.wp[index]) == 0 and self.rows.lists.apart(loop, index):
                state.loop_count[index] = 0
                self._whole_loop(loop, index)
                return
        if index.size:
            self._advance(i, index)

    def _advance(self, i: Instruction, index: Int) -> None:
        """On to the next instruction, or back to the start of the loop."""
        state = self.state
        following = (state.pc[index] + 1) % self.config.program_words
        if i.loop_end:
            again = state.r[index] + 1 < state.loop_count[index]
            following = np.where(again, state.loop_start[index], following)
            state.r[index] = np.where(again, state.r[index] + 1, 0)
            state.loop_count[index] = np.where(again, state.loop_count[index], 0)
        state.pc[index] = following
