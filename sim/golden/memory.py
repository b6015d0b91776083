# SPDX-License-Identifier: BSD-2-Clause
"""Memories as the host sees them, and those that a program cannot write, which a whole batch shares.

Host addresses count 16-bit words; a row takes a power of two of them (`Space` in rtl/isa.py). Addresses wrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.formats import SLOPE_LIMIT
from liquid_accel.rtl.isa import FINISH_HALF_BITS, ISSUE_BITS, Control, Instruction, Keep, Op, Space, Track
from liquid_accel.sim.golden.arithmetic import TABLE_ENTRIES, Int, rises
from liquid_accel.sim.golden.errors import GoldenError, IllegalInstruction

Words = npt.NDArray[np.uint16]

# What Instruction.decode says a value is not -> the field that held it.
_FIELDS = {"Op": "op", "Control": "control", "Cond": "cond", "Mode": "mode", "AddSource": "a_sel", "Track": "track"}
_PARTS = 2  # rows of a finish word, which instructions 2k and 2k + 1 share
_LIST_CONTROLS = (Control.TAKE, Control.LIST, Control.TRACK)


@dataclass(frozen=True)
class Window:
    """Layout of one memory: `rows` rows of `row_words` host words, of which the first `used_words` exist."""

    rows: int
    row_words: int
    used_words: int

    @property
    def words(self) -> int:
        return self.rows * self.row_words


def windows(config: LiquidConfig) -> dict[Space, Window]:
    """The layout of every memory of a machine."""
    n = config.lanes
    part = config.weight_part_words
    return {
        Space.ISSUE: Window(config.program_words, 4, ISSUE_BITS // 16),
        Space.FINISH: Window(config.program_words, 4, FINISH_HALF_BITS // 16),
        Space.WEIGHT: Window(config.weight_words, part, part),
        Space.VECTOR: Window(config.vector_rows, n, n),
        Space.A: Window(config.rows("A"), n, n),
        Space.B: Window(config.rows("B"), n, n),
        Space.C: Window(config.rows("C"), n, n),
        Space.S: Window(config.rows("S"), n, n),
        Space.TABLE: Window(config.tables, TABLE_ENTRIES, TABLE_ENTRIES),
    }


SHARED = (Space.ISSUE, Space.FINISH, Space.WEIGHT, Space.TABLE)


def signed(words: npt.NDArray[np.generic]) -> Int:
    """16-bit words as signed numbers."""
    return words.astype(np.uint16).view(np.int16).astype(np.int64)


def assemble(program: Sequence[Instruction]) -> dict[Space, Words]:
    """Host words of a program, from address 0 of the ISSUE and of the FINISH memory on.

    Raises GoldenError where the two instructions of a pair ask for different finish words.
    """

    def image(words: list[int]) -> Words:
        return np.frombuffer(b"".join(word.to_bytes(8, "little") for word in words), "<u2").astype(np.uint16)

    halves: list[int] = []
    for k in range(0, len(program), _PARTS):
        wanted = {i.finish.encode() for i in program[k : k + _PARTS] if i.op != Op.CONTROL and i.last}
        if len(wanted) > 1:
            raise GoldenError(f"instructions at pc {k} and {k + 1}: they share a finish word, and ask for two")
        word = wanted.pop() if wanted else 0
        halves += [word & (1 << FINISH_HALF_BITS) - 1, word >> FINISH_HALF_BITS]
    return {Space.ISSUE: image([i.encode()[0] for i in program]), Space.FINISH: image(halves)}


def _check_no_lists(pc: int, i: Instruction) -> None:
    """Raise where a machine without kept sums is asked for them."""
    if i.op == Op.SPARSE:
        raise IllegalInstruction(f"instruction at pc {pc}, field op: the machine keeps no sums (kept_elements is 0)")
    if i.op == Op.CONTROL:
        if i.control in _LIST_CONTROLS:
            raise IllegalInstruction(f"instruction at pc {pc}, field control: the machine has no lists")
    elif i.finish.keep != Keep.NONE or i.finish.track != Track.NONE:
        raise GoldenError(f"instruction at pc {pc}: keep and track are used, and kept_elements is 0")


class SharedMemory:
    """Program, weights and tables of one machine, with everything that is derived from them kept until they change."""

    def __init__(self, config: LiquidConfig) -> None:
        self.config = config
        self.windows = windows(config)
        self._words: dict[Space, Words] = {s: np.zeros(self.windows[s].words, np.uint16) for s in SHARED}
        self.generation = 0  # of the program: who keeps something derived from it looks here
        self._forget()

    def _forget(self) -> None:
        # Words as they lie: lane 2k is the low byte of word k. A view, so that it is never stale.
        self.weights = self._words[Space.WEIGHT].astype("<u2", copy=False).view(np.int8).reshape(-1, self.config.lanes)
        self._tables: dict[int, tuple[Int, Int]] = {}
        self._blocks: dict[tuple[tuple[int, ...], int], npt.NDArray[np.float64]] = {}
        self._decoded: dict[int, Instruction] = {}

    def write(self, space: Space, addresses: Int, words: Words) -> None:
        """Store `words` at host addresses that lie within the memory."""
        window = self.windows[space]
        kept = addresses % window.row_words < window.used_words
        self._words[space][addresses[kept]] = words[kept]
        self.generation += 1
        self._forget()

    def read(self, space: Space, addresses: Int) -> Words:
        return self._words[space][addresses]

    def _row(self, space: Space, row: int) -> int:
        width = self.windows[space].row_words
        return int.from_bytes(self._words[space][row * width : (row + 1) * width].astype("<u2").tobytes(), "little")

    def instruction(self, pc: int) -> Instruction:
        """The instruction at `pc`; raises IllegalInstruction where there is none."""
        found = self._decoded.get(pc)
        if found is None:
            try:
                low, high = (self._row(Space.FINISH, pc // _PARTS * _PARTS + part) for part in range(_PARTS))
                found = Instruction.decode(self._row(Space.ISSUE, pc), low | high << FINISH_HALF_BITS)
            except ValueError as error:
                field = _FIELDS.get(str(error).rsplit(" ", 1)[-1], "?")
                raise IllegalInstruction(f"instruction at pc {pc}, field {field}: {error}") from error
            if not self.config.column_skip:
                _check_no_lists(pc, found)
            self._decoded[pc] = found
        return found

    def weight_block(self, pointers: tuple[int, ...], cols: int) -> npt.NDArray[np.float64]:
        """Weights of rows that begin at `pointers`: (cols, rows * lanes), in float64, where products stay exact."""
        key = (pointers, cols)
        block = self._blocks.get(key)
        if block is None:
            at = (np.array(pointers)[:, None] + np.arange(cols)) % self.config.weight_words
            block = self.weights[at].transpose(1, 0, 2).reshape(cols, -1).astype(np.float64)
            self._blocks[key] = np.ascontiguousarray(block)
        return block

    def table(self, pc: int, index: int) -> tuple[Int, Int]:
        """(entries, rises) of table `index`, which wraps like an address; raises GoldenError if it is too steep."""
        index %= self.config.tables
        if index not in self._tables:
            entries = signed(self._words[Space.TABLE][index * TABLE_ENTRIES : (index + 1) * TABLE_ENTRIES])
            rise = rises(entries)
            if int(np.abs(rise).max()) >= SLOPE_LIMIT:
                raise GoldenError(f"instruction at pc {pc}: table {index} has a step of {SLOPE_LIMIT} or more")
            self._tables[index] = entries, rise
        return self._tables[index]
