# SPDX-License-Identifier: BSD-2-Clause
"""Narrowing, saturating addition, the row multiplier and the gate, against the golden model's arithmetic."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from blocks import EDGES, simulate, streamed, word, words

from liquid_accel.rtl.gate_unit import GateUnit
from liquid_accel.rtl.isa import Factor
from liquid_accel.rtl.multiplier import RowMultiplier
from liquid_accel.rtl.narrow import Narrow, SaturatingAdd
from liquid_accel.sim.golden import arithmetic


def around_powers(width: int) -> Iterator[int]:
    """Every power of two with its neighbours, halves between them, of both signs."""
    for k in range(width):
        for base in (1 << k, 3 << k >> 1, (1 << k) + 32767, (1 << k) - 32768):
            for x in (base - 1, base, base + 1):
                yield from (v for v in (x, -x) if -(1 << width - 1) <= v < 1 << width - 1)


@pytest.mark.parametrize("latency", [1, 2])
@pytest.mark.parametrize("width", [24, 29, 32])
def test_narrow_shifts_rounds_half_up_and_saturates(width: int, latency: int) -> None:
    rng = random.Random(width)
    values = sorted(set(around_powers(width)))
    cases = [(rng.choice(values), amount) for amount in range(32) for _ in range(60)]
    # Just below, at and above what still fits, and the halves, for every amount.
    for amount, sign, offset in product(range(32), (-1, 1), (-1, 0, 1)):
        for x in (sign * (32768 << amount), (sign * 65535 << amount) >> 1, sign * (1 << amount >> 1)):
            if -(1 << width - 1) <= x + offset < 1 << width - 1:
                cases.append((x + offset, amount))
    inputs = [{"x": x, "amount": amount} for x, amount in cases]
    found = streamed(Narrow(width, latency), inputs, ("q", "clamped"), latency)
    x, amounts = np.array(cases, np.int64).T
    wide = arithmetic.rshift(x, amounts)
    exact = arithmetic.sat16(wide)
    for case, (q, clamped), ours, event in zip(cases, found, exact.tolist(), (exact != wide).tolist()):
        assert (q, bool(clamped)) == (ours, event), case


def test_the_saturating_adder_clamps_and_says_so() -> None:
    adder, rng = SaturatingAdd(), random.Random(1)

    async def bench(ctx: Any) -> None:
        pairs = [*product(EDGES, EDGES), *((word(rng), word(rng)) for _ in range(1000))]
        for a, b in pairs:
            ctx.set(adder.a, a)
            ctx.set(adder.b, b)
            exact = int(arithmetic.sat16(words(a + b))[0])
            assert (ctx.get(adder.s), ctx.get(adder.clamped)) == (exact, exact != a + b), (a, b)

    simulate(adder, bench, clocked=False)


@pytest.mark.parametrize(("width", "rows"), [(4, 3), (17, 6), (11, 8)])
def test_a_row_multiplier_adds_its_product_to_the_start(width: int, rows: int) -> None:
    multiplier, rng = RowMultiplier(width, rows), random.Random(1)
    a, b = range(-(1 << width - 1), 1 << width - 1), range(1 << rows)

    async def bench(ctx: Any) -> None:
        every = product(a, b, a) if width == 4 else ((rng.choice(a), rng.choice(b), rng.choice(a)) for _ in range(2000))
        for x, y, start in every:
            ctx.set(multiplier.a, x)
            ctx.set(multiplier.b, y)
            ctx.set(multiplier.start, start)
            assert ctx.get(multiplier.total) == start + x * y

    simulate(multiplier, bench, clocked=False)


def gated(element: dict[str, int], step: int, pool: int) -> tuple[int, bool]:
    """Steps 4 to 6 of docs/isa.md, "finish", by the golden model's arithmetic: out, and whether something clamped."""
    d = element["f"] - (element["base"] if element["subtract"] else 0)
    exponent, mantissa = words(0), words(arithmetic.MANTISSA_ONE)
    if element["factor"] == Factor.STEP:
        mantissa = arithmetic.split_code(words(step))[1]
    elif element["factor"] != Factor.ONE:
        code = element["code"] if element["factor"] == Factor.MEMORY else pool
        exponent, mantissa = arithmetic.split_code(words(code))
    n, negative = arithmetic.shift_count(element["shift"], exponent)
    wide = arithmetic.multiply(words(d), mantissa, n)
    v = arithmetic.sat16(wide)
    total = v + (element["base"] if element["add"] else 0)
    out = arithmetic.sat16(total)
    return int(out[0]), bool(negative[0] or v[0] != wide[0] or out[0] != total[0])


@pytest.mark.parametrize("seed", [1, 2])
def test_the_gate_is_the_golden_models(seed: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    step, pool = rng.getrandbits(16), rng.getrandbits(16)
    elements = []
    for _ in range(1500):
        element = {"f": word(rng), "base": word(rng), "subtract": rng.getrandbits(1), "add": rng.getrandbits(1)}
        element |= {"factor": rng.choice(tuple(Factor)), "code": rng.getrandbits(16), "shift": rng.randrange(64)}
        if rng.random() < 0.7:  # a shift after which something is left
            exponent = {Factor.MEMORY: element["code"] >> 11, Factor.POOL: pool >> 11}.get(element["factor"], 0)
            element["shift"] = min(exponent + rng.randrange(8, 14), 63)
        elements.append(element)
    late = ("factor", "shift", "code")  # come a cycle later
    inputs = []
    for at in range(len(elements) + 1):
        now, before = elements[min(at, len(elements) - 1)], elements[max(at - 1, 0)]
        inputs.append({**{n: v for n, v in now.items() if n not in late}, **{n: before[n] for n in late}})
    inputs[0] |= {"step": step, "pool": pool}
    found = streamed(GateUnit(), inputs, ("out", "clamped"), GateUnit.latency)
    for element, (out, clamped) in zip(elements, found):
        assert (out, bool(clamped)) == gated(element, step, pool), (seed, element)
    assert len({clamped for _, clamped in found}) == 2
