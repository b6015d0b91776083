# SPDX-License-Identifier: BSD-2-Clause
"""PLAN and DECIDE against a transcription of docs/isa.md in plain Python integers, one sequence at a time."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.isa import Param
from liquid_accel.sim.golden import controller as golden

FLAGS = ("fresh", "clipped", "saturated")
UNSIGNED = st.integers(0, 2**16 - 1)
SIGNED = st.integers(-(2**15), 2**15 - 1)


def s16(word: int) -> int:
    return (word & 0xFFFF) - ((word & 0x8000) << 1)


def s8(word: int) -> int:
    return (word & 0xFF) - ((word & 0x80) << 1)


def lz(x: int, width: int) -> int:
    return len(f"{x:0{width}b}".split("1")[0])


def below_leading_one(x: int) -> int:
    """The eleven bits after the leading one, as text is cut."""
    return int((f"{x:b}"[1:] + 11 * "0")[:11], 2)


def scalar_plan(c: dict[str, int], s: list[int]) -> int:
    if c["fresh"]:
        c["log_step"] = s[Param.LOG_START] & 0xFFFF
        c["last_error"] = c["last_change"] = c["fresh"] = 0
    c["norm"] = c["peak"] = c["saturated"] = 0
    e0 = c["log_step"] >> 11
    t = ((2048 + (c["log_step"] & 2047)) << 20) >> (31 - e0)
    rest, c["clipped"] = c["remaining"], 0
    if rest <= t:
        t, c["clipped"] = rest, 1
    elif rest - t < t:
        t, c["clipped"] = (rest + 1) // 2, 1
    c["step_ticks"] = t
    if c["clipped"]:
        c["step_code"] = ((31 - lz(t, 32)) << 11) + below_leading_one(t)
    else:
        c["step_code"] = c["log_step"]
    return 7 + (32 - e0) + (lz(t, 32) + 1 if c["clipped"] else 0)


def scalar_decide(c: dict[str, int], s: list[int]) -> tuple[bool, bool, bool, int]:
    bound = (s[Param.ACCEPT_LOW] & 0xFFFF) + ((s[Param.ACCEPT_HIGH] & 0xFF) << 16)
    log_min, log_max = s[Param.LOG_MIN] & 0xFFFF, s[Param.LOG_MAX] & 0xFFFF
    ok = c["norm"] <= bound and not c["saturated"]
    accept = ok or c["step_code"] <= log_min
    if accept:
        c["remaining"] -= c["step_ticks"]
    n = c["norm"] | 1
    log = ((23 - lz(n, 24)) << 11) + below_leading_one(n)
    el = (log - (s[Param.LOG_ACCEPT] & 0xFFFF)) // 2
    total = s16(s[Param.SAFETY]) * 128
    total -= s8(s[Param.BETA1]) * el + s8(s[Param.BETA2]) * c["last_error"] + s8(s[Param.ALPHA2]) * c["last_change"]
    x = min(max(total // 128, -32768), 32767)
    x = max(x, s16(s[Param.CHANGE_MIN]))
    x = min(x, s16(s[Param.CHANGE_MAX] if accept else s[Param.CHANGE_REJECT]))
    following = c["step_code"] + x
    if accept and c["clipped"]:
        following = max(following, c["log_step"])
    c["log_step"] = min(max(following, log_min), log_max)
    if accept:
        c["last_error"], c["last_change"] = el, x
    halt_at = s16(s[Param.HALT])
    checked = accept and c["remaining"] > 0 and halt_at != 0
    cost = 44 + lz(n, 24) + (5 + lz(c["remaining"], 32) + lz(c["peak"], 16) if checked else 0)
    halt = checked and (32 - lz(c["remaining"], 32)) + (16 - lz(c["peak"], 16)) <= halt_at
    if halt:
        c["remaining"] = 0
    return accept, accept and not ok, halt, cost


def columns(rows: list[dict[str, int]]) -> golden.ControllerState:
    kinds = {name: np.bool_ if name in FLAGS else np.int64 for name in rows[0]}
    return golden.ControllerState(**{k: np.array([r[k] for r in rows], kind) for k, kind in kinds.items()})


def compare(state: golden.ControllerState, expected: list[dict[str, int]]) -> None:
    for f in fields(state):
        assert getattr(state, f.name).tolist() == [e[f.name] for e in expected], f.name


def log_scaled(bits: int) -> st.SearchStrategy[int]:
    """Numbers of every length."""
    return st.integers(0, bits).flatmap(lambda n: st.integers(0, 2**n - 1))


@st.composite
def controllers(draw: st.DrawFn) -> dict[str, int]:
    remaining = draw(log_scaled(32)) or 1
    step = draw(log_scaled(32))
    return {
        "remaining": remaining,
        "step_ticks": 1 + step % remaining,
        "step_code": draw(UNSIGNED),
        "log_step": draw(UNSIGNED),
        "last_error": draw(SIGNED),
        "last_change": draw(SIGNED),
        "norm": draw(log_scaled(24)),
        "peak": draw(log_scaled(15)),
        "fresh": draw(st.integers(0, 1)),
        "clipped": draw(st.integers(0, 1)),
        "saturated": draw(st.sampled_from([0, 0, 0, 1])),
    }


@st.composite
def scalars(draw: st.DrawFn) -> list[int]:
    """An S memory with any words as parameters, or with such as a compiler would choose."""
    s = [0] * 256
    for p in Param:
        s[p] = draw(SIGNED)
    if draw(st.booleans()):
        log_min, log_max = sorted((draw(UNSIGNED), draw(UNSIGNED)))
        s[Param.LOG_MIN], s[Param.LOG_MAX] = s16(log_min), s16(log_max)
        s[Param.SAFETY], s[Param.BETA1] = -draw(st.integers(0, 2000)), draw(st.integers(0, 64))
        s[Param.CHANGE_MIN], s[Param.CHANGE_MAX] = -4096, 2048
        s[Param.CHANGE_REJECT] = draw(st.sampled_from([0, -512]))
        s[Param.HALT] = draw(st.integers(0, 40))
    return s


CASES = st.lists(st.tuples(controllers(), scalars()), min_size=1, max_size=6)


@given(CASES)
def test_plan_is_the_document_s(cases: list[tuple[dict[str, int], list[int]]]) -> None:
    states, memory = [c for c, _ in cases], np.array([s for _, s in cases], np.int64)
    batch = columns(states)
    costs = golden.plan(batch, memory)
    assert costs.tolist() == [scalar_plan(c, s) for c, s in cases]
    compare(batch, states)


@given(CASES)
def test_decide_is_the_document_s(cases: list[tuple[dict[str, int], list[int]]]) -> None:
    states, memory = [c for c, _ in cases], np.array([s for _, s in cases], np.int64)
    batch = columns(states)
    found = golden.decide(batch, memory)
    expected = [scalar_decide(c, s) for c, s in cases]
    got = zip(found.accept.tolist(), found.limited.tolist(), found.halt.tolist(), found.cost.tolist())
    assert list(got) == expected
    compare(batch, states)


def one(**values: int) -> golden.ControllerState:
    return columns([dict.fromkeys((f.name for f in fields(golden.ControllerState)), 0) | values])


@given(log_scaled(32), UNSIGNED)
@example(2**32 - 1, 2**16 - 1)
def test_a_planned_step_never_passes_the_frame_s_end(remaining: int, log_step: int) -> None:
    c = one(remaining=remaining or 1, log_step=log_step)
    rest = int(c.remaining[0])
    golden.plan(c, np.zeros((1, 256), np.int64))
    t = int(c.step_ticks[0])
    assert 1 <= t <= rest
    # A rest that would be shorter than the step is halved instead.
    assert t == rest or rest - t >= t - 1


@given(UNSIGNED)
def test_an_unclipped_step_has_twelve_significant_bits_and_its_code(log_step: int) -> None:
    c = one(remaining=2**32 - 1, log_step=log_step & 0x77FF)  # below 2**15 ticks
    golden.plan(c, np.zeros((1, 256), np.int64))
    t, code = int(c.step_ticks[0]), int(c.step_code[0])
    assert code == log_step & 0x77FF
    assert t == (2048 + code % 2048) * 2 ** (code >> 11) // 2048
    assert t & -(1 << max(t.bit_length() - 12, 0)) == t


@settings(max_examples=50)
@given(st.integers(1, 2**32 - 1), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1))
def test_accepted_steps_add_up_to_the_frame_exactly(dt: int, log_start: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    s = np.zeros((1, 256), np.int64)
    # Steps of a sixteenth of the frame at the least, so that the test comes to an end.
    log_min = max((dt.bit_length() - 5) << 11, 0)
    s[0, [Param.LOG_START, Param.LOG_MIN, Param.LOG_MAX]] = [max(log_start, log_min), log_min, 65535]
    s[0, [Param.SAFETY, Param.BETA1, Param.CHANGE_MIN, Param.CHANGE_MAX]] = [-200, 40, -4096, 2048]
    s[0, [Param.ACCEPT_LOW, Param.LOG_ACCEPT]] = [2000, 10 << 11]
    c, total = one(remaining=dt, fresh=1), 0
    for _ in range(500):
        golden.plan(c, s)
        c.norm[0] = int(2 ** rng.uniform(0, 14))
        if golden.decide(c, s).accept[0]:
            total += int(c.step_ticks[0])
        if not c.remaining[0]:
            break
    assert total == dt


@pytest.mark.parametrize(
    ("state", "log_start", "cost"),
    [
        # 7 + 32 - e0; clipped adds the leading zeros of T and 1.
        ({"remaining": 1 << 20, "log_step": 10 << 11}, 0, 7 + 22),
        ({"remaining": 1 << 10, "log_step": 10 << 11}, 0, 7 + 22 + 21 + 1),
        ({"remaining": 1 << 20, "fresh": 1}, 31 << 11, 7 + 1 + 11 + 1),
        ({"remaining": 1}, 0, 7 + 32 + 31 + 1),
    ],
)
def test_the_cost_of_plan(state: dict[str, Any], log_start: int, cost: int) -> None:
    s = np.zeros((1, 256), np.int64)
    s[0, Param.LOG_START] = s16(log_start)
    assert golden.plan(one(**state), s).tolist() == [cost]


@pytest.mark.parametrize(
    ("state", "halt", "cost"),
    [
        ({"remaining": 8, "step_ticks": 8}, 0, 44 + 23),
        ({"remaining": 8, "step_ticks": 8, "norm": 1 << 23, "step_code": 1}, 30, 44),  # rejected: not checked
        ({"remaining": 9, "step_ticks": 8}, 30, 44 + 23 + 5 + 31 + 16),
        ({"remaining": 9, "step_ticks": 8, "peak": 32767}, -1, 44 + 23 + 5 + 31 + 1),
        ({"remaining": 8, "step_ticks": 8}, 30, 44 + 23),  # no time left: not checked
    ],
)
def test_the_cost_of_decide(state: dict[str, Any], halt: int, cost: int) -> None:
    s = np.zeros((1, 256), np.int64)
    s[0, Param.HALT] = halt
    assert golden.decide(one(**state), s).cost.tolist() == [cost]


def test_take_and_put_are_inverse() -> None:
    state = golden.ControllerState.reset(4)
    part = state.take(np.array([1, 3]))
    part.norm += 5
    part.fresh[:] = True
    state.put(np.array([1, 3]), part)
    assert state.norm.tolist() == [0, 5, 0, 5]
    assert state.fresh.tolist() == [False, True, False, True]
