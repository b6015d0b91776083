# SPDX-License-Identifier: BSD-2-Clause
"""The golden model's narrowings against Python integers: every word, every shift, every tie and every end of a range.

Nothing here knows how the model rounds: the nearest number is found from quotient and rest, and of two that are as near
the larger one is taken.
"""

import random
from itertools import product

import numpy as np
import pytest

from liquid_accel.rtl.formats import LOG2_CORRECTION, SLOPE_LIMIT
from liquid_accel.rtl.isa import Mode
from liquid_accel.sim.golden import arithmetic as a
from liquid_accel.sim.golden import controller

ALL_WORDS = range(-(1 << 15), 1 << 15)
SHIFTS = range(32)


def nearest(x: int, n: int) -> int:
    """x / 2**n to the nearest integer, up where two are as near."""
    quotient, rest = divmod(x, 1 << n)
    return quotient + (2 * rest >= 1 << n)


def clamped(x: int) -> int:
    return -32768 if x < -32768 else 32767 if x > 32767 else x


def narrowed(sums: list[int], n: int) -> list[int]:
    return a.sat16(a.rshift(np.array(sums, np.int64), n)).tolist()


@pytest.mark.parametrize("n", SHIFTS)
def test_every_word_is_narrowed_to_the_nearest(n: int) -> None:
    assert narrowed([*ALL_WORDS], n) == [clamped(nearest(x, n)) for x in ALL_WORDS]


@pytest.mark.parametrize("n", SHIFTS)
def test_sums_at_ties_at_the_ends_of_a_word_and_of_32_bits_are_narrowed_to_the_nearest(n: int) -> None:
    half = 1 << n >> 1
    draw = random.Random(n)
    results = [-32769, -32768, -32767, -1, 0, 1, 32766, 32767, 32768]
    results += [draw.randint(-40000, 40000) for _ in range(200)]
    sums = [(result << n) + side * half + off for result, side, off in product(results, (-1, 0, 1), (-1, 0, 1))]
    sums += [-(1 << 31), -(1 << 31) + 1, (1 << 31) - 1, (1 << 31) - 2]
    sums = [x for x in sums if -(1 << 31) <= x < 1 << 31]
    assert narrowed(sums, n) == [clamped(nearest(x, n)) for x in sums]


def test_kept_sums_wrap_as_32_bits_do() -> None:
    edges = [k * (1 << 31) + off for k in range(-4, 5) for off in (-2, -1, 0, 1, 2)]
    expected = [int.from_bytes((x % (1 << 32)).to_bytes(4, "big"), "big", signed=True) for x in edges]
    assert a.signed32(np.array(edges, np.int64)).tolist() == expected


def test_words_that_are_added_clamp_at_both_ends() -> None:
    terms = [-32768, -32767, -16384, -1, 0, 1, 16384, 32766, 32767]
    pairs = [*product(ALL_WORDS, terms)]
    x, y = np.array(pairs, np.int64).T
    assert a.sat16(x + y).tolist() == [clamped(i + j) for i, j in pairs]
    assert a.sat16(x - y).tolist() == [clamped(i - j) for i, j in pairs]


@pytest.mark.parametrize("n", SHIFTS)
def test_every_mantissa_times_differences_of_both_signs_is_narrowed_to_the_nearest(n: int) -> None:
    differences = [-65535, -65534, -32769, -32768, -1025, -3, -1, 0, 1, 3, 1023, 32767, 32768, 65534, 65535]
    codes = np.arange(1 << 11)
    for d in differences:
        found = a.sat16(a.multiply(np.full(1 << 11, d), a.split_code(codes)[1], n)).tolist()
        assert found == [clamped(nearest(d * m, n)) for m in range(2048, 4096)]


def test_every_code_is_taken_apart_and_every_shift_by_it_is_clamped() -> None:
    codes = np.arange(1 << 16)
    exponent, mantissa = a.split_code(codes)
    assert exponent.tolist() == [code // 2048 for code in range(1 << 16)]
    assert mantissa.tolist() == [2048 + code % 2048 for code in range(1 << 16)]
    for shift in range(64):
        n, event = a.shift_count(shift, np.arange(32))
        assert n.tolist() == [min(max(shift - x, 0), 31) for x in range(32)]
        assert event.tolist() == [x > shift for x in range(32)]


def test_every_rise_at_every_place_of_a_segment_is_interpolated_to_the_nearest() -> None:
    """Of tables of two knots: DIRECT has 256 places between them, the others 128."""
    for rise in range(1 - SLOPE_LIMIT, SLOPE_LIMIT):
        table = np.zeros(256, np.int64)
        table[1:] = rise
        direct, _ = a.function_unit(np.arange(256) - 32768, Mode.DIRECT, table, a.rises(table), 12)
        assert direct.tolist() == [nearest(rise * u, 8) for u in range(256)]
        even, _ = a.function_unit(-np.arange(128), Mode.EVEN, table, a.rises(table), 12)
        assert even.tolist() == [nearest(rise * u, 7) for u in range(128)]
        assert all(min(0, rise) <= value <= max(0, rise) for value in direct.tolist()), "it leaves its segment"


def test_a_pseudo_logarithm_is_the_leading_one_and_what_is_below_it() -> None:
    def exact(n: int) -> int:
        place = n.bit_length() - 1
        return place * 2048 + (n - (1 << place)) * 2048 // (1 << place)

    numbers = [*range(1, 1 << 16)]
    for bits in range(16, 33):
        numbers += [n for n in range((1 << bits) - 2050, (1 << bits) + 2050) if n < 1 << 32]
    assert controller.pseudo_log2(np.array(numbers, np.int64)).tolist() == [exact(n) for n in numbers]
    assert controller.bit_length(np.array([0, *numbers], np.int64)).tolist() == [0, *(n.bit_length() for n in numbers)]


def test_the_log_of_every_step_is_the_document_s() -> None:
    for code in range(1 << 16):
        exponent, mantissa = divmod(code, 2048)
        expected = clamped((exponent - 20) * 2048 + mantissa + LOG2_CORRECTION[mantissa // 32])
        if code % 997 == 0 or mantissa in (0, 31, 32, 2047):
            assert a.log2_step(np.array([code])).tolist() == [expected]


def test_a_norm_counts_squares_of_clamped_magnitudes() -> None:
    """The 258 elements that docs/isa.md speaks of: one more wraps."""
    assert 258 * 255**2 < 1 << 24 <= 259 * 255**2
