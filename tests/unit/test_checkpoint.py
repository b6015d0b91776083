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
from liquid_accel.checkpoint import (
    Cfc,
    Checkpoint,
    Ctrnn,
    Features,
    Gru,
    Layer,
    Linear,
    Lstm,
    Ltc,
    Mean,
    Node,
    Synaptic,
    Task,
)
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
        ({"layers": [MEAN, {"kind": "conv"}]}, "unknown layer 'conv' at layers[1]; supported: linear, ltc, ltc-syn"),
        ({"layers": [{"kind": ["gru"]}]}, "unknown layer ['gru'] at layers[0]; supported: "),
        ({"layers": [{**LTC, "tau_activation": "softplus", "taus": 3}]}, "layers[0].taus is unknown; expected, for"),
        ({"layers": [{**LTC, "tau_activation": "softplus", "tau_recurrent": 1}]}, "tau_recurrent is 1; expected true"),
        ({"layers": [{"kind": "mean", "of": "most"}]}, "layers[0].of is 'most'"),
        ({"layers": [{"kind": "mean", "of": "all"}]}, "layers[0].of is 'all'; expected a cell in front of it"),
        ({"layers": [{"kind": "gru", "name": "g", "activation": "tanh"}]}, "layers[0].activation is unknown"),
        ({"layers": [{"kind": "gru", "name": "g"}]}, "tensor 'g.bias_hh' is missing"),
        ({"layers": [{"kind": "ltc-synaptic", "name": "s", "unfolds": 0}]}, "unfolds is 0; expected a whole number"),
        ({"layers": [{"kind": "ltc-synaptic", "name": "s", "unfolds": True}]}, "unfolds is True; expected a whole"),
        ({"layers": [{"kind": "cfc", "name": "c", "mode": "pure"}]}, "layers[0].mode is 'pure'"),
        ({"layers": [{"kind": "cfc", "name": "c", "backbone_activation": "gelu"}]}, "backbone_activation is 'gelu'"),
        ({"layers": [{"kind": "cfc", "name": "c", "backbone_layers": 10**9}]}, "backbone_layers is 1000000000"),
        ({"layers": [{"kind": "node", "name": "n"}]}, "activations is None; expected a list of 1 to 16"),
        ({"layers": [{"kind": "node", "name": "n", "activations": []}]}, "activations is []; expected a list"),
        ({"layers": [{"kind": "node", "name": "n", "activations": ["tanh", "sin"]}]}, "activations[1] is 'sin'"),
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


H, X = 4, 2
SYNAPSES = {"w": 0.5, "sigma": 3.0, "mu": 0.3, "erev": -1.0, "mask": 1.0}
# A cell with an input of X and H units, and the shapes of its tensors.
CELLS: list[tuple[Layer, dict[str, tuple[int, ...]]]] = [
    (Ltc("c", tau_recurrent=True), {
        "recurrent_weight": (H, H), "bias": (H,), "input_weight": (H, X), "tau_weight": (H, X),
        "tau_recurrent_weight": (H, H), "tau_bias": (H,)}),
    (Ctrnn("c", "sigmoid"), {"recurrent_weight": (H, H), "input_weight": (H, X), "bias": (H,), "tau_bias": (H,)}),
    (Gru("c"), {"weight_ih": (3 * H, X), "weight_hh": (3 * H, H), "bias_ih": (3 * H,), "bias_hh": (3 * H,)}),
    (Lstm("c"), {"weight_ih": (4 * H, X), "weight_hh": (4 * H, H), "bias_ih": (4 * H,), "bias_hh": (4 * H,)}),
    (Cfc("c", 2, "relu", "no_gate"), {
        "backbone.0.weight": (7, X + H), "backbone.0.bias": (7,), "backbone.1.weight": (5, 7), "backbone.1.bias": (5,),
        **{f"{head}.weight": (H, 5) for head in ("ff1", "ff2", "time_a", "time_b")},
        **{f"{head}.bias": (H,) for head in ("ff1", "ff2", "time_a", "time_b")}}),
    (Node("c", ("softplus", None)), {
        "input_weight": (6, X), "layers.0.weight": (6, H), "layers.0.bias": (6,), "layers.1.weight": (H, 6),
        "layers.1.bias": (H,)}),
    (Synaptic("c", 3), {
        **dict.fromkeys(SYNAPSES, (H, H)), **{f"sensory_{name}": (X, H) for name in SYNAPSES},
        **dict.fromkeys(("gleak", "vleak", "cm", "output_w", "output_b"), (H,)), "input_w": (X,), "input_b": (X,)}),
]  # fmt: skip


def one_cell(layer: Layer, shapes: dict[str, tuple[int, ...]], **more: Any) -> Checkpoint:
    tensors = {f"c.{name}": np.full(shape, SYNAPSES.get(name.removeprefix("sensory_"), 0.5), F32)
               for name, shape in shapes.items()} | more  # fmt: skip
    features = Features((0.0,) * X, (1.0,) * X, ((-1.0, 1.0),) * X)
    return Checkpoint((layer, Mean("all")), tensors, features, Task("regression"))


@pytest.mark.parametrize(("layer", "shapes"), CELLS, ids=lambda value: getattr(value, "kind", ""))
def test_every_cell_comes_back(tmp_path: Path, layer: Layer, shapes: dict[str, tuple[int, ...]]) -> None:
    model = one_cell(layer, shapes)
    checkpoint.save(model, tmp_path / "m")
    back = checkpoint.load(tmp_path / "m")
    assert back.layers == (layer, Mean("all"))
    assert back.layer_widths() == (X, H, H)
    for name, shape in shapes.items():
        wrong = {f"c.{name}": np.zeros((*shape, 1), F32)}
        with pytest.raises(UserError, match=rf"tensor 'c\.{name}' (has|is of) shape"):
            one_cell(layer, shapes, **wrong)


@pytest.mark.parametrize(
    ("tensor", "value", "words"),
    [("mask", 0.5, "'c.mask' is no mask; expected 0 or 1"), ("sensory_mask", -1.0, "'c.sensory_mask' is no mask"),
     ("w", -0.25, "'c.w' holds -0.25; expected numbers of at least 0"), ("cm", -1.0, "'c.cm' holds -1")],
)  # fmt: skip
def test_synapses_are_sound(tensor: str, value: float, words: str) -> None:
    layer, shapes = CELLS[-1]
    with pytest.raises(UserError, match=words):
        one_cell(layer, shapes, **{f"c.{tensor}": np.full(shapes[tensor], value, F32)})


def test_what_only_newer_models_use_is_not_written(tmp_path: Path) -> None:
    layers = description.encode(small())["layers"]
    assert layers[1] == {"kind": "ltc", "name": "ltc", "form": "input", "activation": "tanh",
                         "tau_activation": "softplus"}  # fmt: skip
    assert layers[2] == {"kind": "mean"}
    shipped_file = shipped("checkpoints", "japanese_vowels.safetensors")
    checkpoint.save(checkpoint.load(shipped_file), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == shipped_file.read_bytes()


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
