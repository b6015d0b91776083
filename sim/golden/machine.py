# SPDX-License-Identifier: BSD-2-Clause
"""The golden model: interprets a program for a batch of sequences at once and predicts every word and counter.

Each sequence has its own program counter. Those that stand at the smallest one, at the same loop index, execute
together: a batch whose sequences take different numbers of steps stays together wherever the program lets it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import HEADER_WORDS, Control, Instruction, Op, Space
from liquid_accel.sim.golden import control
from liquid_accel.sim.golden.arithmetic import Int
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.hazards import HazardChecker
from liquid_accel.sim.golden.loops import Loop, LoopAnalyser
from liquid_accel.sim.golden.memory import SHARED, SharedMemory, Words, assemble, signed
from liquid_accel.sim.golden.output import OutputLog
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import Frames, State

_PARKED = 1 << 30  # above every program counter: waits at FRAME, and there are no more frames


class GoldenMachine:
    """A machine of `config` for `batch` sequences with one program.

    shared         memories that the program cannot write; those of another machine, to share them
    check_hazards  also check that the program respects the latencies of the datapath (one sequence, no shortcuts; slow)
    whole_loops    run loops of independent rows at once; results are the same without
    limit          instructions that a sequence may execute in a frame, against programs that never end

    Raises GoldenError for programs that break what docs/isa.md asks of the compiler, IllegalInstruction among others.
    """

    def __init__(
        self,
        config: LiquidConfig,
        batch: int = 1,
        *,
        shared: SharedMemory | None = None,
        check_hazards: bool = False,
        whole_loops: bool = True,
        limit: int = 1 << 20,
    ) -> None:
        if check_hazards and batch != 1:
            raise ValueError(f"hazards are checked on one sequence, not on {batch}")
        self.config = config
        self.shared = shared if shared is not None else SharedMemory(config)
        self.whole_loops = whole_loops and not check_hazards
        self.limit = limit
        self.hazards = HazardChecker(config) if check_hazards else None
        self._analyser = LoopAnalyser(config)
        self._generation = -1
        self._loops: dict[int, Loop | None] = {}
        self._attach(State(config, batch))

    def _attach(self, state: State) -> None:
        self.state = state
        self.rows = RowUnit(self.config, self.shared, state)

    @property
    def batch(self) -> int:
        return self.state.batch

    def fan_out(self, batch: int) -> GoldenMachine:
        """A machine of `batch` copies of sequence 0, with the memories that programs cannot write shared."""
        other = GoldenMachine(self.config, 1, shared=self.shared, whole_loops=self.whole_loops, limit=self.limit)
        other._attach(self.state.select(np.zeros(batch, np.int64)))
        return other

    def adopt(self, other: GoldenMachine, sequence: int) -> None:
        """Take over the state of one sequence of another machine; this one then has that sequence alone."""
        self._attach(other.state.select(np.array([sequence])))

    # ---- Memories, as the host sees them

    def store(self, space: Space, addresses: Int, words: Words) -> None:
        """Write words at host addresses, in order, for every sequence; addresses wrap at the memory's end."""
        at = addresses % self.shared.windows[space].words
        if space in SHARED:
            self.shared.write(space, at, words)
        else:
            self.state.banks[space].per_sequence(self.batch)[:, at] = signed(words)

    def fetch(self, space: Space, addresses: Int, sequence: int = 0) -> Words:
        """Read the words at host addresses, as one sequence sees them."""
        at = addresses % self.shared.windows[space].words
        if space in SHARED:
            return self.shared.read(space, at)
        return self.state.banks[space].per_sequence(self.batch)[sequence, at].astype(np.uint16)

    def load(self, space: Space, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """Write words from a host address on, for every sequence."""
        values = np.asarray(words, np.int64).astype(np.uint16)
        self.store(space, address + np.arange(len(values)), values)

    def load_program(self, program: Sequence[Instruction]) -> None:
        """Write instructions from address 0 on."""
        for space, words in assemble(program).items():
            self.load(space, 0, words)

    def dump(self, space: Space, address: int = 0, count: int | None = None, sequence: int = 0) -> Words:
        """Read `count` words, without it the whole memory, from a host address on, as one sequence sees them."""
        size = self.shared.windows[space].words if count is None else count
        return self.fetch(space, address + np.arange(size), sequence)

    # ---- Running

    @property
    def frame_words(self) -> int:
        """Words of a frame, from the FRAME instruction at address 0."""
        first = self.shared.instruction(0)
        if first.op != Op.CONTROL or first.control != Control.FRAME or first.imm < HEADER_WORDS:
            raise GoldenError(f"instruction at pc 0: a FRAME of {HEADER_WORDS} words or more was expected")
        return first.imm

    def start(self) -> None:
        """Begin the program at address 0, as RUN does; memories and registers stay."""
        self.state.pc[:] = 0
        self.state.r[:] = self.state.loop_count[:] = 0

    def run(self, frames: Sequence[npt.NDArray[np.generic]]) -> list[list[Words]]:
        """Run sequence b on `frames[b]`, (frames, words a frame), headers included: [sequence][frame] -> output words.

        Ends when every sequence waits at FRAME with no frames left, and can be called again to go on from there. After
        an exception `outputs` gives what was pushed before it.
        """
        if len(frames) != self.batch:
            raise ValueError(f"{len(frames)} sequences of frames for a batch of {self.batch}")
        width = self.frame_words
        counts = np.array([len(f) for f in frames], np.int64)
        words = np.zeros((self.batch, max(1, int(counts.max(initial=0))), width), np.int64)
        for b, part in enumerate(frames):
            if len(part):
                words[b, : len(part)] = np.asarray(part).astype(np.uint16)
        self.rows.frames = Frames(words, counts, np.full(self.batch, -1, np.int64))
        self.rows.log = OutputLog()
        self._interpret()
        return self.outputs()

    def outputs(self) -> list[list[Words]]:
        """Words that the last run pushed: [sequence][frame]."""
        return self.rows.log.sort(self.rows.frames.count)

    def _interpret(self) -> None:
        state, executed = self.state, np.zeros(self.batch, np.int64)
        state.pc[:] = np.where(state.pc >= _PARKED, state.pc - _PARKED, state.pc)
        if self._generation != self.shared.generation:
            self._generation, self._loops = self.shared.generation, {}
        while True:
            pc = int(state.pc.min())
            if pc >= _PARKED:
                return
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
        if i.op == Op.DOT:
            if i.w_load and r == 0:
                state.wp[index] = i.w % self.config.weight_words
            pointer = int(state.wp[index[0]])
            index = index[state.wp[index] == pointer]  # the others come next
            state.wp[index] = (pointer + i.cols + i.last) % self.config.weight_words
            state.mac_cycles[index] += i.cols
        else:
            pointer = 0
        if self.hazards:
            self.hazards.issue(pc, i, r, int(state.parity[0]), i.stall + i.slots)
        loop_index = np.array([r])
        sums = rows.products(i, index, loop_index, (pointer,))[:, 0] + state.accumulators[index]
        rows.check(pc, sums)
        if i.last:
            if i.op == Op.DOT:
                state.scale[index] = rows.scales(pointer + i.cols)
            rows.finish(pc, i.finish, index, loop_index, sums[:, None], state.scale[index][:, None])
        state.accumulators[index] = 0 if i.last else sums
        self._spend(index, i.stall + i.slots)
        self._advance(i, index)

    def _whole_loop(self, loop: Loop, index: Int) -> None:
        """All rows of a loop at once; the LOOP instruction itself has been executed."""
        state, rows = self.state, self.rows
        r = np.arange(loop.rows)
        pointers, state.wp[index] = loop.pointers(int(state.wp[index[0]]))
        sums: Int | None = None
        for (pc, i), starts in zip(loop.body, pointers):
            product = rows.products(i, index, r, starts)
            if sums is not None:
                product = product + sums
            rows.check(pc, product)
            sums = None if i.last else product
            if i.last:
                scale = state.scale[index][:, None]
                if i.op == Op.DOT:
                    scale = np.stack([rows.scales(start + i.cols) for start in starts])
                    state.scale[index] = scale[-1]
                rows.finish(pc, i.finish, index, r, product, scale)
        state.mac_cycles[index] += loop.mac_cycles
        self._spend(index, loop.cost)
        state.pc[index] = loop.end % self.config.program_words

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
        if self.hazards:
            start = (int(state.parity[0]), int(state.r[0]))
        cost = control.execute(pc, i, index, state, self.rows)
        self._spend(index, cost)
        if self.hazards:
            self.hazards.issue(pc, i, start[1], start[0], int(np.max(cost)))
        if i.control == Control.DONE:
            control.trailer(pc, index, state, self.rows)
        if i.control == Control.JUMP:
            taken = control.condition(i.cond, index, state)
            state.pc[index[taken]] = i.target % self.config.program_words
            index = index[~taken]
        if i.control == Control.LOOP and self.whole_loops and not state.accumulators[index].any():
            loop = self._loop_at(pc, i)
            if loop is not None and np.ptp(state.wp[index]) == 0:
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
