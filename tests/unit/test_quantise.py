# SPDX-License-Identifier: BSD-2-Clause
"""Quantised weights: as fine as 8 bits allow, and accumulators that cannot wrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquid_accel.compiler.quantise import (
    SCALE_MAX,
    pack_weights,
    prove_accumulator,
    quantise_matrix,
    quantise_words,
    weight_max,
)
from liquid_accel.errors import UserError

magnitudes = st.floats(2.0**-12, 100.0)


@given(st.lists(magnitudes, min_size=1, max_size=6), st.integers(10, 14), st.integers(10, 13))
def test_each_row_uses_the_finest_scale_that_fits(row: list[float], frac_in: int, frac_out: int) -> None:
    weight = np.array([row])
    if frac_in < frac_out and max(row) > 15:
        return  # a scale below 0, refused elsewhere
    quantised = quantise_matrix("w", weight, frac_in, frac_out)
    exponent = int(quantised.scale[0]) + quantised.shift
    assert np.abs(quantised.weight).max() <= weight_max(8)
    assert np.abs(weight * 2.0**exponent - quantised.weight).max() <= 0.5
    finer = np.rint(np.abs(weight).max() * 2.0 ** (exponent + 1))
    assert finer > weight_max(8) or quantised.scale[0] == SCALE_MAX


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_the_bound_of_an_accumulator_holds_and_is_met(seed: int, columns: int) -> None:
    weight = np.random.default_rng(seed).standard_normal((3, columns))
    quantised = quantise_matrix("w", weight, 12, 12)
    worst = np.where(quantised.weight >= 0, 1000, -1000)
    assert (quantised.weight * worst).sum(axis=1).max() == quantised.accumulator_bound(1000)


def test_a_scale_is_applied_as_the_machine_applies_it() -> None:
    """acc >> scale has the output's fraction bits."""
    weight = np.array([[0.3, -0.7], [20.0, 3.0], [0.0, 0.0]])
    x = np.array([0.5, -1.25])
    frac_in, frac_out = 13, 11
    quantised = quantise_matrix("w", weight, frac_in, frac_out)
    accumulator = quantised.weight @ np.rint(x * 2**frac_in).astype(np.int64)
    words = accumulator / 2.0**quantised.scale
    assert np.abs(words / 2**frac_out - weight @ x).max() < 0.2
    assert (words[2], quantised.scale[2]) == (0, SCALE_MAX)


def test_a_weight_that_no_shift_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match="tensor 'w' reaches 200 in row 1; expected weights of at most 127"):
        quantise_matrix("w", np.array([[1.0], [-200.0]]), 12, 12)
    # the same weight fits where the output is coarser than the input
    assert quantise_matrix("w", np.array([[1.0], [-200.0]]), 12, 11).weight[1, 0] == -100


def test_a_bias_that_does_not_fit_is_refused() -> None:
    assert quantise_words("b", np.array([-8.0, 7.9997]), 12).tolist() == [-32768, 32767]
    with pytest.raises(UserError, match=r"tensor 'b' reaches 8; expected at most 8 in a word of 12 fraction bits"):
        quantise_words("b", np.array([8.0]), 12)


def test_an_accumulator_that_might_wrap_is_refused() -> None:
    prove_accumulator("w", 2**31 - 1)
    with pytest.raises(UserError, match=r"'w' may reach 2147483648 in an accumulator; expected less than 2\*\*31"):
        prove_accumulator("w", 2**31)


def test_the_weight_memory_holds_columns_then_scales() -> None:
    weight = np.arange(1, 13, dtype=float).reshape(6, 2)  # 6 outputs, 2 inputs
    quantised = quantise_matrix("w", weight, 12, 12)
    words = pack_weights(quantised, 4)
    assert words.shape == (2 * 3, 4)
    assert words[0].tolist() == quantised.weight[:4, 0].tolist()
    assert words[1].tolist() == quantised.weight[:4, 1].tolist()
    assert words[2].tolist() == quantised.scale[:4].tolist()
    assert words[3].tolist() == [*quantised.weight[4:, 0].tolist(), 0, 0]
    assert words[5].tolist() == [*quantised.scale[4:].tolist(), 0, 0]
