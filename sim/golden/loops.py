# SPDX-License-Identifier: BSD-2-Clause
"""Which loops may run over all their rows at once, and how.

A loop of rows runs group by group (a group ends with a finish), each group over all rows. That order differs from the
machine's where a group would meet a result of a later group, or of itself, in an earlier row: such loops, and
those whose rows share an accumulator, a scale, the input, the output or a list, are left to the row by row interpreter.

A group may work a row behind another one, as in [dot of row r -> k[r]; terms that read k[r - 1] -> y[r - 1]], whose
base addresses are one less: what counts is only which cells meet in which order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import E_S, AddSource, Factor, Finish, Instruction, Keep, Op, Space, Track, sparse_slots
from liquid_accel.sim.golden.arithmetic import Bool, Int

KEPT, OPERANDS = "M", "X"  # memories that the host does not see
Memory = Space | str
Cells = frozenset[tuple[Memory, int]]
WEIGHTED = (Op.DOT, Op.SPARSE)  # products with the weight memory
_SPACES = (Space.A, Space.B, Space.C, Space.S)


@dataclass(frozen=True)
class Loop:
    """A loop that may run at once: `body` is (pc, instruction).

    `fixed_cost` and `fixed_mac_cycles` are those of all rows together, but for the columns of sparse products, of which
    a row has `sparse`; `sparse_counted` of them, of `sparse_columns` columns together, count what they skip, and each
    takes the time of `sparse_least` columns or more. `tracks` says whether rows go to a list;
    `scalars_used` and `scalars_written` are the words of S, (256,), that are touched besides lists and entries.
    """

    rows: int
    body: tuple[tuple[int, Instruction], ...]
    end: int
    fixed_cost: int
    fixed_mac_cycles: int
    weight_words: int
    sparse: int
    sparse_counted: int
    sparse_columns: int
    sparse_least: int
    tracks: bool
    scalars_used: Bool = field(compare=False)
    scalars_written: Bool = field(compare=False)
    _pointers: dict[int, tuple[tuple[tuple[int, ...], ...], int]] = field(default_factory=dict, compare=False)

    def pointers(self, start: int) -> tuple[tuple[tuple[int, ...], ...], int]:
        """([instruction][row] -> weight pointer before its columns, the pointer at the end), from `start` on."""
        found = self._pointers.get(start)
        if found is None:
            at, table = start, [[0] * self.rows for _ in self.body]
            for r in range(self.rows):
                for k, (_, i) in enumerate(self.body):
                    if i.op in WEIGHTED:
                        at = i.w if i.w_load and r == 0 else at
                        table[k][r] = at % self.weight_words
                        at += i.cols + i.last
            found = tuple(tuple(row) for row in table), at % self.weight_words
            self._pointers[start] = found
        return found

    def counts(self, taken: Int) -> tuple[Int, Int, Int]:
        """(cycles, mac_cycles, skipped columns) of all rows where `taken` entries were taken, each of its shape."""
        cost = self.fixed_cost + self.rows * self.sparse * np.maximum(taken, self.sparse_least)
        macs = self.fixed_mac_cycles + self.rows * self.sparse * taken
        skipped = self.rows * (self.sparse_columns - self.sparse_counted * taken)
        return cost, macs, skipped


@dataclass(frozen=True)
class _Access:
    reads: Cells
    writes: Cells


class LoopAnalyser:
    """Finds what rows touch, on one configuration."""

    def __init__(self, config: LiquidConfig) -> None:
        self.config = config
        self._depth: dict[Memory, int] = {Space.VECTOR: config.vector_rows}
        self._depth |= {s: config.rows(s.name) for s in _SPACES} | dict.fromkeys((KEPT, OPERANDS), config.rows("K"))

    def _cell(self, space: Memory, row: int, flipped: bool = False) -> tuple[Memory, int]:
        depth = self._depth[space]
        return space, row % depth ^ (depth // 2 if flipped else 0)

    def _access(self, group: list[Instruction], r: int, parity: int) -> _Access:
        reads: set[tuple[Memory, int]] = set()
        for i in group:
            if i.op == Op.DOT:
                for k in range(-(-i.cols // self.config.lanes)):
                    reads.add(self._cell(Space.VECTOR, i.x + k, bool(i.x_par and parity)))
            elif i.op == Op.TERM:
                reads.add(self._cell(Space.VECTOR, i.x + (r if i.indexed else 0), bool(i.x_par and parity)))
                reads.add(self._cell(Space.S, (i.w & 255) // self.config.lanes))
        f = group[-1].finish
        ri = r if f.indexed else 0
        if f.a_sel == AddSource.MEMORY:
            reads.add(self._cell(Space.A, f.a + ri))
        if f.sub or f.add:
            reads.add(self._cell(Space.B, f.b + ri, bool(f.b_par and parity)))
        if f.c_sel == Factor.MEMORY:
            reads.add(self._cell(Space.C, f.c + ri))
        if f.keep in (Keep.ADD, Keep.READ):
            reads.add(self._cell(KEPT, f.m + ri))
        if f.track == Track.MOVED:
            reads.add(self._cell(OPERANDS, f.t + ri))
        return _Access(frozenset(reads), frozenset(self._writes(f, ri, parity)))

    def _writes(self, f: Finish, ri: int, parity: int) -> set[tuple[Memory, int]]:
        writes: set[tuple[Memory, int]] = set()
        if f.v_en:
            writes.add(self._cell(Space.VECTOR, f.v + ri, bool(f.v_par and parity)))
        for bit, space in enumerate(_SPACES):
            if f.e_mask >> bit & 1:
                writes.add(self._cell(space, f.e + ri, bool(f.e_par and parity)))
        if f.keep in (Keep.ADD, Keep.SET):
            writes.add(self._cell(KEPT, f.m + ri))
        if f.track != Track.NONE:
            writes.add(self._cell(OPERANDS, f.t + ri))
        return writes

    def _scalars(self, access: list[list[_Access]], reads: bool) -> Bool:
        """Words of S that rows write, or with `reads` read or write."""
        words = np.zeros((self._depth[Space.S], self.config.lanes), np.bool_)
        for a in (a for group in access for a in group):
            for space, row in a.writes | (a.reads if reads else frozenset()):
                if space == Space.S:
                    words[row] = True
        return words.reshape(-1)

    @staticmethod
    def _independent(access: list[list[_Access]], rows: int) -> bool:
        """Whether the order group by group gives what the order row by row gives."""
        for j, moved in enumerate(access):
            # Row r of group j moves before the rows < r of the groups after it, and reads before its own rows write.
            for i in range(j, len(access)):
                read: set[tuple[Memory, int]] = set()
                written: set[tuple[Memory, int]] = set()
                for r in range(rows):
                    if written & moved[r].reads or written & moved[r].writes or (i > j and read & moved[r].writes):
                        return False
                    read |= access[i][r].reads
                    written |= access[i][r].writes
        return True

    def analyse(self, body: tuple[tuple[int, Instruction], ...], rows: int) -> Loop | None:
        """The loop of `rows` rows over `body`, or None if it has to run row by row."""
        groups: list[list[Instruction]] = [[]]
        for _, i in body:
            if i.op == Op.CONTROL:
                return None
            groups[-1].append(i)
            if i.last:
                # A scale that another row loaded would have to be carried along.
                if i.finish.row_scaled and i.op not in WEIGHTED:
                    return None
                groups.append([])
        if groups.pop():  # the last row is not finished: its sums go on in the next
            return None
        finishes = [g[-1].finish for g in groups]
        # The order of inputs, of outputs and of list entries is the order of rows.
        shared = ([f.source for f in finishes], [f.out for f in finishes], [f.track == Track.MOVED for f in finishes])
        if any(sum(users) > 1 for users in shared):
            return None
        access = [[[self._access(g, r, parity) for r in range(rows)] for g in groups] for parity in (0, 1)]
        if not all(self._independent(a, rows) for a in access):
            return None
        return self._loop(body, rows, any(shared[2]), access)

    def _loop(
        self, body: tuple[tuple[int, Instruction], ...], rows: int, tracks: bool, access: list[list[list[_Access]]]
    ) -> Loop:
        lanes = self.config.lanes
        sparse = [i for _, i in body if i.op == Op.SPARSE]
        counted = [i for i in sparse if not i.x & 1]
        return Loop(
            rows=rows,
            body=body,
            end=body[-1][0] + 1,
            fixed_cost=rows * sum(i.stall + (i.last if i.op == Op.SPARSE else i.slots(lanes)) for _, i in body),
            fixed_mac_cycles=rows * sum(i.cols for _, i in body if i.op == Op.DOT),
            weight_words=self.config.weight_words,
            sparse=len(sparse),
            sparse_counted=len(counted),
            sparse_columns=sum(i.cols for i in counted),
            sparse_least=sparse_slots(lanes),
            tracks=tracks,
            scalars_used=self._scalars(access[0], True) | self._scalars(access[1], True),
            scalars_written=self._scalars(access[0], False) | self._scalars(access[1], False),
        )


assert 1 << _SPACES.index(Space.S) == E_S
