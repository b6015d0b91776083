# SPDX-License-Identifier: BSD-2-Clause
"""The golden model's arithmetic against exact numbers: Python integers, fractions, and 2**x."""

from fractions import Fraction
from math import floor, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquid_accel.rtl.formats import float_value
from liquid_accel.rtl.isa import Mode
from liquid_accel.sim.golden import arithmetic as a

WORDS = st.integers(-(2**15), 2**15 - 1)
ALL_WORDS = np.arange(-(2**15), 2**15)
STATE_FRAC_BITS = 12

# A table for each mode, 128 words of Q3.12 apart; DIRECT's are 256 apart and may fall.
TANH = np.round(4096 * np.tanh(np.arange(256) * 128 / 4096)).astype(np.int64)
SIGMOID = np.round(4096 / (1 + np.exp(-np.arange(256) * 128 / 4096))).astype(np.int64)
LOG1P = np.round(4096 * np.log1p(np.exp(-np.arange(256) * 128 / 4096))).astype(np.int64)


def words(*values: int) -> a.Int:
    return np.array(values, np.int64)


def function(s: a.Int, mode: Mode, table: a.Int) -> a.Int:
    return a.function_unit(s, mode, table, a.rises(table), STATE_FRAC_BITS)[0]


@given(st.lists(st.integers(-(2**45), 2**45), min_size=1))
def test_sat16_clamps_to_a_word(values: list[int]) -> None:
    expected = [min(max(v, -32768), 32767) for v in values]
    assert a.sat16(words(*values)).tolist() == expected


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 31))
def test_rshift_rounds_half_up(x: int, n: int) -> None:
    expected = floor(Fraction(x, 2**n) + Fraction(1, 2))
    assert a.rshift(words(x), n).tolist() == [expected]
    assert a.rshift(words(x, x), words(n, 0)).tolist() == [expected, x]


@given(st.integers(0, 63), st.integers(0, 31))
def test_a_shift_count_has_five_bits_and_below_zero_is_an_event(shift: int, exponent: int) -> None:
    n, event = a.shift_count(shift, words(exponent))
    assert n.tolist() == [min(max(shift - exponent, 0), 31)]
    assert event.tolist() == [shift < exponent]


@given(st.integers(-65535, 65535), st.integers(0, 65535), st.integers(0, 63))
def test_multiply_is_the_exact_product_rounded(d: int, code: int, shift: int) -> None:
    exponent, mantissa = a.split_code(words(code))
    assert (int(exponent[0]), int(mantissa[0])) == (code >> 11, 2048 + code % 2048)
    n = min(max(shift - (code >> 11), 0), 31)
    expected = floor(Fraction(d * (2048 + code % 2048), 2**n) + Fraction(1, 2))
    assert a.multiply(words(d), mantissa, a.shift_count(shift, exponent)[0]).tolist() == [expected]


def test_a_float_code_is_the_same_as_a_signed_word() -> None:
    codes = np.arange(65536)
    for part, signed in zip(a.split_code(codes), a.split_code(a.signed16(codes))):
        np.testing.assert_array_equal(part, signed)


@given(st.integers(1, 12), st.integers(1, 256), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_matrix_product_is_exact(n: int, cols: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.integers(-32768, 32768, (n, cols)), rng.integers(-128, 128, (cols, outputs))
    np.testing.assert_array_equal(a.matrix_product(x.astype(np.float64), w.astype(np.float64)), x @ w)


def test_the_matrix_product_is_exact_at_its_bound_and_in_parts() -> None:
    x, w = np.full((1000, 256), -32768), np.full((256, 64), -128)
    np.testing.assert_array_equal(a.matrix_product(x.astype(np.float64), w.astype(np.float64)), x @ w)


def scalar_function(s: int, mode: Mode, table: list[int]) -> int:
    """The document's text, one word at a time, in exact integers."""

    def clamp(v: int) -> int:
        return min(max(v, -32768), 32767)

    def interpolate(i: int, u: int) -> int:
        delta = 0 if i == 255 else table[i + 1] - table[i]
        return table[i] + (delta * u + 128) // 256

    if mode == Mode.IDENTITY:
        return s
    if mode == Mode.DIRECT:
        return clamp(interpolate((s + 32768) // 256, (s + 32768) % 256))
    m = min(abs(s), 32767)
    t = interpolate(m // 128, 2 * (m % 128))
    if mode == Mode.ODD:
        return clamp(-t if s < 0 else t)
    if mode == Mode.COMPLEMENT:
        return clamp(2**STATE_FRAC_BITS - t if s < 0 else t)
    return clamp(t + max(s, 0)) if mode == Mode.SOFTPLUS else t


@st.composite
def tables(draw: st.DrawFn) -> list[int]:
    """256 words whose neighbours differ by less than 1024."""
    table = [draw(WORDS)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    largest = draw(st.sampled_from([1, 20, 1023]))
    for step in rng.integers(-largest, largest + 1, 255):
        table.append(min(max(table[-1] + int(step), -32768), 32767))
    return table


@given(tables(), st.sampled_from(list(Mode)), st.lists(WORDS, min_size=1, max_size=50))
def test_the_function_unit_is_the_document_s(table: list[int], mode: Mode, values: list[int]) -> None:
    values = [*values, -32768, -32767, -1, 0, 127, 128, 32767]
    got = function(words(*values), mode, words(*table))
    assert got.tolist() == [scalar_function(s, mode, table) for s in values]


@given(tables(), st.sampled_from(list(Mode)))
def test_clamp_events_are_where_the_exact_value_is_out_of_range(table: list[int], mode: Mode) -> None:
    entries = words(*table)
    f, event = a.function_unit(ALL_WORDS, mode, entries, a.rises(entries), STATE_FRAC_BITS)
    reached = np.zeros(len(ALL_WORDS), bool) if event is None else event
    # What is not at an end of the range was not clamped; what every mode but these gives is a table's own value.
    assert not reached[(f > -32768) & (f < 32767)].any()
    if mode not in (Mode.ODD, Mode.COMPLEMENT, Mode.SOFTPLUS):
        assert not reached.any()


def test_a_mirrored_smallest_word_is_clamped_and_counts() -> None:
    table = np.full(256, -32768)
    for mode in (Mode.ODD, Mode.COMPLEMENT):
        f, event = a.function_unit(words(-5, 5), mode, table, a.rises(table), STATE_FRAC_BITS)
        assert f.tolist() == [32767, -32768]
        assert event is not None
        assert event.tolist() == [True, False]


def test_softplus_counts_where_it_clamps() -> None:
    table = np.full(256, 100)
    f, event = a.function_unit(words(-5, 32667, 32668), Mode.SOFTPLUS, table, a.rises(table), STATE_FRAC_BITS)
    assert f.tolist() == [100, 32767, 32767]
    assert event is not None
    assert event.tolist() == [False, False, True]


def test_tanh_is_odd_monotone_and_close() -> None:
    f = function(ALL_WORDS, Mode.ODD, TANH)
    np.testing.assert_array_equal(f[1:], -f[:0:-1])  # all but the most negative word, which has no counterpart
    assert f[0] == f[1]
    assert (np.diff(f) >= 0).all()
    assert np.abs(f - 4096 * np.tanh(ALL_WORDS / 4096)).max() <= 2


def test_sigmoid_is_complementary_and_monotone() -> None:
    f = function(ALL_WORDS, Mode.COMPLEMENT, SIGMOID)
    inner = f[1:]
    nonzero = ALL_WORDS[1:] != 0
    np.testing.assert_array_equal((inner + inner[::-1])[nonzero], 4096)
    assert (np.diff(f) >= 0).all()


def test_softplus_is_monotone_and_close() -> None:
    f = function(ALL_WORDS, Mode.SOFTPLUS, LOG1P)
    exact = 4096 * np.logaddexp(0, ALL_WORDS / 4096)
    assert (np.diff(f) >= 0).all()
    assert np.abs(f - np.minimum(exact, 32767)).max() <= 2


def test_even_ignores_the_sign_and_direct_does_not() -> None:
    table = np.arange(256)
    assert function(words(-300, 300), Mode.EVEN, table).tolist() == [2, 2]
    assert function(words(-32768, 0, 32767), Mode.DIRECT, table).tolist() == [0, 128, 255]


def test_exp2_is_within_2_to_the_minus_11_of_a_power_of_two() -> None:
    codes = a.exp2(ALL_WORDS)
    assert codes.min() >= -32768
    assert codes.max() <= 32767
    got = np.array([float_value(int(c) & 0xFFFF) for c in codes])
    exact = 2.0 ** (ALL_WORDS / 2048)
    # Half a unit of the mantissa from the entry, the rest from the interpolation: one unit of 2**-11 at most.
    assert np.abs(got / exact - 1).max() < 2**-11
    assert (np.diff(got) >= 0).all()


@pytest.mark.parametrize(("f", "code"), [(0, 16 << 11), (2048, 17 << 11), (-2048, 15 << 11), (-32768, 0)])
def test_exp2_of_a_whole_number_is_exact(f: int, code: int) -> None:
    assert int(a.exp2(words(f))[0]) & 0xFFFF == code


def test_tables_end_in_a_flat_segment() -> None:
    assert a.rises(words(*range(256))).tolist() == [1] * 255 + [0]
    assert function(words(32767), Mode.ODD, TANH).tolist() == [round(4096 * tanh(255 * 128 / 4096))]
