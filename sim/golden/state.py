# SPDX-License-Identifier: BSD-2-Clause
"""What a program can write: memories, registers and counters, one of each per sequence."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import LISTS, Space
from liquid_accel.sim.golden.arithmetic import Bool, Int
from liquid_accel.sim.golden.controller import ControllerState
from liquid_accel.sim.golden.memory import windows

WRITABLE = (Space.VECTOR, Space.A, Space.B, Space.C, Space.S)


class Bank:
    """One memory of every sequence: `data` is (batch * rows, lanes); rows wrap, and parity flips their top bit."""

    def __init__(self, batch: int, rows: int, lanes: int) -> None:
        self.rows = rows
        self.data: Int = np.zeros((batch * rows, lanes), np.int64)

    def _at(self, index: Int, rows: Int, parity: Int | None) -> Int:
        """Flat rows (sequences, rows)."""
        wrapped = (rows % self.rows)[None, :]
        if parity is not None:
            wrapped = wrapped ^ (parity * (self.rows // 2))[:, None]
        return index[:, None] * self.rows + wrapped

    def read(self, index: Int, rows: Int, parity: Int | None = None) -> Int:
        """Rows of the sequences `index`, flipped where their `parity` is 1: (sequences, rows, lanes)."""
        return self.data.take(self._at(index, rows, parity), axis=0)

    def write(self, index: Int, rows: Int, words: Int, parity: Int | None = None) -> None:
        """The inverse of `read`."""
        self.data[self._at(index, rows, parity)] = words

    def per_sequence(self, batch: int) -> Int:
        """A view of shape (batch, words)."""
        return self.data.reshape(batch, -1)

    def select(self, batch: int, index: Int) -> Bank:
        """A copy that holds the sequences `index` of a `batch`."""
        chosen = copy.copy(self)
        chosen.data = self.per_sequence(batch)[index].reshape(-1, self.data.shape[1])
        return chosen


SCALARS = 256  # words of S, and of IDX beside it
COUNTERS = ("cycles", "rhs_evals", "accepted", "rejected", "mac_cycles", "saturations", "skipped", "status")
_REGISTERS = (
    "pc", "r", "loop_start", "loop_count", "again", "parity", "wp", "log2_dt", "pool", "flags", "taken",
    "taken_first", "taken_count", "tracked_list", "track_offset", "track_threshold", *COUNTERS,
)  # fmt: skip
_ROWS = ("counting", "accumulators", "scale", "list_start", "list_end", "columns")  # with a row for each sequence


@dataclass
class Frames:
    """The input of a run: `words` (batch, frames, words a frame), how many each sequence has, and which it is at."""

    words: Int
    count: Int
    current: Int


class State:
    """Registers are arrays of shape (batch,); `accumulators` and `scale` are (batch, lanes).

    `loop_count` 0 stands for no loop, `again` is what is left of REPEAT. `counting` says whether costs are added to
    `cycles`. Lists: `list_start` and `list_end` are (batch, LISTS), `taken_*` is what TAKE left, `track*` what TRACK
    set. What the host does not see: `kept` is M, `operands` is X, `columns` is IDX, (batch, SCALARS).
    """

    pc: Int
    r: Int
    loop_start: Int
    loop_count: Int
    parity: Int
    wp: Int
    log2_dt: Int
    pool: Int
    flags: Int
    again: Int
    taken: Int
    taken_first: Int
    taken_count: Int
    tracked_list: Int
    track_offset: Int
    track_threshold: Int
    cycles: Int
    rhs_evals: Int
    accepted: Int
    rejected: Int
    mac_cycles: Int
    saturations: Int
    skipped: Int
    status: Int

    def __init__(self, config: LiquidConfig, batch: int) -> None:
        self.batch = batch
        for name in _REGISTERS:
            setattr(self, name, np.zeros(batch, np.int64))
        self.counting: Bool = np.zeros(batch, np.bool_)
        self.accumulators: Int = np.zeros((batch, config.lanes), np.int64)
        self.scale: Int = np.zeros((batch, config.lanes), np.int64)
        self.list_start: Int = np.zeros((batch, LISTS), np.int64)
        self.list_end: Int = np.zeros((batch, LISTS), np.int64)
        self.columns: Int = np.zeros((batch, SCALARS), np.int64)
        layout = windows(config)
        self.banks = {space: Bank(batch, layout[space].rows, config.lanes) for space in WRITABLE}
        self.kept, self.operands = (Bank(batch, config.rows("K"), config.lanes) for _ in range(2))
        self.controller = ControllerState.reset(batch)

    def select(self, index: Int) -> State:
        """A copy that holds the sequences `index`, which may repeat."""
        part = copy.copy(self)
        part.batch = len(index)
        for name in (*_REGISTERS, *_ROWS):
            setattr(part, name, getattr(self, name)[index])
        part.banks = {space: bank.select(self.batch, index) for space, bank in self.banks.items()}
        part.kept, part.operands = (bank.select(self.batch, index) for bank in (self.kept, self.operands))
        part.controller = self.controller.take(index)
        return part

    def scalars(self, index: Int) -> Int:
        """The S memory of the sequences `index`: (sequences, words)."""
        return self.banks[Space.S].per_sequence(self.batch)[index]

    def put_scalars(self, index: Int, words: Int) -> None:
        """The inverse of `scalars`."""
        self.banks[Space.S].per_sequence(self.batch)[index] = words
