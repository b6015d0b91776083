# SPDX-License-Identifier: BSD-2-Clause
"""The golden machine on small programs written by hand, and its short cuts against the slow way."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.formats import EXP2_ROM, float_code
from liquid_accel.rtl.isa import (
    CONTROL_FIELDS,
    E_A,
    E_B,
    E_C,
    E_S,
    FINISH_FIELDS,
    MAC_FIELDS,
    MARK_DONE,
    AddSource,
    Cond,
    Control,
    Factor,
    Finish,
    Flag,
    Instruction,
    Mode,
    Op,
    Param,
    Space,
    Status,
    drain,
    pack,
)
from liquid_accel.sim.golden import GoldenError, GoldenMachine, IllegalInstruction

CONFIG = preset("test")
N = CONFIG.lanes
DRAIN = drain(N)
FIRST, TRACE = int(Flag.FIRST), int(Flag.TRACE)
Array = npt.NDArray[np.int64]


def control(kind: Control, **fields: Any) -> Instruction:
    return Instruction(control=kind, **fields)


def frame(inputs: int = 0) -> Instruction:
    return control(Control.FRAME, imm=5 + inputs)


# `term` on row 60, which the tests fill, times S[0] = 1 is a row of known sums.
def row(finish: Finish, x: int = 60, **fields: Any) -> Instruction:
    return Instruction(op=Op.TERM, x=x, last=1, finish=finish, **fields)


def done(stall: int = DRAIN) -> list[Instruction]:
    return [control(Control.DONE, stall=stall), control(Control.JUMP, target=0)]


def header(flags: int = FIRST, dt: int = 0, log2_dt: int = 0, pool: int = 0, inputs: Sequence[int] = ()) -> Array:
    return np.array([flags, dt & 0xFFFF, dt >> 16, log2_dt & 0xFFFF, pool, *(v & 0xFFFF for v in inputs)])


def machine(program: Sequence[Instruction], batch: int = 1, **options: Any) -> GoldenMachine:
    m = GoldenMachine(CONFIG, batch, **options)
    m.load_program(program)
    m.load(Space.S, 0, [1])
    return m


def run(m: GoldenMachine, *frames: Array) -> list[npt.NDArray[np.uint16]]:
    return m.run([np.array(frames)])[0]


def vector(m: GoldenMachine, at: int, rows: int = 1, sequence: int = 0) -> list[int]:
    return [int(v) for v in m.dump(Space.VECTOR, at * N, rows * N, sequence).view(np.int16)]


def trailer(words: npt.NDArray[np.uint16]) -> dict[str, int]:
    w = [int(v) for v in words[-9:]]
    assert w[0] & 0xF000 == MARK_DONE
    names = ("status", "cycles", "rhs_evals", "accepted", "rejected", "mac_cycles", "saturations")
    return dict(zip(names, (w[0] & 0xFFF, w[1] | w[2] << 16, w[3], w[4], w[5], w[6] | w[7] << 16, w[8])))


def finished(f: Finish, sums: Sequence[int], **frame_fields: Any) -> tuple[GoldenMachine, dict[str, int]]:
    """Run one row with the given accumulators through a finish word; returns the machine and the trailer."""
    m = machine([frame(), row(f), *done()])
    m.load(Space.VECTOR, 60 * N, np.array(sums, np.int16))
    return m, trailer(run(m, header(**frame_fields))[0])


# ---- Products


def test_dot_is_a_matrix_vector_product_and_reads_its_scales_after_the_columns() -> None:
    rng = np.random.default_rng(3)
    cols, w, x = 7, rng.integers(-128, 128, (7, N)), rng.integers(-32768, 32768, 8)
    scales = np.array([[9, 10, 11, 12 + 32]])  # five bits count
    f = Finish(row_scaled=1, v=20, v_en=1)
    m = machine([frame(), Instruction(op=Op.DOT, x=5, w=100, w_load=1, cols=cols, last=1, finish=f), *done()])
    m.load(Space.WEIGHT, 100 * N // 2, np.concatenate((w, scales)).astype(np.int8).reshape(-1).view(np.uint16))
    m.load(Space.VECTOR, 5 * N, x.astype(np.int16))
    result = trailer(run(m, header())[0])
    sums, n = x[:cols] @ w, np.array([9, 10, 11, 12])
    assert vector(m, 20) == np.clip((sums + (1 << (n - 1))) >> n, -32768, 32767).tolist()
    assert result == {
        "status": 0,
        "cycles": 6 + 7 + 1 + DRAIN + 1,
        "rhs_evals": 0,
        "accepted": 0,
        "rejected": 0,
        "mac_cycles": 7,
        "saturations": 0,
    }


def test_sums_go_on_until_last_and_start_at_zero_again() -> None:
    f = Finish(v=20, v_en=1)
    program = [frame(), Instruction(op=Op.TERM, x=60, w=1), row(f, w=2), row(replace(f, v=21), w=0), *done()]
    m = machine(program)
    m.load(Space.S, 0, np.array([1, -3, 100], np.int16))
    m.load(Space.VECTOR, 60 * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 20, 2) == [97, 194, 291, 388, 1, 2, 3, 4]


def test_a_loop_of_dots_walks_through_the_weights() -> None:
    f = Finish(v=20, v_en=1)
    dot = Instruction(op=Op.DOT, x=5, w=10, w_load=1, cols=4, last=1, loop_end=1, finish=f)
    m = machine([frame(), control(Control.LOOP, imm=3 | 1 << 15), dot, *done()])
    w = np.random.default_rng(1).integers(-9, 9, (15, N))
    m.load(Space.WEIGHT, 10 * N // 2, w.astype(np.int8).reshape(-1).view(np.uint16))
    m.load(Space.VECTOR, 5 * N, [1, 2, 3, 4])
    result = trailer(run(m, header())[0])
    expected = [np.array([1, 2, 3, 4]) @ w[5 * r : 5 * r + 4] for r in range(3)]
    assert vector(m, 20, 3) == np.concatenate(expected).tolist()
    assert (result["rhs_evals"], result["mac_cycles"]) == (1, 12)
    assert result["cycles"] == 6 + 1 + 3 * 5 + DRAIN + 1


def test_in_takes_the_frame_s_words_and_then_zeros() -> None:
    f = Finish(source=1, v=20, v_en=1)
    take = Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=f)
    m = machine([frame(6), control(Control.LOOP, imm=2), take, *done()])
    run(m, header(inputs=[1, -2, 3, 4, -5, 6]))
    assert vector(m, 20, 2) == [1, -2, 3, 4, -5, 6, 0, 0]


def test_parity_flips_the_top_bit_of_a_row_and_is_cleared_by_first() -> None:
    f = Finish(v=2, v_en=1, v_par=1, sub=1, b=3, b_par=1, e=1, e_mask=E_A | E_C, e_par=1)
    m = machine([frame(), control(Control.SWAP), row(f, x=33, x_par=1), *done()])
    m.load(Space.VECTOR, 1 * N, [10, 20, 30, 40])
    m.load(Space.B, (3 + 8) * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 34) == [9, 18, 27, 36]
    assert m.dump(Space.A, 17 * N, N).tolist() == [9, 18, 27, 36]
    assert m.dump(Space.C, 9 * N, N).tolist() == [9, 18, 27, 36]
    m.load(Space.VECTOR, 1 * N, [0] * N)
    run(m, header(flags=0))  # parity comes back to 0, so that row 33 is read
    assert vector(m, 2) == [0, 0, 0, 0]
    run(m, header())
    assert vector(m, 34) == [-1, -2, -3, -4]


def test_row_addresses_wrap() -> None:
    f = Finish(v=63, v_en=1)
    m = machine([frame(), control(Control.LOOP, imm=2), row(f, indexed=1, x=63, loop_end=1), *done()])
    m.load(Space.VECTOR, 63 * N, [1, 2, 3, 4])
    m.load(Space.VECTOR, 0, [5, 6, 7, 8])
    run(m, header())
    assert vector(m, 63) == [1, 2, 3, 4]
    assert vector(m, 0) == [5, 6, 7, 8]


# ---- The element pipeline


def test_a_dynamic_narrowing_takes_the_step_s_exponent_and_step_its_mantissa() -> None:
    f = Finish(narrow=12, dynamic=1, c_sel=Factor.STEP, c_shift=11, v=20, v_en=1)
    m = machine([frame(), control(Control.PLAN), row(f), *done()])
    m.load(Space.S, Param.LOG_START, [10 << 11 | 1024])  # 1536 ticks
    m.load(Space.VECTOR, 60 * N, np.array([400, -400, 4, 0], np.int16))
    run(m, header(dt=1 << 20))
    assert vector(m, 20) == [150, -150, 2, 0]


def test_log2_dt_and_pool_come_from_the_header() -> None:
    f = Finish(a_sel=AddSource.LOG_DT, c_sel=Factor.POOL, c_shift=27, v=20, v_en=1)
    m, _ = finished(f, [100, 200, 0, -300], log2_dt=-100, pool=float_code(0.25))
    assert vector(m, 20) == [0, 25, -25, -100]


def test_a_running_mean_leaves_b_where_it_should() -> None:
    f = Finish(sub=1, add=1, b=2, c_sel=Factor.MEMORY, c=1, c_shift=27, e=2, e_mask=E_B)
    m = machine([frame(), row(f), *done()])
    m.load(Space.VECTOR, 60 * N, [100, 100, 100, 100])
    m.load(Space.B, 2 * N, [0, 50, 100, 200])
    m.load(Space.C, 1 * N, [float_code(0.5)] * N)
    run(m, header())
    assert m.dump(Space.B, 2 * N, N).tolist() == [50, 75, 100, 150]


def test_exp2_writes_a_float_code() -> None:
    m, _ = finished(Finish(exp2=1, e=3, e_mask=E_C), [0, 2048, -2048, 1024])
    codes = m.dump(Space.C, 3 * N, N).tolist()
    assert codes[:3] == [16 << 11, (17 << 11), 15 << 11]
    assert codes[3] == 16 << 11 | EXP2_ROM[128] & 2047


def test_s_is_written_by_rows_and_read_by_words() -> None:
    f = Finish(e=5, e_mask=E_S)
    m = machine([frame(), row(f), row(Finish(v=20, v_en=1), w=5 * N + 2), *done()])
    m.load(Space.VECTOR, 60 * N, np.array([1, 2, -3, 4], np.int16))
    run(m, header())
    assert vector(m, 20) == [-3, -6, 9, -12]


@pytest.mark.parametrize(
    ("finish", "saturations"),
    [
        (Finish(a=0, a_sel=AddSource.MEMORY), 2),
        (Finish(a=0, a_sel=AddSource.MEMORY, quiet_pre=1), 0),
        (Finish(a=0, a_sel=AddSource.MEMORY, quiet_post=1), 2),
        (Finish(b=0, add=1), 2),
        (Finish(b=0, add=1, quiet_post=1), 0),
        (Finish(c_shift=10), 2),
        (Finish(c_sel=Factor.MEMORY, c_shift=15), 4),  # the exponent is past the shift: every element counts
        (Finish(c_sel=Factor.MEMORY, c_shift=15, quiet_post=1), 0),
        (Finish(narrow=0, dynamic=1), 4),
        (Finish(narrow=0, dynamic=1, quiet_pre=1), 0),
        # An element counts once, however many of its results are clamped.
        (Finish(a=0, a_sel=AddSource.MEMORY, c_shift=10, b=0, add=1), 2),
    ],
)
def test_saturations_count_elements(finish: Finish, saturations: int) -> None:
    m = machine([frame(), control(Control.PLAN), row(finish), *done()])
    m.load(Space.VECTOR, 60 * N, np.array([32000, -32000, 5, 0], np.int16))
    m.load(Space.A, 0, np.array([32000, -32000, 5, 0], np.int16))
    m.load(Space.B, 0, np.array([32000, -32000, 5, 0], np.int16))
    m.load(Space.C, 0, [16 << 11] * N)
    m.load(Space.S, Param.LOG_START, [10 << 11])
    result = trailer(run(m, header(dt=1 << 20))[0])
    assert result["saturations"] == saturations
    assert result["status"] == (int(Status.SATURATED) if saturations else 0)


def test_wide_sums_saturate_where_they_are_narrowed() -> None:
    m, result = finished(Finish(narrow=0, v=20, v_en=1), [1, -1, 0, 32767])
    assert (vector(m, 20), result["saturations"]) == ([1, -1, 0, 32767], 0)
    m = machine([frame(), row(Finish(narrow=1, v=20, v_en=1), w=1), *done()])
    m.load(Space.S, 1, [4])
    m.load(Space.VECTOR, 60 * N, np.array([20000, -20000, 16383, -16384], np.int16))
    assert trailer(run(m, header())[0])["saturations"] == 2
    assert vector(m, 20) == [32767, -32768, 32766, -32768]


def test_norm_and_peak_are_of_the_rows_since_plan() -> None:
    both = Finish(norm=1, peak=1)
    m = machine([frame(), row(both), control(Control.PLAN), row(both), row(Finish(norm=1), w=1), *done()])
    m.load(Space.VECTOR, 60 * N, np.array([3, -300, -32768, 1], np.int16))
    m.load(Space.S, 1, [0])
    run(m, header(dt=100))
    c = m.state.controller
    assert (int(c.norm[0]), int(c.peak[0])) == (9 + 2 * 255**2 + 1, 32767)


# The finish word in plain integers, straight from the document.
def scalar_finish(f: Finish, p: int, memory: dict[str, list[int]], table: list[int], acc: int, lane: int) -> list[int]:
    """[out, whether it counts] for one element; `memory` holds rows by letter, "dt" {e, m}, "scale", "log2dt", "pool".

    Shifts round half up: half of 2**n is added before the floor.
    """
    event = False

    def sat(v: int, quiet: int) -> int:
        nonlocal event
        clamped = min(max(v, -32768), 32767)
        event = event or (clamped != v and not quiet)
        return clamped

    def shift(v: int, n: int) -> int:
        return (v + ((1 << n) >> 1)) // (1 << n)

    e, m = memory["dt"]
    wanted = f.narrow - (e if f.dynamic else 0)
    if f.row_scaled:
        n = memory["scale"][lane]
    else:
        n = min(max(wanted, 0), 31)
        event = wanted < 0 and not f.quiet_pre
    s = sat(shift(acc, n), f.quiet_pre)
    s = sat(s + {0: 0, 1: memory["A"][lane], 2: memory["log2dt"][0]}[int(f.a_sel)], f.quiet_pre)
    if f.mode != Mode.IDENTITY:
        a = min(abs(s), 32767)
        i, u = ((s + 32768) // 256, (s + 32768) % 256) if f.mode == Mode.DIRECT else (a // 128, a % 128 * 2)
        t = table[i] + ((0 if i == 255 else table[i + 1] - table[i]) * u + 128) // 256
        if f.mode == Mode.SOFTPLUS:
            s = sat(t + max(s, 0), f.quiet_pre)
        else:
            negative = {Mode.ODD: -t, Mode.COMPLEMENT: 4096 - t}.get(f.mode, t)
            s = min(max(negative if s < 0 else t, -32768), 32767)
    if f.exp2:
        j = s % 2048
        word = EXP2_ROM[j // 8]
        mantissa = min(word % 2048 + (word // 2048 * (j % 8) + 4) // 8, 2047)
        s = (s // 2048 + 16) * 2048 + mantissa
        s -= 65536 if s >= 32768 else 0
    b = memory["B^"][lane] if f.b_par and p else memory["B"][lane]
    d = s - (b if f.sub else 0)
    code = {0: 0, 1: memory["C"][lane] & 0xFFFF, 2: m, 3: memory["pool"][0]}[int(f.c_sel)]
    wanted = f.c_shift - code // 2048
    event = event or (wanted < 0 and not f.quiet_post)
    v = sat(shift(d * (2048 + code % 2048), min(max(wanted, 0), 31)), f.quiet_post)
    return [sat(v + (b if f.add else 0), f.quiet_post), int(event)]


BIT = st.integers(0, 1)
ANY_ROW = st.lists(st.integers(-32768, 32767), min_size=N, max_size=N)
FINISHES = st.builds(
    Finish,
    narrow=st.integers(0, 40),
    row_scaled=BIT,
    dynamic=BIT,
    a=st.just(3),
    a_sel=st.sampled_from(AddSource),
    table=st.just(1),
    mode=st.sampled_from(Mode),
    exp2=BIT,
    b=st.just(4),
    sub=BIT,
    add=BIT,
    b_par=BIT,
    c=st.just(5),
    c_sel=st.sampled_from(Factor),
    c_shift=st.integers(0, 40),
    v=st.just(20),
    v_en=st.just(1),
    quiet_pre=BIT,
    quiet_post=BIT,
    out=BIT,
)


@settings(max_examples=150, deadline=None)
@given(
    f=FINISHES,
    rows=st.lists(ANY_ROW, min_size=6, max_size=6),
    table=ANY_ROW,
    parity=BIT,
    scales=st.lists(st.integers(0, 31), min_size=N, max_size=N),
    step=st.integers(0, 2**16 - 1),
    pool=st.integers(0, 2**16 - 1),
    log2_dt=st.integers(-32768, 32767),
)
def test_any_finish_word_is_the_document_s(
    f: Finish,
    rows: list[list[int]],
    table: list[int],
    parity: int,
    scales: list[int],
    step: int,
    pool: int,
    log2_dt: int,
) -> None:
    x, a, b, b_flipped, c, factor = rows
    entries = np.clip(np.linspace(table[0], table[1], 256) + table[2] % 50 * np.sin(np.arange(256)), -32768, 32767)
    dot = Instruction(op=Op.DOT, x=60, cols=N, w=8, w_load=1, last=1, finish=f)
    swap = [control(Control.SWAP)] * parity
    m = machine([frame(), control(Control.PLAN), *swap, dot, *done()])
    # The identity times a weight each, so that sums of all sizes come.
    weights = np.diag([w % 256 - 128 for w in factor])
    m.load(Space.WEIGHT, 8 * N // 2, np.vstack((weights, scales)).astype(np.int8).reshape(-1).view(np.uint16))
    m.load(Space.VECTOR, 60 * N, np.array(x, np.int16))
    m.load(Space.A, 3 * N, np.array(a, np.int16))
    m.load(Space.B, 4 * N, np.array(b, np.int16))
    m.load(Space.B, 12 * N, np.array(b_flipped, np.int16))
    m.load(Space.C, 5 * N, np.array(c, np.int16))
    m.load(Space.TABLE, 256, entries.astype(np.int16))
    m.load(Space.S, Param.LOG_START, [step])
    words = run(m, header(dt=2**32 - 1, log2_dt=log2_dt, pool=pool))[0]
    code = int(m.state.controller.step_code[0])
    memory = {"A": a, "B": b, "B^": b_flipped, "C": c, "scale": scales, "log2dt": [log2_dt], "pool": [pool]}
    memory["dt"] = [code // 2048, code % 2048]
    given_table = entries.astype(np.int16).tolist()
    expected = [
        scalar_finish(f, parity, memory, given_table, x[k] * int(weights[k, k]), k)  # one element at a time
        for k in range(N)
    ]
    assert vector(m, 20) == [out for out, _ in expected]
    assert trailer(words)["saturations"] == sum(counts for _, counts in expected)
    if f.out:
        assert words[:N].view(np.int16).tolist() == [out for out, _ in expected]


# ---- Control


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
        (flags, dt): [int(w) for w in run(m, header(flags=flags, dt=dt))[0][:-9]]
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
    assert seen[0, 0] == [first, left, trace]
    assert seen[FIRST, 5] == [no, none, trace]
    assert seen[FIRST | TRACE, 0] == [no, left, not_trace]


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
        control(Control.DECIDE, stall=DRAIN + 3),
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
    counts = [trailer(words) for words in (w[:-N] if w[-N - 9] >> 12 == 13 else w for o in outputs for w in o)]
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


# ---- Loops that may not run at once

ROWS = st.integers(0, 9)


@st.composite
def loop_bodies(draw: st.DrawFn) -> list[Instruction]:
    """Rows whose addresses overlap now and then."""
    body = []
    for _ in range(draw(st.integers(1, 3))):
        f = Finish(
            narrow=3,
            row_scaled=draw(st.sampled_from([0, 0, 1])),
            a=draw(ROWS),
            a_sel=draw(st.sampled_from([AddSource.NONE, AddSource.MEMORY])),
            b=draw(ROWS),
            sub=draw(BIT),
            b_par=draw(BIT),
            c=draw(ROWS),
            c_sel=draw(st.sampled_from([Factor.ONE, Factor.MEMORY])),
            c_shift=20,
            v=draw(ROWS),
            v_en=draw(BIT),
            v_par=draw(BIT),
            e=draw(ROWS),
            e_mask=draw(st.sampled_from([0, E_A, E_B, E_C, E_S])),
            out=draw(st.sampled_from([0, 0, 0, 1])),
            indexed=draw(st.sampled_from([1, 1, 1, 0])),
            source=draw(st.sampled_from([0, 0, 0, 0, 1])),
        )
        op = draw(st.sampled_from([Op.DOT, Op.TERM]))
        cols = draw(st.integers(1, 9)) if op == Op.DOT else 1
        shape: dict[str, Any] = {"cols": cols, "x": draw(ROWS), "x_par": draw(BIT), "indexed": draw(BIT)}
        body.append(
            Instruction(
                op=op,
                w=draw(st.integers(0, 40)),
                w_load=draw(BIT) if op == Op.DOT else 0,
                last=draw(st.sampled_from([1, 1, 1, 0])),
                finish=f,
                **shape,
            )
        )
    return body


@settings(max_examples=150, deadline=None)
@given(loop_bodies(), st.integers(1, 5), BIT, st.integers(0, 2**32 - 1))
def test_whole_loops_are_row_by_row(body: list[Instruction], rows: int, parity: int, seed: int) -> None:
    body = [*body[:-1], replace(body[-1], loop_end=1)]
    drop = [Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=Finish(source=1))]
    program = [
        frame(24),
        *[control(Control.SWAP)] * parity,
        control(Control.LOOP, imm=rows),
        *body,
        control(Control.LOOP, imm=24 // N),  # the inputs that are left
        *drop,
        *done(),
    ]
    rng = np.random.default_rng(seed)
    images = {s: rng.integers(-2000, 2000, machine(program).dump(s).size) for s in Space if s != Space.TABLE}
    frames = rng.integers(0, 65536, (3, 29))
    frames[:, 0] = [FIRST, 0, FIRST]
    results = []
    for whole in (True, False):
        m = GoldenMachine(CONFIG, whole_loops=whole)
        for space, image in images.items():
            if space not in (Space.ISSUE, Space.FINISH):
                m.load(space, 0, image)
        m.load_program(program)
        words = [w.tolist() for w in m.run([frames])[0]]
        memories = [m.dump(s).tolist() for s in images]
        results.append((words, memories, m.state.scale.tolist(), m.state.wp.tolist(), m.state.accumulators.tolist()))
    assert results[0] == results[1]


def test_a_loop_that_reads_its_own_results_runs_row_by_row() -> None:
    f = Finish(v=21, v_en=1)
    m = machine([frame(), control(Control.LOOP, imm=4), row(f, x=20, indexed=1, w=1, loop_end=1), *done()])
    m.load(Space.S, 1, [2])
    m.load(Space.VECTOR, 20 * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 24) == [16, 32, 48, 64]


# ---- What the compiler promises


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
    words = pack(MAC_FIELDS if "last" in issue else CONTROL_FIELDS, issue), pack(FINISH_FIELDS, finish)
    m = machine([frame(), control(Control.EMIT, imm=77)])
    for space, word, width in ((Space.ISSUE, words[0], 4), (Space.FINISH, words[1], 8)):
        m.load(space, 2 * width, [word >> 16 * k & 0xFFFF for k in range(width)])
    with pytest.raises(IllegalInstruction, match=f"pc 2, field {field}"):
        run(m, header())
    assert [w.tolist() for w in m.outputs()[0]] == [[77]]


# ---- Hazards


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
# The snapshot is a slot after a term; its last lane is written in cycle 5 + 15 + 3 after it: 23 cycles lie between.
GAP = 5 + 15 + N - 1


@pytest.mark.parametrize(
    ("writer", "reader", "gap"),
    [
        (row(TO_V), row(Finish(), x=20), GAP),
        (row(TO_V), Instruction(op=Op.DOT, x=20, cols=4, last=1), GAP),
        # The second row is read N slots later.
        (row(TO_V), Instruction(op=Op.DOT, x=19, cols=8, last=1), GAP - N),
        (row(Finish(e=3, e_mask=E_S)), row(Finish(), w=3 * N + 1), GAP - 2),
        # Written at stage 15, read at stages 2, 8 and 9 of a row whose snapshot is 2 slots after the gap.
        (row(TO_A), row(Finish(a=3, a_sel=AddSource.MEMORY)), 15 - 2 - 1),
        (row(Finish(e=3, e_mask=E_B)), row(Finish(b=3, sub=1)), 15 - 8 - 1),
        (row(Finish(e=3, e_mask=E_C)), row(Finish(c=3, c_sel=Factor.MEMORY, c_shift=31)), 15 - 9 - 1),
        (row(TO_V), control(Control.PLAN), GAP),
        (row(TO_V), control(Control.DECIDE), GAP),
        (row(Finish(norm=1)), control(Control.DECIDE), GAP + 3),
        (row(Finish(out=1)), control(Control.EMIT), GAP),
        (row(Finish(out=1)), control(Control.DONE), GAP),
    ],
)
def test_what_comes_a_cycle_too_early_is_found(writer: Instruction, reader: Instruction, gap: int) -> None:
    hazard(writer, nop(gap), reader, match=None)
    hazard(writer, nop(gap - 1), reader, match="hazard at pc 3")


def test_snapshots_are_a_row_apart_and_scales_need_more() -> None:
    hazard(row(TO_V), row(TO_A, stall=N - 2), match=None)
    hazard(row(TO_V), row(TO_A, stall=N - 3), match=f"snapshot is {N - 1} slots")
    scaled = Instruction(op=Op.DOT, x=60, cols=N + 2, last=1, finish=Finish(row_scaled=1))
    hazard(row(TO_V), scaled, match=None)
    hazard(row(TO_V), replace(scaled, cols=N + 1), match="load its scales")


def test_a_new_frame_waits_for_rows_that_could_count_in_it() -> None:
    frames = [header(dt=100), header(dt=100)]
    late = [control(Control.DONE, stall=2), row(Finish(out=1)), control(Control.JUMP)]
    hazard(*late, match="FRAME", frames=frames)
    hazard(*late[:2], control(Control.JUMP, stall=GAP), match=None, frames=frames)
    quiet = row(Finish(out=1, quiet_pre=1, quiet_post=1))
    hazard(replace(late[0], stall=DRAIN), quiet, late[2], match=None, frames=frames)


def test_hazards_are_checked_on_one_sequence() -> None:
    with pytest.raises(ValueError, match="one sequence"):
        GoldenMachine(CONFIG, 2, check_hazards=True)
