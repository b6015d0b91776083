# SPDX-License-Identifier: BSD-2-Clause
"""Writes instructions: labels, loops over the rows of a vector, products and their finish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.target import Matrix
from liquid_accel.rtl import isa
from liquid_accel.rtl.isa import Cond, Control, Finish, Instruction, Keep, Op, Track

COLUMNS_MAX = 256  # of one instruction; a wider row is a chain of them
COUNT_RHS = 1 << 15


def place(field: str, slot: Slot, other: bool = False) -> dict[str, int]:
    """Fields that address a slot: `field` and, for a parity pair, its parity select; `other`: the opposite one."""
    parity = {f"{field}_par": 1} if slot.pair else {}
    return {field: slot.other if other else slot.row, **parity}


def to_vector(slot: Slot, other: bool = False) -> dict[str, int]:
    """Fields that write the result to the vector memory."""
    return {**place("v", slot, other), "v_en": 1}


def to_element(slot: Slot, other: bool = False) -> dict[str, int]:
    """Fields that write the result to an element memory, at the slot's place."""
    mask = {"A": isa.E_A, "B": isa.E_B, "C": isa.E_C, "S": isa.E_S}[slot.space.name]
    return {**place("e", slot, other), "e_mask": mask}


def to_kept(slot: Slot, keep: Keep) -> dict[str, int]:
    """Fields that add to, set or read the kept sums at the slot's place."""
    return {"keep": keep, "m": slot.row}


def to_operands(slot: Slot, track: Track) -> dict[str, int]:
    """Fields that list what moved since the operands at the slot's place, or set them."""
    return {"track": track, "t": slot.row}


def _fields(values: dict[str, int]) -> dict[str, Any]:
    """The same for a call whose other arguments have other types."""
    return {**values}


def finish(*parts: Mapping[str, Any], **fields: Any) -> Finish:
    """A finish word from groups of fields; ValueError where two of them differ."""
    merged: dict[str, Any] = dict(fields)
    for part in parts:
        for name, value in part.items():
            if merged.setdefault(name, value) != value:
                raise ValueError(f"finish field {name} is both {merged[name]} and {value}")
    return Finish(**merged)


def dot(matrix: Matrix, source: Slot, done: Finish, lanes: int, comment: str, other: bool = False) -> list[Instruction]:
    """One row group of a matrix times a vector; row groups follow one another in the weight memory."""
    return dots(matrix, [(source, matrix.columns, other)], done, lanes, comment)


def dots(
    matrix: Matrix, parts: Sequence[tuple[Slot, int, bool]], done: Finish, lanes: int, comment: str
) -> list[Instruction]:
    """The same for vectors one below the other; `parts` holds (vector, its columns, whether the other parity)."""
    chain: list[Instruction] = []
    for source, columns, other in parts:
        at = place("x", source, other)
        for first in range(0, columns, COLUMNS_MAX):
            fields: dict[str, Any] = {**at, "x": at["x"] + first // lanes, "cols": min(COLUMNS_MAX, columns - first)}
            chain.append(Instruction(Op.DOT, comment=comment, **fields))
    chain[0] = replace(chain[0], w_load=1, w=matrix.start)
    chain[-1] = replace(chain[-1], last=1, finish=done)
    return chain


def sparse(matrix: Matrix, done: Finish, comment: str, counted: bool = True) -> list[Instruction]:
    """One row group of a matrix times the moves that were taken last; `counted` says whether what is skipped counts."""
    fields: dict[str, Any] = {"w_load": 1, "w": matrix.start, "cols": matrix.columns, "x": int(not counted)}
    return [Instruction(Op.SPARSE, last=1, finish=done, comment=comment, **fields)]


def terms(parts: Sequence[tuple[Slot, bool, int]], done: Finish, comment: str) -> list[Instruction]:
    """A row of sum_j s_j v_j; `parts` holds (vector, whether the other parity, address of its scalar)."""
    chain = [
        Instruction(Op.TERM, indexed=1, w=scalar, comment=comment, **_fields(place("x", slot, other)))
        for slot, other, scalar in parts
    ]
    chain[-1] = replace(chain[-1], last=1, finish=done)
    return chain


class Builder:
    """Collects instructions; `finished` resolves the jumps.

    The instructions at 2k and 2k + 1 share a finish word. Where two that follow each other would clash, a NOP moves the
    second; in a loop it stands before the LOOP if that is enough, so that it costs one cycle and not one a row.
    """

    def __init__(self) -> None:
        self.code: list[Instruction] = []
        self._labels: dict[str, int] = {"start": 0}
        self._jumps: dict[int, str] = {}

    def control(self, control: Control, comment: str = "", **fields: Any) -> None:
        self.code.append(Instruction(control=control, comment=comment, **fields))

    def mark(self, label: str) -> None:
        """The next instruction is where jumps to `label` go."""
        self._labels[label] = len(self.code)

    def jump(self, cond: Cond, label: str, comment: str = "", imm: int = 0) -> None:
        self._jumps[len(self.code)] = label
        self.control(Control.JUMP, comment, cond=cond, imm=imm)

    def rows(self, body: Sequence[Instruction]) -> None:
        """Product instructions outside a loop, once."""
        for instruction in body:
            if self._clash(len(self.code), (*self.code[-1:], instruction)[-2:]):
                self.control(Control.NOP)
            self.code.append(instruction)

    def loop(self, rows: int, body: Sequence[Instruction], comment: str, rhs: bool = False) -> None:
        """`body` once a row; `rhs` counts a right-hand side."""
        body = [*body[:-1], replace(body[-1], loop_end=1)]
        here = len(self.code)
        if self._clashes(here + 1, body) and not self._clashes(here + 2, body):
            self.control(Control.NOP)
        self.control(Control.LOOP, comment, imm=rows | (COUNT_RHS if rhs else 0))
        self.rows(body)

    def _clashes(self, start: int, body: Sequence[Instruction]) -> bool:
        return any(self._clash(start + k, body[k - 1 : k + 1]) for k in range(1, len(body)))

    @staticmethod
    def _clash(at: int, pair: Sequence[Instruction]) -> bool:
        """Whether the second of two instructions, at address `at`, would need the word of the first for another."""
        if at % 2 == 0 or len(pair) < 2 or not (pair[0].last and pair[1].last):
            return False
        return pair[0].finish != pair[1].finish

    def finished(self) -> list[Instruction]:
        """The program, its jumps resolved."""
        code = list(self.code)
        for index, label in self._jumps.items():
            # A program that is too long is refused later; its addresses need only be encodable.
            code[index] = replace(code[index], target=self._labels[label] & 0xFF)
        return code
