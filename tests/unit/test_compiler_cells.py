# SPDX-License-Identifier: BSD-2-Clause
"""The cells gru, lstm, cfc and node on the golden model, against the float reference of the quantised network."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from toy_cells import UPDATED, cell_model
from toys import GoldenRun, run_golden, toy_data

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.compiler.tables import ALL_INPUTS, evaluate, exp2_value, log_sigmoid_table
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.layers import Node
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.tableaus import FIXED_TABLEAUS, TABLEAUS
from liquid_accel.sim import reference

IRREGULAR = np.random.default_rng(3).choice([0.0, 0.01, 0.3, 1.0, 4.0], size=(6, 7))
STATE_TOLERANCE = 2e-3  # eight units of Q3.12
RECURRENT = ("gru", "lstm")


def compiled(
    model: Checkpoint, frames: Dataset, options: CompileOptions | None = None, config: LiquidConfig | None = None
) -> Image:
    """For the smallest board, calibrated with the frames that it will run on."""
    return compile(model, calibration=frames, config=config or preset("up5k-skip"), options=options)


def errors(
    model: Checkpoint, image: Image, run: GoldenRun, frames: Dataset, solver: str = "rk4", steps: int = 1
) -> float:
    """Largest error of states and outputs; the dequantised tensors are those of the checkpoint."""
    weights = image.dequantised()
    assert {name: value.shape for name, value in weights.items()} == {n: v.shape for n, v in model.tensors.items()}
    exact = reference.run(model, frames, solver, steps=steps, weights=weights)
    return float(max(np.abs(run.states - exact.states).max(), np.abs(run.outputs - exact.outputs).max() / 2))


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("size", [8, 13])
@pytest.mark.parametrize("cell", UPDATED)
def test_a_cell_follows_the_float_reference_of_the_quantised_network(cell: str, size: int, lanes: int) -> None:
    model, frames = cell_model(UPDATED[cell], size), toy_data(dt=IRREGULAR)
    image = compile(model, calibration=frames, config=preset("up5k-skip", lanes=lanes))
    run = run_golden(image, frames, check_hazards=True)
    assert errors(model, image, run, frames) < STATE_TOLERANCE
    assert np.array_equal(run.counters["rhs_evals"], run.inside)  # at dt = 0 too
    assert not run.counters["saturations"].any()


@pytest.mark.parametrize("cell", ["gru", "lstm", "cfc"])
@pytest.mark.parametrize("before", [(), (9, 5)])
def test_inputs_of_other_formats_join_the_state_in_one_product(cell: str, before: tuple[int, ...]) -> None:
    model, frames = cell_model(UPDATED[cell], before=before), toy_data()
    image = compiled(model, frames)
    assert errors(model, image, run_golden(image, frames), frames) < STATE_TOLERANCE


@pytest.mark.parametrize("cell", UPDATED)
def test_predicted_cycles_are_exact(cell: str) -> None:
    model, frames = cell_model(UPDATED[cell], 13), toy_data(dt=IRREGULAR)
    image = compiled(model, frames)
    run = run_golden(image, frames, trace=False)
    first, still = np.zeros_like(run.inside), frames.dt == 0
    first[:, 0] = True
    kinds = [first & ~still, ~first & ~still, first & still, ~first & still]
    assert image.cycles.exact
    counts = [int((run.inside & kind).sum()) for kind in kinds]
    assert image.predicted_cycles(*counts) == run.counters["cycles"].sum()


# ---- Column skipping


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("before", [(8,), ()])
@pytest.mark.parametrize("activation", ["tanh", None])
@pytest.mark.parametrize("cell", RECURRENT)
def test_a_threshold_of_0_changes_no_bit(
    cell: str, activation: str | None, before: tuple[int, ...], lanes: int
) -> None:
    """With lists of x and h, and behind a linear layer of h alone."""
    model, frames = cell_model(UPDATED[cell], 13, before=before, before_activation=activation), toy_data()
    images = [
        compiled(model, frames, CompileOptions(delta_threshold=threshold), preset("up5k-skip", lanes=lanes))
        for threshold in (None, 0.0)
    ]
    whole, kept = (run_golden(image, frames, check_hazards=True) for image in images)
    assert np.array_equal(whole.states, kept.states)
    assert np.array_equal(whole.outputs, kept.outputs)
    assert np.array_equal(kept.counters["rhs_evals"], kept.inside)
    assert not whole.counters["skipped"].any()


@pytest.mark.parametrize("cell", RECURRENT)
def test_a_threshold_skips_columns_and_bounds_the_error(cell: str) -> None:
    frames = toy_data()
    steady = replace(frames, x=np.repeat(frames.x[:, :1], frames.x.shape[1], axis=1))
    model = cell_model(UPDATED[cell], 13)
    runs = [
        run_golden(compiled(model, frames, CompileOptions(delta_threshold=threshold)), steady)
        for threshold in (0.0, 1 / 16)
    ]
    assert runs[1].counters["skipped"].sum() > runs[0].counters["skipped"].sum() > 0
    assert 0 < np.abs(runs[1].states - runs[0].states).max() < 0.2


@pytest.mark.parametrize("cell", RECURRENT)
@pytest.mark.parametrize("threshold", [None, 1 / 16])
def test_64_units_behind_64_features_fit_the_smallest_board(cell: str, threshold: float | None) -> None:
    model, frames = cell_model(UPDATED[cell], 64, before=(64,)), toy_data()
    image = compiled(model, frames, CompileOptions(delta_threshold=threshold))
    run = run_golden(image, frames)
    assert np.array_equal(run.counters["rhs_evals"], run.inside)


def test_a_closed_form_cell_skips_no_columns() -> None:
    with pytest.raises(UserError, match="layer 'cell' .cfc. skips no columns"):
        compiled(cell_model(UPDATED["cfc"]), toy_data(), CompileOptions(delta_threshold=0.1))


# ---- Time


@pytest.mark.parametrize("unit", [1000.0, 1 / 4096])
def test_the_scale_of_time_does_not_matter_to_a_closed_form_cell(unit: float) -> None:
    model = cell_model(UPDATED["cfc"])
    for name in ("cell.time_a.weight", "cell.time_a.bias"):
        model.tensors[name] = (model.tensors[name] / unit).astype(np.float32)
    frames = toy_data(dt=IRREGULAR * unit)
    image = compiled(model, frames)
    assert errors(model, image, run_golden(image, frames), frames) < STATE_TOLERANCE


def test_a_closed_form_cell_at_its_longest_dt() -> None:
    """A gate far beyond the calibration data is at its end."""
    model, frames = cell_model(UPDATED["cfc"]), toy_data(dt=np.ones((6, 7)))
    image = compiled(model, frames)
    long = replace(frames, dt=np.where(frames.mask, 0.99 * image.max_dt, 0.0))
    run = run_golden(image, long)
    exact = reference.run(model, long, "rk4", weights=image.dequantised())
    # a(z) near 0 times a long dt: what a is rounded to matters there, and nowhere else
    assert np.quantile(np.abs(run.states - exact.states)[run.inside], 0.9) < STATE_TOLERANCE


# ---- Neural ODEs

NODE = Node("cell", ("tanh", None))


@pytest.mark.parametrize("lanes", [4, 8, 16])
@pytest.mark.parametrize("solver", sorted(FIXED_TABLEAUS))
def test_fixed_steps_of_a_neural_ode_follow_the_float_reference(solver: str, lanes: int) -> None:
    model, frames = cell_model(NODE, 13), toy_data(dt=IRREGULAR / 4)
    options = CompileOptions(solver=solver, steps=2)
    image = compiled(model, frames, options, preset("up5k-skip", lanes=lanes))
    run = run_golden(image, frames, check_hazards=True)
    assert errors(model, image, run, frames, solver, 2) < STATE_TOLERANCE
    stages = FIXED_TABLEAUS[solver].stages
    assert np.array_equal(run.counters["rhs_evals"], 2 * stages * (run.inside & (frames.dt > 0)))


@pytest.mark.parametrize(
    "activations",
    [("tanh",), ("sigmoid",), ("softplus", "tanh"), ("relu", None), (None, "sigmoid", None), ("tanh", "softplus")],
)
@pytest.mark.parametrize("size", [8, 13])
def test_layers_of_every_activation(activations: tuple[str | None, ...], size: int) -> None:
    model, frames = cell_model(Node("cell", activations), size), toy_data(dt=IRREGULAR / 4)
    image = compiled(model, frames, CompileOptions(solver="rk4", steps=1))
    run = run_golden(image, frames, check_hazards=True)
    assert errors(model, image, run, frames) < STATE_TOLERANCE * 2.0 ** (12 - image.state_frac_bits)
    assert not run.counters["saturations"].any()


@pytest.mark.parametrize("solver", sorted(TABLEAUS))
def test_adaptive_steps_of_a_neural_ode_keep_their_tolerance(solver: str) -> None:
    model, frames = cell_model(NODE, 13), toy_data(dt=IRREGULAR / 4)
    image = compiled(model, frames, CompileOptions(solver=solver, rtol=2e-3, atol=2e-3))
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "exact", weights=image.dequantised())
    difference: npt.NDArray[np.float64] = (run.states - exact.states)[run.inside]
    assert np.sqrt(np.mean(difference**2)) < 6e-3
    still = (run.inside & (frames.dt == 0))[:, 1:]
    assert still.any()
    assert np.array_equal(run.states[:, 1:][still], run.states[:, :-1][still])


@pytest.mark.parametrize("solver", ["rk4", "bs32"])
def test_a_threshold_of_0_changes_no_bit_of_a_neural_ode(solver: str) -> None:
    model, frames = cell_model(NODE, 13), toy_data(dt=IRREGULAR / 4)
    whole, kept = (
        run_golden(
            compiled(model, frames, CompileOptions(solver=solver, delta_threshold=threshold)),
            frames, check_hazards=True,
        )
        for threshold in (None, 0.0)
    )  # fmt: skip
    assert np.array_equal(whole.states, kept.states)


def test_a_state_beyond_its_first_format_takes_a_coarser_one() -> None:
    model = cell_model(Node("cell", ("tanh", None)), 8)
    model.tensors["cell.layers.1.bias"] += np.float32(4.0)
    frames = toy_data()
    image = compiled(model, frames, CompileOptions(solver="rk4", steps=2))
    run = run_golden(image, frames)
    assert image.state_frac_bits < 12
    assert np.abs(run.states).max() > 8.0
    assert not run.counters["saturations"].any()
    assert errors(model, image, run, frames, "rk4", 2) < STATE_TOLERANCE * 2.0 ** (12 - image.state_frac_bits)


# ---- Tables


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("frac", [11, 12])
def test_gates_as_float_codes_are_within_their_stated_error(frac: int, mirrored: bool) -> None:
    table = log_sigmoid_table(frac, mirrored)
    x = ALL_INPUTS / 2.0**frac * (-1 if mirrored else 1)
    gate = exp2_value(evaluate(table, ALL_INPUTS, 12))
    assert np.abs(gate - 1.0 / (1.0 + np.exp(-x))).max() < 2e-3
    assert gate.max() <= 1.0
