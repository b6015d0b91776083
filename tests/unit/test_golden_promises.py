# SPDX-License-Identifier: BSD-2-Clause
"""What the golden machine refuses: programs that break what docs/isa.md asks of the compiler."""

from collections.abc import Sequence
from typing import Any

import pytest
from golden_programs import (
    Array,
    N,
    control,
    done,
    frame,
    header,
    machine,
    row,
    run,
)

from liquid_accel.rtl.isa import (
    CONTROL_FIELDS,
    FINISH_FIELDS_LOW,
    MAC_FIELDS,
    Control,
    Finish,
    Instruction,
    Mode,
    Op,
    Space,
    pack,
)
from liquid_accel.sim.golden import GoldenError, IllegalInstruction


def broken(*program: Instruction, match: str, frames: Sequence[Array] = (), **memory: Any) -> None:
    m = machine([*program, *done()])
    m.load(Space.VECTOR, 60 * N, [-32768] * N)
    for space, image in memory.items():
        m.load(Space[space], 0, image)
    with pytest.raises(GoldenError, match=match):
        run(m, *(frames or [header()]))


def test_an_accumulator_that_would_wrap_is_an_error() -> None:
    term = Instruction(op=Op.TERM, x=60, w=0)
    broken(frame(), term, row(Finish()), match="pc 2.*32 bits", S=[-32768])


def test_promises_of_the_compiler_are_checked() -> None:
    loop = control(Control.LOOP, imm=2)
    broken(frame(), control(Control.PLAN), match="no time left")
    broken(frame(), loop, loop, match="within a loop")
    broken(frame(), control(Control.LOOP, imm=256), match="no rows")
    broken(frame(3), match="left 3 of its inputs", frames=[header(inputs=[1, 2, 3])])
    broken(frame(), Instruction(op=Op.TERM, cols=2), match="cols is 2, 1 was expected")
    broken(frame(), Instruction(op=Op.IN, cols=1), match="cols is 1, 4 was expected")
    broken(frame(), row(Finish(mode=Mode.ODD)), match="step of 1024", TABLE=[0, 1024])
    broken(frame(), control(Control.JUMP, loop_end=1), match="loop_end on JUMP")
    broken(control(Control.NOP), match="a FRAME")


def test_a_program_without_an_end_is_an_error() -> None:
    m = machine([frame(), control(Control.JUMP, target=1)], limit=1000)
    with pytest.raises(GoldenError, match="frame does not come to an end"):
        run(m, header())


@pytest.mark.parametrize(
    ("issue", "finish", "field"),
    [
        ({"op": 4}, {}, "op"),
        ({"control": 10}, {}, "control"),
        ({"cond": 7}, {}, "cond"),
        ({"op": 2, "last": 1}, {"a_sel": 3}, "a_sel"),
        ({"op": 2, "last": 1}, {"mode": 6}, "mode"),
    ],
)
def test_an_instruction_that_does_not_exist_names_its_place(
    issue: dict[str, int], finish: dict[str, int], field: str
) -> None:
    words = pack(MAC_FIELDS if "last" in issue else CONTROL_FIELDS, issue), pack(FINISH_FIELDS_LOW, finish)
    m = machine([frame(), control(Control.EMIT, imm=77)])
    for space, word, width in ((Space.ISSUE, words[0], 4), (Space.FINISH, words[1], 8)):
        m.load(space, 2 * width, [word >> 16 * k & 0xFFFF for k in range(width)])
    with pytest.raises(IllegalInstruction, match=f"pc 2, field {field}"):
        run(m, header())
    assert [w.tolist() for w in m.outputs()[0]] == [[77]]
