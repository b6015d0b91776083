# SPDX-License-Identifier: BSD-2-Clause
"""Every solver of the float reference: its order, its bounds where the equation is stiff, and what it admits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.optimize import root

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, FIXED_TABLEAUS, GATES, RK4, TABLEAUS, ButcherTableau
from liquid_accel.sim.reference_adaptive import Pair
from liquid_accel.sim.reference_controller import Controller
from liquid_accel.sim.reference_equation import Field, Trajectory, keep
from liquid_accel.sim.reference_etd21 import Etd21
from liquid_accel.sim.reference_settings import SOLVERS, SolverSettings
from liquid_accel.sim.reference_solvers import Iteration, solve_fixed

HIDDEN = 6
BOUNDED = ("fused", "expeuler", "beuler", "etd21")


def equation(batch: int = 4, frames: int = 1, fastest: float = 0.7, slowest: float = 3.0, seed: int = 0) -> Field:
    """A layer with time constants spread from `fastest` to `slowest`, evenly in the logarithm."""
    draw = np.random.default_rng(seed)
    tau = draw.permuted(np.tile(np.geomspace(fastest, slowest, HIDDEN), (batch, frames, 1)), axis=2)
    drive = draw.normal(size=(batch, frames, HIDDEN))
    return Field(draw.normal(size=(HIDDEN, HIDDEN)) / 2, drive, tau, np.tanh)


def solve(field: Field, dt: float | np.ndarray = 1.0, **more: object) -> Trajectory:
    shape = field.drive.shape[:2]
    return SolverSettings(**more).solver()(field, np.broadcast_to(dt, shape), np.ones(shape, np.bool_), None)  # type: ignore[arg-type]


def truth(field: Field, dt: float = 1.0) -> np.ndarray:
    """States (B, T, H) by LSODA, from the equation written out."""
    states = np.zeros(field.drive.shape)
    for row, frames in enumerate(field.drive):
        h = np.zeros(HIDDEN)
        for frame, drive in enumerate(frames):
            tau = field.tau[row, frame]

            def slope(_: float, h: np.ndarray, drive: np.ndarray = drive, tau: np.ndarray = tau) -> np.ndarray:
                return (np.tanh(field.recurrent @ h + drive) - h) / tau

            h = states[row, frame] = solve_ivp(slope, (0, dt), h, "LSODA", rtol=1e-13, atol=1e-14).y[:, -1]
    return states


def slope_of(errors: list[float]) -> float:
    """Slope of log error over log step for steps halved each time."""
    return float(-np.polyfit(np.arange(len(errors)), np.log2(errors), 1)[0])


# ---- Orders ----------------------------------------------------------------------------------------------------------

ORDERS = [
    *((gate.name, gate.order) for gate in GATES.values()), ("beuler", 1),
    *((t.name, t.order) for t in FIXED_TABLEAUS.values()),
]  # fmt: skip


@pytest.mark.parametrize(("solver", "order"), ORDERS)
def test_fixed_steps_have_their_order(solver: str, order: int) -> None:
    field = equation(frames=2)
    exact = truth(field)
    counts = [8, 16, 32, 64] if order == 4 else [32, 64, 128, 256]
    iteration = Iteration(tolerance=1e-12, limit=60)
    runs = [solve(field, name=solver, steps=n, iteration=iteration) for n in counts]
    assert slope_of([float(np.abs(run.states - exact).max()) for run in runs]) == pytest.approx(order, abs=0.2)
    if solver != "beuler":
        evals = FIXED_TABLEAUS[solver].stages if solver in FIXED_TABLEAUS else 1
        assert [int(run.rhs_evals.max()) for run in runs] == [n * evals for n in counts]


def even_steps(count: int) -> Controller:
    """Steps of one size whatever the error."""
    size = 1.0 / count
    return Controller(0.0, safety=1.0, smallest=size / 2, largest=size, first=size)


@pytest.mark.parametrize("solver", [*TABLEAUS, "etd21"])
def test_solutions_of_pairs_have_their_order_and_so_have_their_estimates(solver: str) -> None:
    """The estimate is that of a first step of each size."""
    method = TABLEAUS[solver] if solver in TABLEAUS else EXPONENTIAL_PAIRS[solver]
    # Steps so large that rounding does not show, so small that the next order does not.
    counts = [16, 32, 64] if method.order == 5 else [16, 32, 64, 128]
    field = equation(frames=1)
    exact, errors, estimates = truth(field), [], []
    for count in counts:
        run = solve(field, name=solver, rtol=0.0, atol=1e3, controller=even_steps(count))
        assert (run.accepted == count).all()
        errors.append(float(np.abs(run.states - exact).max()))
        trial = Pair(method, 0.0, 1.0, field) if isinstance(method, ButcherTableau) else Etd21(1.0, 0.0, 1.0, field)
        rows = np.arange(4)
        trial.enter(0, rows)
        estimates.append(float(trial.attempt(0, rows, np.full(4, 1.0 / count)).max()))
    assert slope_of(errors) == pytest.approx(method.order, abs=0.2)
    assert slope_of(estimates) == pytest.approx(method.error_order, abs=0.2)


def test_backward_euler_is_the_root_of_its_equation() -> None:
    field = equation(fastest=0.1)
    run = solve(field, name="beuler", steps=1, iteration=Iteration(1e-13, 500))
    assert not run.unconverged.any()
    for row in range(4):
        tau, drive = field.tau[row, 0], field.drive[row, 0]

        def residual(y: np.ndarray, drive: np.ndarray = drive, tau: np.ndarray = tau) -> np.ndarray:
            return y - (np.tanh(field.recurrent @ y + drive) - y) / tau

        found = root(residual, run.states[row, 0] + 0.01, tol=1e-13).x
        np.testing.assert_allclose(run.states[row, 0], found, atol=1e-9)


def test_an_iteration_that_does_not_converge_is_counted_frame_by_frame() -> None:
    """-4 y + tanh's: with tau = dt / 100 the fixed point repels, the iterates swing between two values."""
    field = Field(np.array([[-4.0]]), np.full((2, 3, 1), 0.3), np.full((2, 3, 1), 1e-2), np.tanh)
    field.tau[:, 1] = 10.0
    run = solve(field, name="beuler", steps=2)
    np.testing.assert_array_equal(run.unconverged, [[2, 0, 2]] * 2)
    assert np.abs(run.states).max() <= 1.0
    assert run.rhs_evals[0, 0] == 2 * Iteration().limit
    assert 2 < run.rhs_evals[0, 1] < 2 * Iteration().limit


# ---- Stiff equations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", BOUNDED)
@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e6), st.integers(1, 5), st.integers(0, 99), st.floats(0.1, 50.0))
def test_what_is_a_mean_of_targets_stays_bounded_at_any_step(
    solver: str, dt: float, steps: int, seed: int, gain: float
) -> None:
    field = equation(fastest=1e-3, slowest=1e1, frames=4, seed=seed)
    field = replace(field, recurrent=field.recurrent * gain)
    # A tolerance that accepts anything: whole frames in one step, however long.
    run = solve(field, dt, name=solver, steps=steps, atol=10.0)
    assert np.abs(run.states).max() <= 1.0 + 1e-12
    assert not run.diverged.any()


@pytest.mark.parametrize("solver", ["fused", "expeuler", "etd21"])
def test_they_reach_the_rest_point_of_a_stiff_equation_in_a_long_frame(solver: str) -> None:
    field = equation(fastest=1e-3, slowest=1e1)
    field = replace(field, recurrent=field.recurrent / 4)
    rest = np.zeros((4, 1, HIDDEN))
    for _ in range(500):
        rest = np.tanh(rest @ field.recurrent.T + field.drive)
    np.testing.assert_allclose(solve(field, 1e5, name=solver, steps=64).states, rest, atol=1e-6)


@pytest.mark.parametrize("solver", sorted(TABLEAUS))
def test_explicit_pairs_reject_their_way_through_a_stiff_frame(solver: str) -> None:
    field = equation(fastest=1e-3, slowest=1e1)
    run = solve(field, name=solver, rtol=1e-4, atol=1e-4)
    assert (run.rejected > 0).all()
    assert not run.limited.any()
    assert (run.accepted > 100).all()
    np.testing.assert_allclose(run.states, truth(field), atol=5e-3)


@pytest.mark.parametrize("solver", sorted(TABLEAUS))
def test_at_the_smallest_step_they_say_so(solver: str) -> None:
    """Steps of 1/8 of a frame, 125 times the fastest time constant: accepted, counted, and found to have diverged."""
    field = equation(fastest=1e-3, slowest=1e1, frames=8)
    run = solve(field, name=solver, rtol=1e-4, atol=1e-4, controller=Controller(0.3, smallest=0.125))
    assert (run.limited[:, 0] >= 7).all()
    assert run.diverged[:, -1].all()
    assert (run.short == 0).all()


@pytest.mark.parametrize("solver", sorted(FIXED_TABLEAUS))
def test_a_diverging_explicit_method_says_so_without_a_warning(solver: str) -> None:
    with np.errstate(all="raise"):
        run = solve(equation(fastest=1e-3, slowest=1e1, frames=30), name=solver, steps=3)
    assert run.diverged[:, -1].all()
    assert not solve(equation(frames=3), name=solver, steps=3).diverged.any()


# ---- Tableaus of users, and what is refused --------------------------------------------------------------------------


def test_a_tableau_may_be_handed_in_whole() -> None:
    field = equation(frames=2)
    mine = replace(TABLEAUS["bs32"], name="mine")
    np.testing.assert_array_equal(
        solve(field, name="mine", own=mine, rtol=1e-4).states, solve(field, name="bs32", rtol=1e-4).states
    )
    fixed = replace(RK4, name="exact")
    np.testing.assert_array_equal(
        solve(field, name="exact", own=fixed, steps=3).states, solve(field, name="rk4", steps=3).states
    )
    # A pair without its estimate is a method with fixed steps; the last stage is then evaluated for nothing.
    plain = replace(mine, error=None, embedded_order=None)
    run = solve(field, own=plain, steps=64)
    assert not SolverSettings(own=plain).adaptive
    np.testing.assert_allclose(run.states, truth(field), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([*SOLVERS]), st.integers(1, 3), st.integers(0, 9))
def test_no_time_and_no_frame_cost_nothing(solver: str, steps: int, seed: int) -> None:
    field = equation(frames=4, seed=seed)
    dt, inside = np.array([[0.5, 0.0, 1.0, 1.0]] * 4), np.array([[True, True, True, False]] * 4)
    run = SolverSettings(solver, steps).solver()(field, dt, inside, None)
    np.testing.assert_array_equal(run.states[:, 1], run.states[:, 0])
    np.testing.assert_array_equal(run.states[:, 3], run.states[:, 2])
    for counts in (run.rhs_evals, run.columns, run.accepted):
        assert not counts[:, [1, 3]].any()
    assert (run.rhs_evals[:, [0, 2]] > 0).all()
    np.testing.assert_array_equal(run.columns, run.rhs_evals * HIDDEN)


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"name": "magic"}, "solver is 'magic'; the float reference has fused"),
        ({"steps": 0}, "steps is 0"),
        ({"name": "bs32", "rtol": float("nan")}, "rtol and atol are nan"),
        ({"threshold": -1.0}, "threshold is -1.0; expected 0 or more"),
        ({"threshold": float("inf")}, "threshold is inf"),
        ({"name": "exact", "threshold": 0.1}, "threshold is 0.1, but solver is 'exact'"),
        ({"name": "etd21", "scale": 0.0}, "scale is 0.0"),
        ({"controller": Controller(0.5)}, "controller goes with an adaptive solver"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings_: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        SolverSettings(**settings_)  # type: ignore[arg-type]


def test_columns_are_skipped_of_plain_products_alone() -> None:
    class Other(Field):
        pass

    field = equation()
    other = Other(field.recurrent, field.drive, field.tau, field.act)
    assert keep(other, None) is other
    with pytest.raises(UserError, match=r"threshold is 0\.1, but the layer has other products than W h"):
        keep(other, 0.1)
    with pytest.raises(UserError, match="'rk4' estimates no error"):
        Pair(RK4, 1e-2, 1e-2, field)
    assert solve_fixed(RK4, 1, field, np.ones((4, 1)), np.ones((4, 1), np.bool_)).accepted.sum() == 4
