# SPDX-License-Identifier: BSD-2-Clause
"""Programs that an image may not hold, each one change away from a sound one, all with a right checksum."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from images import joined, split, with_section, with_sections, with_text
from toys import toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver import frames
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl import registers
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import Cond, Control, Finish, Instruction, Keep, Op, Space
from liquid_accel.sim.golden import GoldenError, GoldenTransport
from liquid_accel.sim.golden.memory import assemble

Program = list[Instruction]
Change = Callable[[Program], object]
SMALL: dict[str, Any] = {"size": 4, "before": (), "features": 6}


@pytest.fixture(scope="module")
def fixed() -> Image:
    """Fixed steps, on a machine without kept sums."""
    config = preset("test", kept_elements=0)
    return compile(toy_model(**SMALL), calibration=toy_data(features=6), options=CompileOptions(steps=2), config=config)


@pytest.fixture(scope="module")
def adaptive() -> Image:
    options = CompileOptions(solver="etd21", budget=6)
    return compile(toy_model(**SMALL), calibration=toy_data(features=6), options=options, config=preset("test"))


def at(program: Program, control: Control, number: int = 0) -> int:
    """Where the number-th such control instruction is."""
    return [pc for pc, i in enumerate(program) if i.op == Op.CONTROL and i.control == control][number]


def row(program: Program, **fields: int) -> int:
    """Where the first finished row with such fields of its finish word is."""
    return next(pc for pc, i in enumerate(program) if i.op != Op.CONTROL and i.last
                and all(getattr(i.finish, name) == value for name, value in fields.items()))  # fmt: skip


def dot(program: Program) -> int:
    return next(pc for pc, i in enumerate(program) if i.op == Op.DOT)


def edit(program: Program, pc: int, finish: dict[str, Any] | None = None, **fields: Any) -> None:
    i = program[pc]
    program[pc] = replace(i, **fields, **({"finish": replace(i.finish, **finish)} if finish else {}))


def put(program: Program, pc: int, *new: Instruction) -> None:
    """Instructions before pc; jumps go where they went."""
    for k, i in enumerate(program):
        if i.op == Op.CONTROL and i.control == Control.JUMP and i.target >= pc:
            program[k] = replace(i, target=i.target + len(new))
    program[pc:pc] = new


def with_program(image: Image, program: Program) -> bytes:
    """The file with another program, and as many comments. Pairs that would clash in their finish words are kept apart
    by the caller."""
    description, body = split(image.to_bytes())
    parts: dict[str, bytes] = {}
    for label, words in description["sections"]:
        parts[label], body = body[: 2 * words], body[2 * words :]
    for space, found in assemble(program).items():
        parts[space.name] = found.astype("<u2").tobytes()
    return with_sections(description | {"comments": [""] * len(program)}, parts)


def refuse(image: Image, change: Change, message: str) -> None:
    program = image.program()
    Image.from_bytes(with_program(image, program))
    change(program)
    with pytest.raises(UserError, match=rf"^a\.liquid: the image is not sound: .*{message}"):
        Image.from_bytes(with_program(image, program), "a.liquid")


def jump(target: int, cond: Cond = Cond.ALWAYS) -> Instruction:
    return Instruction(control=Control.JUMP, target=target, cond=cond)


NOP = Instruction(control=Control.NOP)
# What the golden model refuses that depends on data.
NUMBERS = ("accumulator leaves", "entries were taken", "an entry has column", "a list reaches words of the")

ANY: dict[str, tuple[Change, str]] = {
    "no frame": (lambda p: edit(p, 0, control=Control.NOP), "instruction 0 is no FRAME"),
    "another frame": (lambda p: edit(p, len(p) - 1, control=Control.FRAME), "is a FRAME; expected the only one"),
    "longer frames": (lambda p: edit(p, 0, imm=p[0].imm + 1), "takes frames of 12 words; expected 11"),
    "headless frames": (lambda p: edit(p, 0, imm=4), "takes frames of 4 words"),
    "much room": (lambda p: edit(p, 0, target=33), "expected at most half of fifo_words"),
    "little room": (lambda p: edit(p, 0, target=3), "where room for"),
    "no room for the state": (lambda p: edit(p, at(p, Control.ROOM), target=0), "where room for 0 was"),
    "a room that never is": (lambda p: edit(p, at(p, Control.ROOM), target=64), "waits for more room"),
    "room before the output": (
        lambda p: put(p, 2, Instruction(control=Control.ROOM, target=1)), "waits for room before"),
    "a jump out": (lambda p: edit(p, 1, target=len(p)), "leads to instruction"),
    "a jump to unwritten memory": (lambda p: edit(p, 1, target=255), "leads to instruction 255"),
    "a jump into a loop": (lambda p: edit(p, 1, target=at(p, Control.LOOP) + 1), "into a loop"),
    "no jump at the end": (lambda p: edit(p, len(p) - 1, control=Control.NOP), "leads to instruction"),
    "a jump to itself": (lambda p: edit(p, len(p) - 1, target=len(p) - 1), "without end"),
    "a way back": (
        lambda p: put(p, at(p, Control.EMIT), jump(2, Cond.LOG_DT)), "without end|is reached with|after the lag"),
    "a loop of no rows": (lambda p: edit(p, at(p, Control.LOOP), imm=0), "loop of no rows"),
    "a loop in a loop": (
        lambda p: put(p, at(p, Control.LOOP), Instruction(control=Control.LOOP, imm=2)), "LOOP in the loop of"),
    "a loop without end": (lambda p: [edit(p, k, loop_end=0) for k in range(len(p))], "in the loop of|does not end"),
    "an end without loop": (lambda p: put(p, 2, replace(NOP, loop_end=1)), "ends a loop; expected one"),
    "inputs left": (lambda p: edit(p, at(p, Control.LOOP), imm=1), "4 of 6 inputs taken"),
    "no trailer": (lambda p: edit(p, at(p, Control.DONE), control=Control.NOP), "waits for room in the output vector"),
    "two trailers": (lambda p: put(p, at(p, Control.DONE), Instruction(control=Control.DONE)), "trailer after"),
    "no output": (lambda p: edit(p, at(p, Control.EMIT), control=Control.NOP), "before the output vector"),
    "another mark": (lambda p: edit(p, at(p, Control.EMIT), imm=0xB008), "mark 0xb008 before the output vector"),
    "no mark": (lambda p: edit(p, at(p, Control.EMIT), imm=7), "mark 0x0007"),
    "too many words": (lambda p: edit(p, at(p, Control.EMIT) + 1, imm=2), "pushes 8 words in the output vector"),
    "too few words": (lambda p: edit(p, row(p, out=1), {"out": 0}), "0 words pushed"),
    "words before the output": (lambda p: edit(p, row(p, source=1), {"out": 1}), "words before the output vector"),
    "states unasked": (
        lambda p: edit(p, at(p, Control.JUMP, -3), control=Control.NOP), "mark 0xb004 after the trailer"),
    "states withheld": (lambda p: edit(p, at(p, Control.EMIT, 1), control=Control.NOP), "after the trailer"),
    "states to all": (
        lambda p: edit(p, at(p, Control.JUMP, -3), cond=Cond.TRACE), "mark 0xb004|ends after the trailer"),
    "columns of a term": (lambda p: edit(p, next(k for k, i in enumerate(p) if i.op == Op.TERM), cols=2), "2 columns"),
    "columns of an input": (lambda p: edit(p, row(p, source=1), cols=3), "3 columns"),
    "weights past the end": (lambda p: edit(p, dot(p), w=1000), "weights up"),
    "many weights": (lambda p: edit(p, dot(p) - 1, imm=255), "weights up"),
    "weights from nowhere": (lambda p: edit(p, dot(p), w_load=0), "nowhere in particular"),
    "a table that is not there": (
        lambda p: edit(p, next(k for k, i in enumerate(p) if i.op != Op.CONTROL and i.finish.mode), {"table": 7}),
        "uses table 7"),
    "the controller's words": (lambda p: edit(p, row(p, source=1), {"e_mask": 8, "e": 62}), "the step controller's"),
    "a step judged in the output": (
        lambda p: put(p, at(p, Control.DONE), Instruction(control=Control.DECIDE)), "DECIDE in the output vector"),
    "a late lag": (lambda p: put(p, at(p, Control.DONE), Instruction(control=Control.LAG)), "LAG in the output vector"),
}  # fmt: skip

FIXED: dict[str, tuple[Change, str]] = {
    "a step unplanned": (lambda p: put(p, 2, Instruction(control=Control.PLAN)), "plans a step, perhaps with no time"),
    "lists": (lambda p: put(p, 2, Instruction(control=Control.TAKE)), "uses lists"),
    "kept sums": (lambda p: edit(p, row(p, source=1), {"keep": Keep.SET}), "keeps sums"),
    "sparse": (lambda p: put(p, 2, Instruction(op=Op.SPARSE, last=1, finish=Finish())), "keeps sums"),
}
ADAPTIVE: dict[str, tuple[Change, str]] = {
    "steps without end": (
        lambda p: [edit(p, at(p, Control.DECIDE) + 2, cond=Cond.ALWAYS),
                   edit(p, at(p, Control.DECIDE), control=Control.NOP)], "without end"),
    "tries without end": (
        lambda p: edit(p, at(p, Control.DECIDE) + 2, cond=Cond.ALWAYS, target=at(p, Control.DECIDE) + 2),
        "without end"),
    "two lags": (lambda p: put(p, at(p, Control.LAG), Instruction(control=Control.LAG)), "LAG after the lag"),
    "a step with no time left": (
        lambda p: edit(p, at(p, Control.DECIDE) + 1, cond=Cond.TIME_LEFT), "plans a step, perhaps with no time"),
}


@pytest.mark.parametrize("case", ANY)
def test_a_program_that_breaks_a_rule_is_refused(fixed: Image, adaptive: Image, case: str) -> None:
    for image in (fixed, adaptive):
        refuse(image, *ANY[case])


@pytest.mark.parametrize("case", FIXED)
def test_a_program_for_a_machine_without_kept_sums(fixed: Image, case: str) -> None:
    refuse(fixed, *FIXED[case])


@pytest.mark.parametrize("case", ADAPTIVE)
def test_a_program_of_adaptive_steps(adaptive: Image, case: str) -> None:
    refuse(adaptive, *ADAPTIVE[case])


def test_what_is_not_an_instruction_is_refused(fixed: Image) -> None:
    def set_word(index: int, value: int) -> Callable[[bytearray], object]:
        return lambda words: words.__setitem__(slice(2 * index, 2 * index + 2), value.to_bytes(2, "little"))

    product = dot(fixed.program())
    blob = fixed.to_bytes()
    for section, change, message in (
        ("ISSUE", set_word(4, 7), "instruction 1 does not exist"),
        ("ISSUE", set_word(4, 31 << 10), "instruction 1 does not exist"),
        ("ISSUE", set_word(4 * product + 2, 1 << 15), f"instruction {product} has bits set that no field has"),
        ("ISSUE", set_word(3, 1), "section ISSUE has words where the memory has none"),
        ("FINISH", set_word(3, 1), "section FINISH has words where the memory has none"),
        ("FINISH", set_word(1, 1), "have a finish word with bits that no field has|instruction"),
        ("FINISH", lambda words: words.extend(bytes(8)), "section FINISH has"),
        ("ISSUE", lambda words: words.clear(), "section FINISH has"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=message):
            Image.from_bytes(with_section(blob, section, change))


@pytest.mark.parametrize("name", ["fixed", "adaptive"])
def test_a_program_that_is_taken_comes_to_the_end_of_its_frames(name: str, request: pytest.FixtureRequest) -> None:
    """Bits of the program flipped at random: what the loader lets through runs, and answers each frame in step. What
    numbers it computes, and whether a sum leaves its 32 bits, the loader cannot know."""
    image: Image = request.getfixturevalue(name)
    draw = np.random.default_rng(5)
    taken = 0
    for _ in range(250):
        section = str(draw.choice(["ISSUE", "FINISH"]))
        bit = int(draw.integers(16 * image.sections[Space[section]].size))
        try:
            other = Image.from_bytes(with_section(image.to_bytes(), section, flipped(bit)))
        except UserError:
            continue
        taken += 1
        run(other)
    assert taken > 40, "most flips are of numbers that mean nothing to the loader"


def flipped(bit: int) -> Callable[[bytearray], object]:
    return lambda words: words.__setitem__(bit // 8, words[bit // 8] ^ 1 << bit % 8)


def run(image: Image) -> None:
    """Three frames on the golden model, which may only complain about numbers."""
    x, dt = np.zeros((3, image.inputs)), np.array([1.0, 0.0, 1.5])
    words = [frames.encode(image, x[k : k + 1], dt[k : k + 1], np.array([k + 1]), trace=k == 2).words for k in range(3)]
    wire = GoldenTransport(image.config, sequential=True)
    for space, section in image.sections.items():
        wire.write(registers.address("MEM_SPACE"), [int(space)])
        wire.write(registers.address("MEM_ADDRESS"), [0])
        wire.write(registers.address("MEM_DATA"), section)
    wire.write(registers.address("CONTROL"), [registers.mask("CONTROL", "RUN")])
    try:
        for frame in words:
            wire.write(registers.address("IN_DATA"), frame.reshape(-1))
            level = int(wire.read(registers.address("OUT_LEVEL"), 1)[0])
            assert level >= 1 + image.output_words
            wire.read(registers.address("OUT_DATA"), level)
        assert wire.read(registers.address("STATUS"), 1)[0] == registers.mask("STATUS", "IDLE")
    except GoldenError as error:
        assert any(text in str(error) for text in NUMBERS), error


def test_a_right_checksum_is_no_excuse_for_other_bytes(fixed: Image) -> None:
    description, body = split(fixed.to_bytes())
    assert Image.from_bytes(joined(description, body)) == fixed
    with pytest.raises(UserError, match="not as `liquid compile` writes it"):
        Image.from_bytes(with_text(json.dumps(description).encode(), body))
