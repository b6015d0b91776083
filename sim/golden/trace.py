# SPDX-License-Identifier: BSD-2-Clause
"""What a program did in a frame, cycle by cycle, and counts that the hardware does not have: they change no result.

A cycle is idle when neither a product's slot nor an element of the pipeline is under way. A dot has `cols` such slots,
a term one, a sparse product as many as entries were taken, `in` none; with T the slot of a row's snapshot, its N
elements are under way from cycle T + SNAPSHOT_TO_STAGE0 (element 0 at stage 0) until cycle T + SNAPSHOT_TO_STAGE0 +
WRITE + N - 1 (element N - 1 is written), both included (docs/isa.md, "Hazards").
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import AddSource, Control, Factor, Finish, Instruction, Keep, Mode, Op, Timing, Track


@dataclass(frozen=True)
class Executed:
    """One executed instruction: its first cycle in the frame, FRAME being at 0, and all its cycles, `stall` included.

    `r` is the loop index; `entries` are those that a sparse product took, 0 for all else.
    """

    start: int
    cycles: int
    stall: int
    pc: int
    instruction: Instruction
    r: int
    entries: int


@dataclass
class FrameTrace:
    """A frame, from FRAME to the next.

    executed              in order; what comes after DONE is here, and in no count
    cycles                of the frame, as its trailer says
    reads                 words of N weights ("weights", scales included), rows of V ("vector"), words of S ("scalars"),
                          and elements of "A", "B", "C", "M" and "X"; a table is read once an element ("tables")
    function_evaluations  elements that pass a table, or 2**x
    idle                  see above
    """

    executed: list[Executed] = field(default_factory=list)
    cycles: int = 0
    reads: Counter[str] = field(default_factory=Counter)
    function_evaluations: int = 0
    idle: int = 0
    _busy: list[tuple[int, int]] = field(default_factory=list)  # spans [first, end) of cycles

    def close(self) -> None:
        """At the end of DONE: set `cycles` and `idle`."""
        self.cycles = self.executed[-1].start + self.executed[-1].cycles
        reached = busy = 0
        for first, end in sorted(self._busy):
            first, end = max(first, reached), min(end, self.cycles)
            busy += max(end - first, 0)
            reached = max(reached, end)
        self.idle = self.cycles - busy


class Tracer:
    """Told of each instruction of one sequence in the order of execution; `frames` is what it saw."""

    def __init__(self, config: LiquidConfig) -> None:
        self.lanes = config.lanes
        self.frames: list[FrameTrace] = []
        self._now = 0
        self._counting = False

    def issue(self, pc: int, i: Instruction, r: int, cost: int, entries: int) -> None:
        """One executed instruction at loop index r, which took `cost` cycles; `entries` were taken before it."""
        framed = i.op == Op.CONTROL and i.control == Control.FRAME
        if framed:
            self.frames.append(FrameTrace())
            self._now, self._counting = 0, True
        if not self.frames:  # before the first frame
            return
        frame = self.frames[-1]
        stall, entries = 0 if framed else i.stall, entries if i.op == Op.SPARSE else 0
        frame.executed.append(Executed(self._now, cost, stall, pc, i, r, entries))
        if self._counting and i.op != Op.CONTROL:
            self._product(frame, i, self._now + stall, entries)
            if i.last:
                self._finish(frame, i.finish, self._now + cost - 1)
        self._now += cost
        if i.op == Op.CONTROL and i.control == Control.DONE and self._counting:
            self._counting = False
            frame.close()

    def _product(self, frame: FrameTrace, i: Instruction, first: int, entries: int) -> None:
        slots = {Op.DOT: i.cols, Op.TERM: 1, Op.SPARSE: entries}.get(i.op, 0)
        frame._busy.append((first, first + slots))
        if i.op in (Op.DOT, Op.SPARSE):
            frame.reads["weights"] += slots + i.last
        if i.op == Op.DOT:
            frame.reads["vector"] += -(-i.cols // self.lanes)
        elif i.op == Op.TERM:
            frame.reads["vector"] += 1
        if i.op in (Op.TERM, Op.SPARSE):
            frame.reads["scalars"] += slots

    def _finish(self, frame: FrameTrace, f: Finish, snapshot: int) -> None:
        used = {
            "A": f.a_sel == AddSource.MEMORY,
            "B": bool(f.sub or f.add),
            "C": f.c_sel == Factor.MEMORY,
            "tables": f.mode != Mode.IDENTITY,
            "M": f.keep in (Keep.ADD, Keep.READ),
            "X": f.track == Track.MOVED,
        }
        frame.reads.update({name: self.lanes for name, wanted in used.items() if wanted})
        if f.mode != Mode.IDENTITY or f.exp2:
            frame.function_evaluations += self.lanes
        stage0 = snapshot + Timing.SNAPSHOT_TO_STAGE0
        frame._busy.append((stage0, stage0 + Timing.WRITE + self.lanes))
