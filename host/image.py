# SPDX-License-Identifier: BSD-2-Clause
"""The `.liquid` file: a compiled model, ready to be written into a machine's memories.

    magic (8 bytes) | image format, length of the description (uint32 each) | description (JSON) | sections | SHA-256

All numbers are little-endian; a section is the 16-bit words of one memory from address 0, in the order of the
description. The SHA-256 covers every byte before it. The same image gives the same bytes; none of them is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel import image_fields
from liquid_accel.errors import UserError
from liquid_accel.files import write_whole
from liquid_accel.rtl import isa
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.disassembly import disassemble
from liquid_accel.rtl.isa import Space

IMAGE_FORMAT = 2
MAGIC = b"\x89LIQUID\n"
# The largest machine's memories take 1.1 MB, a description of 256 instructions and as many tensors 100 kB.
DESCRIPTION_MAX = 1 << 20
FILE_MAX = 1 << 22
_HEAD = struct.Struct("<8sII")
_DIGEST = hashlib.sha256().digest_size

Words = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float64]


def row_words(config: LiquidConfig, space: Space) -> int:
    """16-bit words that one row of a memory takes in the host's layout."""
    if space in (Space.ISSUE, Space.FINISH):
        return 4
    if space == Space.TABLE:
        return 256
    return config.weight_part_words if space == Space.WEIGHT else config.lanes


def space_rows(config: LiquidConfig, space: Space) -> int:
    """Rows of a memory."""
    return {
        Space.ISSUE: config.program_words,
        Space.FINISH: config.program_words,
        Space.WEIGHT: config.weight_words,
        Space.VECTOR: config.vector_rows,
        Space.A: config.rows("A"),
        Space.B: config.rows("B"),
        Space.C: config.rows("C"),
        Space.S: config.rows("S"),
        Space.TABLE: config.tables,
    }[space]


@dataclass(frozen=True)
class Format:
    """A number format that was chosen: word = value * 2**frac_bits; `largest` magnitude expected, by `source`
    ("bound": it always holds, "calibration": seen in the data, "range": from the stored ranges, "flat beyond": seen in
    the data, and where the format ends the function that follows is flat)."""

    name: str
    format: str
    frac_bits: int
    largest: float
    headroom_bits: float
    source: str


@dataclass(frozen=True)
class Bound:
    """Something proved or measured exhaustively: its value, its limit, and the unit of both."""

    name: str
    value: float
    limit: float
    unit: str


@dataclass(frozen=True)
class Region:
    """Rows [start, start + rows) of a memory and what they hold."""

    space: str
    start: int
    rows: int
    name: str


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor of the checkpoint lies: w = W8 / 2**(scale + shift) in the weight memory from word `start` on, row
    groups of `columns` words and one of scales; or a bias = word / 2**shift in the A or B memory from row `start` on.

    Where `part` is not (), it is the part of the tensor that begins at (`row`, `column`) and has that shape; a row
    group holds it from word `offset` on. What no part covers is 0, which is a bias that another one took in."""

    name: str
    space: str
    start: int
    shape: tuple[int, ...]
    columns: int
    shift: int
    row: int = 0
    column: int = 0
    part: tuple[int, ...] = ()
    offset: int = 0


@dataclass(frozen=True)
class CycleModel:
    """Cycles of a frame that starts a sequence, of another, and of both with dt = 0. `exact` where nothing depends on
    the data; else the first two are means over the calibration data. `plans`: a frame that moves takes so many cycles
    more for each leading zero of its 32-bit dt in ticks; `irregular`: one that moves by another dt than the image's
    usual one takes so many more."""

    first: float
    other: float
    first_zero_dt: float
    other_zero_dt: float
    exact: bool
    plans: int = 0
    irregular: float = 0.0


@dataclass(frozen=True, eq=False)
class Image:
    """A compiled model.

    sections          words of each memory, from its address 0; what lies past them is left alone
    inputs, outputs   features of a frame; classes, or values of a regression
    output_words      words of the output vector: `outputs`, padded to lanes
    state_size        units of the liquid layer; `state_words` words of a state vector, padded to lanes
    input_*           an input word is sat16(rint_half_even((x - mean) / scale * 2**input_frac_bits))
    machine_unit      one machine time unit in the unit of DATA's dt (seconds, or frames where `time_unit_s` is None):
                      ticks = round(dt / machine_unit * 2**20), log2 dt is that of dt / machine_unit
    default_dt        spacing of frames for data without dt, in the unit of DATA's dt
    max_dt            the longest frame, in the same unit
    cells             kinds of the recurrent layers, in order; `solver` is "none" where none of them is an equation
    budget            right-hand sides a frame may take; 0: no limit
    delta_thresholds  by recurrent layer, of those that skip columns: the moves up to which a column is skipped
    weight_bits       of a weight
    regular_log_dt    log2 dt, as frames carry it, of the spacing that a table was made for; None: of none
    frame_macs        multiplications of the dense products once a frame, unpadded; `rhs_macs`: of one right-hand side
    """

    config: LiquidConfig
    sections: Mapping[Space, Words]
    inputs: int
    outputs: int
    output_words: int
    state_size: int
    state_words: int
    input_mean: tuple[float, ...]
    input_scale: tuple[float, ...]
    input_frac_bits: int
    output_frac_bits: int
    state_frac_bits: int
    time_unit_s: float | None
    machine_unit: float
    default_dt: float
    max_dt: float
    solver: str
    steps: int
    rtol: float
    atol: float
    adaptive: bool
    cells: tuple[str, ...]
    budget: int
    delta_thresholds: Mapping[str, float]
    weight_bits: int
    frame_macs: int
    rhs_macs: float
    task: str
    formats: tuple[Format, ...]
    bounds: tuple[Bound, ...]
    memory_map: tuple[Region, ...]
    tensors: tuple[TensorPlace, ...]
    regular_log_dt: int | None
    cycles: CycleModel
    comments: tuple[str, ...]
    warnings: tuple[str, ...]
    checkpoint_hash: str
    isa_version: int = isa.ISA_VERSION

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    # ---- What it says ------------------------------------------------------------------------------------------

    def program(self) -> list[isa.Instruction]:
        """The instructions, as they are decoded from the sections."""
        issue = self.sections[Space.ISSUE].reshape(-1, row_words(self.config, Space.ISSUE))
        finish = self.sections[Space.FINISH].reshape(-1, row_words(self.config, Space.FINISH))
        halves = [join_words(words) for words in finish.tolist()]
        words = [low | high << isa.FINISH_HALF_BITS for low, high in zip(halves[::2], halves[1::2], strict=True)]
        return [isa.Instruction.decode(join_words(row), words[at // 2]) for at, row in enumerate(issue.tolist())]

    def listing(self) -> str:
        """The program, a line an instruction: address, instruction, comment."""
        lines = []
        for address, (instruction, comment) in enumerate(zip(self.program(), self.comments, strict=True)):
            text = f"{address:3d}  {disassemble(instruction)}"
            lines.append(f"{text:<100}  ; {comment}" if comment else text)
        return "\n".join(lines)

    def predicted_cycles(
        self,
        first_frames: int,
        other_frames: int,
        first_zero_dt: int = 0,
        other_zero_dt: int = 0,
        zeros: int = 0,
        irregular: int = 0,
    ) -> int:
        """Cycles of that many frames: those that start a sequence, the others, and of each those with dt = 0 (which
        the former do not include); `zeros` are the leading zeros of dt in ticks, summed over the frames that move;
        of these `irregular` have another log2 dt than `regular_log_dt`.
        Exact for a program of fixed steps, else with means over calibration data."""
        model = self.cycles
        return round(
            first_frames * model.first + other_frames * model.other + first_zero_dt * model.first_zero_dt
            + other_zero_dt * model.other_zero_dt + model.plans * zeros + model.irregular * irregular
        )  # fmt: skip

    def data_dt(self, dt: Floats, given: bool) -> Floats:
        """`dt` of a data set; where it held none (`given` false), `default_dt` wherever something was filled in."""
        return dt if given else np.where(dt > 0, self.default_dt, 0.0)

    def dequantised(self) -> dict[str, Floats]:
        """The weights that the integers stand for, float64, named and shaped like the checkpoint's tensors."""
        lanes = self.config.lanes
        weights = self.sections[Space.WEIGHT].astype("<u2").view(np.int8).reshape(-1, lanes).astype(np.float64)
        tensors: dict[str, Floats] = {}
        for place in self.tensors:
            whole = tensors.setdefault(place.name, np.zeros(place.shape))
            part = place.part or place.shape
            size = part[0]
            if place.space != Space.WEIGHT.name:
                words = self.sections[Space[place.space]].view(np.int16).astype(np.float64)[place.start * lanes :]
                whole[place.row : place.row + size] = words[:size] / 2.0**place.shift
                continue
            groups = -(-size // lanes)
            block = weights[place.start :][: groups * (place.columns + 1)].reshape(groups, place.columns + 1, lanes)
            values = block[:, :-1].transpose(0, 2, 1).reshape(groups * lanes, place.columns)
            scale = block[:, -1].reshape(groups * lanes)
            values = (values / 2.0 ** (scale + place.shift)[:, None])[:size, place.offset :][:, : part[1]]
            whole[place.row : place.row + size, place.column : place.column + part[1]] = values
        return tensors

    # ---- The file ----------------------------------------------------------------------------------------------

    def to_bytes(self) -> bytes:
        """The whole file."""
        description = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("config", "sections")}
        description = {name: _plain(value) for name, value in description.items()}
        spaces = sorted(self.sections)
        description["config"] = asdict(self.config)
        description["sections"] = [[space.name, int(self.sections[space].size)] for space in spaces]
        text = json.dumps(description, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
        body = b"".join(np.ascontiguousarray(self.sections[space]).astype("<u2").tobytes() for space in spaces)
        whole = _HEAD.pack(MAGIC, IMAGE_FORMAT, len(text)) + text + body
        return whole + hashlib.sha256(whole).digest()

    def save(self, path: str | Path) -> None:
        """Write `path` whole or not at all. Raises `UserError`."""
        blob = self.to_bytes()
        write_whole(Path(path), lambda temporary: temporary.write_bytes(blob))

    @classmethod
    def load(cls, path: str | Path) -> Image:
        """Read and check an image. Raises `UserError` for anything that is not a whole and sound one."""
        path = Path(path)
        if not path.exists():
            raise UserError(f"{path}: no such file; expected a .liquid image")
        if path.is_dir():
            raise UserError(f"{path}: is a folder; expected a .liquid image")
        try:
            with path.open("rb") as file:
                blob = file.read(FILE_MAX + 1)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); expected a .liquid image") from None
        return cls.from_bytes(blob, str(path))

    @classmethod
    def from_bytes(cls, blob: bytes, name: str = "image") -> Image:
        """The image in the bytes of a file; `name` stands for it in messages.

        Raises `UserError` for anything that is not byte for byte what a compiler writes: a file that was damaged, and
        one that was made to do harm and signed again. Memory: some 30 times the bytes, FILE_MAX of them at most.
        """
        if blob[: len(MAGIC)] != MAGIC:
            raise UserError(f"{name}: not a .liquid image; expected a file made by `liquid compile`")
        if len(blob) > FILE_MAX:
            raise UserError(f"{name}: the file is larger than any image; expected at most {FILE_MAX} bytes")
        whole, digest = memoryview(blob)[:-_DIGEST], blob[-_DIGEST:]
        if len(blob) < _HEAD.size + _DIGEST or hashlib.sha256(whole).digest() != digest:
            raise UserError(f"{name}: the image is damaged or truncated, its SHA-256 differs; expected a whole file")
        _, version, length = _HEAD.unpack_from(whole)
        if version != IMAGE_FORMAT:
            raise UserError(f"{name}: image format is {version}; expected {IMAGE_FORMAT}, compile the model again")
        body = whole[_HEAD.size :]
        if length > min(len(body), DESCRIPTION_MAX):
            raise UserError(f"{name}: its description has {length} bytes; expected at most {DESCRIPTION_MAX}")
        from liquid_accel import image_check

        try:
            image = _decode(image_fields.parse(bytes(body[:length])), body[length:], name)
            image_check.check(image)
        except ValueError as error:
            raise UserError(f"{name}: the image is not sound: {' '.join(str(error).split())}") from None
        if image.to_bytes() != blob:
            raise UserError(f"{name}: the image is not as `liquid compile` writes it; expected its very bytes")
        return image


def join_words(words: list[int]) -> int:
    """A row of a memory from its 16-bit words, low word first."""
    return sum(word << 16 * index for index, word in enumerate(words))


def _plain(value: Any) -> Any:
    """JSON's types for a field of an image."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Format | Bound | Region | TensorPlace | CycleModel):
        return asdict(value)
    return value


def _decode(description: object, body: memoryview, name: str) -> Image:
    """Fields of the right types, sections within their memories; what they mean is not looked at. Raises ValueError."""
    if not isinstance(description, dict):
        raise image_fields.Unsound(f"the description is {image_fields.show(description)}; expected an object")
    version = description.get("isa_version")
    if version != isa.ISA_VERSION:
        version = image_fields.show(version)
        raise UserError(f"{name}: instruction set is {version}; expected {isa.ISA_VERSION}, compile the model again")
    values = image_fields.record(description, Image, "the description", without=("sections",))
    sections: dict[Space, Words] = {}
    listed = description.get("sections")
    for item in listed if isinstance(listed, list) else ():
        label, size = item if isinstance(item, list) and len(item) == 2 else (None, None)
        space = Space.__members__.get(label) if isinstance(label, str) else None
        if space is None or space in sections or type(size) is not int or not 0 <= 2 * size <= len(body):
            raise image_fields.Unsound(f"sections has {image_fields.show(item)}; expected memories and their words")
        words = np.frombuffer(body[: 2 * size], "<u2").astype(np.uint16)
        words.flags.writeable = False
        sections[space], body = words, body[2 * size :]
    if list(sections) != list(Space):
        raise image_fields.Unsound(f"sections has {len(sections)} memories; expected all {len(Space)} in order")
    if len(body):
        raise image_fields.Unsound(f"{len(body)} bytes belong to no section; expected none")
    return Image(sections=sections, **values)
