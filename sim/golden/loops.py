# SPDX-License-Identifier: BSD-2-Clause
"""Which loops may run over all their rows at once, and how.

A loop of rows runs group by group (a group ends with a finish), each group over all rows. That order differs from the
machine's where a group would meet a result of a later group, or of itself, in an earlier row: such loops, and
those whose rows share an accumulator, a scale, the input or the output, are left to the row by row interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import E_S, AddSource, Factor, Instruction, Op, Space

Cells = frozenset[tuple[Space, int]]
_SPACES = (Space.A, Space.B, Space.C, Space.S)


@dataclass(frozen=True)
class Loop:
    """A loop that may run at once: `body` is (pc, instruction), `cost` that of all rows together."""

    rows: int
    body: tuple[tuple[int, Instruction], ...]
    end: int
    cost: int
    mac_cycles: int
    weight_words: int
    _pointers: dict[int, tuple[tuple[tuple[int, ...], ...], int]] = field(default_factory=dict, compare=False)

    def pointers(self, start: int) -> tuple[tuple[tuple[int, ...], ...], int]:
        """([instruction][row] -> weight pointer before its columns, the pointer at the end), from `start` on."""
        found = self._pointers.get(start)
        if found is None:
            at, table = start, [[0] * self.rows for _ in self.body]
            for r in range(self.rows):
                for k, (_, i) in enumerate(self.body):
                    if i.op == Op.DOT:
                        at = i.w if i.w_load and r == 0 else at
                        table[k][r] = at % self.weight_words
                        at += i.cols + i.last
            found = tuple(tuple(row) for row in table), at % self.weight_words
            self._pointers[start] = found
        return found


@dataclass(frozen=True)
class _Access:
    reads: Cells
    writes: Cells


class LoopAnalyser:
    """Finds what rows touch, on one configuration."""

    def __init__(self, config: LiquidConfig) -> None:
        self.config = config
        self._depth = {Space.VECTOR: config.vector_rows} | {s: config.rows(s.name) for s in _SPACES}

    def _cell(self, space: Space, row: int, flipped: bool) -> tuple[Space, int]:
        depth = self._depth[space]
        return space, row % depth ^ (depth // 2 if flipped else 0)

    def _access(self, group: list[Instruction], r: int, parity: int) -> _Access:
        reads, writes = set(), set()
        for i in group:
            if i.op == Op.DOT:
                for k in range(-(-i.cols // self.config.lanes)):
                    reads.add(self._cell(Space.VECTOR, i.x + k, bool(i.x_par and parity)))
            elif i.op == Op.TERM:
                reads.add(self._cell(Space.VECTOR, i.x + (r if i.indexed else 0), bool(i.x_par and parity)))
                reads.add(self._cell(Space.S, (i.w & 255) // self.config.lanes, False))
        f = group[-1].finish
        ri = r if f.indexed else 0
        if f.a_sel == AddSource.MEMORY:
            reads.add(self._cell(Space.A, f.a + ri, False))
        if f.sub or f.add:
            reads.add(self._cell(Space.B, f.b + ri, bool(f.b_par and parity)))
        if f.c_sel == Factor.MEMORY:
            reads.add(self._cell(Space.C, f.c + ri, False))
        if f.v_en:
            writes.add(self._cell(Space.VECTOR, f.v + ri, bool(f.v_par and parity)))
        for bit, space in enumerate(_SPACES):
            if f.e_mask >> bit & 1:
                writes.add(self._cell(space, f.e + ri, bool(f.e_par and parity)))
        return _Access(frozenset(reads), frozenset(writes))

    def _independent(self, groups: list[list[Instruction]], rows: int, parity: int) -> bool:
        """Whether the order group by group gives what the order row by row gives."""
        access = [[self._access(group, r, parity) for r in range(rows)] for group in groups]
        for j, moved in enumerate(access):
            # Row r of group j moves before the rows < r of the groups after it, and reads before its own rows write.
            for i in range(j, len(access)):
                read: set[tuple[Space, int]] = set()
                written: set[tuple[Space, int]] = set()
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
                if i.finish.row_scaled and i.op != Op.DOT:
                    return None
                groups.append([])
        if groups.pop():  # the last row is not finished: its sums go on in the next
            return None
        finishes = [g[-1].finish for g in groups]
        if sum(f.source for f in finishes) > 1 or sum(f.out for f in finishes) > 1:
            return None
        if not all(self._independent(groups, rows, parity) for parity in (0, 1)):
            return None
        cost = sum(i.stall + i.slots for _, i in body)
        macs = sum(i.cols for _, i in body if i.op == Op.DOT)
        return Loop(rows, body, body[-1][0] + 1, cost * rows, macs * rows, self.config.weight_words)


assert 1 << _SPACES.index(Space.S) == E_S
