# SPDX-License-Identifier: BSD-2-Clause
"""The LTC with synapses: packing, states against the float reference, cycles, hazards, sizes that fit."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_cells import synaptic_model
from toys import predicted_cycles, run_golden, toy_data

from liquid_accel.checkpoint import Linear, Mean, Synaptic
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.compiler.synapses import COARSE, FINE, NONE, blocks, diagonal, push_words
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.sim import reference

TIMES = np.random.default_rng(3).choice([0.0, 0.01, 0.3, 1.0, 20.0], size=(3, 5))


def machine(lanes: int, **changes: Any) -> LiquidConfig:
    return preset("up5k-skip", lanes=lanes, **changes)


@pytest.mark.parametrize(
    "wiring",
    [{}, {"density": 0.3}, {"density": 0.0}, {"size": 3}, {"unfolds": 1}, {"unfolds": 20}, {"before": True}],
    ids=str,
)
def test_states_follow_the_float_reference(lanes: int, wiring: dict[str, Any]) -> None:
    """At spacings from a hundredth of a frame to twenty; the float weights, so that 8 bits are in the bound."""
    model, frames = synaptic_model(**wiring), toy_data(sequences=3, frames=5, dt=TIMES)
    image = compile(model, calibration=frames, config=machine(lanes))
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames)
    assert np.sqrt(np.mean((run.states - exact.states)[run.inside] ** 2)) < 5e-3
    assert np.abs(run.states - exact.states).max() < 4e-2
    assert np.abs(run.outputs - exact.outputs).max() < 6e-2
    assert np.array_equal(run.counters["rhs_evals"], exact.rhs_evals)
    assert not run.counters["status"].any()


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_predicted_cycles_are_exact(lanes: int, density: float) -> None:
    model, frames = synaptic_model(density=density), toy_data(sequences=3, frames=5, dt=TIMES)
    image = compile(model, calibration=frames, config=machine(lanes))
    assert image.cycles.exact
    assert predicted_cycles(image, frames) == run_golden(image, frames, trace=False).counters["cycles"].sum()


def test_a_sparse_wiring_takes_fewer_cycles(lanes: int) -> None:
    frames, cycles = toy_data(), []
    for density in (1.0, 0.4, 0.1):
        image = compile(synaptic_model(16, density=density), calibration=frames, config=machine(lanes))
        cycles.append(image.cycles.other)
    assert cycles[0] > cycles[1] > cycles[2]


@pytest.mark.parametrize("density", [1.0, 0.4])
def test_16_units_fit_the_smallest_part_and_an_update_costs_what_its_synapses_do(density: float) -> None:
    """8 lanes: a row of 8 synapses takes 11 cycles for the function and 8 in each of the two sums."""
    frames = toy_data(features=12)
    model = synaptic_model(16, 12, density)
    image = compile(model, calibration=frames, config=preset("up5k-skip"))
    assert len(image.program()) <= 100
    assert image.rhs_macs == 2 * (model.tensors["ltc.mask"] != 0).sum()
    assert image.frame_macs == 2 * (model.tensors["ltc.sensory_mask"] != 0).sum()
    rows = sum(block.rows for block in blocks(model.tensors["ltc.mask"] != 0, 8))
    sensory = sum(block.rows for block in blocks(model.tensors["ltc.sensory_mask"] != 0, 8))
    synapses = (6 * rows + sensory) * (11 + 8 + 8)
    assert synapses < image.cycles.other < synapses + 6 * 200 + 500


def test_a_batch_gives_what_each_sequence_alone_gives(lanes: int) -> None:
    model, frames = synaptic_model(), toy_data(sequences=3, frames=5, dt=TIMES)
    image = compile(model, calibration=frames, config=machine(lanes))
    whole = run_golden(image, frames)
    alone = run_golden(image, replace(frames, x=frames.x[2:3], lengths=frames.lengths[2:3], dt=frames.dt[2:3]))
    assert np.array_equal(whole.states[2], alone.states[0])
    assert np.array_equal(whole.outputs[2], alone.outputs[0])


def test_two_synaptic_layers(lanes: int) -> None:
    first, second = synaptic_model(8), synaptic_model(6, features=8, seed=1)
    tensors = {name: value for name, value in first.tensors.items() if name.startswith("ltc.")}
    tensors |= {name.replace("ltc.", "top."): value for name, value in second.tensors.items()}
    layers = (Synaptic("ltc", 3), Synaptic("top", 2), Mean(), Linear("out", None))
    model, frames = replace(first, layers=layers, tensors=tensors), toy_data(sequences=3, frames=5, dt=TIMES)
    image = compile(model, calibration=frames, config=machine(lanes, tables=8))
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames)
    assert np.sqrt(np.mean((run.states - exact.states)[run.inside] ** 2)) < 1e-2
    assert np.array_equal(run.counters["rhs_evals"], exact.rhs_evals)


# ---- What is refused


def test_thresholds_and_large_layers_are_refused(lanes: int) -> None:
    with pytest.raises(UserError, match=r"layer 'ltc' \(ltc-synaptic\) has no columns to skip"):
        compile(synaptic_model(), config=machine(lanes), options=CompileOptions(delta_threshold=0.1))
    with pytest.raises(UserError, match="program_words|weight_words|vector_rows|rows of"):
        compile(synaptic_model(120), config=machine(lanes))
    model = synaptic_model()
    model.tensors["ltc.erev"][0, 0] = 9.0
    with pytest.raises(UserError, match="layer 'ltc' has vleak or erev up to 9; expected at most 8"):
        compile(model, config=machine(lanes))
    model = synaptic_model()
    model.tensors["ltc.sigma"][0, 0] = 1e4
    with pytest.raises(UserError, match="layer 'ltc': a synapse has sigma 1e\\+04 and sigma mu .*; expected less than"):
        compile(model, config=machine(lanes))


# ---- Packing


@given(st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20), st.floats(0, 1), st.sampled_from([4, 8, 16]))
def test_every_synapse_stands_once_in_the_lane_of_its_target(
    seed: int, sources: int, targets: int, density: float, lanes: int
) -> None:
    mask = np.random.default_rng(seed).random((sources, targets)) < density
    seen, row = [], 0
    for block in blocks(mask, lanes):
        assert block.first == row
        assert (block.sources != NONE).any(axis=1).all()
        row += block.rows
        for at, lane in zip(*np.nonzero(block.sources != NONE), strict=True):
            source = block.sources[at, lane]
            assert source // lanes == block.source
            seen.append((source, block.target * lanes + lane))
    assert sorted(seen) == sorted(zip(*np.nonzero(mask), strict=True))


@settings(deadline=None)
@given(st.floats(0.5, 12.0), st.floats(-1.5, 1.5), st.sampled_from([-1, 1]), st.integers(-8000, 8000))
def test_a_push_is_right_to_the_rounding_of_sigma_and_0_at_mu(sigma: float, mu: float, sign: int, v: int) -> None:
    sigmas, frac_in, frac_out = np.full((1, 1), sign * sigma), 12, 11
    (block,) = blocks(np.ones((1, 1), np.bool_), 4)
    words = push_words("ltc", block, sigmas, -sigmas * mu, frac_in, frac_out, 8).astype(np.int64)
    weight, coarse, fine, scale = words[0, 0], words[4, 0], words[5, 0], words[6, 0]
    push = (weight * v + coarse * COARSE + fine * FINE) / 2.0**scale / 2.0**frac_out
    assert push == pytest.approx(sign * sigma * (v / 2.0**frac_in - mu), rel=0.5 / 63, abs=3e-3)
    assert np.abs(words[[0, 4, 5]]).max() <= 127


def test_the_diagonal_sums_each_targets_synapses() -> None:
    random = np.random.default_rng(1)
    mask, values = random.random((10, 6)) < 0.5, random.standard_normal((10, 6))
    found, opened = blocks(mask, 4), random.random((10, 6))
    for group in range(2):
        rows = [row for block in found if block.target == group for row in block.sources]
        vector = np.concatenate(
            [[0.0 if s == NONE else opened[s, 4 * group + lane] for lane, s in enumerate(row)] for row in rows]
        )
        exact = (mask * values * opened).sum(axis=0)[4 * group : 4 * group + 4]
        assert np.allclose((diagonal(found, group, np.where(mask, values, 0.0)) @ vector)[: len(exact)], exact)
