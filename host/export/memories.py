# SPDX-License-Identifier: BSD-2-Clause
"""Which rows of the machine's memories a program uses, and where they lie in C: in RAM where it writes them.

A row keeps its order, so that rows that follow one another in the machine do so in C.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl.isa import Space

Ints = npt.NDArray[np.int64]
KEPT, OPERANDS = "m", "x"
SPACES = {"v": Space.VECTOR, "a": Space.A, "b": Space.B, "c": Space.C, "s": Space.S}


@dataclass(frozen=True)
class Access:
    """`count` rows from `row` on, those of the other half at parity 1 where `paired`; `pc` is who touches them."""

    pc: int
    row: int
    count: int
    paired: bool


@dataclass
class Memory:
    """Rows of one memory.

    name     its letter in C; `rows` that the machine has, each of `lanes` words
    words    what the image puts there, (rows, lanes)
    ram      its rows that lie in RAM, `flash` those in flash, each in order: known after `place`
    """

    name: str
    rows: int
    lanes: int
    words: Ints
    ram: list[int] = field(default_factory=list)
    flash: list[int] = field(default_factory=list)
    _reads: list[Access] = field(default_factory=list)
    _written: set[int] = field(default_factory=set)

    def read(self, pc: int, row: int, count: int, paired: bool = False) -> None:
        self._reads.append(Access(pc, row, count, paired))

    def write(self, pc: int, row: int, count: int, paired: bool = False) -> None:
        access = Access(pc, row, count, paired)
        self._reads.append(access)
        self._written.update(self._touched(access))

    def is_written(self, row: int) -> bool:
        """Whether the program writes a row."""
        return row in self._written

    def _range(self, access: Access, parity: int) -> list[int]:
        flip = self.rows // 2 if access.paired and parity else 0
        return [(access.row + k) % self.rows ^ flip for k in range(access.count)]

    def _touched(self, access: Access) -> set[int]:
        return {row for parity in range(1 + access.paired) for row in self._range(access, parity)}

    def place(self) -> None:
        """Decide what lies in RAM: rows that are written, and those that one instruction reads together with them."""
        ram, touched = set(self._written), [self._touched(access) for access in self._reads]
        while mixed := [rows for rows in touched if rows & ram and rows - ram]:
            ram.update(*mixed)
        self.ram = sorted(ram)
        self.flash = sorted(set().union(*touched) - ram)

    def in_ram(self, row: int) -> bool:
        return row in self.ram

    def offset(self, access: Access, parity: int) -> int:
        """Word in RAM or flash where a range begins. Raises UserError where C has no such range in one piece."""
        rows = self._range(access, parity)
        held = self.ram if self.in_ram(rows[0]) else self.flash
        first = held.index(rows[0])
        if held[first : first + len(rows)] != rows:
            raise UserError(f"instruction {access.pc} of the image goes past the end of memory {self.name.upper()}; "
                            "expected rows one after the other, C has no others")  # fmt: skip
        return first * self.lanes

    def initial(self) -> Iterator[tuple[int, Ints]]:
        """Runs of rows in RAM that the image fills with something but 0: word where one begins, and its words."""
        values = self.words[self.ram].reshape(len(self.ram), self.lanes)
        filled: list[bool] = np.any(values, axis=1).tolist()
        at = 0
        while at < len(filled):
            end = at
            while end < len(filled) and filled[end]:
                end += 1
            if end > at:
                yield at * self.lanes, values[at:end].reshape(-1)
            at = end + 1


def memories(image: Image) -> Mapping[str, Memory]:
    """The memories that a program reads and writes, with what the image puts into them."""
    lanes = image.config.lanes
    found: dict[str, Memory] = {}
    for name, space in SPACES.items():
        rows = image.config.vector_rows if name == "v" else image.config.rows(space.name)
        words = np.zeros((rows, lanes), np.int64)
        section = image.sections[space].view(np.int16).astype(np.int64).reshape(-1, lanes)
        words[: len(section)] = section
        found[name] = Memory(name, rows, lanes, words)
    kept = image.config.rows("K")
    for name in (KEPT, OPERANDS):
        found[name] = Memory(name, kept, lanes, np.zeros((kept, lanes), np.int64))
    return found
