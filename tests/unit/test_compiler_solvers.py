# SPDX-License-Identifier: BSD-2-Clause
"""Every solver on every kind of liquid layer: against the float reference, hazards, column skipping, batches."""

from dataclasses import replace
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
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, FIXED_TABLEAUS, GATES, IMPLICIT, TABLEAUS
from liquid_accel.sim import reference
from liquid_accel.sim.reference_solvers import Iteration

TIMES = np.random.default_rng(3).choice([0.0, 0.01, 0.3, 1.0], size=(6, 7))
KINDS: dict[str, dict[str, Any]] = {
    "ltc": {}, "literal": {"form": "literal", "activation": "sigmoid"}, "ctrnn": {"constant_tau": True},
    "coupled": {"tau_recurrent": True},
}  # fmt: skip
DECISIONS = ("status", "rhs_evals", "accepted", "rejected", "saturations")
TOLERANCE = 2e-3
# Of a state after fixed steps: eight units of Q3.12.
FIXED_BOUND = 2e-3
# Root mean square against the exact solution, of steps that keep `TOLERANCE` each; over up to a dozen a frame.
ADAPTIVE_BOUND = 2e-3


def rms(x: npt.NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(x**2)))


def options(solver: str, **changes: Any) -> CompileOptions:
    return CompileOptions(solver=solver, steps=4, rtol=TOLERANCE, atol=TOLERANCE, **changes)


def image_of(model: Checkpoint, frames: Dataset, lanes: int, chosen: CompileOptions) -> Image:
    config = preset("test", lanes=lanes, tables=8, add_elements=256, base_elements=256, program_words=256)
    return compile(model, calibration=frames, config=config, options=chosen)


def settings(image: Image, solver: str, steps: int = 4) -> reference.SolverSettings:
    """The float reference's, for the fixed solvers."""
    return reference.SolverSettings(solver, steps=steps, iteration=Iteration(1e-7, 100))


def same(one: GoldenRun, other: GoldenRun) -> bool:
    """States, outputs and decisions."""
    counters = all(np.array_equal(one.counters[name], other.counters[name]) for name in DECISIONS)
    return counters and np.array_equal(one.states, other.states) and np.array_equal(one.outputs, other.outputs)


def refused(solver: str, kind: str) -> bool:
    return solver in EXPONENTIAL_PAIRS and kind == "coupled"


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("solver", sorted({*GATES, *FIXED_TABLEAUS, *IMPLICIT}))
def test_fixed_steps_follow_the_float_reference(lanes: int, solver: str, kind: str) -> None:
    model, frames = toy_model(before=(6,), **KINDS[kind]), toy_data(dt=TIMES)
    image = image_of(model, frames, lanes, options(solver))
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, settings(image, solver), weights=dequantised(image, model))
    # An implicit step ends within its own tolerance, and an iteration that contracts leaves no more than that behind.
    bound = FIXED_BOUND + (2 * TOLERANCE if solver in IMPLICIT else 0.0)
    assert np.abs(run.states - exact.states).max() < bound
    if solver not in IMPLICIT:
        assert np.array_equal(run.counters["rhs_evals"], exact.rhs_evals)
    assert not run.counters["status"].any()


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("solver", sorted({*TABLEAUS, *EXPONENTIAL_PAIRS}))
def test_adaptive_steps_follow_the_exact_solution(lanes: int, solver: str, kind: str) -> None:
    model, frames = toy_model(before=(6,), **KINDS[kind]), toy_data(dt=TIMES)
    if refused(solver, kind):
        with pytest.raises(UserError, match="needs time constants that the state does not move"):
            image_of(model, frames, lanes, options(solver))
        return
    image = image_of(model, frames, lanes, options(solver))
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "exact", weights=dequantised(image, model))
    assert rms((run.states - exact.states)[run.inside]) < ADAPTIVE_BOUND
    assert not run.counters["status"].any()
    # The float reference with the same method and tolerance takes about as many evaluations.
    float_run = reference.run(model, frames, reference.SolverSettings(solver, rtol=TOLERANCE, atol=TOLERANCE))
    assert run.counters["rhs_evals"].sum() == pytest.approx(float_run.rhs_evals.sum(), rel=0.3)


@pytest.mark.parametrize(("solver", "kind"), [(s, k) for s in available() for k in sorted(KINDS) if not refused(s, k)])
def test_a_threshold_of_0_changes_no_word_and_no_decision(lanes: int, solver: str, kind: str) -> None:
    model, frames = toy_model(before=(6,), **KINDS[kind]), toy_data(dt=TIMES)
    whole = run_golden(image_of(model, frames, lanes, options(solver)), frames)
    skipping = image_of(model, frames, lanes, options(solver, delta_threshold=0.0))
    run = run_golden(skipping, frames, check_hazards=True)
    assert same(whole, run)
    assert run.counters["skipped"].any()
    # etd21 and pairs whose last stage is the first of the next step keep their sums without being asked.
    keeps = solver in EXPONENTIAL_PAIRS or (solver in TABLEAUS and TABLEAUS[solver].fsal)
    assert keeps == whole.counters["skipped"].any()


@pytest.mark.parametrize("solver", available())
def test_a_threshold_costs_no_more_than_its_size_and_saves_products(lanes: int, solver: str) -> None:
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES, frames=7)
    threshold = 1 / 16
    runs = [
        run_golden(image_of(model, frames, lanes, options(solver, delta_threshold=value)), frames, check_hazards=True)
        for value in (0.0, threshold)
    ]
    assert rms((runs[0].states - runs[1].states)[runs[0].inside]) < threshold
    assert runs[1].counters["skipped"].sum() > runs[0].counters["skipped"].sum()


@pytest.mark.parametrize("solver", available())
def test_sequences_of_a_batch_know_nothing_of_each_other(lanes: int, solver: str) -> None:
    """Whatever the order, with columns skipped and, where steps are chosen, a budget."""
    model, frames = toy_model(before=(6,)), toy_data(dt=TIMES)
    adaptive = solver in {*TABLEAUS, *EXPONENTIAL_PAIRS}
    image = image_of(model, frames, lanes, options(solver, delta_threshold=1 / 32, budget=8 if adaptive else 0))
    order = np.array([3, 0, 5, 1, 4, 2])
    shuffled = Dataset(frames.x[order], frames.lengths[order], frames.dt[order], None, True, "shuffled")
    there, here = run_golden(image, frames), run_golden(image, shuffled)
    assert np.array_equal(there.outputs[order], here.outputs)
    assert np.array_equal(there.states[order], here.states)
    assert all(np.array_equal(there.counters[name][order], here.counters[name]) for name in there.counters)
    alone = run_golden(image, replace(frames, x=frames.x[4:5], lengths=frames.lengths[4:5], dt=frames.dt[4:5]))
    assert np.array_equal(alone.states[0], there.states[4])
    assert all(np.array_equal(alone.counters[name][0], there.counters[name][4]) for name in there.counters)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("pooled", ["last", "all"])
@pytest.mark.parametrize("solver", sorted({*GATES, *FIXED_TABLEAUS, *IMPLICIT}))
def test_layers_on_layers(lanes: int, solver: str, pooled: str, steps: int) -> None:
    """Each layer finds its state however often the others have turned the parity."""
    size = (2 * lanes, lanes)
    model, frames = toy_model(before=(), size=size, mean_of=pooled), toy_data(dt=np.minimum(TIMES, 0.3))
    runs = []
    for threshold in (None, 0.0):
        chosen = CompileOptions(solver, steps=steps, rtol=TOLERANCE, atol=TOLERANCE, delta_threshold=threshold)
        image = image_of(model, frames, lanes, chosen)
        runs.append(run_golden(image, frames, check_hazards=True))
        exact = reference.run(model, frames, settings(image, solver, steps), weights=dequantised(image, model))
        bound = FIXED_BOUND + (2 * TOLERANCE if solver in IMPLICIT else 0.0)
        assert np.abs(runs[-1].states - exact.states).max() < bound
        assert np.abs(runs[-1].outputs - exact.outputs).max() < 4 * bound
    assert same(*runs)


def test_each_layer_may_have_a_threshold_of_its_own(lanes: int) -> None:
    model, frames = toy_model(before=(), size=(8, 5)), toy_data(dt=TIMES)
    chosen = options("fused", delta_thresholds={"ltc": 0.0, "ltc1": 0.5})
    image = image_of(model, frames, lanes, chosen)
    run = run_golden(image, frames, check_hazards=True)
    only = run_golden(image_of(model, frames, lanes, options("fused", delta_thresholds={"ltc": 0.0})), frames)
    none = run_golden(image_of(model, frames, lanes, options("fused")), frames)
    assert same(only, none)
    assert run.counters["skipped"].sum() > only.counters["skipped"].sum() > 0
    assert 0 < rms((run.states - only.states)[run.inside]) < 0.5


def test_solvers_that_choose_steps_are_refused_for_several_layers(small_config: LiquidConfig) -> None:
    for solver in sorted({*TABLEAUS, *EXPONENTIAL_PAIRS}):
        with pytest.raises(UserError, match="chooses the steps of one layer, and the model has 2 recurrent layers"):
            compile(toy_model(size=(8, 5)), config=small_config, options=options(solver))
