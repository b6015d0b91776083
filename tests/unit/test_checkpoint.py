# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoints: what is saved comes back, whole or not at all, and bad ones are refused by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from liquid_accel import checkpoint, description
from liquid_accel.checkpoint import Checkpoint, Features, Linear, Ltc, Mean, Task
from liquid_accel.errors import UserError
from liquid_accel.shipped import shipped


def small(form: str = "input", inputs: int = 2, hidden: int = 3, classes: int = 2, seed: int = 0) -> Checkpoint:
    draw = np.random.default_rng(seed)
    shapes = {
        "proj.weight": (hidden, inputs), "proj.bias": (hidden,), "ltc.recurrent_weight": (hidden, hidden),
        "ltc.bias": (hidden,), "ltc.tau_weight": (hidden, hidden), "ltc.tau_bias": (hidden,),
        "classifier.weight": (classes, hidden), "classifier.bias": (classes,),
    }  # fmt: skip
    if form == "input":
        shapes["ltc.input_weight"] = (hidden, hidden)
    tensors = {name: draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    features = Features((0.5,) * inputs, (2.0,) * inputs, ((-1.0, 3.0),) * inputs)
    layers = (Linear("proj", "tanh"), Ltc("ltc", form), Mean(), Linear("classifier"))
    return Checkpoint(layers, tensors, features, Task("classification", classes), None, 1.0, {"seed": seed})


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["input", "literal"]), st.integers(1, 5), st.integers(1, 9), st.integers(2, 4),
    st.none() | st.floats(1e-6, 1e3), st.floats(0, 10),
)  # fmt: skip
def test_what_is_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    form: str, inputs: int, hidden: int, classes: int, unit: float | None, default_dt: float,
) -> None:  # fmt: skip
    model = small(form, inputs, hidden, classes)
    model = Checkpoint(model.layers, model.tensors, model.features, model.task, unit, default_dt, model.training)
    path = tmp_path_factory.mktemp("c") / "m.safetensors"
    checkpoint.save(model, path)
    back = checkpoint.load(path)
    assert (back.layers, back.features, back.task) == (model.layers, model.features, model.task)
    assert (back.time_unit_s, back.default_dt, back.training) == (unit, default_dt, model.training)
    assert back.tensors.keys() == model.tensors.keys()
    assert all(np.array_equal(back.tensors[name], tensor) for name, tensor in model.tensors.items())
    assert back.layer_widths() == (inputs, hidden, hidden, hidden, classes)
    assert [item.name for item in path.parent.iterdir()] == ["m.safetensors"], "no temporary file is left"


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        checkpoint.save(small(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        checkpoint.save(small(), tmp_path / "nowhere" / "m.safetensors")
    (tmp_path / "taken").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        checkpoint.save(small(), tmp_path / "taken")
    assert [item.name for item in tmp_path.iterdir()] == ["taken"]


def write(path: Path, tensors: dict[str, Any] | None = None, **changes: Any) -> None:
    """A checkpoint file with fields of its description replaced and tensors replaced or (None) removed."""
    model = small()
    text = json.dumps({**description.encode(model), **changes})
    kept = {key: value for key, value in {**model.tensors, **(tensors or {})}.items() if value is not None}
    save_file(kept, path, metadata={"liquid": text})


MEAN = {"kind": "mean"}
LTC = {"kind": "ltc", "name": "l", "activation": "tanh"}
F32 = np.float32


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layers": [MEAN, {"kind": "conv"}]}, "unknown layer 'conv' at layers[1]; supported: linear, ltc, ltc-synaptic"),
        ({"layers": [{"kind": "linear", "name": "p", "activation": "relu"}]}, "layers[0].activation is 'relu'"),
        ({"layers": [{"kind": "ltc", "name": "l", "activation": None}]}, "layers[0].activation is None"),
        ({"layers": [{**LTC, "tau_activation": "exp"}]}, "tau_activation is 'exp'"),
        ({"layers": [{"kind": "ltc", "name": "l", "form": "odd", "activation": "tanh"}]}, "layers[0].form is 'odd'"),
        ({"layers": [{"kind": "linear"}]}, "layers[0].name"),
        ({"layers": [3]}, "layers[0] is 3"),
        ({"layers": []}, "layers is []"),
        ({"layers": {}}, "layers is {}"),
        ({"layers": [MEAN]}, "belongs to no layer"),
        ({"format": "other"}, "liquid-checkpoint"),
        ({"version": 2}, "version is 2; expected 1"),
        ({"time_unit_s": 0}, "time_unit_s is 0"),
        ({"time_unit_s": "ms"}, "time_unit_s is 'ms'"),
        ({"default_dt": -1}, "default_dt is -1"),
        ({"default_dt": float("inf")}, "default_dt is inf"),
        ({"features": None}, "features is None"),
        ({"features": {"mean": [0, 0], "scale": [1, 0], "range": [[0, 1]] * 2}}, "features.scale holds 0"),
        ({"features": {"mean": [0, float("nan")], "scale": [1, 1], "range": [[0, 1]] * 2}}, "features.mean"),
        ({"features": {"mean": [0, 0], "scale": [1, 1], "range": [[0, 1]]}}, "differ in length"),
        ({"features": {"mean": [0, 0], "scale": [1, 1], "range": [[0, 1], [1, 0]]}}, "features.range[1]"),
        ({"features": {"mean": [0], "scale": [1], "range": [[0, 1]]}}, "has shape (3, 2); expected (3, 1)"),
        ({"task": {"kind": "dream"}}, "task.kind is 'dream'"),
        ({"task": {"kind": "classification", "classes": 1}}, "task.classes is 1"),
        ({"task": {"kind": "classification", "classes": 3}}, "expected task.classes = 3"),
        ({"training": 1}, "training is 1"),
        ({"tensors": {"ltc.bias": None}}, "'ltc.bias' is missing"),
        ({"tensors": {"ltc.tau_weight": None}}, "'ltc.tau_weight' of layers[1] is missing"),
        ({"tensors": {"ltc.tau_weight": np.zeros((2, 3), F32)}}, "has shape (2, 3); expected (3, 3)"),
        ({"tensors": {"proj.weight": np.full((3, 2), np.nan, F32)}}, "'proj.weight' holds NaN"),
        ({"tensors": {"proj.weight": np.zeros((3, 2))}}, "'proj.weight' has type float64"),
        ({"tensors": {"more": np.zeros(1, F32)}}, "'more' belongs to no layer"),
    ],
)  # fmt: skip
def test_bad_descriptions_are_refused_by_name(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "bad.safetensors"
    write(path, **change)
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_layers_name_is_its_own(tmp_path: Path) -> None:
    write(tmp_path / "m", layers=[{"kind": "linear", "name": "proj"}, {"kind": "linear", "name": "proj"}])
    with pytest.raises(UserError, match=r"layers\[1\]\.name is used by two layers"):
        checkpoint.load(tmp_path / "m")


def test_missing_foreign_and_empty_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        checkpoint.load(tmp_path / "none.safetensors")
    with pytest.raises(UserError, match="is a folder"):
        checkpoint.load(tmp_path)
    for content in (b"", b"hello", b"PK\3\4" + bytes(100), b"\xff" * 64):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(UserError, match="not a .safetensors file"):
            checkpoint.load(tmp_path / "f")
    save_file({"a": np.zeros(1, F32)}, tmp_path / "g")
    with pytest.raises(UserError, match="no metadata 'liquid'"):
        checkpoint.load(tmp_path / "g")
    save_file({"a": np.zeros(1, F32)}, tmp_path / "h", metadata={"liquid": "{"})
    with pytest.raises(UserError, match="is not JSON"):
        checkpoint.load(tmp_path / "h")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_truncated_file_is_always_refused(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("cut") / "m"
    checkpoint.save(small(), path)
    blob = path.read_bytes()
    path.write_bytes(blob[: draw.draw(st.integers(0, len(blob) - 1))])
    with pytest.raises(UserError):
        checkpoint.load(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_never_gives_a_traceback(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("flip") / "m"
    checkpoint.save(small(), path)
    blob = bytearray(path.read_bytes())
    blob[draw.draw(st.integers(0, len(blob) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    path.write_bytes(blob)
    try:
        checkpoint.load(path)
    except UserError as error:
        assert str(path) in str(error)


def test_the_shipped_checkpoint_is_the_demos_network() -> None:
    model = checkpoint.load(shipped("checkpoints", "japanese_vowels.safetensors"))
    assert [layer.kind for layer in model.layers] == ["linear", "ltc", "mean", "linear"]
    assert model.layer_widths() == (12, 64, 64, 64, 9)
    assert model.time_unit_s is None
