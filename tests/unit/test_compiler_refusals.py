# SPDX-License-Identifier: BSD-2-Clause
"""Everything that the compiler refuses, and in which words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import toy_data, toy_model

from liquid_accel.checkpoint import Linear, Ltc, Mean
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import preset


def test_a_model_too_large_says_by_how_much() -> None:
    with pytest.raises(UserError, match=r"does not fit.*base_elements 384 needed, 256 there, 128 too few.*expected"):
        compile(toy_model(size=128), calibration=toy_data(), config=preset("up5k-skip"))
    with pytest.raises(UserError, match="weight_words"):
        compile(toy_model(size=60), calibration=toy_data(), config=preset("up5k-skip", weight_words=256))
    with pytest.raises(UserError, match="tables 3 needed, 2 there, 1 too few"):
        compile(toy_model(), calibration=toy_data(), config=preset("up5k-skip", tables=2))
    with pytest.raises(UserError, match="program_words"):
        compile(toy_model(), options=CompileOptions(steps=16), config=preset("up5k-skip", program_words=32))


def test_frames_that_the_fifos_cannot_hold_are_refused() -> None:
    with pytest.raises(UserError, match="a frame has 75 words with its header; expected at most fifo_words = 64"):
        compile(toy_model(features=70), config=preset("up5k-skip", fifo_words=64))
    with pytest.raises(UserError, match="words of output; expected at most half of fifo_words = 64"):
        compile(toy_model(classes=60), config=preset("up5k-skip", fifo_words=64))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((Ltc("ltc"), Linear("out"), Mean()), r"unknown layer 'mean' at layers\[2\]"),
        ((Mean(), Ltc("ltc"), Linear("out")), r"unknown layer 'mean' at layers\[0\]"),
        ((Ltc("ltc"), Mean(), Mean(), Linear("out")), r"unknown layer 'mean' at layers\[2\]"),
    ],
)
def test_layers_in_another_order_are_unknown(layers: tuple[object, ...], message: str) -> None:
    model = toy_model(before=())
    with pytest.raises(UserError, match=message):
        compile(replace(model, layers=layers))


def test_a_model_without_a_liquid_layer_is_refused() -> None:
    model = toy_model(before=())
    tensors = {name: tensor for name, tensor in model.tensors.items() if name.startswith("out")}
    dense = replace(model, layers=(Linear("out"),), tensors=tensors | {"out.weight": np.ones((3, 3), np.float32)})
    with pytest.raises(UserError, match="no recurrent layer among its 1 layers; expected linear layers"):
        compile(dense)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    model = toy_model()
    broken = {name: tensor.copy() for name, tensor in model.tensors.items()}
    broken["ltc.recurrent_weight"][2, 3] = value
    with pytest.raises(UserError, match=r"tensor 'ltc\.recurrent_weight' holds NaN or infinity; expected finite"):
        compile(replace(model, tensors=broken))


def test_weights_beyond_every_format_are_refused() -> None:
    model = toy_model()
    huge = {name: tensor.copy() for name, tensor in model.tensors.items()}
    huge["ltc.recurrent_weight"] *= 1e4
    with pytest.raises(UserError, match=r"tensor 'ltc\.recurrent_weight' reaches .*; expected weights of at most"):
        compile(replace(model, tensors=huge))
    huge = {name: tensor.copy() for name, tensor in model.tensors.items()}
    huge["ltc.bias"] += 100.0
    with pytest.raises(UserError, match=r"tensor 'ltc\.bias' reaches .*; expected at most"):
        compile(replace(model, tensors=huge))


def test_data_of_another_width_are_refused() -> None:
    with pytest.raises(UserError, match="toy: x has 4 features; expected 3"):
        compile(toy_model(), calibration=toy_data(features=4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "magic"}, "solver 'magic' is unknown; available: "),
        ({"steps": 0}, "steps is 0; expected a whole number from 1 to 16"),
        ({"steps": 17}, "steps is 17; expected"),
        ({"rtol": float("nan")}, "rtol is nan; expected"),
        ({"rtol": -0.1}, "rtol is -0.1; expected"),
        ({"rtol": 1e-8}, "rtol is 1e-08; expected 1e-05 to 1"),
        ({"atol": 0.0}, "atol is 0.0; expected 0.0001 to 1"),
        ({"safety": 2.0}, "safety is 2.0; expected"),
        ({"order": 9}, "order is 9; expected"),
        ({"min_factor": 2.0}, "min_factor and max_factor are"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CompileOptions(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("solver", ["bs32", "beuler"])
def test_a_layer_too_large_for_the_norm_is_refused(solver: str) -> None:
    """The sum of squares has 24 bits, and an element of it reaches 255 squared."""
    config = preset("max", base_elements=4096)
    with pytest.raises(UserError, match="the layer has 259 units; expected at most 258 with a solver that judges"):
        compile(toy_model(size=259), config=config, options=CompileOptions(solver=solver))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        compile(tmp_path / "none.safetensors")
