# SPDX-License-Identifier: BSD-2-Clause
"""The golden machine: jumps, frames and batches, whose sequences are the same as one by one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from golden_programs import (
    CONFIG,
    DRAIN,
    FIRST,
    TRACE,
    Array,
    N,
    control,
    done,
    frame,
    header,
    machine,
    row,
    run,
    trailer,
)

from liquid_accel.rtl.isa import (
    TRAILER_WORDS,
    Cond,
    Control,
    Factor,
    Finish,
    Instruction,
    Norm,
    Op,
    Param,
    Space,
    Timing,
)
from liquid_accel.sim.golden import GoldenMachine


def test_jumps_follow_their_conditions() -> None:
    def jump(cond: Cond) -> list[Instruction]:
        """EMIT of the condition unless it jumps."""
        return [control(Control.JUMP, cond=cond, target=0), control(Control.EMIT, imm=int(cond))]

    program = [frame()]
    for cond in Cond:
        part = jump(cond)
        program += [replace(part[0], target=len(program) + 2), part[1]]
    m = machine([*program, *done()])
    seen = {
        (flags, dt): [int(w) for w in run(m, header(flags=flags, dt=dt))[0][:-TRAILER_WORDS]]
        for flags, dt in ((0, 0), (FIRST, 5), (FIRST | TRACE, 0))
    }
    first, no, left, none, trace, not_trace = (
        Cond.FIRST,
        Cond.NOT_FIRST,
        Cond.TIME_LEFT,
        Cond.NO_TIME_LEFT,
        Cond.TRACE,
        Cond.NOT_TRACE,
    )
    never = [Cond.AGAIN, Cond.OK]  # without REPEAT and JUDGE
    assert seen[0, 0] == [first, left, trace, *never]
    assert seen[FIRST, 5] == [no, none, trace, *never]
    assert seen[FIRST | TRACE, 0] == [no, left, not_trace, *never]


def test_again_is_taken_as_often_as_repeat_says() -> None:
    program = [frame(), control(Control.REPEAT, imm=0x103), control(Control.EMIT, imm=7)]
    program += [control(Control.JUMP, cond=Cond.AGAIN, target=2), control(Control.EMIT, imm=9), *done()]
    m = machine(program)
    words = run(m, header())[0]
    assert words[:-TRAILER_WORDS].tolist() == [7, 7, 7, 7, 9]
    assert trailer(words)["cycles"] == 6 + 1 + 4 * (1 + Timing.JUMP) + 1 + DRAIN + 1


def test_flag_sets_bits_of_the_status_until_the_next_frame() -> None:
    jump = control(Control.JUMP, cond=Cond.NOT_FIRST, target=4)
    m = machine([frame(), jump, control(Control.FLAG, imm=0x4010), control(Control.FLAG, imm=8), *done()])
    outputs = run(m, header(), header(flags=0))
    assert [trailer(words)["status"] for words in outputs] == [24, 0]


def judging(norms: Sequence[int]) -> list[Array]:
    return [header(flags=0, inputs=[norm, 0, 0, 0]) for norm in norms]


def test_judge_steers_jumps_and_costs_the_leading_zeros_of_the_norm() -> None:
    take = Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, norm=Norm.OUT))
    program = [frame(N), take, control(Control.JUDGE, stall=DRAIN + Timing.NORM)]
    program += [control(Control.JUMP, cond=Cond.OK, target=5), control(Control.EMIT, imm=1)]
    program += [control(Control.JUMP, cond=Cond.NOT_OK, target=7), control(Control.EMIT, imm=2), *done(0)]
    m = machine(program)
    m.load(Space.S, Param.LOG_ACCEPT, [8 << 11 | 8])
    outputs = run(m, *judging([16, 17, 0]))
    assert [words[:-TRAILER_WORDS].tolist() for words in outputs] == [[2], [1], [2]]
    # Norms of 256, which counts as 257 and just passes, of 289 and of 0.
    fixed = 6 + 5 + DRAIN + Timing.NORM + 5 + 2 * Timing.JUMP + 1 + 1
    assert [trailer(words)["cycles"] for words in outputs] == [fixed + 15, fixed + 15, fixed + 23]


def test_lag_pushes_the_time_left_and_the_norm() -> None:
    take = Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, norm=Norm.OUT))
    m = machine([frame(N), take, control(Control.LAG, stall=DRAIN + Timing.NORM), *done(0)])
    inputs = [-255, 255, 255, 1]
    words = run(m, header(dt=0x12345678, inputs=inputs), header(inputs=[0, 0, 0, 2]))
    assert words[0][:5].tolist() == [0xC000, 0x5678, 0x1234, (3 * 65025 + 1) & 0xFFFF, (3 * 65025 + 1) >> 16]
    assert trailer(words[0])["cycles"] == 6 + 5 + DRAIN + Timing.NORM + 6 + 1
    assert words[1][:5].tolist() == [0xC000, 0, 0, 4, 0]  # FRAME has cleared the norm


def test_a_frame_begins_with_no_norm_no_peak_and_no_saturation() -> None:
    f = Finish(source=1, norm=Norm.OUT, peak=1, c_shift=10)
    m = machine([frame(N), Instruction(op=Op.IN, cols=N, last=1, finish=f), *done()])
    run(m, header(inputs=[30000, 5, 6, 7]))
    c = m.state.controller
    assert (c.norm[0] > 0, c.peak[0] > 0, bool(c.saturated[0])) == (True, True, True)
    run(m, header(inputs=[1, 0, 0, 0]))
    assert (c.norm[0], c.peak[0], bool(c.saturated[0])) == (4, 2, False)


ADAPTIVE_ROWS = 2


def adaptive(trace_rows: int = 1) -> list[Instruction]:
    """dh/dt = S[1] h / 2**11 by Euler's method, judged by the size of its change; state in V rows 10 and 42."""
    body = Finish(narrow=17, dynamic=1, c_sel=Factor.STEP, c_shift=11, norm=1, peak=1, v=20, v_en=1)
    state = Finish(v=10 + 32, v_en=1, v_par=1)
    program = [frame(), control(Control.JUMP, cond=Cond.NO_TIME_LEFT), control(Control.PLAN, stall=DRAIN)]
    program += [
        control(Control.LOOP, imm=ADAPTIVE_ROWS | 1 << 15),
        Instruction(op=Op.TERM, x=10, x_par=1, indexed=1, w=1, last=1, loop_end=1, stall=N, finish=body),
        control(Control.LOOP, imm=ADAPTIVE_ROWS, stall=DRAIN),
        Instruction(op=Op.TERM, x=10, x_par=1, indexed=1, w=0),
        Instruction(op=Op.TERM, x=20, indexed=1, w=0, last=1, loop_end=1, stall=N, finish=state),
        control(Control.DECIDE, stall=DRAIN + Timing.NORM),
        control(Control.JUMP, cond=Cond.TIME_LEFT, target=2),
    ]
    out = len(program)
    program[1] = replace(program[1], target=out)
    program += [
        control(Control.LOOP, imm=ADAPTIVE_ROWS),
        row(Finish(out=1), x=10, x_par=1, indexed=1, loop_end=1, stall=N),
        control(Control.DONE, stall=DRAIN),
        control(Control.JUMP, cond=Cond.NOT_TRACE, target=0),
        *[row(Finish(out=1), x=10, x_par=1, stall=N)] * trace_rows,
        control(Control.JUMP, stall=DRAIN),
    ]
    return program


def adaptive_machine(**options: Any) -> GoldenMachine:
    m = machine(adaptive(), **options)
    m.load(Space.S, 1, np.array([-700], np.int16))
    parameters = {
        Param.LOG_START: 18 << 11,
        Param.LOG_MIN: 14 << 11,
        Param.LOG_MAX: 20 << 11,
        Param.SAFETY: -300,
        Param.BETA1: 60,
        Param.CHANGE_MIN: -4096,
        Param.CHANGE_MAX: 2048,
        Param.CHANGE_REJECT: -100,
        Param.LOG_ACCEPT: 12 << 11,
    }
    for at, value in parameters.items():
        m.load(Space.S, at, np.array([value], np.int64))
    return m


def batch_of_frames(seed: int, sequences: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(sequences):
        dts = rng.integers(0, 1 << 22, rng.integers(1, 5))
        dts[rng.random(len(dts)) < 0.2] = 0
        flags = [FIRST * (k == 0) | TRACE * int(rng.random() < 0.5) for k in range(len(dts))]
        result.append(np.array([header(flags=f, dt=int(dt)) for f, dt in zip(flags, dts)]))
    return result


def varied(m: GoldenMachine, sequences: int) -> GoldenMachine:
    """A batch whose sequences start from different states."""
    wide = m.fan_out(sequences)
    start = np.random.default_rng(9).integers(-8000, 8000, (sequences, ADAPTIVE_ROWS * N))
    wide.state.banks[Space.VECTOR].per_sequence(sequences)[:, 10 * N : 10 * N + ADAPTIVE_ROWS * N] = start
    return wide


def test_a_batch_is_its_sequences_one_by_one_and_whole_loops_are_rows() -> None:
    frames = batch_of_frames(4, 12)
    together = varied(adaptive_machine(), 12)
    outputs = together.run(frames)
    traced = -N - TRAILER_WORDS  # where the trailer stands if states follow it
    counts = [trailer(words) for words in (w[:-N] if w[traced] >> 12 == 13 else w for o in outputs for w in o)]
    # The batch has diverged, or the test shows nothing.
    assert len({c["accepted"] for c in counts}) > 3
    assert sum(c["rejected"] for c in counts) > 0
    source = varied(adaptive_machine(), 12)
    for b in range(12):
        for whole in (True, False):
            alone = GoldenMachine(CONFIG, shared=source.shared, whole_loops=whole)
            alone.adopt(source, b)
            single = alone.run([frames[b]])[0]
            assert [w.tolist() for w in single] == [w.tolist() for w in outputs[b]]
            for space in (Space.VECTOR, Space.A, Space.B, Space.C, Space.S):
                np.testing.assert_array_equal(alone.dump(space), together.dump(space, sequence=b))


def test_a_run_can_be_continued() -> None:
    frames = batch_of_frames(5, 1)[0]
    whole, parts = adaptive_machine(), adaptive_machine()
    whole.load(Space.VECTOR, 10 * N, np.arange(2 * N) * 1000)
    parts.load(Space.VECTOR, 10 * N, np.arange(2 * N) * 1000)
    expected = whole.run([frames])[0]
    got = [parts.run([frames[k : k + 1]])[0][0] for k in range(len(frames))]
    assert [w.tolist() for w in got] == [w.tolist() for w in expected]


def test_trace_changes_no_counter_state_or_output() -> None:
    outputs = []
    for trace in (0, TRACE):
        m = adaptive_machine()
        m.load(Space.VECTOR, 10 * N, np.arange(2 * N) * 1000)
        words = run(m, header(flags=FIRST | trace, dt=3 << 20))[0].tolist()
        if trace:
            records: list[list[int]] = []
            while words[0] >> 12 == 0xA:
                records, words = [*records, words[:4]], words[4:]
            counts = trailer(np.array(words[:-N], np.uint16))
            assert len(records) == counts["accepted"] + counts["rejected"]
            words = words[:-N]
        outputs.append((words, m.dump(Space.VECTOR).tolist()))
    assert outputs[0] == outputs[1]


def test_a_right_program_has_no_hazards() -> None:
    frames = batch_of_frames(6, 1)[0]
    careful, plain = adaptive_machine(check_hazards=True), adaptive_machine()
    assert [w.tolist() for w in careful.run([frames])[0]] == [w.tolist() for w in plain.run([frames])[0]]


def test_counters_hold_at_their_largest_value() -> None:
    loop = [control(Control.LOOP, imm=255), replace(row(Finish(c_shift=0)), loop_end=1)]
    m = machine([frame(), *loop * 66, *done()])
    m.load(Space.VECTOR, 60 * N, [30000] * N)
    assert trailer(run(m, header())[0])["saturations"] == 0xFFFF
