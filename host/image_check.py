# SPDX-License-Identifier: BSD-2-Clause
"""Whether the parts of an image fit each other: description, memories and program."""

from __future__ import annotations

import numpy as np

from liquid_accel import image_program
from liquid_accel.image import Image, TensorPlace, Words, join_words, row_words, space_rows
from liquid_accel.image_fields import Unsound, show
from liquid_accel.rtl import isa
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.formats import SLOPE_LIMIT, TICK_BITS, TIME_WIDTH, WORD
from liquid_accel.rtl.isa import Instruction, Space

TASKS = ("classification", "regression")
HIDDEN = ("KEPT", "OPERANDS")  # memories that a description names and the host does not see
# Elements of all tensors that the weights stand for: twice those that the largest weight memory holds.
ELEMENTS_MAX = 1 << 20
EXPONENT_MAX = 64  # of a power of two between numbers and words
BUDGET_MAX = (1 << 8) - 1
_ISSUE_BITS = {
    op: sum(bits for _, bits in (isa.CONTROL_FIELDS if op == isa.Op.CONTROL else isa.MAC_FIELDS)) for op in isa.Op
}


def check(image: Image) -> None:
    """Raise `Unsound` where an image is not one that a compiler makes. Every check comes before any use of it."""
    _check_sections(image)
    _check_description(image)
    for place in image.tensors:
        _check_tensor(image, place)
    elements = {place.name: int(np.prod(place.shape, dtype=object)) for place in image.tensors}
    if sum(elements.values()) > ELEMENTS_MAX or len({(p.name, p.shape) for p in image.tensors}) != len(elements):
        raise Unsound(f"tensors have {sum(elements.values())} elements or differ in shape; expected one shape each and "
                      f"at most {ELEMENTS_MAX} in all")  # fmt: skip
    program = decode(image)
    if len(program) != len(image.comments):
        raise Unsound(f"comments has {len(image.comments)} entries; expected {len(program)}, one an instruction")
    weights, tables = (_rows(image, space) for space in (Space.WEIGHT, Space.TABLE))
    shape = image_program.Shape(
        image.config, image.inputs, image.output_words, image.state_words, weights, tables
    )
    image_program.check(program, shape)


# ---- Memories


def _rows(image: Image, space: Space) -> int:
    return image.sections[space].size // row_words(image.config, space)


def _check_sections(image: Image) -> None:
    """Whole rows, within the memory; padding that the machine reads as 0; tables that the function unit can follow."""
    for space, words in image.sections.items():
        width, rows = row_words(image.config, space), space_rows(image.config, space)
        if words.size % width or words.size > rows * width:
            raise Unsound(f"section {space.name} has {words.size} words; expected rows of {width}, at most {rows}")
    for space, bits in ((Space.ISSUE, isa.ISSUE_BITS), (Space.FINISH, isa.FINISH_HALF_BITS)):
        padding = image.sections[space].reshape(-1, row_words(image.config, space))[:, bits // 16 :]
        if padding.any():
            raise Unsound(f"section {space.name} has words where the memory has none; expected 0 there")
    entries = image.sections[Space.TABLE].view(np.int16).astype(np.int64)
    tables = entries.reshape(-1, row_words(image.config, Space.TABLE))
    if (np.abs(np.diff(tables, axis=1)) >= SLOPE_LIMIT).any():
        raise Unsound(f"section TABLE has a step of {SLOPE_LIMIT} or more between two entries")


def decode(image: Image) -> list[Instruction]:
    """The instructions; `Unsound` for one that does not exist, or has bits that mean nothing."""
    issue = image.sections[Space.ISSUE].reshape(-1, row_words(image.config, Space.ISSUE)).tolist()
    halves = image.sections[Space.FINISH].reshape(-1, row_words(image.config, Space.FINISH)).tolist()
    if not issue or len(halves) != len(issue) + len(issue) % 2:
        raise Unsound(f"section FINISH has {len(halves)} rows; expected two for every two of {len(issue)} instructions")
    program: list[Instruction] = []
    for pc, row in enumerate(issue):
        word = join_words(row)
        low, high = (join_words(half) for half in halves[pc & ~1 :][:2])
        try:
            found = Instruction.decode(word, low | high << isa.FINISH_HALF_BITS)
        except ValueError as error:
            raise Unsound(f"instruction {pc} does not exist: {show(str(error))}") from None
        if word >> _ISSUE_BITS[found.op]:
            raise Unsound(f"instruction {pc} has bits set that no field has; expected 0 there")
        program.append(found)
    for pc in range(0, len(program), 2):
        words = {i.encode()[1] for i in program[pc : pc + 2] if i.op != isa.Op.CONTROL and i.last} or {0}
        low, high = (join_words(half) for half in halves[pc : pc + 2])
        if words != {low | high << isa.FINISH_HALF_BITS}:
            raise Unsound(f"instructions {pc} and {pc + 1} have a finish word with bits that no field has")
    return program


# ---- Description


def _check_description(image: Image) -> None:
    lanes = image.config.lanes

    def expect(name: str, sound: bool, expected: str) -> None:
        if not sound:
            raise Unsound(f"{name} is {show(getattr(image, name))}; expected {expected}")

    expect("inputs", image.inputs >= 1, "1 or more")
    for name, words in (("outputs", image.output_words), ("state_size", image.state_words)):
        size = getattr(image, name)
        expect(name, 1 <= size <= words, f"1 to {words}, the words of the vector")
        if words % lanes or words & isa.MARK_MASK:
            raise Unsound(f"{name} are padded to {words} words; expected a multiple of {lanes} below {isa.MARK_STEP}")
    for name in ("input_mean", "input_scale"):
        expect(name, len(getattr(image, name)) == image.inputs, f"{image.inputs} numbers, one an input")
    expect("input_scale", min(image.input_scale) > 0, "numbers > 0")
    for name in ("input_frac_bits", "output_frac_bits", "state_frac_bits"):
        expect(name, abs(getattr(image, name)) <= EXPONENT_MAX, f"-{EXPONENT_MAX} to {EXPONENT_MAX}")
    expect("time_unit_s", image.time_unit_s is None or image.time_unit_s > 0, "seconds > 0, or null for frames")
    expect("machine_unit", image.machine_unit > 0, "a number > 0")
    longest = 2.0 ** (TIME_WIDTH - TICK_BITS) * image.machine_unit
    expect("max_dt", 0 < image.max_dt <= longest, f"more than 0 and at most {longest:g}, which {TIME_WIDTH} bits hold")
    for name in ("default_dt", "steps", "rtol", "atol", "frame_macs", "rhs_macs"):
        expect(name, getattr(image, name) >= 0, "0 or more")
    expect("budget", 0 <= image.budget <= BUDGET_MAX, f"0 to {BUDGET_MAX}")
    expect("delta_thresholds", all(value >= 0 for value in image.delta_thresholds.values()), "numbers >= 0")
    expect("weight_bits", 1 <= image.weight_bits <= image.config.weight_bits, f"1 to {image.config.weight_bits}")
    expect("task", image.task in TASKS, f"one of {', '.join(TASKS)}")
    log_dt, most = image.regular_log_dt, 1 << WORD - 1
    expect("regular_log_dt", log_dt is None or -most <= log_dt < most, f"null or a word of {WORD} bits")
    for region in image.memory_map:
        rows = _depth(image.config, region.space)
        if region.start < 0 or region.rows < 0 or region.start + region.rows > rows:
            raise Unsound(f"memory_map has {show(region.name)} in {region.rows} rows from {region.start} of "
                          f"{region.space}; expected rows within its {rows}")  # fmt: skip


def _depth(config: LiquidConfig, space: str) -> int:
    if space in HIDDEN:
        return config.rows("K")
    if space not in Space.__members__:
        raise Unsound(f"memory_map names memory {show(space)}; expected one of {', '.join(Space.__members__)}")
    return space_rows(config, Space[space])


def _check_tensor(image: Image, place: TensorPlace) -> None:
    """Raise `Unsound` unless the place lies within its memory's section, and within the tensor."""

    def fail(expected: str) -> None:
        raise Unsound(f"tensors has {show(place.name)} at {place.space} {place.start}; expected {expected}")

    part, words = place.part or place.shape, _section(image, place.space)
    dimensions = 2 if place.space == Space.WEIGHT.name else 1
    numbers = (place.start, place.columns, place.row, place.column, place.offset, *place.shape, *part)
    if min(numbers) < 0 or abs(place.shift) > EXPONENT_MAX:
        fail(f"places >= 0 and a shift of at most {EXPONENT_MAX}")
    if len(place.shape) != dimensions or len(part) != dimensions:
        fail(f"shapes of {dimensions} dimensions there")
    first = (place.row, place.column)[:dimensions]
    if any(at + size > whole for at, size, whole in zip(first, part, place.shape, strict=True)):
        fail("the part to lie within the tensor")
    lanes = image.config.lanes
    if dimensions == 1:
        if place.start * lanes + part[0] > words.size:
            fail("a place within the image's words")
        return
    rows = -(-part[0] // lanes) * (place.columns + 1)
    if place.start + rows > _rows(image, Space.WEIGHT) or place.offset + part[1] > place.columns:
        fail("a place within the image's weights")


def _section(image: Image, space: str) -> Words:
    if space not in (Space.WEIGHT.name, Space.A.name, Space.B.name):
        raise Unsound(f"tensors name memory {show(space)}; expected WEIGHT, A or B")
    return image.sections[Space[space]]
