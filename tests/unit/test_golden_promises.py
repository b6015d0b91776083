# SPDX-License-Identifier: BSD-2-Clause
"""What the golden machine refuses: programs that break what docs/isa.md asks of the compiler."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from golden_programs import (
    CONFIG,
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
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    FINISH_HALF_BITS,
    MAC_FIELDS,
    Cond,
    Control,
    Finish,
    Instruction,
    Keep,
    Mode,
    Norm,
    Op,
    Space,
    Track,
    pack,
)
from liquid_accel.sim.golden import GoldenError, GoldenMachine, IllegalInstruction


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
    for kind in set(Control) - {Control.NOP, Control.SWAP, Control.EMIT, Control.FRAME}:
        broken(frame(), control(kind, loop_end=1), match=f"loop_end on {kind.name}")
    broken(control(Control.NOP), match="a FRAME")


def test_a_program_without_an_end_is_an_error() -> None:
    m = machine([frame(), control(Control.JUMP, target=1)], limit=1000)
    with pytest.raises(GoldenError, match="frame does not come to an end"):
        run(m, header())


@pytest.mark.parametrize(
    ("issue", "finish", "field"),
    [
        ({"op": 5}, {}, "op"),
        ({"control": max(Control) + 1}, {}, "control"),
        ({"cond": max(Cond) + 1}, {}, "cond"),
        ({"op": 2, "last": 1}, {"mode": 6}, "mode"),
        ({"op": 2, "last": 1}, {"track": 3}, "track"),
    ],
)
def test_an_instruction_that_does_not_exist_names_its_place(
    issue: dict[str, int], finish: dict[str, int], field: str
) -> None:
    words = (
        pack(MAC_FIELDS if "last" in issue else CONTROL_FIELDS, issue),
        pack(FINISH_FIELDS_LOW, finish) | pack(FINISH_FIELDS_HIGH, finish) << FINISH_HALF_BITS,
    )
    m = machine([frame(), control(Control.EMIT, imm=77)])
    m.load(Space.ISSUE, 2 * 4, [words[0] >> 16 * k & 0xFFFF for k in range(3)])
    for half in range(2):
        m.load(Space.FINISH, (2 + half) * 4, [words[1] >> 16 * k + 48 * half & 0xFFFF for k in range(3)])
    with pytest.raises(IllegalInstruction, match=f"pc 2, field {field}"):
        run(m, header())
    assert [w.tolist() for w in m.outputs()[0]] == [[77]]


def test_a_pair_of_instructions_has_one_finish_word() -> None:
    same, other = row(Finish(v=20, v_en=1)), row(Finish(v=21, v_en=1))
    with pytest.raises(GoldenError, match="pc 2 and 3: they share"):
        machine([frame(), control(Control.NOP), same, other])
    m = machine([frame(), same, other, row(other.finish, w=1), *done()])
    assert m.shared.instruction(1) == same
    assert m.shared.instruction(2) == other
    # That of a pair's only `last`, or of both, is in both rows.
    assert m.dump(Space.FINISH, 4, 3).tolist() != [0, 0, 0]
    assert m.shared.instruction(3).finish == other.finish


def tracked(inputs: Sequence[int], **fields: int) -> list[Instruction]:
    """A row of the frame's inputs, tracked by list 1."""
    take = Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, track=Track.MOVED, **fields))
    return [frame(len(inputs)), control(Control.TRACK, list=1, target=1), *[take] * (len(inputs) // N)]


def test_promises_about_lists_are_checked() -> None:
    inputs = [1, 2, 3, 4]
    sparse = Instruction(op=Op.SPARSE, cols=8, w=0, w_load=1, last=1)
    take, frames = control(Control.TAKE, list=1), [header(inputs=inputs)]
    broken(*tracked(inputs), take, replace(sparse, cols=7), match="pc 4: an entry has column 7 of 7", frames=frames)
    broken(*tracked(inputs), take, replace(sparse, cols=3), match="pc 4: 4 entries were taken for 3", frames=frames)
    at = tracked(inputs)
    broken(at[0], control(Control.LIST, list=1, imm=231), *at[1:], match="step controller", frames=frames)
    again = [v for k in range(64) for v in (1 + k % 2, 2, 3, 4)]
    flips = [header(inputs=[v if k % 8 < 4 else -v for k, v in enumerate(again[:236])])]
    ends = [control(Control.LIST, list=1, imm=0), *tracked(again[:236])[1:]]
    broken(frame(236), *ends, match="step controller", frames=flips)


def test_a_machine_that_keeps_no_sums_has_none_of_their_instructions() -> None:
    bare = replace(CONFIG, kept_elements=0)

    def run_on_bare(*program: Instruction) -> GoldenMachine:
        m = GoldenMachine(bare)
        m.load_program([frame(), *program, *done()])
        m.run([np.array([header()])])
        return m

    for kind in (Control.TAKE, Control.LIST, Control.TRACK):
        with pytest.raises(IllegalInstruction, match="pc 1, field control"):
            run_on_bare(control(kind))
    with pytest.raises(IllegalInstruction, match="pc 1, field op"):
        run_on_bare(Instruction(op=Op.SPARSE))
    for finish in (Finish(keep=Keep.SET), Finish(track=Track.SET)):
        with pytest.raises(GoldenError, match="pc 1: keep and track"):
            run_on_bare(row(finish))
    assert run_on_bare(row(Finish(norm=Norm.OUT)), control(Control.JUDGE)).fan_out(3).batch == 3
