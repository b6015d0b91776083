# SPDX-License-Identifier: BSD-2-Clause
"""The variables of a waveform file: their scopes and names, and where their values come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from liquid_accel.image import Image
from liquid_accel.rtl.isa import Mode, Space
from liquid_accel.sim.fst import FstWriter, Kind, Value
from liquid_accel.sim.trace import SIGNALS

AT = {name: at for at, name in enumerate(SIGNALS)}  # columns of the rows of a trace

# Signals that are shown as they are: scope, name, signal, bits.
WIRES = (
    ("lanes", "product", "core.sequencer.slot.product", 1),
    ("lanes", "snapshot", "core.sequencer.slot.snapshot", 1),
    ("lanes", "clocked", "core.active", 1),
    ("elements", "write_vector", "core.elements.write_v", 1),
    ("elements", "vector_row", "core.elements.write_v_row", 8),
    ("elements", "write_abcs", "core.elements.write_e", 4),
    ("elements", "memory_row", "core.elements.write_e_row", 7),
    ("elements", "lane", "core.elements.write_lane", 5),
    ("elements", "word", "core.elements.write_data", 16),
    ("elements", "clamped", "core.counters.clamped", 1),
    ("controller", "accepted", "core.controller.accepted", 1),
    ("controller", "rejected", "core.controller.rejected", 1),
    ("controller", "at_smallest_step", "core.controller.limited", 1),
    ("controller", "halted_early", "core.controller.halted", 1),
    ("controller", "error_norm", "core.counters.norm", 24),
    ("program", "pc", "core.sequencer.pc", 8),
    ("program", "loop_row", "core.sequencer.row", 8),
    ("streams", "input_level", "core.fifo_in.level", 13),
    ("streams", "output_level", "core.fifo_out.level", 13),
    ("streams", "push", "core.elements.write_out", 1),
    ("bus", "request_valid", "request__valid", 1),
    ("bus", "request_ready", "request__ready", 1),
    ("bus", "response_valid", "response__valid", 1),
    ("bus", "response_word", "response__payload", 16),
    ("bus", "interrupt", "interrupt", 1),
)
INTEGER_BITS = 32


@dataclass
class Vector:
    """A region of the vector memory: its row, bits after the point (None: plain words), a variable for each element.

    paired      it has a second copy in the other half of the memory; what is shown is that of the parity under way
    """

    name: str
    row: int
    rows: int
    paired: bool
    frac_bits: int | None
    variables: list[int] = field(default_factory=list)

    def value(self, word: int) -> Value:
        """A word as a number."""
        number = word - (word >> 15 << 16)
        return number if self.frac_bits is None else number / 2.0**self.frac_bits


def identifier(text: str) -> str:
    """A name that viewers take: letters, digits and underscores."""
    return re.sub(r"\W+", "_", text.replace("*", "_star")).strip("_")


def frac_bits(image: Image, name: str, row: int) -> int | None:
    """Bits after the point of the region `name` of the vector memory from `row` on; None: the image does not say."""
    known = {form.name: form.frac_bits for form in image.formats}
    if name in known:
        return known[name]
    if f"{name} pre-activation" in known:
        # A dense layer: the activation gives numbers in the format of states, and without one they stay as they are.
        modes = [i.finish.mode for i in image.program() if i.last and i.finish.v_en and i.finish.v == row]
        return known[f"{name} pre-activation"] if modes == [Mode.IDENTITY] else image.state_frac_bits
    for title, bits in known.items():
        if name.startswith(title):  # slope k1 is one of the slopes k
            return bits
    # What a stage evaluates, and what the activation gives, is in the format of states.
    return image.state_frac_bits if name.startswith(("stage y", "iterate y")) or name in ("f", "h*") else None


class Layout:
    """Declares everything in `out`.

    named       variables that are derived, by name
    vectors     regions of the vector memory, states first
    by_row      for a row of the vector memory: the vector, and which of its rows it is
    outputs     variables of the output vector
    wires       (variable, column of the rows)
    paths       of the elements of vectors, in order, below the scope of all
    """

    def __init__(self, out: FstWriter, image: Image) -> None:
        self._out, self._image = out, image
        self.half = image.config.vector_rows // 2
        self.named: dict[str, int] = {}
        self.vectors: list[Vector] = []
        self.by_row: dict[int, tuple[Vector, int]] = {}
        self.wires: list[tuple[int, int]] = []
        self.paths: list[str] = []
        out.scope("liquid")
        for name in ("sequence", "frame", "step", "cycle"):
            self.named[name] = out.variable(name, Kind.INTEGER, INTEGER_BITS)
        for name in ("stage", "instruction", "decision"):
            self.named[name] = out.variable(name, Kind.TEXT)
        for name in ("step_size", "time_left"):
            self.named[name] = out.variable(name, Kind.REAL)
        self._vectors()
        out.scope("output")
        self.outputs = [out.variable(f"y_{k}", Kind.REAL) for k in range(image.outputs)]
        out.up()
        self._wires()
        out.up()

    def _vectors(self) -> None:
        out, image = self._out, self._image
        regions = [region for region in image.memory_map if region.space == Space.VECTOR.name]
        names = {region.name for region in regions}
        for region in sorted(regions, key=lambda region: ("state" not in region.name, region.start)):
            if region.name.endswith("(other parity)"):
                continue
            paired = f"{region.name} (other parity)" in names
            vector = Vector(region.name, region.start, region.rows, paired, frac_bits(image, region.name, region.start))
            count = self._elements(region.name, region.rows * image.config.lanes)
            kind = Kind.INTEGER if vector.frac_bits is None else Kind.REAL
            out.scope(identifier(region.name))
            digits, short = len(str(count - 1)), identifier(region.name.split(" ")[-1])
            elements = [f"{short}_{k:0{digits}d}" for k in range(count)]
            vector.variables = [out.variable(element, kind, 16) for element in elements]
            self.paths += [f"{identifier(region.name)}.{element}" for element in elements]
            out.up()
            self.vectors.append(vector)
            for at in range(region.rows):
                self.by_row[region.start + at] = vector, at
                if paired:
                    self.by_row[region.start + at ^ self.half] = vector, at

    def _elements(self, name: str, words: int) -> int:
        """Elements of a region of so many words, without those that only fill a row, as far as the image says it."""
        biases = {place.name.removesuffix(".bias"): place.shape[0] for place in self._image.tensors}
        known = self._image.inputs if name.startswith("input") else biases.get(name.split(" ")[0])
        if known is None and len(self._image.cells) == 1:
            known = self._image.state_size
        return words if known is None else min(known, words)

    def _wires(self) -> None:
        scopes = dict.fromkeys(scope for scope, *_ in WIRES)
        for scope in scopes:
            self._out.scope(scope)
            if scope == "bus":
                self.named["request"] = self._out.variable("request", Kind.TEXT)
            for where, name, signal, bits in WIRES:
                if where == scope:
                    self.wires.append((self._out.variable(name, Kind.WIRE, bits), AT[signal]))
            self._out.up()
