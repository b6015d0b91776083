# SPDX-License-Identifier: BSD-2-Clause
"""Compiled programs on the golden model against the float reference, and everything that the compiler refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import run_golden, toy_data, toy_model

from liquid_accel import checkpoint, data
from liquid_accel.compiler import CompileOptions, available, compile, predict
from liquid_accel.compiler.backend import data_dt
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.isa import Status
from liquid_accel.rtl.tableaus import TABLEAUS
from liquid_accel.shipped import shipped
from liquid_accel.sim import reference

IRREGULAR = np.random.default_rng(3).choice([0.0, 0.01, 0.3, 1.0, 4.0], size=(6, 7))
STATE_TOLERANCE = 2e-3  # of a fixed-step state: eight units of Q3.12


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))


@pytest.mark.parametrize("solver", ["fused", "expeuler"])
@pytest.mark.parametrize("form", ["input", "literal"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("before", [(8,), (), (5, 6)])
def test_gated_steps_follow_the_float_reference_of_the_quantised_network(
    small_config: LiquidConfig, solver: str, form: str, activation: str, before: tuple[int, ...]
) -> None:
    model, frames = toy_model(form=form, activation=activation, before=before), toy_data()
    image = compile(model, calibration=frames, config=small_config, options=CompileOptions(solver=solver, steps=3))
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, solver, steps=3, weights=image.dequantised())
    assert np.abs(run.states - exact.states).max() < STATE_TOLERANCE
    assert np.abs(run.outputs - exact.outputs).max() < 4e-3
    assert (run.counters["rhs_evals"] == 3 * run.inside).all()
    assert not run.counters["saturations"].any()


@pytest.mark.parametrize("form", ["input", "literal"])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_adaptive_steps_keep_their_tolerance(small_config: LiquidConfig, form: str, activation: str) -> None:
    model, frames = toy_model(form=form, activation=activation), toy_data(dt=IRREGULAR)
    options = CompileOptions(solver="bs32", rtol=2e-3, atol=2e-3)
    image = compile(model, calibration=frames, config=small_config, options=options)
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "exact", weights=image.dequantised())
    error = rms((run.states - exact.states)[run.inside])
    assert error < 6e-3
    accepted, rejected, evals = (run.counters[name] for name in ("accepted", "rejected", "rhs_evals"))
    moving = run.inside & (frames.dt > 0)
    assert np.array_equal(evals, moving + 3 * (accepted + rejected))
    assert (accepted[moving] >= 1).all()
    assert not (run.counters["status"] & Status.STEP_LIMIT).any()
    looser = compile(model, calibration=frames, config=small_config, options=replace(options, rtol=5e-2, atol=5e-2))
    fewer = run_golden(looser, frames)
    assert fewer.counters["rhs_evals"].sum() < evals.sum()
    assert rms((fewer.states - exact.states)[run.inside]) > error


@pytest.mark.parametrize("solver", sorted(TABLEAUS))
def test_every_embedded_pair_is_data_alone(config: LiquidConfig, solver: str) -> None:
    model, frames = toy_model(), toy_data(dt=IRREGULAR)
    options = CompileOptions(solver=solver, rtol=2e-3, atol=2e-3)
    image = compile(model, calibration=frames, config=config, options=options)
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "exact", weights=image.dequantised())
    assert rms((run.states - exact.states)[run.inside]) < 4e-3


@pytest.mark.parametrize("solver", ["fused", "bs32"])
def test_tracing_changes_no_output_and_no_counter(small_config: LiquidConfig, solver: str) -> None:
    model, frames = toy_model(), toy_data(dt=IRREGULAR)
    image = compile(model, calibration=frames, config=small_config, options=CompileOptions(solver=solver))
    plain, traced = run_golden(image, frames, trace=False), run_golden(image, frames)
    assert np.array_equal(plain.outputs, traced.outputs)
    assert all(np.array_equal(plain.counters[name], traced.counters[name]) for name in plain.counters)


@pytest.mark.parametrize("solver", ["fused", "bs32"])
def test_a_frame_of_no_time_moves_nothing_but_the_mean(small_config: LiquidConfig, solver: str) -> None:
    model = toy_model()
    times = np.ones((6, 7))
    times[:, 1] = 0.0
    frames = toy_data(dt=times)
    image = compile(model, calibration=frames, config=small_config, options=CompileOptions(solver=solver))
    run = run_golden(image, frames)
    assert np.array_equal(run.states[:, 0], run.states[:, 1])
    assert not run.counters["rhs_evals"][:, 1].any()
    assert np.abs(run.outputs[:, 0] - run.outputs[:, 1]).max() <= 2.0**-image.output_frac_bits * 4


def test_a_time_unit_in_seconds_is_only_a_unit(small_config: LiquidConfig) -> None:
    """A model whose time constants are counted in units of 20 ms, over data in seconds."""
    in_frames = compile(toy_model(), calibration=toy_data(dt=IRREGULAR), config=small_config)
    model = toy_model(time_unit_s=0.02)
    frames = toy_data(dt=IRREGULAR * 0.02)
    image = compile(model, calibration=frames, config=small_config)
    assert (image.machine_unit, image.default_dt) == (in_frames.machine_unit * 0.02, 0.02)
    assert all(np.array_equal(image.sections[space], in_frames.sections[space]) for space in image.sections)
    run = run_golden(image, frames)
    exact = reference.run(model, frames, "fused", weights=image.dequantised())
    assert np.abs(run.states - exact.states).max() < STATE_TOLERANCE
    without = replace(toy_data(), dt=np.where(toy_data().mask, model.default_dt, 0.0))
    assert np.array_equal(data_dt(image, without), without.dt * 0.02)


@pytest.mark.parametrize("unit", [1.0, 1000.0, 1 / 4096])
def test_the_scale_of_time_does_not_matter(small_config: LiquidConfig, unit: float) -> None:
    """Time steps far from 1: the machine's time unit follows them."""
    tau = {1.0: 0.5, 1000.0: 14.0, 1 / 4096: -8.0}[unit]
    model, frames = toy_model(tau_bias=tau), toy_data(dt=np.full((6, 7), unit / 50))
    image = compile(model, calibration=frames, config=small_config)
    assert 0.5 < unit / 50 / image.machine_unit < 2
    run = run_golden(image, frames)
    exact = reference.run(model, frames, "fused", weights=image.dequantised())
    assert np.abs(run.states - exact.states).max() < STATE_TOLERANCE


def test_early_halt_skips_what_no_longer_moves(small_config: LiquidConfig) -> None:
    model, frames = toy_model(), toy_data(dt=np.full((6, 7), 60.0))
    model.tensors["ltc.recurrent_weight"][:] *= 0.3  # a network that settles
    options = CompileOptions(solver="bs32", rtol=1e-3, atol=5e-3)
    runs, exact = {}, None
    for halt in (True, False):
        chosen = replace(options, early_halt=halt)
        image = compile(model, calibration=frames, config=small_config, options=chosen)
        runs[halt] = run_golden(image, frames)
        exact = reference.run(model, frames, "exact", weights=image.dequantised())
    assert (runs[True].counters["status"] & Status.EARLY_HALT).any()
    assert not (runs[False].counters["status"] & Status.EARLY_HALT).any()
    assert runs[True].counters["rhs_evals"].sum() < runs[False].counters["rhs_evals"].sum()
    assert exact is not None
    assert rms((runs[True].states - exact.states)[exact.states != 0]) < options.atol


def test_a_layer_wider_than_one_instruction(config: LiquidConfig) -> None:
    model, frames = toy_model(before=(300,), size=10), toy_data()
    image = compile(model, calibration=frames, config=config)
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "fused", weights=image.dequantised())
    assert np.abs(run.states - exact.states).max() < STATE_TOLERANCE


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("classes", [3, 0])
@pytest.mark.parametrize("before_activation", [None, "sigmoid"])
def test_other_heads_and_layers(
    config: LiquidConfig, pooled: bool, classes: int, before_activation: str | None
) -> None:
    model = toy_model(pooled=pooled, classes=classes, before=(9,), before_activation=before_activation)
    frames = toy_data()
    image = compile(model, calibration=frames, config=config)
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "fused", weights=image.dequantised())
    assert run.outputs.shape == exact.outputs.shape
    assert np.abs(run.outputs - exact.outputs).max() < 6e-3


def test_long_states_are_traced_in_parts_that_the_fifo_holds() -> None:
    config = preset("up5k-skip", fifo_words=64, base_elements=1024)
    model, frames = toy_model(size=100), toy_data()
    image = compile(model, calibration=frames, config=config)
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "fused", weights=image.dequantised())
    assert np.abs(run.states - exact.states).max() < STATE_TOLERANCE


def test_without_calibration_data_the_stored_range_serves(small_config: LiquidConfig) -> None:
    model, frames = toy_model(), toy_data()
    for solver in available():
        image = compile(model, config=small_config, options=CompileOptions(solver=solver))
        assert any("no calibration data" in warning for warning in image.warnings)
        run = run_golden(image, frames)
        exact = reference.run(model, frames, "exact" if image.adaptive else solver, weights=image.dequantised())
        assert rms((run.states - exact.states)[run.inside]) < 2e-2


def test_formats_bounds_and_memory_map_are_listed(config: LiquidConfig) -> None:
    image = compile(toy_model(), calibration=toy_data(), config=config)
    assert {"input", "ltc state h", "mean m", "ltc tau pre-activation"} <= {f.name for f in image.formats}
    for bound in image.bounds:
        assert bound.limit == 0 or 0 <= bound.value <= bound.limit, bound
    taken: set[tuple[str, int]] = set()
    for region in image.memory_map:
        rows = {(region.space, row) for row in range(region.start, region.start + region.rows)}
        assert not rows & taken, region
        taken |= rows


# ---- The shipped model -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["fused", "bs32"])
def test_the_shipped_model_gives_the_labels_of_the_float_reference(solver: str) -> None:
    model = checkpoint.load(shipped("checkpoints", "japanese_vowels.safetensors"))
    train = data.load(shipped("data", "japanese_vowels_train.npz"))
    test = data.load(shipped("data", "japanese_vowels_test.npz"))
    image = compile(model, calibration=train, options=CompileOptions(solver=solver))
    run = run_golden(image, test)
    last = run.outputs[np.arange(len(test.x)), test.lengths - 1]
    settings = reference.SolverSettings(solver, rtol=image.rtol or 1e-2, atol=image.atol or 1e-2)
    float_run = reference.run(model, test, settings)
    assert np.mean(last.argmax(axis=1) == float_run.labels) >= 0.99
    frames, first = int(run.inside.sum()), len(test.x)
    cycles = run.counters["cycles"].sum()
    within = 0.0 if image.cycles.exact else 0.1
    assert image.predicted_cycles(first, frames - first) == pytest.approx(cycles, rel=within)
    if solver == "fused":
        assert (frames * image.frame_macs + run.counters["rhs_evals"].sum() * image.rhs_macs) / (8 * cycles) >= 0.85
        weights = image.dequantised()
        same = reference.run(model, test, settings, weights=weights)
        assert rms((run.states - same.states)[run.inside]) < 5e-4
        return
    few = test.subset(slice(0, 370, 10))
    exact = reference.run(model, few, "exact", weights=image.dequantised())
    assert rms((run.states[::10] - exact.states)[few.mask]) < 2e-2


def test_a_file_compiles_like_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    checkpoint.save(toy_model(), path)
    assert compile(path, calibration=toy_data()) == compile(toy_model(), calibration=toy_data())


def test_frame_words_are_what_the_specification_says() -> None:
    image: Image = compile(toy_model(), calibration=toy_data())
    words = predict.frame_words(image, np.array([[0.5, 2.5, -7.5], [1e9, 0.5, 0.5]]), np.array([1.5, 0.0]))
    assert words[0, :5].tolist() == [1, 0, 0x18, round(np.log2(1.5) * 2048), 16 << 11]
    assert words[1, :5].tolist() == [0, 0, 0, 0x8000, 15 << 11]
    assert words.view(np.int16)[0, 5:].tolist() == [0, 1 << image.input_frac_bits, -4 << image.input_frac_bits]
    assert words.view(np.int16)[1, 5] == 32767
