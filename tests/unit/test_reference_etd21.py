# SPDX-License-Identifier: BSD-2-Clause
"""The exponential pair: its equation by hand, what makes it cheap, and its figures on the shipped network."""

import decimal
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from liquid_accel import checkpoint, data
from liquid_accel.shipped import shipped
from liquid_accel.sim import reference
from liquid_accel.sim.reference_controller import Controller
from liquid_accel.sim.reference_equation import Field
from liquid_accel.sim.reference_etd21 import Etd21, gain
from liquid_accel.sim.reference_fields import CoupledField
from liquid_accel.sim.reference_settings import SolverSettings

HIDDEN = 4


def equation(frames: int = 3, seed: int = 0) -> Field:
    draw = np.random.default_rng(seed)
    shape = (1, frames, HIDDEN)
    return Field(draw.normal(size=(HIDDEN, HIDDEN)), draw.normal(size=shape), draw.uniform(0.2, 2.0, shape), np.tanh)


@settings(max_examples=100)
@given(st.floats(1e-12, 1e6))
def test_the_gain_is_right_to_rounding_from_tiny_steps_to_endless_ones(z: float) -> None:
    with decimal.localcontext() as context:
        context.prec = 60
        exact = (decimal.Decimal(z) - 1 + (-decimal.Decimal(z)).exp()) / decimal.Decimal(z)
    assert float(gain(np.array(z))) == pytest.approx(float(exact), rel=1e-7)
    assert 0 <= float(gain(np.array(z))) <= 1


def test_steps_are_those_of_the_equation_written_out() -> None:
    """Two steps in each of three frames, unit by unit; one product each, none for a frame's start."""
    field = equation()
    w, products = field.recurrent, 0
    h, m, states = np.zeros(HIDDEN), np.zeros(HIDDEN), []
    for frame in range(3):
        u, tau = field.drive[0, frame], field.tau[0, frame]
        f = np.tanh(m + u)
        for _ in range(2):
            z = 0.5 / tau
            predicted = f + (h - f) * np.exp(-z)
            m, products = w @ predicted, products + 1
            after = np.tanh(m + u)
            h, f = predicted + (after - f) * (z - 1 + np.exp(-z)) / z, after
        states.append(h)
    controller = Controller(0.5, first=0.5, largest=0.5)
    run = SolverSettings("etd21", atol=1e3, controller=controller).solver()(
        field, np.ones((1, 3)), np.ones((1, 3), np.bool_), None
    )
    np.testing.assert_allclose(run.states[0], states, atol=1e-12)
    assert run.rhs_evals.sum() == products == 6


def test_the_error_is_the_correction_against_a_constant_scale() -> None:
    field = equation()
    method, rows, step = Etd21(0.02, 0.01, 0.5, field), np.array([0]), np.array([0.7])
    method.enter(0, rows)
    error = method.attempt(0, rows, step)
    z = 0.7 / field.tau[0, 0]
    f = np.tanh(field.drive[0, 0])
    predicted = f * (1 - np.exp(-z))
    correction = (np.tanh(field.recurrent @ predicted + field.drive[0, 0]) - f) * (z - 1 + np.exp(-z)) / z
    np.testing.assert_allclose(error, [np.sqrt(np.mean((correction / (0.01 + 0.02 * 0.5)) ** 2))])


def test_a_reject_costs_one_product_and_leaves_the_slope_s_start() -> None:
    """A step that is tried, thrown away and tried smaller ends where the smaller one alone does."""
    field, rows = equation(), np.array([0])
    tried, direct = Etd21(1e-2, 1e-2, 1.0, field), Etd21(1e-2, 1e-2, 1.0, field)
    for method in (tried, direct):
        method.enter(0, rows)
    tried.attempt(0, rows, np.array([3.0]))
    tried.accept(rows, np.array([False]))
    for method in (tried, direct):
        method.attempt(0, rows, np.array([0.2]))
        method.accept(rows, np.array([True]))
    np.testing.assert_array_equal(tried.h, direct.h)
    np.testing.assert_array_equal(tried.f, direct.f)
    np.testing.assert_array_equal(tried.m, direct.m)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 999), st.floats(1e-3, 1e3))
def test_a_step_is_a_mean_of_state_and_targets(seed: int, step: float) -> None:
    """h' lies between the least and the largest of h, f and f*, unit by unit, at any step."""
    field, rows = equation(seed=seed), np.array([0])
    method = Etd21(1e-2, 1e-2, 1.0, field)
    method.h[:] = np.random.default_rng(seed).uniform(-1, 1, (1, HIDDEN))
    method.enter(0, rows)
    ends = [method.h.copy(), method.f.copy()]
    method.attempt(0, rows, np.array([step]))
    method.accept(rows, np.array([True]))
    ends.append(method.f)
    assert (method.h >= np.min(ends, axis=0) - 1e-12).all()
    assert (method.h <= np.max(ends, axis=0) + 1e-12).all()


def test_without_a_recurrent_product_it_is_exact() -> None:
    field = replace(equation(), recurrent=np.zeros((HIDDEN, HIDDEN)))
    run = SolverSettings("etd21").solver()(field, np.full((1, 3), 5.0), np.ones((1, 3), np.bool_), None)
    h = np.zeros(HIDDEN)
    for frame in range(3):
        f = np.tanh(field.drive[0, frame])
        h = f + (h - f) * np.exp(-5.0 / field.tau[0, frame])
    np.testing.assert_allclose(run.states[0, -1], h, atol=1e-14)
    assert run.accepted.sum() == 3


def test_time_constants_that_depend_on_the_state_leave_order_and_estimate_as_they_are() -> None:
    plain, draw = equation(frames=1), np.random.default_rng(9)
    slow, r = draw.normal(size=plain.drive.shape), draw.normal(size=(HIDDEN, HIDDEN))
    field = CoupledField(plain.recurrent, plain.drive, plain.tau, np.tanh, slow, r)

    def slope(_: float, h: np.ndarray) -> np.ndarray:
        tau = np.log1p(np.exp(slow[0, 0] + r @ h))
        return (np.tanh(plain.recurrent @ h + plain.drive[0, 0]) - h) / tau

    exact = solve_ivp(slope, (0, 1), np.zeros(HIDDEN), "LSODA", rtol=1e-12, atol=1e-13).y[:, -1]
    errors, estimates = [], []
    for count in (32, 64, 128, 256):
        controller = Controller(0.0, safety=1.0, first=1 / count, largest=1 / count, smallest=1 / 1024)
        run = SolverSettings("etd21", atol=1e3, controller=controller).solver()(
            field, np.ones((1, 1)), np.ones((1, 1), np.bool_), None
        )
        errors.append(np.abs(run.states[0, 0] - exact).max())
        method, rows = Etd21(0.0, 1.0, 1.0, field), np.array([0])
        method.enter(0, rows)
        estimates.append(method.attempt(0, rows, np.array([1 / count]))[0])
    for values in (errors, estimates):
        assert -np.polyfit(range(4), np.log2(values), 1)[0] == pytest.approx(2, abs=0.2)


def test_on_the_shipped_network_a_product_a_frame_keeps_the_accuracy() -> None:
    """The training file: what it is used at is chosen here, and the test file is left alone."""
    net = checkpoint.load(shipped("checkpoints", "japanese_vowels.safetensors"))
    train = data.load(shipped("data", "japanese_vowels_train.npz"), net.default_dt)
    exact = reference.run(net, train, "exact")
    inside, accuracy = train.mask, exact.accuracy(train.labels)

    def run(tolerance: float, threshold: float | None = None) -> tuple[float, float, float, float]:
        found = reference.run(net, train, SolverSettings("etd21", rtol=0.0, atol=tolerance, threshold=threshold))
        rms = float(np.sqrt(np.mean((found.states - exact.states)[inside] ** 2)))
        return found.rhs_evals_per_frame, rms, found.accuracy(train.labels), found.products_per_frame

    evals, rms, right, products = run(0.3)
    assert (evals, products) == (1.0, 1.0)
    assert rms < 0.1
    assert right > accuracy - 0.01
    evals, finer, right, _ = run(0.03)
    assert 1.4 < evals < 2.4
    assert finer < rms / 2
    assert right > accuracy - 0.01
    # Columns skipped: as accurate at far fewer products.
    assert run(0.3, 1 / 16)[3] < 0.75
    evals, _, right, products = run(0.03, 1 / 16)
    assert products < 0.6 * evals
    assert right > accuracy - 0.01
    assert run(0.03, 1 / 8)[3] < products
