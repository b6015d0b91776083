# SPDX-License-Identifier: BSD-2-Clause
"""Layers of different kinds on one parity bit, and padded units beside lists of moved columns, on the golden model."""

from dataclasses import replace

import numpy as np
import pytest
from toys import dequantised, run_golden, toy_data, toy_model

from liquid_accel.checkpoint import Checkpoint, Ctrnn, Linear, Ltc, Mean
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.layers import Cfc, Gru, Layer, Lstm, Node
from liquid_accel.rtl.config import preset
from liquid_accel.sim import reference

TIMES = np.random.default_rng(3).choice([0.0, 0.01, 0.1, 0.3], size=(6, 7))
SIZE = 8
STATE_TOLERANCE = 2e-3  # eight units of Q3.12
PAIRED: dict[str, Layer] = {
    "ltc": Ltc("", "input", "tanh", "softplus", False),
    "ctrnn": Ctrnn(""),
    "node": Node("", ("tanh", None)),
    "cfc": Cfc("", backbone_layers=0),
}


def stack(*cells: Layer, before: tuple[int, ...] = (), before_activation: str = "tanh") -> Checkpoint:
    """Layers of `SIZE` units one behind the other, named cell0 and so on; all states go into the mean."""
    random, model = np.random.default_rng(0), toy_model(before=before, before_activation=before_activation)
    layers = list(model.layers[: len(before)])
    tensors = {name: value for name, value in model.tensors.items() if name.startswith("dense")}
    width = before[-1] if before else model.in_features
    for index, kind in enumerate(cells):
        cell = replace(kind, name=f"cell{index}")
        rows = {"gru": 3 * SIZE, "lstm": 4 * SIZE}.get(cell.kind, SIZE)
        for name, shape in cell.shapes(width, SIZE, lambda tensor, rows=rows: rows).items():
            gain = 1.0 / np.sqrt(shape[-1]) if len(shape) == 2 else 0.2
            tensors[f"{cell.name}.{name}"] = (gain * random.standard_normal(shape)).astype(np.float32)
        layers.append(cell)
        width = SIZE
    shape = (3, SIZE * len(cells))
    tensors["out.weight"] = (random.standard_normal(shape) / np.sqrt(shape[1])).astype(np.float32)
    tensors["out.bias"] = np.zeros(3, np.float32)
    return replace(model, layers=(*layers, Mean("all"), Linear("out", None)), tensors=tensors)


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("second", PAIRED)
@pytest.mark.parametrize("first", PAIRED)
def test_the_parity_that_one_layer_turns_leaves_the_states_of_others_alone(first: str, second: str, steps: int) -> None:
    """Every kind whose state has two halves before and behind every other, frames without time among them."""
    model, frames = stack(PAIRED[first], PAIRED[second]), toy_data(dt=TIMES)
    image = compile(
        model, calibration=frames, config=preset("max", lanes=8), options=CompileOptions(solver="rk4", steps=steps)
    )
    run = run_golden(image, frames, check_hazards=True)
    exact = reference.run(model, frames, "rk4", steps=steps, weights=dequantised(image, model))
    assert np.abs(run.states - exact.states)[run.inside].max() < STATE_TOLERANCE
    assert np.abs(run.outputs - exact.outputs)[run.inside].max() < STATE_TOLERANCE


# ---- Padded units


def assert_a_threshold_of_0_changes_no_bit(model: Checkpoint, solver: str, dt: float) -> None:
    frames = toy_data(dt=np.full((6, 7), dt))
    whole, kept = (
        run_golden(
            compile(
                model, calibration=frames, config=preset("max", lanes=8),
                options=CompileOptions(solver=solver, delta_threshold=threshold),
            ),
            frames, check_hazards=True,
        )
        for threshold in (None, 0.0)
    )  # fmt: skip
    assert not whole.counters["saturations"].any()
    assert np.array_equal(whole.states, kept.states)
    assert np.array_equal(whole.outputs, kept.outputs)


@pytest.mark.parametrize("cell", [PAIRED["ltc"], PAIRED["ctrnn"], Gru(""), Lstm("")], ids=lambda cell: cell.kind)
def test_padded_units_of_a_sigmoid_in_front_are_in_no_list(cell: Layer) -> None:
    """Five units on eight lanes: a sigmoid of 0 is 1/2, which would be three columns that the matrices have not."""
    model = stack(cell, before=(5,), before_activation="sigmoid")
    assert_a_threshold_of_0_changes_no_bit(model, "fused", 1.0)


@pytest.mark.parametrize("dt", [20.0, 200.0])
@pytest.mark.parametrize("solver", ["fused", "expeuler", "beuler", "etd21"])
def test_padded_units_with_a_sigmoid_stand_still_however_long_a_frame(solver: str, dt: float) -> None:
    """Small weights ask for the finest format in front of the sigmoid, at whose lower end it is not yet 0."""
    model = toy_model(size=13, before=(5,), activation="sigmoid")
    small = {
        name: value * np.float32(0.05) if name in ("ltc.recurrent_weight", "ltc.input_weight", "ltc.bias") else value
        for name, value in model.tensors.items()
    }
    assert_a_threshold_of_0_changes_no_bit(replace(model, tensors=small), solver, dt)
