# SPDX-License-Identifier: BSD-2-Clause
"""What an image is put together from: weights, biases, constants and tables, each where the allocator put it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from liquid_accel.compiler.memory import Allocator, AnySpace, Hidden, Slot
from liquid_accel.compiler.quantise import (
    ACCUMULATOR_LIMIT,
    Quantised,
    pack_weights,
    prove_accumulator,
    quantise_words,
)  # fmt: skip
from liquid_accel.compiler.tables import Table
from liquid_accel.image import Bound, Format, TensorPlace, Words, row_words
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import FINISH_HALF_BITS, Instruction, Param, Space

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
WORD_MASK = 0xFFFF


@dataclass(frozen=True)
class Matrix:
    """A matrix in the weight memory: first word, row groups, columns."""

    start: int
    groups: int
    columns: int


@dataclass(frozen=True)
class Tracking:
    """An operand whose moves are listed for column skipping.

    number       of the list, 0 to 3
    operands     rows of X: the values that its columns were last computed with
    deltas       rows of S where the list lies; a pair where it is written while the list before it is still read
    threshold    in words: a column is computed again where its operand moved by more
    """

    name: str
    number: int
    operands: Slot
    deltas: Slot
    threshold: int


@dataclass(frozen=True)
class Operand:
    """A vector in the vector memory: its fraction bits, the largest magnitude that its words can ever take, and the
    list of its moves, if there is one."""

    slot: Slot
    size: int
    frac_bits: int
    word_bound: int
    tracking: Tracking | None = None


@dataclass(frozen=True)
class Product:
    """A matrix and what it multiplies; where sums are kept, their rows in M."""

    matrix: Matrix
    source: Operand
    kept: Slot | None = None


class Target:
    """The contents of a machine's memories while a model is compiled for it."""

    def __init__(self, config: LiquidConfig):
        self.config = config
        self.lanes = config.lanes
        self.allocator = Allocator(config)
        self.formats: list[Format] = []
        self.bounds: list[Bound] = []
        self.warnings: list[str] = []
        self.tensors: list[TensorPlace] = []
        self._tables: list[Table] = []
        self._rows: dict[Space, dict[int, Integers]] = {space: {} for space in Space}
        self._scalars: dict[int, int] = {}
        self._scalar_rows: list[Slot] = []
        # The controller's constants have their addresses in the table; no vector of scalars may lie over them.
        first, last = min(Param) // self.lanes, max(Param) // self.lanes
        self.allocator.reserve(Space.S, "step controller", first, last - first + 1)

    def rows(self, size: int) -> int:
        """Rows of `lanes` words that `size` words take."""
        return -(-size // self.lanes)

    def take(self, space: AnySpace, name: str, size: int, pair: bool = False) -> Slot:
        """Rows for a vector of `size` words."""
        return self.allocator.take(space, name, self.rows(size), pair)

    def fill(self, slot: Slot, values: Integers, pad: int = 0) -> None:
        """Initial words of a slot, filled up with `pad`."""
        words = np.full(slot.rows * self.lanes, pad, np.int64)
        words[: len(values)] = values
        if isinstance(slot.space, Hidden):
            raise ValueError(f"{slot.space.name} is not the host's to fill")
        for row, part in enumerate(words.reshape(slot.rows, self.lanes)):
            self._rows[slot.space][slot.row + row] = part

    def matrix(
        self,
        quantised: Quantised,
        word_bound: int,
        shape: tuple[int, ...],
        moves: bool = False,
        places: Sequence[TensorPlace] = (),
    ) -> Matrix:
        """Place a matrix whose inputs stay within `word_bound`; proves its accumulators. `moves`: what it is multiplied
        with is the difference of two inputs. `places`: the parts of tensors that it holds, their `start` counted from
        its own; none where it is the tensor of its name."""
        bound = quantised.accumulator_bound(word_bound) * (1 + moves)
        prove_accumulator(quantised.name, bound)
        self.bounds.append(Bound(f"{quantised.name}: accumulator", bound, ACCUMULATOR_LIMIT, "integer"))
        words = pack_weights(quantised, self.lanes)
        start = self.words(quantised.name, words)
        columns = quantised.weight.shape[1]
        own = TensorPlace(quantised.name, Space.WEIGHT.name, 0, shape, columns, quantised.shift)
        self.tensors.extend(replace(place, start=start + place.start) for place in places or (own,))
        return Matrix(start, len(words) // (columns + 1), columns)

    def words(self, name: str, words: npt.NDArray[np.int8]) -> int:
        """Place words of the weight memory (rows, lanes); the first's address."""
        slot = self.allocator.take(Space.WEIGHT, name, len(words))
        for row, part in enumerate(words):
            self._rows[Space.WEIGHT][slot.row + row] = part.view(np.uint8).astype(np.int64)
        return slot.row

    def bias(
        self,
        name: str,
        values: Floats,
        frac_bits: int,
        pad: int = 0,
        space: Space = Space.A,
        whole: tuple[int, ...] | None = None,
        row: int = 0,
    ) -> Slot:
        """Place a bias in the A memory, or in B; part of a tensor of shape `whole` from `row` on, where it is given."""
        slot = self.take(space, name, len(values))
        self.fill(slot, quantise_words(name, values, frac_bits), pad)
        self.tensors.append(
            TensorPlace(name, space.name, slot.row, whole or values.shape, 1, frac_bits, row, 0, values.shape)
        )
        return slot

    def folded(self, name: str, shape: tuple[int, ...]) -> None:
        """A bias that stands nowhere: what another one took in."""
        self.tensors.append(TensorPlace(name, Space.A.name, 0, shape, 1, 0, 0, 0, (0,)))

    def table(self, table: Table) -> int:
        """Number of a table; equal ones are stored once."""
        if table not in self._tables:
            slot = self.allocator.take(Space.TABLE, table.name, 1)
            self._rows[Space.TABLE][slot.row] = np.array(table.words, np.int64)
            self._tables.append(table)
            self.bounds.extend(bound for bound in table.bounds if bound not in self.bounds)
        return self._tables.index(table)

    def scalar(self, value: int) -> int:
        """Address of a constant in the S memory."""
        if value not in self._scalars:
            lane = len(self._scalars) % self.lanes
            if lane == 0:
                self._scalar_rows.append(self.allocator.take(Space.S, "constants", 1))
                self.fill(self._scalar_rows[-1], np.zeros(0, np.int64))
            row = self._scalar_rows[-1].row
            self._rows[Space.S][row][lane] = value
            self._scalars[value] = row * self.lanes + lane
        return self._scalars[value]

    def parameter(self, name: Param, value: int) -> None:
        """A constant of the step controller: a signed or an unsigned 16-bit word."""
        if not -(1 << 15) <= value <= WORD_MASK:
            raise ValueError(f"parameter {name.name} is {value}: 16 bits were expected")
        row, lane = divmod(int(name), self.lanes)
        self._rows[Space.S].setdefault(row, np.zeros(self.lanes, np.int64))[lane] = value

    def sections(self, program: list[Instruction]) -> dict[Space, Words]:
        """Words of every memory from address 0 to the last one that matters, rows between them zero."""
        issue = tuple(instruction.encode()[0] for instruction in program)
        halves = finish_halves(program)
        sections = {Space.ISSUE: self._split(issue, Space.ISSUE), Space.FINISH: self._split(halves, Space.FINISH)}
        for space in Space:
            if space in sections:
                continue
            rows = self._rows[space]
            width = 256 if space == Space.TABLE else self.lanes
            words = np.zeros((max(rows, default=-1) + 1, width), np.int64)
            for row, part in rows.items():
                words[row] = part
            flat = (words & WORD_MASK).astype(np.uint16).reshape(-1)
            if space == Space.WEIGHT:
                flat = flat.astype(np.uint8).view("<u2").astype(np.uint16)  # two weights a word, the lower lane first
            sections[space] = flat
        return sections

    def _split(self, values: tuple[int, ...], space: Space) -> Words:
        width = row_words(self.config, space)
        words = [[value >> 16 * part & WORD_MASK for part in range(width)] for value in values]
        return np.array(words, np.uint16).reshape(-1)

    def check(self, program_length: int) -> None:
        """`UserError` where program or data do not fit."""
        self.allocator.reserve(Space.ISSUE, "program", 0, program_length)
        self.allocator.check()


def finish_halves(program: list[Instruction]) -> tuple[int, ...]:
    """Rows of the finish memory: two a pair of instructions; ValueError where a pair needs two words."""
    rows: list[int] = []
    for first in range(0, len(program), 2):
        words = {instruction.encode()[1] for instruction in program[first : first + 2] if instruction.last}
        if len(words) > 1:
            raise ValueError(f"instructions {first} and {first + 1} finish in different ways")
        word = words.pop() if words else 0
        rows += [word & (1 << FINISH_HALF_BITS) - 1, word >> FINISH_HALF_BITS]
    return tuple(rows)
