# SPDX-License-Identifier: BSD-2-Clause
"""The step controller's float twin and the loop of steps: filters, limits, budget, a jump's memory, kept products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import BOGACKI_SHAMPINE32, EXPONENTIAL_PAIRS, FILTERS, TABLEAUS
from liquid_accel.sim.reference_adaptive import Pair, scaled_error, solve_adaptive, time_unit
from liquid_accel.sim.reference_controller import Controller, Steps, cut, default_controller
from liquid_accel.sim.reference_equation import Field, Trajectory, keep
from liquid_accel.sim.reference_kept import Kept
from liquid_accel.sim.reference_settings import SolverSettings

HIDDEN = 5
ONE = np.array([0])


def equation(batch: int = 3, frames: int = 6, seed: int = 0) -> Field:
    draw = np.random.default_rng(seed)
    shape = (batch, frames, HIDDEN)
    return Field(draw.normal(size=(HIDDEN, HIDDEN)), draw.normal(size=shape), draw.uniform(0.2, 2.0, shape), np.tanh)


def solve(field: Field, dt: float | np.ndarray = 1.0, **more: object) -> Trajectory:
    shape = field.drive.shape[:2]
    return SolverSettings(**more).solver()(field, np.broadcast_to(dt, shape), np.ones(shape, np.bool_), None)  # type: ignore[arg-type]


# ---- Controller ------------------------------------------------------------------------------------------------------


def test_the_error_is_the_stated_norm() -> None:
    estimate, h = np.array([[0.11, 0.62]]), np.array([[1.0, -3.0]])
    np.testing.assert_allclose(scaled_error(estimate, np.abs(h), 0.1, 0.01), [np.sqrt((1 + 4) / 2)])
    np.testing.assert_allclose(scaled_error(estimate, 1.0, 0.1, 0.01), [np.sqrt((1 + (0.62 / 0.11) ** 2) / 2)])
    assert scaled_error(np.array([[np.nan, 0]]), 1.0, 0.1, 0.1)[0] == np.inf
    assert scaled_error(np.array([[1e300, 0]]), 1.0, 0.1, 0.1)[0] == np.inf


@settings(max_examples=100)
@given(st.sampled_from(sorted(FILTERS)), st.integers(1, 5), st.lists(st.floats(1e-3, 1.0), min_size=2, max_size=6))
def test_the_filters_are_products_of_powers_as_papers_print_them(name: str, order: int, errors: list[float]) -> None:
    """h_{n+1}/h_n = s e_n^-b1 e_{n-1}^-b2 (h_n/h_{n-1})^-a2, with h211b's b = 4 and PI's 0.7 and 0.4."""
    powers = {
        "i": (1 / order, 0.0, 0.0),
        "pi": (0.7 / order, -0.4 / order, 0.0),
        "h211": (1 / (4 * order), 1 / (4 * order), 1 / 4),
    }[name]
    controller = Controller.of(name, order, min_factor=1e-9, max_factor=1e9)
    steps = Steps(controller, 1, 1.0)
    steps.enter(ONE, np.array([1.0]))
    size, last, ratio = 1.0, 1.0, 1.0
    for error in errors:
        accept, limited = steps.decide(ONE, steps.size.copy(), np.array([error]))
        assert accept.all()
        assert not limited.any()
        ratio = 0.9 * error ** -powers[0] * last ** -powers[1] * ratio ** -powers[2]
        size, last = size * ratio, error
        np.testing.assert_allclose(steps.size, [size], rtol=1e-9)


@pytest.mark.parametrize(
    ("error", "factor"), [(1.0, 0.9), (8.0, 0.45), (0.0, 10.0), (np.inf, 0.2), (1e-9, 10.0), (1.01, 2**-0.25)]
)
def test_factors_have_limits_and_a_reject_shrinks_the_step(error: float, factor: float) -> None:
    steps = Steps(Controller.of("i", 3), 1, 1.0)
    steps.enter(ONE, np.array([1.0]))
    accept, _ = steps.decide(ONE, np.array([1.0]), np.array([error]))
    assert accept[0] == (error <= 1)
    np.testing.assert_allclose(steps.size, [factor])


def test_a_rejected_step_leaves_no_history() -> None:
    steps = Steps(Controller.of("h211", 2), 1, 1.0)
    steps.enter(ONE, np.array([1.0]))
    steps.decide(ONE, np.array([1.0]), np.array([0.5]))
    before = steps.error.copy(), steps.change.copy()
    steps.decide(ONE, steps.size.copy(), np.array([30.0]))
    np.testing.assert_array_equal([steps.error, steps.change], before)
    np.testing.assert_allclose(steps.error, [-1.0])


def test_the_end_of_a_frame_is_met_in_even_steps() -> None:
    step, left = np.ones(6), np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.6])
    np.testing.assert_array_equal(cut(step, left), [0.5, 1.0, 0.75, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(cut(step, left, even=True), [0.5, 1.0, 0.75, 1.0, 2.5 / 3, 0.9])


def test_a_step_that_was_cut_short_does_not_lower_the_size_and_may_raise_it() -> None:
    steps = Steps(Controller.of("i", 1), 1, 1.0)
    for error, size in ((0.9, 8.0), (0.01, 10.0)):
        steps.size[:] = 8.0
        steps.decide(ONE, np.array([1.0]), np.array([error]))
        np.testing.assert_allclose(steps.size, [size])


def test_below_the_smallest_step_anything_is_accepted_and_counted() -> None:
    steps = Steps(Controller.of("i", 1, smallest=0.5), 1, 1.0)
    steps.enter(ONE, np.array([1.0]))
    assert not steps.decide(ONE, np.array([1.0]), np.array([100.0]))[0]
    np.testing.assert_array_equal(steps.size, [0.5])
    assert np.array(steps.decide(ONE, np.array([0.5]), np.array([100.0]))).all()


def test_a_jump_has_a_memory_of_its_own() -> None:
    steps = Steps(Controller.of("i", 1, jump=True), 1, 1.0)
    dt = np.array([4.0])
    steps.enter(ONE, dt)
    np.testing.assert_array_equal(steps.size, dt)
    steps.decide(ONE, np.array([4.0]), np.array([9.0]))
    steps.decide(ONE, np.array([1.0]), np.array([0.45]))  # the first that is accepted: 1 * 0.9 / 0.45
    steps.decide(ONE, np.array([2.0]), np.array([0.3]))
    np.testing.assert_allclose(steps.size, [6.0])
    steps.enter(ONE, dt)
    np.testing.assert_allclose(steps.size, [2.0])
    # Where a frame's budget ends before a step was accepted, the size that it came to stands.
    steps.decide(ONE, np.array([2.0]), np.array([1.8]))
    steps.enter(ONE, dt)
    np.testing.assert_allclose(steps.size, [2.0 * 2**-1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"beta1": 3.0}, "beta1 is 3.0"), ({"alpha2": float("nan")}, "alpha2 is nan"),
        ({"safety": 0.0}, "safety is 0.0"),
        ({"min_factor": 1.5}, "min_factor, reject_factor and max_factor are 1.5"), ({"reject_factor": 1.0}, "and"),
        ({"smallest": 2.0, "largest": 1.0}, "smallest, largest and first are 2.0, 1.0"), ({"first": 0.0}, "first"),
        ({"budget": 0}, "budget is 0; expected at least 1"),
    ],
)  # fmt: skip
def test_a_controller_of_nonsense_is_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Controller(**{"beta1": 0.3, **change})  # type: ignore[arg-type]


def test_the_time_unit_is_the_compiler_s() -> None:
    from liquid_accel.compiler.formats import machine_unit

    dt, inside = np.array([[0.1, 0.3, 0.0, 9.0]]), np.array([[True, True, True, False]])
    assert time_unit(dt, inside) == machine_unit(dt[inside]) == 0.25
    assert time_unit(dt * 0, inside) == 1.0


def test_every_adaptive_method_has_defaults() -> None:
    for method in (*TABLEAUS.values(), *EXPONENTIAL_PAIRS):
        controller = default_controller(method)
        assert 0 < controller.beta1 <= 1
        assert controller.budget is None


# ---- Loop ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [*TABLEAUS, "etd21"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.booleans(), st.booleans(), st.sampled_from(sorted(FILTERS)), st.floats(1e-5, 1e-1))
def test_evaluations_are_those_of_the_steps(
    solver: str, seed: int, jump: bool, even: bool, name: str, tolerance: float
) -> None:
    field = equation(seed=seed)
    dt = np.random.default_rng(seed).choice([0.0, 1e-3, 0.5, 1.0, 3.0], size=(3, 6))
    controller = Controller.of(name, 3, jump=jump, even=even)
    run = solve(field, dt, name=solver, rtol=tolerance, atol=tolerance, controller=controller)
    moving = dt > 0
    assert (run.accepted[moving] >= 1).all()
    attempts = run.accepted + run.rejected
    if solver == "etd21":
        expected = attempts
    elif TABLEAUS[solver].fsal:
        expected = moving + (TABLEAUS[solver].stages - 1) * attempts
    else:  # the slope at h survives a reject
        expected = run.accepted + (TABLEAUS[solver].stages - 1) * attempts
    np.testing.assert_array_equal(run.rhs_evals, expected)
    np.testing.assert_array_equal(run.columns, run.rhs_evals * HIDDEN)
    assert not run.short.any()
    assert not run.limited.any()


@pytest.mark.parametrize("solver", [*TABLEAUS, "etd21"])
@pytest.mark.parametrize("name", sorted(FILTERS))
def test_the_error_follows_the_tolerance(solver: str, name: str) -> None:
    field = equation(6, 6)
    exact = solve(field, name="exact").states
    errors, evals = [], []
    for tolerance in (1e-1, 1e-3, 1e-5):
        controller = Controller.of(name, TABLEAUS[solver].error_order if solver in TABLEAUS else 2)
        run = solve(field, name=solver, rtol=tolerance, atol=tolerance, controller=controller)
        errors.append(float(np.sqrt(np.mean((run.states - exact) ** 2))))
        evals.append(int(run.rhs_evals.sum()))
        assert errors[-1] < 5 * tolerance
    assert errors == sorted(errors, reverse=True)
    assert evals == sorted(evals)


@pytest.mark.parametrize("solver", [*TABLEAUS, "etd21"])
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(0, 20))
def test_a_budget_is_kept_and_what_is_missing_is_told(solver: str, seed: int, more: int) -> None:
    """A frame that fell short ends where the unlimited run was at the same time: here found by cutting dt."""
    field = equation(frames=1, seed=seed)
    budget = (7 if solver in TABLEAUS else 1) + more
    controller = Controller.of("i", 3, budget=budget)
    run = solve(field, 4.0, name=solver, rtol=1e-4, atol=1e-4, controller=controller)
    assert (run.rhs_evals <= budget).all()
    short = run.short > 0
    assert (run.short <= 4.0).all()
    free = solve(field, 4.0, name=solver, rtol=1e-4, atol=1e-4, controller=Controller.of("i", 3))
    np.testing.assert_array_equal(short, free.rhs_evals > budget)
    np.testing.assert_array_equal(run.states[~short], free.states[~short])
    until = solve(field, 4.0 - run.short, name="exact")
    np.testing.assert_allclose(run.states, until.states, atol=5e-3)
    assert not run.states[run.accepted == 0].any()


def test_a_budget_that_no_step_fits_into_is_refused() -> None:
    with pytest.raises(UserError, match="budget is 3; expected at least 4, which one step takes"):
        solve(equation(), name="bs32", controller=Controller(0.3, budget=3))


# ---- Column skipping -------------------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.integers(0, 999), st.floats(0.0, 0.5))
def test_a_kept_product_is_exact_for_its_operand_and_counts_what_moved(seed: int, threshold: float) -> None:
    draw = np.random.default_rng(seed)
    w, operand = draw.normal(size=(HIDDEN, HIDDEN)), np.zeros((4, HIDDEN))
    kept = Kept(w, 4, 2, threshold)
    columns = np.zeros((4, 2), np.int64)
    for _ in range(20):
        frame, rows = int(draw.integers(2)), np.flatnonzero(draw.random(4) < 0.6)
        h = operand[rows] + draw.normal(size=(rows.size, HIDDEN)) * 0.3 * (draw.random((rows.size, HIDDEN)) < 0.7)
        product = kept.product(h, frame, rows)
        for index, row in enumerate(rows):  # one unit after the other
            for j in range(HIDDEN):
                if abs(h[index, j] - operand[row, j]) > threshold:
                    operand[row, j] = h[index, j]
                    columns[row, frame] += 1
            np.testing.assert_allclose(product[index], w @ operand[row], atol=1e-12)
        assert (np.abs(h - operand[rows]) <= threshold).all()
    np.testing.assert_array_equal(kept.operand, operand)
    np.testing.assert_array_equal(kept.columns, columns)


@pytest.mark.parametrize("solver", ["fused", "rk4", "beuler", *TABLEAUS, "etd21"])
def test_a_threshold_of_zero_changes_nothing_but_the_count(solver: str) -> None:
    field = equation()
    whole, kept = (solve(field, name=solver, rtol=1e-3, threshold=t) for t in (None, 0.0))
    np.testing.assert_allclose(kept.states, whole.states, atol=1e-9)
    np.testing.assert_array_equal(kept.rhs_evals, whole.rhs_evals)
    assert (kept.columns <= whole.columns).all()
    if solver == "bs32":  # a new frame's first slope is at the state that the last product was taken of
        assert (kept.columns[:, 1:] <= whole.columns[:, 1:] - HIDDEN).all()


@pytest.mark.parametrize("solver", ["fused", "expeuler", "bs32", "etd21"])
def test_a_larger_threshold_uses_fewer_columns_and_is_an_error_of_its_size(solver: str) -> None:
    field = equation(8, 12)
    exact = solve(field, name="exact").states
    more: dict[str, object] = {"name": solver, "rtol": 1e-3, "atol": 1e-3, "steps": 64}
    columns = [int(solve(field, threshold=t, **more).columns.sum()) for t in (0.0, 1 / 64, 1 / 16, 1 / 8)]
    assert columns == sorted(columns, reverse=True)
    assert columns[3] < columns[0] / 2
    plain = float(np.sqrt(np.mean((solve(field, **more).states - exact) ** 2)))
    for threshold in (1 / 64, 1 / 16):
        error = float(np.sqrt(np.mean((solve(field, threshold=threshold, **more).states - exact) ** 2)))
        assert error < plain + 2 * threshold


def test_a_pair_s_last_product_is_that_of_its_state() -> None:
    field = keep(equation(frames=1), 0.0)
    method = Pair(BOGACKI_SHAMPINE32, 1e-2, 1e-2, field)
    run = solve_adaptive(method, Controller.of("i", 3), np.ones((3, 1)), np.ones((3, 1), np.bool_))
    assert field.kept is not None
    np.testing.assert_array_equal(field.kept.operand, run.states[:, 0])
