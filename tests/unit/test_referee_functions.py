# SPDX-License-Identifier: BSD-2-Clause
"""The golden model's functions against mpmath with forty digits: every constant, and every table within what it states.

A table is held at every 37th input and around its ends; the float64 closed forms of test_tables.py have all 65,536.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from liquid_accel.compiler import tables
from liquid_accel.compiler.tables import Table
from liquid_accel.rtl.formats import EXP2_ROM, LOG2_CORRECTION, float_value
from liquid_accel.sim.golden import arithmetic

Exact = Callable[[Any], Any]
mp.dps = 40
WORDS = sorted({*range(-32768, 32768, 37), *range(-32768, -32748), *range(-150, 150), *range(32748, 32768)})


def golden(table: Table, state_frac_bits: int = 12) -> list[int]:
    words = np.array(table.words, np.int64)
    found = arithmetic.function_unit(
        np.array(WORDS, np.int64), table.mode, words, arithmetic.rises(words), state_frac_bits
    )[0]
    return [int(word) for word in found]


def two_to(word: int) -> Any:
    """What exp2 makes of a word, exactly."""
    return mp.mpf(float_value(int(arithmetic.exp2(np.array([word], np.int64))[0]) & 0xFFFF))


def stated(table: Table) -> float:
    return table.bounds[0].value


# ---- Constants


def test_the_rom_of_exp2_is_rounded_right() -> None:
    points = [int(mp.nint(2048 * (mp.power(2, mp.mpf(i) / 256) - 1))) for i in range(257)]
    assert [word % 2048 for word in EXP2_ROM] == points[:-1]
    assert [word // 2048 for word in EXP2_ROM] == [b - a for a, b in pairwise(points)]


def test_the_correction_of_a_logarithm_is_rounded_right_at_the_middle_of_each_segment() -> None:
    for i, word in enumerate(LOG2_CORRECTION):
        x = (mp.mpf(i) + mp.mpf("0.5")) / 64
        assert word == mp.nint(2048 * (mp.log(1 + x, 2) - x))


def test_exp2_of_every_word_is_within_2_to_the_minus_11() -> None:
    codes = arithmetic.exp2(np.arange(-32768, 32768)) & 0xFFFF
    worst = mp.mpf(0)
    for word, code in zip(range(-32768, 32768), codes.tolist()):
        # The exponent is exact, so that one octave has every mantissa.
        if word < 2048 - 32768 or word % 4099 == 0:
            worst = max(worst, abs(mp.mpf(float_value(code)) / mp.power(2, mp.mpf(word) / 2048) - 1))
        assert code // 2048 == (word // 2048) + 16
    assert worst < mp.power(2, -11)


def test_the_log_of_every_mantissa_is_within_eight_units() -> None:
    """Within a segment the correction stands still, and what it corrects moves by 13 at the most."""
    for mantissa in range(2048):
        code = 20 << 11 | mantissa
        exact = 2048 * mp.log(1 + mp.mpf(mantissa) / 2048, 2)
        assert abs(int(arithmetic.log2_step(np.array([code]))[0]) - exact) <= 7.5


# ---- Functions of states, in units of Q3.12


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Any) -> Any:
    return mp.log1p(mp.exp(x))


@pytest.mark.parametrize("frac", [11, 12])
@pytest.mark.parametrize(
    ("make", "exact"),
    [
        (tables.tanh_table, mp.tanh),
        (tables.sigmoid_table, sigmoid),
        (tables.lecun_tanh_table, lambda x: mp.mpf("1.7159") * mp.tanh(mp.mpf("0.666") * x)),
    ],
    ids=["tanh", "sigmoid", "lecun_tanh"],
)
def test_an_activation_is_within_its_bound(make: Callable[[int, int], Table], exact: Exact, frac: int) -> None:
    table = make(frac, 12)
    errors = [abs(word - 4096 * exact(mp.mpf(x) / 2**frac)) for x, word in zip(WORDS, golden(table))]
    assert max(errors) <= stated(table) + 1e-3 <= 2.001


def test_softplus_is_within_its_bound() -> None:
    table = tables.softplus_table(12)
    errors = [abs(word - min(4096 * softplus(mp.mpf(x) / 4096), 32767)) for x, word in zip(WORDS, golden(table))]
    assert max(errors) <= stated(table) + 1e-3 <= 2.001


@pytest.mark.parametrize("frac", [11, 12])
def test_relu_is_exact(frac: int) -> None:
    assert golden(tables.relu_table(frac, frac), frac) == [max(x, 0) for x in WORDS]


# ---- Functions that end in a float code, in parts


def worst(table: Table, exact: Exact, inside: Callable[[int], bool]) -> Any:
    """Largest relative error, in per cent, over words that are inside; `exact` is of the input as a number."""
    pairs = [(x, word) for x, word in zip(WORDS, golden(table)) if inside(x)]
    assert len(pairs) > 100
    return 100 * max(abs(two_to(word) / exact(mp.mpf(x) / 2**table.frac_in) - 1) for x, word in pairs)


def gate(name: str, z: Any) -> Any:
    return z / (1 + z) if name == "fused" else -mp.expm1(-z)


@pytest.mark.parametrize("name", ["fused", "expeuler"])
def test_a_gate_is_within_its_bound(name: str) -> None:
    table = tables.gate_table(name)
    assert worst(table, lambda q: gate(name, mp.power(2, q)), lambda _: True) <= stated(table) + 1e-4 <= 0.2001


@pytest.mark.parametrize("frac", [11, 12])
@pytest.mark.parametrize("name", ["fused", "expeuler"])
def test_a_gate_of_one_step_is_within_its_bound(name: str, frac: int) -> None:
    table = tables.regular_gate_table(name, frac, -2.0)

    def exact(x: Any) -> Any:
        return gate(name, mp.mpf("0.25") / softplus(x))

    def inside(word: int) -> bool:
        return word < 32768 - 256 and exact(mp.mpf(word) / 2**frac) > mp.power(2, tables.LOWEST)

    assert worst(table, exact, inside) <= stated(table) + 1e-4 <= 0.2001


@pytest.mark.parametrize("frac", [11, 12])
def test_the_reciprocal_of_tau_is_within_its_bound(frac: int) -> None:
    table = tables.rate_table(frac, 0.0, 15.98)
    floor, ceiling = (bound.value for bound in table.bounds[1:])
    found = worst(
        table, lambda x: 1 / softplus(x),
        lambda word: word < 32768 - 256 and floor <= softplus(mp.mpf(word) / 2**frac) <= ceiling,
    )  # fmt: skip
    assert found <= stated(table) + 1e-4 <= 0.2001


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_log_of_a_sigmoid_is_within_its_bound(mirrored: bool) -> None:
    table = tables.log_sigmoid_table(12, mirrored)

    def exact(x: Any) -> Any:
        return sigmoid(-x if mirrored else x)

    # In the last segment, which is flat, the mirrored one goes on falling: what it states holds all the same.
    assert worst(table, exact, lambda word: word < 32768 - 256) <= 0.2001
    assert worst(table, exact, lambda _: True) <= stated(table) + 1e-4


def test_the_correction_is_within_its_bound() -> None:
    table = tables.correction_table()

    def exact(q: Any) -> Any:
        z = mp.power(2, q)
        return (z - 1 + mp.exp(-z)) / z

    assert worst(table, exact, lambda word: word >= -15 * 2048) <= stated(table) + 1e-4 <= 0.2001


def test_the_error_scale_is_within_its_bound() -> None:
    table = tables.error_table(1e-2, 2e-2, 12)
    found = worst(table, lambda h: 1 / (mp.mpf("0.02") + abs(h) / 100), lambda word: abs(word) < 32768 - 128)
    assert found <= stated(table) + 1e-4 <= 0.2001


@pytest.mark.parametrize("frac", [8, 12])
def test_the_logarithm_is_within_its_bound(frac: int) -> None:
    table = tables.log2_table(frac)
    found = worst(table, abs, lambda word: 128 * 8 <= word < 32768 - 128)
    assert found <= stated(table) + 1e-4 <= 0.2001
