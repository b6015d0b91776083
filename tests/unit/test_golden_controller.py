# SPDX-License-Identifier: BSD-2-Clause
"""PLAN, DECIDE and JUDGE against a transcription of docs/isa.md in plain Python integers, one sequence at a time."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.isa import Param, Timing
from liquid_accel.sim.golden import arithmetic as a
from liquid_accel.sim.golden import controller as golden

FLAGS = ("fresh", "clipped", "saturated", "history", "at_limit", "opening", "judged")
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


def scalar_plan(c: dict[str, int], s: list[int], jump: int) -> int:
    ls = s[Param.LOG_START if c["fresh"] else Param.JUMP_SIZE if jump and not c["opening"] else Param.SIZE] & 0xFFFF
    if jump:
        c["opening"] = 1
    s[Param.SIZE] = s16(ls)
    c["fresh"] = c["norm"] = c["peak"] = c["saturated"] = 0
    e0 = ls >> 11
    ticks = (2048 + (ls & 2047)) << 20
    t = ticks >> (31 - e0)
    rest, clipped, halved = c["remaining"], False, False
    if rest <= t:
        t, clipped = rest, True
    elif e0 == 31 or rest < ticks >> (30 - e0):
        t, clipped, halved = rest >> 1, True, True
    c["step_ticks"], c["clipped"] = t, int(clipped)
    c["step_code"] = ((31 - lz(t, 32)) << 11) + below_leading_one(t) if clipped else ls
    s[Param.STEP] = s16(c["step_code"])
    return Timing.PLAN + (32 - e0) + (2 if halved else 0) + (lz(t, 32) + 2 if clipped else 0)


def scalar_decide(c: dict[str, int], s: list[int]) -> tuple[bool, bool, bool, int]:
    n = c["norm"] | 1
    log = ((23 - lz(n, 24)) << 11) + below_leading_one(n)
    log_accept = s[Param.LOG_ACCEPT] & 0xFFFF
    el = (log - log_accept) // 2
    ok = log <= log_accept and not c["saturated"]
    accept = bool(ok or c["at_limit"])
    limited = accept and not ok
    if accept:
        c["remaining"] -= c["step_ticks"]
    newest, history = c["newest"], c["history"]
    s[Param.ERROR_1 if newest == 0 else Param.ERROR_0] = el
    x = s[Param.SAFETY] - s8(s[Param.BETA1]) * el // 128
    if history:
        x -= s8(s[Param.BETA2]) * s[Param.ERROR_0 if newest == 0 else Param.ERROR_1] // 128
        x -= s8(s[Param.ALPHA2]) * s[Param.CHANGE_LAST] // 128
    x = max(x, s[Param.CHANGE_MIN])
    x = min(x, s[Param.CHANGE_MAX] if accept else s[Param.CHANGE_REJECT])
    if accept:
        s[Param.CHANGE_LAST] = x
        c["newest"], c["history"] = 1 - newest, 1
    following = c["step_code"] + x
    if accept and c["clipped"]:
        following = max(following, s[Param.SIZE] & 0xFFFF)
    log_min, log_max = s[Param.LOG_MIN] & 0xFFFF, s[Param.LOG_MAX] & 0xFFFF
    c["at_limit"] = int(following < log_min)
    s[Param.SIZE] = s16(min(max(following, log_min), log_max))
    if accept and c["opening"]:
        s[Param.JUMP_SIZE], c["opening"] = s[Param.SIZE], 0
    checked = accept and c["remaining"] > 0 and s[Param.HALT] != 0
    cost = Timing.DECIDE + lz(n, 24) + (Timing.HALT_CHECK + lz(c["remaining"], 32) if checked else 0)
    halt = checked and (32 - lz(c["remaining"], 32)) + c["peak"].bit_length() <= s[Param.HALT]
    if halt:
        c["remaining"] = 0
    return accept, limited, halt, cost


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
        "newest": draw(st.integers(0, 1)),
        "norm": draw(log_scaled(24)),
        "peak": draw(log_scaled(15)),
        "fresh": draw(st.integers(0, 1)),
        "clipped": draw(st.integers(0, 1)),
        "saturated": draw(st.sampled_from([0, 0, 0, 1])),
        "history": draw(st.integers(0, 1)),
        "at_limit": draw(st.integers(0, 1)),
        "opening": draw(st.integers(0, 1)),
        "judged": draw(st.integers(0, 1)),
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


def scalar_judge(c: dict[str, int], s: list[int]) -> int:
    n = c["norm"] | 1
    log = ((23 - lz(n, 24)) << 11) + below_leading_one(n)
    c["judged"] = int(log <= s[Param.LOG_ACCEPT] & 0xFFFF and not c["saturated"])
    c["norm"] = c["peak"] = c["saturated"] = 0
    return Timing.JUDGE + lz(n, 24)


@given(CASES, st.integers(0, 1))
def test_plan_is_the_document_s(cases: list[tuple[dict[str, int], list[int]]], jump: int) -> None:
    states, memory = [c for c, _ in cases], np.array([s for _, s in cases], np.int64)
    batch = columns(states)
    costs = golden.plan(batch, memory, jump)
    assert costs.tolist() == [scalar_plan(c, s, jump) for c, s in cases]
    compare(batch, states)
    assert memory.tolist() == [s for _, s in cases]


@given(CASES)
def test_decide_is_the_document_s(cases: list[tuple[dict[str, int], list[int]]]) -> None:
    states, memory = [c for c, _ in cases], np.array([s for _, s in cases], np.int64)
    batch = columns(states)
    found = golden.decide(batch, memory)
    expected = [scalar_decide(c, s) for c, s in cases]
    got = zip(found.accept.tolist(), found.limited.tolist(), found.halt.tolist(), found.cost.tolist())
    assert list(got) == expected
    compare(batch, states)
    assert memory.tolist() == [s for _, s in cases]


@given(CASES)
def test_judge_is_the_document_s(cases: list[tuple[dict[str, int], list[int]]]) -> None:
    states, memory = [c for c, _ in cases], np.array([s for _, s in cases], np.int64)
    batch = columns(states)
    assert golden.judge(batch, memory).tolist() == [scalar_judge(c, s) for c, s in cases]
    compare(batch, states)
    assert memory.tolist() == [s for _, s in cases]


@pytest.mark.parametrize(("norm", "saturated", "ok"), [(255, 0, 1), (257, 0, 1), (258, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_judge_takes_a_norm_at_the_bound(norm: int, saturated: int, ok: int) -> None:
    c = one(norm=norm, saturated=saturated, peak=3)
    # 257 is {8, 8}: the lowest of its 9 bits is 8 of 2048. The lowest bit counts as set, so that 258 is 259.
    cost = golden.judge(c, memory(LOG_ACCEPT=8 << 11 | 8))
    assert (c.judged.tolist(), cost.tolist()) == ([ok], [Timing.JUDGE + 24 - (norm | 1).bit_length()])
    assert (c.norm.tolist(), c.peak.tolist(), c.saturated.tolist()) == ([0], [0], [0])


def test_a_jump_begins_with_the_size_that_the_last_one_led_to() -> None:
    s = memory(LOG_START=12 << 11, JUMP_SIZE=9 << 11, SIZE=14 << 11, LOG_MAX=20 << 11, LOG_ACCEPT=8 << 11)
    c = one(remaining=1 << 20)
    golden.plan(c, s, 1)
    assert (c.step_ticks.tolist(), c.opening.tolist()) == ([512], [True])
    c.norm[0] = 1 << 20
    assert not golden.decide(c, s).accept[0]  # and a reject leaves it open
    assert (s[0, Param.JUMP_SIZE], c.opening.tolist()) == (9 << 11, [True])
    golden.plan(c, s)
    s[0, Param.SAFETY], s[0, Param.CHANGE_MAX] = 2048, 2048
    assert golden.decide(c, s).accept[0]
    assert (s[0, Param.JUMP_SIZE], s[0, Param.SIZE], c.opening.tolist()) == (10 << 11, 10 << 11, [False])
    golden.plan(c, s)
    assert golden.decide(c, s).accept[0]
    assert (s[0, Param.JUMP_SIZE], s[0, Param.SIZE]) == (10 << 11, 11 << 11)


def test_a_jump_takes_the_size_where_no_step_was_accepted_since_the_last_one() -> None:
    s = memory(JUMP_SIZE=9 << 11, SIZE=7 << 11)
    c = one(remaining=1 << 20, opening=1)
    golden.plan(c, s, 1)
    assert (c.step_ticks.tolist(), s[0, Param.SIZE], c.opening.tolist()) == ([128], 7 << 11, [True])


def one(**values: int) -> golden.ControllerState:
    return columns([dict.fromkeys((f.name for f in fields(golden.ControllerState)), 0) | values])


def memory(**words: int) -> a.Int:
    """An S memory with the named parameters."""
    s = np.zeros((1, 256), np.int64)
    for name, word in words.items():
        s[0, Param[name]] = s16(word)
    return s


@given(log_scaled(32), UNSIGNED)
@example(2**32 - 1, 2**16 - 1)
@example(2**32 - 1, 31 << 11)
def test_a_planned_step_never_passes_the_frame_s_end(remaining: int, size: int) -> None:
    c = one(remaining=remaining or 1)
    rest = int(c.remaining[0])
    golden.plan(c, memory(SIZE=size))
    t = int(c.step_ticks[0])
    assert 1 <= t <= rest
    # A rest that would be shorter than the step is halved instead.
    assert t == rest or rest - t >= t


@given(UNSIGNED)
def test_an_unclipped_step_has_twelve_significant_bits_and_its_code(size: int) -> None:
    c = one(remaining=2**32 - 1)
    size &= 0x77FF  # below 2**15 ticks
    s = memory(SIZE=size)
    golden.plan(c, s)
    t, code = int(c.step_ticks[0]), int(c.step_code[0])
    assert code == size == s[0, Param.STEP] == s[0, Param.SIZE]
    assert t == (2048 + code % 2048) * 2 ** (code >> 11) // 2048
    assert t & -(1 << max(t.bit_length() - 12, 0)) == t


@settings(max_examples=50)
@given(st.integers(1, 2**32 - 1), UNSIGNED, st.integers(0, 2**32 - 1))
def test_accepted_steps_add_up_to_the_frame_exactly(dt: int, log_start: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Steps of a sixteenth of the frame at the least, so that the test comes to an end.
    log_min = max((dt.bit_length() - 5) << 11, 0)
    s = memory(
        LOG_START=max(log_start, log_min),
        LOG_MIN=log_min,
        LOG_MAX=65535,
        SAFETY=-200,
        BETA1=40,
        CHANGE_MIN=-4096,
        CHANGE_MAX=2048,
        LOG_ACCEPT=11 << 11,
    )
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
    ("state", "size", "cost"),
    [
        # 32 - e0; clipped adds the leading zeros of T and 2, halved another 2.
        ({"remaining": 1 << 20}, 10 << 11, 22),
        ({"remaining": 1 << 10}, 10 << 11, 22 + 21 + 2),
        ({"remaining": (1 << 11) - 1}, 10 << 11, 22 + 22 + 2 + 2),
        ({"remaining": 1 << 11}, 10 << 11, 22),
        ({"remaining": 1 << 20, "fresh": 1}, 10 << 11, 1 + 11 + 2),
        ({"remaining": 1}, 0, 32 + 31 + 2),
    ],
)
def test_the_cost_of_plan(state: dict[str, Any], size: int, cost: int) -> None:
    s = memory(SIZE=size, LOG_START=31 << 11)
    assert golden.plan(one(**state), s).tolist() == [Timing.PLAN + cost]


@pytest.mark.parametrize(
    ("state", "halt", "cost"),
    [
        ({"remaining": 8, "step_ticks": 8}, 0, 23),
        ({"remaining": 8, "step_ticks": 8, "norm": 1 << 23}, 30, 0),  # rejected: not checked
        ({"remaining": 9, "step_ticks": 8}, 30, 23 + Timing.HALT_CHECK + 31),
        ({"remaining": 9, "step_ticks": 8, "peak": 32767}, -1, 23 + Timing.HALT_CHECK + 31),
        ({"remaining": 8, "step_ticks": 8}, 30, 23),  # no time left: not checked
    ],
)
def test_the_cost_of_decide(state: dict[str, Any], halt: int, cost: int) -> None:
    s = memory(HALT=halt)
    assert golden.decide(one(**state), s).cost.tolist() == [Timing.DECIDE + cost]


def test_a_step_at_the_limit_is_accepted_though_it_misses_and_says_so() -> None:
    s = memory(LOG_MIN=9 << 11, LOG_MAX=20 << 11, CHANGE_MIN=-4096, LOG_ACCEPT=5 << 11, SIZE=10 << 11, BETA1=64)
    c = one(remaining=1 << 20)
    golden.plan(c, s)
    c.norm[0] = 1 << 20
    found = golden.decide(c, s)  # a factor of 1/4 would pass the smallest size
    assert not found.accept[0]
    assert c.at_limit[0]
    assert s[0, Param.SIZE] == 9 << 11
    golden.plan(c, s)
    c.norm[0] = 1 << 20
    found = golden.decide(c, s)
    assert found.accept[0]
    assert found.limited[0]
    assert c.remaining[0] == (1 << 20) - (1 << 9)


def test_take_and_put_are_inverse() -> None:
    state = golden.ControllerState.reset(4)
    part = state.take(np.array([1, 3]))
    part.norm += 5
    part.fresh[:] = True
    state.put(np.array([1, 3]), part)
    assert state.norm.tolist() == [0, 5, 0, 5]
    assert state.fresh.tolist() == [False, True, False, True]
