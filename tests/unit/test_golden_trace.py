# SPDX-License-Identifier: BSD-2-Clause
"""The golden machine's trace of a frame, and its counts, on programs whose timeline is written out."""

import pytest
from golden_programs import CONFIG, DRAIN, N, control, done, frame, header, machine, row, run, trailer

from liquid_accel.rtl.isa import AddSource, Cond, Control, Factor, Finish, Instruction, Keep, Mode, Op, Timing, Track
from liquid_accel.sim.golden import GoldenMachine


def test_the_timeline_of_a_dot_and_its_idle_cycles() -> None:
    f = Finish(a_sel=AddSource.MEMORY, mode=Mode.ODD, exp2=1)
    dot = Instruction(op=Op.DOT, x=5, cols=8, stall=2, last=1, finish=f)
    m = machine([frame(), dot, *done()], trace=True)
    counts = trailer(run(m, header())[0])
    (traced,) = m.frames_traced
    rows = [(e.start, e.cycles, e.stall, e.pc, e.r, e.entries) for e in traced.executed]
    assert rows == [
        (0, 6, 0, 0, 0, 0),
        (6, 11, 2, 1, 0, 0),
        (17, DRAIN + 1, DRAIN, 2, 0, 0),
        (18 + DRAIN, Timing.JUMP, 0, 3, 0, 0),
    ]
    assert traced.executed[1].instruction == dot
    assert traced.cycles == counts["cycles"] == 18 + DRAIN
    # Products in cycles 8 to 15, snapshot in 16, then elements for WRITE + N cycles.
    assert traced.idle == traced.cycles - 8 - (Timing.WRITE + N)
    assert traced.reads == {"weights": 9, "vector": 2, "A": N, "tables": N}
    assert traced.function_evaluations == N


def test_reads_of_sparse_and_kept_rows_and_the_loop_index() -> None:
    tracked = Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, track=Track.MOVED))
    kept = Finish(keep=Keep.ADD, b=1, sub=1, c_sel=Factor.MEMORY, c_shift=31)
    sparse = Instruction(op=Op.SPARSE, cols=N, w_load=1, last=1, loop_end=1, finish=kept)
    program = [frame(N), control(Control.NOP), tracked, control(Control.TAKE), control(Control.LOOP, imm=2)]
    m = machine([*program, sparse, *done()], trace=True)
    counts = trailer(run(m, header(inputs=[1, 0, 2, 3]))[0])
    (traced,) = m.frames_traced
    cost = N  # 3 entries are fewer than a row takes the time of
    assert [(e.r, e.entries, e.cycles) for e in traced.executed if e.pc == 5] == [(0, 3, cost), (1, 3, cost)]
    assert traced.reads == {"X": N, "weights": 8, "scalars": 6, "M": 2 * N, "B": 2 * N, "C": 2 * N}
    assert traced.function_evaluations == 0
    assert traced.cycles == counts["cycles"]


def test_what_comes_after_done_is_traced_and_not_counted_and_frames_are_apart() -> None:
    late = row(Finish(out=1))
    program = [
        frame(),
        row(Finish()),
        control(Control.JUMP, cond=Cond.ALWAYS, target=3),
        control(Control.DONE, stall=DRAIN),
    ]
    m = machine([*program, late, control(Control.JUMP, stall=DRAIN)], trace=True)
    counts = [trailer(words[:-N])["cycles"] for words in run(m, header(), header(flags=0))]
    assert [t.cycles for t in m.frames_traced] == counts == [6 + 2 + Timing.JUMP + DRAIN + 1] * 2
    for traced in m.frames_traced:
        assert traced.reads == {"vector": 1, "scalars": 1}
        assert [e.pc for e in traced.executed] == [0, 1, 2, 3, 4, 5]
        assert sum(e.cycles for e in traced.executed) == traced.executed[-1].start + DRAIN + Timing.JUMP


def test_a_trace_is_of_one_sequence_and_has_to_be_asked_for() -> None:
    with pytest.raises(ValueError, match="one sequence, not on 2"):
        GoldenMachine(CONFIG, 2, trace=True)
    with pytest.raises(ValueError, match="trace=True"):
        _ = GoldenMachine(CONFIG).frames_traced
