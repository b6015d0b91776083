# SPDX-License-Identifier: BSD-2-Clause
"""Follows a simulation, cycle by cycle, and writes what it does to a waveform file."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from liquid_accel.image import Image
from liquid_accel.rtl.disassembly import disassemble
from liquid_accel.rtl.formats import TICK_BITS, float_value
from liquid_accel.rtl.isa import HEADER_WORDS, Control, Flag, Op
from liquid_accel.rtl.registers import REGISTERS
from liquid_accel.sim.fst import FstWriter, Value
from liquid_accel.sim.trace import Rows
from liquid_accel.waves.gtkwave import save_file
from liquid_accel.waves.layout import AT, Layout, Vector

PICOSECONDS = -12
# A cycle with one of these changes what is derived.
EVENTS = [
    AT[name]
    for name in (
        "core.sequencer.load", "core.sequencer.frame_start", "core.sequencer.header", "core.sequencer.emit",
        "core.controller.accepted", "core.controller.rejected", "core.elements.write_v", "core.elements.write_out",
    )
]  # fmt: skip
LOAD, START, HEADER, EMIT, ACCEPTED, REJECTED, WRITE, OUT = EVENTS
PC, FLAGS, LIMITED, HALTED = (
    AT[f"core.{name}"] for name in ("sequencer.pc", "sequencer.flags", "controller.limited", "controller.halted")
)
ROW, LANE, DATA = (AT[f"core.elements.{name}"] for name in ("write_v_row", "write_lane", "write_data"))
STEP, LEFT = AT["core.controller.step"], AT["core.controller.left"]
VALID, PAYLOAD = AT["request__valid"], AT["request__payload"]
LAST_HEADER = 1 << HEADER_WORDS - 1
REQUESTS = {
    write | register.address << 1: f"{'write' if write else 'read'} {register.name}"
    for register in REGISTERS
    for write in (0, 1)
}


class Watch:
    """Writes the frames first <= n < last of a run, counted over its sequences in order, to `file`.

    `lengths` are the frames of each sequence; `clock_mhz` sets the scale of time. `rows` takes what `TracedTransport`
    keeps, from reset on; `close` completes the file. `frames` and `cycles` count what was written.
    """

    def __init__(
        self, file: BinaryIO, image: Image, lengths: npt.NDArray[np.integer], clock_mhz: float, first: int, last: int
    ) -> None:
        self.frames = self.cycles = 0
        self._first, self._last = first, last
        self._places = [(b, t) for b, count in enumerate(lengths) for t in range(int(count))]
        self._out = FstWriter(file, PICOSECONDS)
        self._layout = Layout(self._out, image)
        self._period = 1e6 / clock_mhz
        self._program = image.program()
        self._texts = [disassemble(instruction) for instruction in self._program]
        self._stages = [comment or text for comment, text in zip(image.comments, self._texts)]
        self._output_scale = 2.0**-image.output_frac_bits
        self._tick = image.machine_unit / 2**TICK_BITS
        self._memory = np.zeros((image.config.vector_rows, image.config.lanes), np.uint16)
        self._written = np.zeros(self._memory.shape, bool)
        self._now = 0  # cycle of the simulation at which the next rows begin
        self._zero = 0  # cycle that is time 0, the beginning of the first frame that is written
        self._on = False
        self._frame, self._began, self._step, self._parity = -1, 0, 0, 0
        self._vectors = self._word = 0  # of the output stream in this frame: vectors begun, words of the last
        self._shown: dict[int, Value] = {}
        self._changes: list[tuple[int, int, Value]] = []

    def close(self) -> None:
        """Complete the file."""
        self._out.close()

    def save_file(self, name: str) -> str:
        """A save file for GTKWave, of the waveforms in the file `name`."""
        return save_file(self._layout, name, round(self.cycles * self._period))

    def rows(self, rows: Rows) -> bool:
        """Follow a stretch of cycles; returns whether there is more to be written."""
        begun = 0  # of what is to be written, among these rows
        for at in np.flatnonzero(rows[:, EVENTS].any(axis=1)).tolist():
            row, was_on = rows[at].tolist(), self._on
            self._event(self._now + at, row)
            if self._on and not was_on:
                begun = at
            elif was_on and not self._on:
                self._signals(rows[begun:at], self._now + begun)
        if self._on:
            self._signals(rows[begun:], self._now + begun)
        self._write()
        self._now += len(rows)
        return self._frame < self._last

    # ---- What is derived ---------------------------------------------------------------------------------------

    def _set(self, cycle: int, name: str, value: Value) -> None:
        if self._on:
            self._changes.append((cycle, self._layout.named[name], value))

    def _event(self, cycle: int, row: list[int]) -> None:
        if row[START]:
            self._start(cycle)
        if row[HEADER] & LAST_HEADER and row[FLAGS] & Flag.FIRST:
            self._turn(cycle + 1, 0)
        if row[ACCEPTED]:
            self._turn(cycle + 1, self._parity ^ 1)
            at_limit, halted = row[LIMITED], row[HALTED]
            end = " at the smallest step" if at_limit else ", the rest skipped" if halted else ""
            self._set(cycle, "decision", f"accepted{end}")
        if row[REJECTED]:
            self._set(cycle, "decision", "rejected")
        if row[LOAD] or row[START]:
            self._load(cycle, row[PC])
        if row[EMIT]:
            self._vectors, self._word = self._vectors + 1, 0
        if row[WRITE]:
            self._element(cycle + 1, row[ROW], row[LANE], row[DATA])
        if row[OUT]:
            if self._on and self._vectors == 1 and self._word < len(self._layout.outputs):
                value = (row[DATA] - (row[DATA] >> 15 << 16)) * self._output_scale
                self._changes.append((cycle, self._layout.outputs[self._word], value))
            self._word += 1

    def _start(self, cycle: int) -> None:
        """A frame begins."""
        self._frame, self._step, self._vectors = self._frame + 1, 0, 0
        was_on, self._on = self._on, self._first <= self._frame < self._last
        if not self._on:
            return
        self.frames += 1
        if not was_on:
            self._zero = cycle
            for vector in self._layout.vectors:
                self._show(cycle, vector)
        sequence, frame = self._places[self._frame] if self._frame < len(self._places) else (-1, -1)
        for name, value in (("sequence", sequence), ("frame", frame), ("step", 0), ("decision", "")):
            self._set(cycle, name, value)

    def _load(self, cycle: int, pc: int) -> None:
        """An instruction begins."""
        if pc >= len(self._program):
            return
        instruction = self._program[pc]
        self._set(cycle, "instruction", self._texts[pc])
        self._set(cycle, "stage", self._stages[pc])
        if instruction.op != Op.CONTROL:
            return
        if instruction.control == Control.SWAP:
            self._turn(cycle + 1, self._parity ^ 1)
        if instruction.control == Control.PLAN:
            self._step += 1
            self._set(cycle, "step", self._step)
            self._set(cycle, "decision", "trying")

    def _turn(self, cycle: int, parity: int) -> None:
        """The other copies of vectors count."""
        if parity != self._parity:
            self._parity = parity
            for vector in self._layout.vectors:
                if vector.paired:
                    self._show(cycle, vector)

    def _show(self, cycle: int, vector: Vector) -> None:
        """All elements of a vector that were written."""
        if not self._on:
            return
        row = vector.row ^ (self._layout.half if vector.paired and self._parity else 0)
        words = self._memory[row : row + vector.rows].reshape(-1).tolist()
        written = self._written[row : row + vector.rows].reshape(-1).tolist()
        for variable, word, known in zip(vector.variables, words, written):
            if known:
                self._changes.append((cycle, variable, vector.value(word)))

    def _element(self, cycle: int, row: int, lane: int, word: int) -> None:
        """An element of the vector memory is written."""
        self._memory[row, lane], self._written[row, lane] = word, True
        found = self._layout.by_row.get(row)
        if not self._on or found is None:
            return
        vector, at = found
        element = at * self._memory.shape[1] + lane
        other = row != vector.row + at
        if element < len(vector.variables) and (not vector.paired or other == bool(self._parity)):
            self._changes.append((cycle, vector.variables[element], vector.value(word)))

    # ---- What is shown as it is --------------------------------------------------------------------------------

    def _signals(self, rows: Rows, cycle: int) -> None:
        """Signals, and numbers that follow one, over a stretch of cycles."""
        self.cycles += len(rows)
        add, named = self._changes.append, self._layout.named
        for variable, column in self._layout.wires:
            for at, word in _steps(rows[:, column]):
                add((cycle + at, variable, word))
        for at, word in _steps(rows[:, STEP]):
            # Before the first step of all there is none.
            add((cycle + at, named["step_size"], float_value(word, 0) * self._tick if word else None))
        for at, word in _steps(rows[:, LEFT]):
            add((cycle + at, named["time_left"], word * self._tick))
        requests = np.where(rows[:, VALID] != 0, rows[:, PAYLOAD] & 0x1FF, np.uint32(0xFFFF))
        for at, word in _steps(requests):
            add((cycle + at, named["request"], REQUESTS.get(word, "")))
        # Cycles of the frame under way.
        at_start = np.where(rows[:, START] != 0, np.arange(len(rows)), self._began - cycle)
        began = np.maximum.accumulate(at_start)
        self._began = cycle + int(began[-1])
        for at, since in enumerate((np.arange(len(rows)) - began).tolist()):
            add((cycle + at, named["cycle"], since))

    def _write(self) -> None:
        """Changes in the order of time; what does not change a value is left out."""
        self._changes.sort(key=lambda change: change[0])
        now = -1
        for cycle, variable, value in self._changes:
            if variable in self._shown and self._shown[variable] == value:
                continue
            self._shown[variable] = value
            if cycle != now:
                now = cycle
                self._out.time(round((cycle - self._zero) * self._period))
            self._out.change(variable, value)
        self._changes = []


def _steps(column: npt.NDArray[np.uint32]) -> list[tuple[int, int]]:
    """Where a column takes another value than before, its first included, and which."""
    at = np.flatnonzero(np.concatenate(([True], column[1:] != column[:-1])))
    return list(zip(at.tolist(), column[at].tolist()))
