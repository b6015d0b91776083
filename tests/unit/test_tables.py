# SPDX-License-Identifier: BSD-2-Clause
"""Function tables, over all 65,536 inputs, read by the golden model's function unit, against closed forms."""

import decimal
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from liquid_accel.compiler import tables
from liquid_accel.compiler.tables import ALL_INPUTS, MAX_DELTA, Table, evaluate, exp2_value
from liquid_accel.rtl.formats import float_value
from liquid_accel.sim.golden import arithmetic

Floats = npt.NDArray[np.float64]
Q3_12 = 4096.0


def golden(table: Table, state_frac_bits: int = 12) -> npt.NDArray[np.int64]:
    words = np.array(table.words, np.int64)
    return np.asarray(
        arithmetic.function_unit(ALL_INPUTS, table.mode, words, arithmetic.rises(words), state_frac_bits)[0], np.int64
    )


def every_table() -> list[Table]:
    made = [tables.gate_table("fused"), tables.gate_table("expeuler"), tables.softplus_table(12)]
    for frac in (11, 12):
        made += [tables.tanh_table(frac, 12), tables.sigmoid_table(frac, 12), tables.rate_table(frac, 0.0, 15.98)]
        made += [tables.lecun_tanh_table(frac, 12), tables.relu_table(frac, frac), tables.log2_table(frac)]
        made += [tables.log_sigmoid_table(frac, mirrored) for mirrored in (False, True)]
        made += [tables.regular_gate_table(name, frac, -2.0) for name in ("fused", "expeuler")]
    made.append(tables.correction_table())
    return [*made, tables.tanh_table(12, 14), tables.error_table(1e-2, 1e-2, 12), tables.error_table(0.5, 1e-3, 12)]


@pytest.mark.parametrize("table", every_table(), ids=lambda t: f"{t.name}-{t.frac_in}-{t.frac_out}")
def test_the_transcription_is_the_golden_function_unit(table: Table) -> None:
    state = table.frac_out if table.name in ("tanh", "sigmoid", "softplus") else 12
    assert np.array_equal(evaluate(table, ALL_INPUTS, state), golden(table, state))
    assert np.abs(np.diff(table.words)).max() <= MAX_DELTA


@pytest.mark.parametrize("frac", [12, 11])
@pytest.mark.parametrize(
    ("make", "exact"),
    [
        (tables.tanh_table, np.tanh),
        (tables.sigmoid_table, lambda x: 1 / (1 + np.exp(-x))),
        (tables.lecun_tanh_table, lambda x: 1.7159 * np.tanh(0.666 * x)),
    ],
    ids=["tanh", "sigmoid", "lecun_tanh"],
)  # fmt: skip
def test_activations_are_within_2_lsb_and_monotone(
    make: Callable[[int, int], Table], exact: Callable[[Floats], Floats], frac: int
) -> None:
    table = make(frac, 12)
    got = golden(table)
    error = np.abs(got / Q3_12 - exact(ALL_INPUTS / 2.0**frac)).max() * Q3_12
    assert error <= 2.0
    assert table.bounds[0].value == pytest.approx(error, abs=1e-4)
    assert (np.diff(got) >= 0).all()


@pytest.mark.parametrize("frac", [12, 11])
def test_tanh_is_odd_and_sigmoid_is_its_complement(frac: int) -> None:
    inputs = slice(1, None)  # -32768 has no opposite
    tanh, sigmoid = golden(tables.tanh_table(frac, 12))[inputs], golden(tables.sigmoid_table(frac, 12))[inputs]
    assert np.array_equal(tanh, -tanh[::-1])
    assert np.array_equal(sigmoid[:32767], 4096 - sigmoid[:32767:-1])


def test_softplus_is_within_2_lsb_and_monotone() -> None:
    got = golden(tables.softplus_table(12))
    exact = np.minimum(np.logaddexp(0, ALL_INPUTS / Q3_12), 32767 / Q3_12)
    assert np.abs(got / Q3_12 - exact).max() * Q3_12 <= 2.0
    assert (np.diff(got) >= 0).all()


@pytest.mark.parametrize("frac", [12, 11])
@pytest.mark.parametrize(("offset", "fastest"), [(0.0, 15.98), (-2.0, 15.98), (-1.585, 3.7), (3.0, 7.25)])
def test_the_reciprocal_of_tau_is_within_a_fifth_of_a_percent_down_to_the_stated_floor(
    frac: int, offset: float, fastest: float
) -> None:
    table = tables.rate_table(frac, offset, fastest)
    values = exp2_value(golden(table))
    tau = np.logaddexp(0, ALL_INPUTS / 2.0**frac)
    stated = {bound.name: bound.value for bound in table.bounds}
    inside = (tau >= stated["tau: floor"]) & (tau < stated["tau: ceiling"])
    assert inside.sum() > 256
    error = np.abs(values * tau / 2.0**offset - 1)
    assert error[inside].max() <= 0.002
    assert (np.diff(values) <= 0).all()
    assert values.max() <= 2.0**fastest
    # Below the floor 1/tau is held.
    assert (values[tau < stated["tau: floor"]] == values.max()).all()


def test_the_rate_is_right_where_softplus_is_tiny() -> None:
    """Far below 0 softplus is exp(x): checked with 50 digits."""
    table = tables.rate_table(11, 0.0, 15.98)
    got = evaluate(table, ALL_INPUTS, 12)
    with decimal.localcontext() as context:
        context.prec = 50
        for word in range(-22000, -20000, 97):
            tau = (1 + (decimal.Decimal(word) / 2048).exp()).ln()
            exact = -tau.ln() / decimal.Decimal(2).ln()
            assert abs(got[word + 32768] / 2048 - float(exact)) < 2 / 2048


@pytest.mark.parametrize(
    ("name", "gate"), [("fused", lambda z: z / (1 + z)), ("expeuler", lambda z: -np.expm1(-z))]
)  # fmt: skip
def test_gates_are_within_a_fifth_of_a_percent_and_never_pass_1(name: str, gate: Callable[[Floats], Floats]) -> None:
    values = exp2_value(golden(tables.gate_table(name)))
    z = 2.0 ** (ALL_INPUTS / 2048.0)
    assert np.abs(values / gate(z) - 1).max() <= 0.002
    assert values.max() == 1.0
    assert (np.diff(values) >= 0).all()


def test_the_error_scale_is_the_reciprocal_of_the_tolerance() -> None:
    values = exp2_value(golden(tables.error_table(1e-2, 2e-2, 12)))
    h = np.abs(ALL_INPUTS) / Q3_12
    inside = h < 7.9
    assert np.abs(values * (2e-2 + 1e-2 * h) - 1)[inside].max() <= 0.002


def test_a_steep_error_scale_is_tighter_than_asked_for_never_wider() -> None:
    values = exp2_value(golden(tables.error_table(0.5, 1e-3, 12)))
    h = np.abs(ALL_INPUTS) / Q3_12
    assert (values * (1e-3 + 0.5 * h))[h < 7.9].min() >= 0.998


def test_exp2_is_the_float_code_of_the_golden_model() -> None:
    codes = arithmetic.exp2(ALL_INPUTS)
    exact = np.array([float_value(int(code) & 0xFFFF) for code in codes])
    assert np.array_equal(exp2_value(ALL_INPUTS), exact)
    assert np.abs(exact / 2.0 ** (ALL_INPUTS / 2048.0) - 1).max() < 5e-4


def test_a_table_that_the_interpolator_cannot_follow_is_a_mistake() -> None:
    words = (0, *[1024] * 255)
    with pytest.raises(ValueError, match="256 words"):
        Table("steep", tables.Mode.ODD, words, 12, 12, ())


@pytest.mark.parametrize("frac", [12, 11])
def test_relu_is_exact(frac: int) -> None:
    assert np.array_equal(golden(tables.relu_table(frac, frac), frac), np.maximum(ALL_INPUTS, 0))


@pytest.mark.parametrize("frac", [12, 11])
@pytest.mark.parametrize("log_time", [0.0, -2.0, 3.0, -6.0])
@pytest.mark.parametrize(
    ("name", "gate"), [("fused", lambda z: z / (1 + z)), ("expeuler", lambda z: -np.expm1(-z))]
)  # fmt: skip
def test_a_gate_of_one_step_is_within_a_fifth_of_a_percent_and_never_passes_1(
    name: str, gate: Callable[[Floats], Floats], log_time: float, frac: int
) -> None:
    """From the pre-activation of tau on, up to the last segment, which is flat."""
    values = exp2_value(golden(tables.regular_gate_table(name, frac, log_time)))
    exact = gate(2.0**log_time / np.logaddexp(0, ALL_INPUTS / 2.0**frac))
    inside = (exact > 2.0**-15) & (np.arange(65536) < 65280)
    assert np.abs(values / exact - 1)[inside].max() <= 0.002
    assert values.max() <= 1


def test_the_correction_is_right_down_to_the_shortest_steps() -> None:
    """(z - 1 + exp(-z)) / z cancels where z is small: checked with 50 digits."""
    values = exp2_value(golden(tables.correction_table()))
    with decimal.localcontext() as context:
        context.prec = 50
        for word in range(-30720, 32768, 97):
            z = decimal.Decimal(2) ** (decimal.Decimal(word) / 2048)
            exact = (z - 1 + (-z).exp()) / z
            assert abs(values[word + 32768] / float(exact) - 1) <= 0.002, word
    assert values.max() <= 1


def test_log2_is_within_a_fifth_of_a_percent_behind_its_eighth_knot() -> None:
    for frac in (8, 12):
        values = exp2_value(golden(tables.log2_table(frac)))[32768 + 1024 : 65536 - 128]
        assert np.abs(values / (np.arange(1024, 32768 - 128) / 2.0**frac) - 1).max() <= 0.002
