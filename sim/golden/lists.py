# SPDX-License-Identifier: BSD-2-Clause
"""Kept sums and lists of moved columns: what sparse products, tracked rows and TAKE, LIST and TRACK do with them.

With x_hat the operands X and M the sums, M == W x_hat modulo 2**32 after any sequence of tracked rows and of sparse
products of the entries that they left, whatever the threshold (docs/isa.md).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Control, Instruction, Keep, Param, Space, Status, Track
from liquid_accel.sim.golden.arithmetic import Bool, Int, sat16, signed32
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.loops import Loop
from liquid_accel.sim.golden.state import SCALARS, State

CONTROLS = (Control.TAKE, Control.LIST, Control.TRACK)
HALF = SCALARS // 2
THRESHOLD_MASK = (1 << 15) - 1
COLUMN_MASK = SCALARS - 1  # a column number has eight bits, and so has an address in S
_OWN = np.zeros(SCALARS, np.bool_)  # words that the step controller writes
_OWN[Param.JUMP_SIZE : Param.SIZE + 1] = True


def control(i: Instruction, index: Int, state: State) -> None:
    """TAKE, LIST or TRACK on the sequences `index`."""
    if i.control == Control.TAKE:
        start = state.list_start[index, i.list]
        state.taken_first[index] = start
        state.taken_count[index] = (state.list_end[index, i.list] - start) % SCALARS
        state.list_start[index, i.list] = state.list_end[index, i.list] = start ^ (HALF if i.imm & 1 else 0)
    elif i.control == Control.LIST:
        state.list_start[index, i.list] = state.list_end[index, i.list] = i.imm % SCALARS
    else:
        state.tracked_list[index] = i.list
        state.track_offset[index] = i.target
        state.track_threshold[index] = i.imm & THRESHOLD_MASK


class ListUnit:
    """Sparse operands and tracked rows of a batch."""

    def __init__(self, config: LiquidConfig, state: State) -> None:
        self.config = config
        self.state = state

    def operands(self, pc: int, i: Instruction, index: Int) -> npt.NDArray[np.float64]:
        """The entries taken as a vector of the sparse product's columns, 0 where none moved: (n, cols).

        Padded to the longest list with entries of 0. Raises GoldenError for a column that the matrix does not have, and
        where more entries than columns would count fewer than none as skipped.
        """
        state, count = self.state, self.state.taken_count[index]
        most = int(count.max())
        if most > i.cols and not i.x & 1:
            raise GoldenError(f"instruction at pc {pc}: {most} entries were taken for {i.cols} columns")
        steps = np.arange(most)
        at = (state.taken_first[index][:, None] + steps) & COLUMN_MASK
        here = steps < count[:, None]
        columns = np.where(here, state.columns[index[:, None], at], 0)
        if columns.max(initial=0) >= i.cols:
            raise GoldenError(f"instruction at pc {pc}: an entry has column {int(columns.max())} of {i.cols}")
        deltas = np.where(here, state.banks[Space.S].per_sequence(state.batch)[index[:, None], at], 0)
        # A column may come twice, so that its deltas are added.
        flat = (np.arange(len(index))[:, None] * i.cols + columns).reshape(-1)
        sums = np.asarray(np.bincount(flat, deltas.reshape(-1), len(index) * i.cols), np.float64)
        return sums.reshape(len(index), i.cols)

    def keep(self, keep: Keep, row: Int, index: Int, acc: Int) -> Int:
        """Step 0 of a finish word: the sum, with M at the rows `row`; acc is (n, rows, lanes)."""
        if keep in (Keep.ADD, Keep.READ):
            acc = signed32(acc + self.state.kept.read(index, row))
        if keep in (Keep.ADD, Keep.SET):
            self.state.kept.write(index, row, acc)
        return acc

    def track(self, pc: int, track: Track, row: Int, rows: Int, index: Int, out: Int) -> None:
        """Step 8 of a finish word: `out` (n, rows, lanes) against X at the rows `row`, which are `rows` of the matrix.

        A delta past 16 bits makes no entry and leaves X, so that M stays W x_hat; the step counts as saturated.
        Raises GoldenError where an entry would replace a word of the step controller, as it would in a list that meets
        its own beginning.
        """
        state = self.state
        if track == Track.SET:
            state.operands.write(index, row, out)
            return
        before = state.operands.read(index, row)
        delta = out - before
        fits = sat16(delta) == delta
        if not fits.all():
            lost = ~fits.all(axis=(1, 2))
            state.status[index] |= lost * int(Status.SATURATED)
            state.controller.saturated[index] |= lost
        moved: Bool = fits & (np.abs(delta) > state.track_threshold[index][:, None, None])
        if not moved.any():
            return
        state.operands.write(index, row, np.where(moved, out, before))
        lanes = self.config.lanes
        columns = ((state.track_offset[index][:, None] + rows) * lanes)[:, :, None] + np.arange(lanes)
        self._append(pc, index, moved.reshape(len(index), -1), delta.reshape(len(index), -1), columns)

    def _append(self, pc: int, index: Int, moved: Bool, delta: Int, columns: Int) -> None:
        """Entries in the order of the elements, each sequence to its tracked list."""
        state, chosen = self.state, self.state.tracked_list[index]
        count = np.count_nonzero(moved, axis=1)
        end = state.list_end[index, chosen]
        who, which = np.nonzero(moved)
        rank = np.arange(len(who)) - (np.cumsum(count) - count)[who]
        at = (end[who] + rank) & COLUMN_MASK
        if _OWN[at].any():
            raise GoldenError(f"instruction at pc {pc}: a list reaches words of the step controller")
        state.banks[Space.S].per_sequence(state.batch)[index[who], at] = delta[who, which]
        state.columns[index[who], at] = columns.reshape(len(index), -1)[who, which] & COLUMN_MASK
        state.list_end[index, chosen] = (end + count) & COLUMN_MASK

    def apart(self, loop: Loop, index: Int) -> bool:
        """Whether no row of a loop meets words of S that another row touches: a loop run at once depends on it."""
        if not loop.sparse and not loop.tracks:
            return True
        state, words = self.state, np.arange(SCALARS)
        taken = np.zeros((1, SCALARS), np.bool_)
        written = taken
        if loop.sparse:
            taken = (words - state.taken_first[index][:, None]) % SCALARS < state.taken_count[index][:, None]
        if loop.tracks:
            end = state.list_end[index, state.tracked_list[index]]
            written = (words - end[:, None]) % SCALARS < loop.rows * self.config.lanes
        clash = (taken & loop.scalars_written) | (written & loop.scalars_used) | (taken & written)
        return not bool(clash.any())
