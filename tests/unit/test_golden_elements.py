# SPDX-License-Identifier: BSD-2-Clause
"""The golden machine: what a finish word does with an element, against the document in plain integers."""

from math import log2
from typing import NamedTuple

import numpy as np
import pytest
from golden_programs import N, control, done, finished, frame, header, machine, row, run, trailer, vector
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.formats import EXP2_ROM, float_code
from liquid_accel.rtl.isa import (
    E_B,
    E_C,
    E_S,
    AddSource,
    Control,
    Factor,
    Finish,
    Instruction,
    Keep,
    Mode,
    Norm,
    Op,
    Param,
    Space,
    Status,
)


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
    both = Finish(norm=Norm.OUT, peak=1)
    m = machine([frame(), row(both), control(Control.PLAN), row(both), row(Finish(norm=Norm.OUT), w=1), *done()])
    m.load(Space.VECTOR, 60 * N, np.array([3, -300, -32768, 1], np.int16))
    m.load(Space.S, 1, [0])
    run(m, header(dt=100))
    c = m.state.controller
    assert (int(c.norm[0]), int(c.peak[0])) == (9 + 2 * 255**2 + 1, 32767)


class Element(NamedTuple):
    out: int
    counts: int
    norm: int
    kept: int  # M afterwards


# The finish word in plain integers, straight from the document.
def scalar_finish(f: Finish, p: int, memory: dict[str, list[int]], table: list[int], acc: int, lane: int) -> Element:
    """One element; `memory` holds rows by letter, "dt" {e, m}, "scale", "log2dt", "pool".

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

    kept = memory["M"][lane]
    if f.keep in (Keep.ADD, Keep.READ):
        acc = (acc + kept + 2**31) % 2**32 - 2**31
    if f.keep in (Keep.ADD, Keep.SET):
        kept = acc
    e, m = memory["dt"]
    wanted = f.narrow - (e if f.dynamic else 0)
    if f.row_scaled:
        n = memory["scale"][lane]
    else:
        n = min(max(wanted, 0), 31)
        event = wanted < 0 and not f.quiet_pre
    s = sat(shift(acc, n), f.quiet_pre)
    correction = round(2048 * (log2(1 + (m // 32 + 0.5) / 64) - (m // 32 + 0.5) / 64))
    log2_step = min(max((e - 20) * 2048 + m + correction, -32768), 32767)
    s = sat(s + {0: 0, 1: memory["A"][lane], 2: memory["log2dt"][0], 3: log2_step}[int(f.a_sel)], f.quiet_pre)
    if f.mode != Mode.IDENTITY:
        a = min(abs(s), 32767)
        i, u = ((s + 32768) // 256, (s + 32768) % 256) if f.mode == Mode.DIRECT else (a // 128, a % 128 * 2)
        t = table[i] + ((0 if i == 255 else table[i + 1] - table[i]) * u + 128) // 256
        if f.mode == Mode.SOFTPLUS:
            s = sat(t + max(s, 0), f.quiet_pre)
        else:
            negative = {Mode.ODD: -t, Mode.COMPLEMENT: 4096 - t}.get(f.mode, t)
            s = sat(negative if s < 0 else t, f.quiet_pre)
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
    out = sat(v + (b if f.add else 0), f.quiet_post)
    y = {Norm.NONE: 0, Norm.OUT: abs(out), Norm.CHANGE: abs(v), Norm.CHANGE_16: abs(v) // 16}[f.norm]
    return Element(out, int(event), min(y, 255) ** 2, kept)


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
    keep=st.sampled_from(Keep),
    m=st.just(2),
    norm=st.sampled_from(Norm),
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
    kept=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=N, max_size=N),
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
    kept: list[int],
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
    m.state.kept.per_sequence(1)[0, 2 * N : 3 * N] = kept
    words = run(m, header(dt=2**32 - 1, log2_dt=log2_dt, pool=pool))[0]
    code = int(m.state.controller.step_code[0])
    memory = {"A": a, "B": b, "B^": b_flipped, "C": c, "scale": scales, "log2dt": [log2_dt], "pool": [pool]}
    memory["M"] = kept
    memory["dt"] = [code // 2048, code % 2048]
    given_table = entries.astype(np.int16).tolist()
    expected = [
        scalar_finish(f, parity, memory, given_table, x[k] * int(weights[k, k]), k)  # one element at a time
        for k in range(N)
    ]
    assert vector(m, 20) == [e.out for e in expected]
    assert trailer(words)["saturations"] == sum(e.counts for e in expected)
    assert m.state.controller.norm.tolist() == [sum(e.norm for e in expected)]
    assert m.state.kept.per_sequence(1)[0, 2 * N : 3 * N].tolist() == [e.kept for e in expected]
    if f.out:
        assert words[:N].view(np.int16).tolist() == [e.out for e in expected]
