# SPDX-License-Identifier: BSD-2-Clause
"""Budgets, controllers, tableaus of one's own, stiff layers, dense time and narrow weights, on the golden model."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from toys import GoldenRun, dequantised, run_golden, toy_data, toy_model

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import CompileOptions, available, compile
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.formats import TICK_BITS
from liquid_accel.rtl.isa import Space, Status
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, FIXED_TABLEAUS, GATES, IMPLICIT, TABLEAUS, ButcherTableau
from liquid_accel.sim import reference

TIMES = np.random.default_rng(3).choice([0.0, 0.01, 0.3, 1.0], size=(6, 7))
ADAPTIVE = sorted({*TABLEAUS, *EXPONENTIAL_PAIRS})
TOLERANCE = 2e-3
BOUND = 2e-3  # root mean square, of states whose steps kept `TOLERANCE`


def rms(x: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(x**2)))


def compiled(model: Checkpoint, frames: Dataset, lanes: int, solver: str, **changes: Any) -> Image:
    chosen = CompileOptions(**{"solver": solver, "rtol": TOLERANCE, "atol": TOLERANCE, **changes})
    config = preset("test", lanes=lanes, tables=8, base_elements=256, program_words=256)
    return compile(model, calibration=frames, config=config, options=chosen)


def error(run: GoldenRun, image: Image, model: Checkpoint, frames: Dataset, solver: str = "exact") -> float:
    exact = reference.run(model, frames, solver, steps=image.steps or 4, weights=dequantised(image, model))
    return rms((run.states - exact.states)[run.inside])


# ---- Budgets


@pytest.mark.parametrize("threshold", [None, 0.0, 1 / 32])
@pytest.mark.parametrize("budget", [7, 14])
@pytest.mark.parametrize("solver", ADAPTIVE)
def test_a_budget_cuts_a_frame_at_its_last_accepted_step(
    lanes: int, solver: str, budget: int, threshold: float | None
) -> None:
    """The states are those of the time that was reached, in the frame that was cut and in all behind it."""
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES)
    image = compiled(model, frames, lanes, solver, early_halt=False, budget=budget, delta_threshold=threshold)
    run = run_golden(image, frames, check_hazards=True)
    short = (run.counters["status"] & Status.BUDGET) > 0
    assert run.counters["rhs_evals"].max() <= budget
    assert np.array_equal(short, run.counters["lag"] > 0)
    if budget == 7:
        assert short.any()
    reached = frames.dt - run.counters["lag"] / 2**TICK_BITS * image.machine_unit
    assert (reached >= 0).all()
    assert error(run, image, model, replace(frames, dt=reached)) < BOUND + (threshold or 0.0) / 4


@pytest.mark.parametrize("solver", ADAPTIVE)
def test_a_frame_without_an_accepted_step_leaves_the_state_alone(lanes: int, solver: str) -> None:
    """One try a frame, of a step that is far too long."""
    method = TABLEAUS.get(solver)
    budget = 1 if method is None else method.stages
    model, frames = toy_model(before=(6,)), toy_data(dt=np.full((6, 7), 4.0))
    image = compiled(model, frames, lanes, solver, budget=budget, min_step=1e-3, rtol=1e-4, atol=1e-4)
    run = run_golden(image, frames, check_hazards=True)
    none = run.inside & (run.counters["accepted"] == 0)
    assert none.any()
    before = np.concatenate([np.zeros_like(run.states[:, :1]), run.states[:, :-1]], axis=1)
    assert np.array_equal(run.states[none], before[none])
    assert (run.counters["status"][none] & Status.BUDGET > 0).all()
    whole = np.rint(frames.dt / image.machine_unit * 2**TICK_BITS).astype(np.int64)
    assert np.array_equal(run.counters["lag"][none], whole[none])


def test_a_budget_for_no_step_is_refused(lanes: int) -> None:
    with pytest.raises(UserError, match="budget is 3 right-hand sides a frame; expected at least 4, those of one step"):
        compiled(toy_model(), toy_data(), lanes, "bs32", budget=3)
    with pytest.raises(UserError, match="budget is 9; fused takes fixed steps; expected none"):
        CompileOptions(solver="fused", budget=9)


# ---- Controllers


@pytest.mark.parametrize("controller", ["i", "pi", "h211"])
@pytest.mark.parametrize("jump", [False, True])
@pytest.mark.parametrize("solver", ADAPTIVE)
def test_every_filter_keeps_the_tolerance(lanes: int, solver: str, controller: str, jump: bool) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES)
    image = compiled(model, frames, lanes, solver, controller=controller, jump=jump)
    run = run_golden(image, frames, check_hazards=True)
    assert error(run, image, model, frames) < BOUND
    assert not run.counters["status"].any()


@pytest.mark.parametrize("solver", ADAPTIVE)
def test_steps_stay_within_their_limits(lanes: int, solver: str) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=np.full((6, 7), 1.0))
    longest = run_golden(compiled(model, frames, lanes, solver, max_step=0.125), frames)
    assert (longest.counters["accepted"][longest.inside] >= 8).all()
    # A smallest step of the whole frame is taken whatever its error, and says so.
    strict = compiled(model, frames, lanes, solver, min_step=1.0, rtol=1e-4, atol=1e-4)
    run = run_golden(strict, frames)
    assert (run.counters["accepted"][run.inside] == 1).all()
    assert (run.counters["status"] & Status.STEP_LIMIT > 0)[run.inside].any()


# ---- Tableaus of one's own

RALSTON = ButcherTableau(
    "ralston", 2, ((), (Fraction(2, 3),)), (Fraction(1, 4), Fraction(3, 4)), None, False, "Ralston 1962"
)
RALSTON21 = replace(RALSTON, name="ralston21", error=(Fraction(-3, 4), Fraction(3, 4)))


def test_a_tableau_of_ones_own(lanes: int) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES)
    image = compiled(model, frames, lanes, "fused", tableau=RALSTON, steps=3)
    assert (image.solver, image.adaptive, image.steps) == ("ralston", False, 3)
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, RALSTON, steps=3, weights=image.dequantised())
    assert np.abs(run.states - exact.states).max() < BOUND
    assert np.array_equal(run.counters["rhs_evals"], exact.rhs_evals)


def test_an_embedded_pair_of_ones_own(lanes: int) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES)
    image = compiled(model, frames, lanes, "fused", tableau=RALSTON21, budget=40)
    assert (image.solver, image.adaptive) == ("ralston21", True)
    run = run_golden(image, frames, check_hazards=True)
    assert error(run, image, model, frames) < BOUND
    assert not run.counters["status"].any()


def test_a_tableau_may_not_take_the_name_of_another_kind_of_solver() -> None:
    with pytest.raises(
        UserError, match="the name 'fused'; expected none of beuler, etd21, expeuler, fused"
    ):
        CompileOptions(tableau=replace(RALSTON, name="fused"))


# ---- Stiff layers


def stiff() -> tuple[Checkpoint, Dataset]:
    """Time constants from a thousandth to ten frames."""
    model, taus = toy_model(before=(6,)), 10.0 ** np.linspace(-3, 1, 12)
    model.tensors["ltc.tau_weight"][:] = 0
    model.tensors["ltc.tau_bias"][:] = np.log(np.expm1(taus))
    return model, toy_data(dt=np.ones((6, 7)), sequences=6)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("solver", sorted({*GATES, *IMPLICIT}))
def test_stiff_layers_stay_bounded_at_any_step(lanes: int, solver: str, steps: int) -> None:
    model, frames = stiff()
    image = compiled(model, frames, lanes, solver, steps=steps)
    run = run_golden(image, frames, check_hazards=True)
    assert np.abs(run.states).max() <= 1.0
    assert not (run.counters["status"] & ~Status.NOT_CONVERGED).any()
    if solver in GATES:
        exact = reference.run(model, frames, solver, steps=steps, weights=image.dequantised())
        # Where the gate is nearly 1 a frame passes errors on with up to the gain of the layer.
        assert rms((run.states - exact.states)[run.inside]) < 5e-3


def test_the_exponential_pair_follows_a_stiff_layer(lanes: int) -> None:
    model, frames = stiff()
    image = compiled(model, frames, lanes, "etd21", rtol=1e-2, atol=1e-2)
    run = run_golden(image, frames)
    assert np.abs(run.states).max() <= 1.0
    assert error(run, image, model, frames) < 2e-2
    assert not run.counters["status"].any()


@pytest.mark.parametrize("solver", ["heun21", "bs32"])
def test_explicit_pairs_reject_their_way_through_a_stiff_layer_and_the_compiler_warns(lanes: int, solver: str) -> None:
    """Hundreds of steps a frame; slow units then move by less than a word, of which the image warns."""
    model, frames = stiff()
    frames = frames.subset(slice(0, 2))
    image = compiled(model, frames, lanes, solver, rtol=1e-2, atol=1e-2)
    assert any("rounding moves the slowest units by up to" in warning for warning in image.warnings)
    run = run_golden(image, frames)
    assert np.abs(run.states).max() <= 1.0
    assert error(run, image, model, frames) < 0.15
    assert (run.counters["rhs_evals"][run.inside] > 100).all()


@pytest.mark.parametrize("solver", sorted(FIXED_TABLEAUS))
def test_an_explicit_method_that_diverges_says_so(lanes: int, solver: str) -> None:
    model, frames = stiff()
    run = run_golden(compiled(model, frames, lanes, solver, steps=4), frames)
    assert np.abs(run.states).max() > 2.0
    assert (run.counters["status"] & Status.SATURATED > 0)[run.inside].all()


def test_an_iteration_that_does_not_converge_is_reported(lanes: int) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=np.full((6, 7), 5.0))
    model.tensors["ltc.recurrent_weight"][:] *= 3
    for iterations in (2, 20):
        run = run_golden(compiled(model, frames, lanes, "beuler", steps=1, iterations=iterations), frames)
        far = (run.counters["status"] & Status.NOT_CONVERGED) > 0
        assert np.array_equal(far, run.inside)
        assert (run.counters["rhs_evals"][run.inside] == iterations).all()
        assert np.abs(run.states).max() <= 1.0
    gentle = toy_data(dt=np.full((6, 7), 0.1))
    run = run_golden(compiled(toy_model(before=(6,)), gentle, lanes, "beuler", steps=1, iterations=20), gentle)
    assert not run.counters["status"].any()
    assert run.counters["rhs_evals"].max() < 20


# ---- Time and weights


@pytest.mark.parametrize("solver", available())
def test_frames_whose_spacings_differ_ten_thousandfold(lanes: int, solver: str) -> None:
    times = 10.0 ** np.random.default_rng(5).uniform(-4, 0, (6, 7))
    model, frames = toy_model(before=(6,)), toy_data(dt=times)
    image = compiled(model, frames, lanes, solver, **({} if solver in ADAPTIVE else {"steps": 8}))
    run = run_golden(image, frames, check_hazards=True)
    assert error(run, image, model, frames, "exact" if image.adaptive else solver) < BOUND
    assert not run.counters["status"].any()


@pytest.mark.parametrize("bits", [8, 6, 4])
@pytest.mark.parametrize("solver", ["fused", "bs32", "etd21"])
def test_narrow_weights(lanes: int, solver: str, bits: int) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES)
    image = compiled(model, frames, lanes, solver, weight_bits=bits)
    run = run_golden(image, frames)
    assert error(run, image, model, frames, "exact" if image.adaptive else solver) < BOUND
    place = next(place for place in image.tensors if place.name == "ltc.recurrent_weight")
    words = image.sections[Space.WEIGHT].astype("<u2").view(np.int8).reshape(-1, lanes)[place.start :]
    assert np.abs(words[: place.columns].astype(int)).max() <= 2 ** (bits - 1) - 1
