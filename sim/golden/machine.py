# SPDX-License-Identifier: BSD-2-Clause
"""The golden model: interprets a program for a batch of sequences at once and predicts every word and counter.

A batch whose sequences take different numbers of steps stays together wherever the program lets it (`interpreter`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import HEADER_WORDS, Control, Instruction, Op, Space
from liquid_accel.sim.golden.arithmetic import Int
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.hazards import HazardChecker
from liquid_accel.sim.golden.interpreter import Interpreter
from liquid_accel.sim.golden.memory import SHARED, SharedMemory, Words, assemble, signed
from liquid_accel.sim.golden.output import OutputLog
from liquid_accel.sim.golden.state import Frames, State
from liquid_accel.sim.golden.trace import FrameTrace, Tracer


class GoldenMachine(Interpreter):
    """A machine of `config` for `batch` sequences with one program.

    shared         memories that the program cannot write; those of another machine, to share them
    check_hazards  also check that the program respects the latencies of the datapath (one sequence)
    whole_loops    run loops of independent rows at once; results are the same without
    trace          also keep what is executed in each frame: `frames_traced` (one sequence)
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
        trace: bool = False,
    ) -> None:
        if batch != 1 and (check_hazards or trace):
            what = "hazards are checked" if check_hazards else "a trace is kept"
            raise ValueError(f"{what} on one sequence, not on {batch}")
        super().__init__(
            config,
            shared if shared is not None else SharedMemory(config),
            State(config, batch),
            whole_loops=whole_loops,
            limit=limit,
            hazards=HazardChecker(config) if check_hazards else None,
            tracer=Tracer(config) if trace else None,
        )

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
    def frames_traced(self) -> list[FrameTrace]:
        """What was executed in each frame since this machine was made; raises ValueError without `trace`."""
        if self.tracer is None:
            raise ValueError("nothing was traced: GoldenMachine(..., trace=True) was expected")
        return self.tracer.frames

    @property
    def frame_words(self) -> int:
        """Words of a frame, from the FRAME instruction at address 0."""
        first = self.shared.instruction(0)
        if first.op != Op.CONTROL or first.control != Control.FRAME or first.imm < HEADER_WORDS:
            raise GoldenError(f"instruction at pc 0: a FRAME of {HEADER_WORDS} words or more was expected")
        return first.imm

    def start(self) -> None:
        """Begin the program at address 0 and at parity 0, as RUN does; memories and all other registers stay."""
        self.state.pc[:] = self.state.parity[:] = 0
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
