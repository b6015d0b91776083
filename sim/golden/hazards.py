# SPDX-License-Identifier: BSD-2-Clause
"""Checks that a program keeps the distances that the datapath, without interlocks, asks for (docs/isa.md, "Hazards").

Works on the executed instructions of one sequence, in cycles of a machine that never waits: waiting widens distances.
"""

from __future__ import annotations

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import E_S, AddSource, Control, Factor, Finish, Instruction, Op, Space, Timing, Track, drain
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.state import SCALARS

_SPACES = (Space.A, Space.B, Space.C, Space.S)
_LONG_AGO = -(1 << 40)


class HazardChecker:
    """Told of each instruction in the order of execution; raises GoldenError at the first that comes too early."""

    def __init__(self, config: LiquidConfig) -> None:
        self.lanes = config.lanes
        self._depth = {Space.VECTOR: config.vector_rows} | {s: config.rows(s.name) for s in _SPACES}
        self.now = 0  # first cycle of the next instruction, its stall included
        # (memory, row) -> cycle at whose end lane 0 is written; lane l follows l cycles behind. And who wrote it.
        self._written: dict[tuple[Space, int], tuple[int, int]] = {}
        self._snapshot = _LONG_AGO  # slot of the last snapshot
        self._drained = _LONG_AGO  # first cycle in which all rows are written and readable
        self._settled = _LONG_AGO  # the same for norm and peak
        self._tracked = _LONG_AGO  # slot of the last snapshot of a tracked row
        self._listed = _LONG_AGO  # first cycle in which the entries of all tracked rows are in their list
        self._pushed = _LONG_AGO  # the same for words to the output FIFO

    def issue(self, pc: int, i: Instruction, r: int, parity: int, cost: int, taken: tuple[int, int] = (0, 0)) -> None:
        """One executed instruction at loop index r and parity (before it), which took `cost` cycles with its stall.

        `taken` are the first word and the number of the entries that a sparse product reads.
        """
        # FRAME ignores its stall.
        first = self.now + (0 if i.op == Op.CONTROL and i.control == Control.FRAME else i.stall)
        self.now += cost
        if i.op == Op.CONTROL:
            self._control(pc, i, first)
        else:
            self._product(pc, i, r, parity, first, taken)
            if i.last:
                self._finish(pc, i, i.finish, r, parity, self.now - 1)

    def _cell(self, space: Space, row: int, flip: int) -> tuple[Space, int]:
        depth = self._depth[space]
        return space, row % depth ^ (depth // 2 if flip else 0)

    def _read(self, pc: int, cell: tuple[Space, int], cycle: int, lane: int) -> None:
        """A read of one lane presented in `cycle`; every word of a row is checked by the lane that reads it."""
        written, writer = self._written.get(cell, (_LONG_AGO, 0))
        if cycle <= written + lane:
            raise GoldenError(
                f"hazard at pc {pc}: {cell[0].name} row {cell[1]} lane {lane} is read in cycle {cycle}, "
                f"and the result of pc {writer} is written at the end of cycle {written + lane}"
            )

    def _control(self, pc: int, i: Instruction, first: int) -> None:
        waits = {
            Control.PLAN: self._drained,
            Control.DECIDE: max(self._drained, self._settled),
            Control.JUDGE: max(self._drained, self._settled),
            Control.LAG: max(self._pushed, self._settled),
            Control.DONE: max(self._drained, self._listed),
            **dict.fromkeys((Control.TAKE, Control.LIST, Control.TRACK), self._listed),
            **dict.fromkeys((Control.EMIT, Control.ROOM), self._pushed),
            Control.FRAME: self._drained,
        }
        ready = waits.get(i.control, _LONG_AGO)
        if first < ready:
            raise GoldenError(f"hazard at pc {pc}: {i.control.name} in cycle {first}, rows are under way until {ready}")

    def _product(self, pc: int, i: Instruction, r: int, parity: int, first: int, taken: tuple[int, int]) -> None:
        flip, lanes = i.x_par and parity, self.lanes
        if i.op == Op.DOT:
            for k in range(-(-i.cols // lanes)):
                # The whole row is fetched in one slot, so that its last lane decides.
                self._read(pc, self._cell(Space.VECTOR, i.x + k, flip), first + k * lanes, lanes - 1)
        elif i.op == Op.TERM:
            self._read(pc, self._cell(Space.VECTOR, i.x + (r if i.indexed else 0), flip), first, lanes - 1)
            self._read(pc, self._cell(Space.S, (i.w & 255) // lanes, 0), first, (i.w & 255) % lanes)
        elif i.op == Op.SPARSE:
            for k in range(taken[1]):
                word = (taken[0] + k) % SCALARS
                self._read(pc, self._cell(Space.S, word // lanes, 0), first + k, word % lanes)

    def _finish(self, pc: int, i: Instruction, f: Finish, r: int, parity: int, snapshot: int) -> None:
        if snapshot - self._snapshot < self.lanes:
            raise GoldenError(
                f"hazard at pc {pc}: its snapshot is {snapshot - self._snapshot} slots after the one before, "
                f"{self.lanes} are needed"
            )
        self._snapshot = snapshot
        if f.track == Track.MOVED:
            self._tracked = snapshot
        if f.e_mask & E_S and snapshot - self._tracked < self.lanes + Timing.TRACK:
            raise GoldenError(
                f"hazard at pc {pc}: it writes S, and its snapshot is {snapshot - self._tracked} slots after that of a "
                f"tracked row, {self.lanes + Timing.TRACK} are needed"
            )
        ri = r if f.indexed else 0
        stage0 = snapshot + Timing.SNAPSHOT_TO_STAGE0
        reads = (
            (f.a_sel == AddSource.MEMORY, Space.A, f.a, 0, Timing.READ_A),
            (bool(f.sub or f.add), Space.B, f.b, f.b_par and parity, Timing.READ_B),
            (f.c_sel == Factor.MEMORY, Space.C, f.c, 0, Timing.READ_C),
        )
        for wanted, space, row, flip, stage in reads:
            if wanted:
                # Reads and writes both move on by a lane a cycle: lane 0 speaks for all.
                self._read(pc, self._cell(space, row + ri, flip), stage0 + stage, 0)
        written = stage0 + Timing.WRITE
        if f.v_en:
            self._written[self._cell(Space.VECTOR, f.v + ri, f.v_par and parity)] = (written, pc)
        for bit, space in enumerate(_SPACES):
            if f.e_mask >> bit & 1:
                self._written[self._cell(space, f.e + ri, f.e_par and parity)] = (written, pc)
        self._under_way(f, snapshot + drain(self.lanes))

    def _under_way(self, f: Finish, drained: int) -> None:
        self._drained = drained
        if f.track == Track.MOVED:
            self._listed = drained + Timing.TRACK
        if f.norm or f.peak:
            self._settled = drained + Timing.NORM
        if f.out:
            self._pushed = drained + 1  # a control instruction takes effect when it is loaded
