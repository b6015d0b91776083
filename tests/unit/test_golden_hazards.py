# SPDX-License-Identifier: BSD-2-Clause
"""Distances that the golden machine checks: what comes a cycle too early is found."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from golden_programs import (
    CONFIG,
    DRAIN,
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
    E_A,
    E_B,
    E_C,
    E_S,
    AddSource,
    Control,
    Factor,
    Finish,
    Instruction,
    Norm,
    Op,
    Space,
    Timing,
    Track,
)
from liquid_accel.sim.golden import GoldenError, GoldenMachine


def hazard(*program: Instruction, match: str | None, frames: Sequence[Array] = ()) -> None:
    m = machine([frame(), *program, *done()], check_hazards=True)
    m.load(Space.VECTOR, 60 * N, [1, 2, 3, 4])
    if match is None:
        run(m, *(frames or [header(dt=100)]))
    else:
        with pytest.raises(GoldenError, match=match):
            run(m, *(frames or [header(dt=100)]))


def nop(cycles: int) -> Instruction:
    return control(Control.NOP, stall=cycles - 1)


TO_V, TO_A = Finish(v=20, v_en=1), Finish(e=3, e_mask=E_A)
MOVED = Finish(track=Track.MOVED)
# The snapshot is a slot after a term, and the last lane is written N - 1 cycles after the first.
GAP = Timing.SNAPSHOT_TO_STAGE0 + Timing.WRITE + N - 1


@pytest.mark.parametrize(
    ("writer", "reader", "gap"),
    [
        (row(TO_V), row(Finish(), x=20), GAP),
        (row(TO_V), Instruction(op=Op.DOT, x=20, cols=4, last=1), GAP),
        # The second row is read N slots later.
        (row(TO_V), Instruction(op=Op.DOT, x=19, cols=8, last=1), GAP - N),
        (row(Finish(e=3, e_mask=E_S)), row(Finish(), w=3 * N + 1), GAP - 2),
        # Written at stage 18, read at stages 1, 10 and 11 of a row whose snapshot is 2 slots after the gap.
        (row(TO_A), row(Finish(a=3, a_sel=AddSource.MEMORY)), 18 - 1 - 1),
        (row(Finish(e=3, e_mask=E_B)), row(Finish(b=3, sub=1)), 18 - 10 - 1),
        (row(Finish(e=3, e_mask=E_C)), row(Finish(c=3, c_sel=Factor.MEMORY, c_shift=31)), 18 - 11 - 1),
        (row(TO_V), control(Control.PLAN), GAP),
        (row(TO_V), control(Control.DECIDE), GAP),
        (row(Finish(norm=Norm.OUT)), control(Control.DECIDE), GAP + Timing.NORM),
        (row(Finish(out=1)), control(Control.EMIT), GAP + 1),
        (row(Finish(out=1)), control(Control.DONE), GAP),
        (row(Finish(out=1)), control(Control.ROOM), GAP + 1),
        (row(TO_V), control(Control.JUDGE), GAP),
        (row(Finish(norm=Norm.OUT)), control(Control.JUDGE), GAP + Timing.NORM),
        (row(Finish(norm=Norm.CHANGE)), control(Control.LAG), GAP + Timing.NORM),
        (row(Finish(out=1)), control(Control.LAG), GAP + 1),
        (row(MOVED), control(Control.TAKE), GAP + Timing.TRACK),
        (row(MOVED), control(Control.LIST), GAP + Timing.TRACK),
        (row(MOVED), control(Control.TRACK), GAP + Timing.TRACK),
        (row(MOVED), control(Control.DONE), GAP + Timing.TRACK),
    ],
)
def test_what_comes_a_cycle_too_early_is_found(writer: Instruction, reader: Instruction, gap: int) -> None:
    hazard(writer, nop(gap), reader, match=None)
    hazard(writer, nop(gap - 1), reader, match="hazard at pc 3")


def test_snapshots_are_a_row_apart() -> None:
    hazard(row(TO_V), row(TO_A, stall=N - 2), match=None)
    hazard(row(TO_V), row(TO_A, stall=N - 3), match=f"snapshot is {N - 1} slots")
    scaled = Instruction(op=Op.DOT, x=60, cols=N - 1, last=1, finish=Finish(row_scaled=1))
    hazard(row(TO_V), scaled, match=None)
    hazard(row(TO_V), replace(scaled, cols=scaled.cols - 1), match=f"snapshot is {N - 1} slots")


def test_a_row_that_writes_s_stays_clear_of_the_entries_of_a_tracked_one() -> None:
    apart = N + Timing.TRACK  # of which the row itself takes two slots
    to_s = row(Finish(e=40, e_mask=E_S), stall=apart - 2)
    end = control(Control.NOP, stall=DRAIN)
    hazard(row(MOVED), to_s, end, match=None)
    hazard(
        row(MOVED), replace(to_s, stall=to_s.stall - 1), end, match=f"pc 2: it writes S.* {N + Timing.TRACK - 1} slots"
    )
    hazard(row(replace(to_s.finish, track=Track.MOVED)), end, match="pc 1: it writes S.* 0 slots")
    hazard(replace(to_s, stall=0), row(MOVED, stall=N - 2), end, match=None)  # the other way round is in order


def test_a_sparse_product_reads_its_entries_after_they_are_written_and_waits_for_its_scales() -> None:
    inputs = [header(dt=100, inputs=[0, 1, 1, 0])]  # two entries, in S[8] and S[9]
    moved = Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, track=Track.MOVED, quiet_pre=1, quiet_post=1))
    make = [control(Control.LIST, imm=8), moved, control(Control.TAKE, stall=DRAIN + Timing.TRACK)]
    sparse = Instruction(op=Op.SPARSE, cols=N, w_load=1, last=1, finish=Finish(row_scaled=1))

    def check(gap: int, match: str | None) -> None:
        program = [frame(N), *make, row(Finish(e=2, e_mask=E_S)), nop(gap), sparse, *done()]
        m = machine(program, check_hazards=True)
        m.load(Space.VECTOR, 60 * N, [0, 0, 0, 0])
        if match is None:
            m.run([inputs])
        else:
            with pytest.raises(GoldenError, match=match):
                m.run([inputs])

    # S[8] is lane 0 of its row, and read in the sparse product's first slot.
    check(GAP - 3, None)
    check(GAP - 4, "hazard at pc 6: S row 2 lane 0")
    hazard(row(TO_V), control(Control.NOP), sparse, match=None)


def test_a_new_frame_waits_until_every_row_is_written() -> None:
    frames = [header(dt=100), header(dt=100)]
    late = [control(Control.DONE, stall=2), row(Finish(out=1)), control(Control.JUMP)]
    hazard(*late, match="FRAME", frames=frames)
    hazard(*late[:2], control(Control.JUMP, stall=GAP), match=None, frames=frames)
    quiet = row(Finish(out=1, quiet_pre=1, quiet_post=1))
    hazard(replace(late[0], stall=DRAIN), quiet, late[2], match="FRAME", frames=frames)
    hazard(replace(late[0], stall=DRAIN), quiet, replace(late[2], stall=GAP), match=None, frames=frames)


def test_hazards_are_checked_on_one_sequence() -> None:
    with pytest.raises(ValueError, match="one sequence"):
        GoldenMachine(CONFIG, 2, check_hazards=True)
