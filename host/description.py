# SPDX-License-Identifier: BSD-2-Clause
"""The JSON description inside a checkpoint: its typed layers, and every check of it against the tensors."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError

if TYPE_CHECKING:
    from liquid_accel.checkpoint import Checkpoint

FORMAT = "liquid-checkpoint"
CHECKPOINT_VERSION = 1
ACTIVATIONS = ("tanh", "sigmoid")
TAU_ACTIVATIONS = ("softplus",)
FORMS = ("input", "literal")
TASKS = ("classification", "regression")
KINDS = ("linear", "ltc", "mean")

Tensors = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Linear:
    """y = act(A x + a); `activation` None is the identity."""

    name: str
    activation: str | None = None
    kind: str = "linear"


@dataclass(frozen=True)
class Ltc:
    """tau dh/dt = -h + act(W h + [U x] + b), tau = tau_act(V x + c); U in the form "input" only."""

    name: str
    form: str = "input"
    activation: str = "tanh"
    tau_activation: str = "softplus"
    kind: str = "ltc"


@dataclass(frozen=True)
class Mean:
    """The unweighted mean over the frames so far."""

    kind: str = "mean"


Layer = Linear | Ltc | Mean


@dataclass(frozen=True)
class Features:
    """Per feature, in the units of the data file: `mean` and `scale` of the normalisation (x - mean) / scale, and
    the `range` (lowest, highest) seen in training."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    range: tuple[tuple[float, float], ...]

    def normalise(self, x: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """(x - mean) / scale in float64."""
        result: npt.NDArray[np.float64] = (x.astype(np.float64) - np.array(self.mean)) / np.array(self.scale)
        return result


@dataclass(frozen=True)
class Task:
    """What the output means: `classification` into `classes`, or a `regression` (`classes` None)."""

    kind: str
    classes: int | None = None


def encode(checkpoint: "Checkpoint") -> dict[str, Any]:
    """The description as it is stored."""
    layers: list[dict[str, Any]] = []
    for layer in checkpoint.layers:
        if isinstance(layer, Linear):
            layers.append({"kind": "linear", "name": layer.name, "activation": layer.activation})
        elif isinstance(layer, Ltc):
            shape = {"form": layer.form, "activation": layer.activation, "tau_activation": layer.tau_activation}
            layers.append({"kind": "ltc", "name": layer.name, **shape})
        else:
            layers.append({"kind": "mean"})
    features, task = checkpoint.features, checkpoint.task
    return {
        "format": FORMAT,
        "version": CHECKPOINT_VERSION,
        "time_unit_s": checkpoint.time_unit_s,
        "default_dt": checkpoint.default_dt,
        "features": {
            "mean": list(features.mean),
            "scale": list(features.scale),
            "range": [list(pair) for pair in features.range],
        },
        "task": {"kind": task.kind, **({} if task.classes is None else {"classes": task.classes})},
        "layers": layers,
        "training": dict(checkpoint.training),
    }


def decode(text: str, tensors: Tensors, name: str) -> "Checkpoint":
    """The checkpoint that `text` describes; raises `UserError` naming file `name` and the field."""
    from liquid_accel.checkpoint import Checkpoint

    try:
        fields = json.loads(text)
    except ValueError as error:
        raise UserError(f"{name}: the description is not JSON ({error})") from None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise UserError(f"{name}: the description is not a '{FORMAT}'; expected a checkpoint of `liquid train`")
    if fields.get("version") != CHECKPOINT_VERSION:
        raise UserError(f"{name}: version is {fields.get('version')!r}; expected {CHECKPOINT_VERSION}")
    unit = fields.get("time_unit_s")
    if unit is not None and not (_is_number(unit) and unit > 0):
        raise UserError(f"{name}: time_unit_s is {unit!r}; expected seconds > 0, or null for frames")
    default_dt = fields.get("default_dt", 1.0)
    if not (_is_number(default_dt) and default_dt >= 0):
        raise UserError(f"{name}: default_dt is {default_dt!r}; expected a finite number >= 0")
    features, task = _features(fields.get("features"), name), _task(fields.get("task"), name)
    raw = fields.get("layers")
    if not isinstance(raw, list) or not raw:
        raise UserError(f"{name}: layers is {_short(raw)}; expected a list of at least one layer")
    layers = tuple(_layer(item, index, name) for index, item in enumerate(raw))
    training = fields.get("training", {})
    if not isinstance(training, dict):
        raise UserError(f"{name}: training is {_short(training)}; expected an object")
    check_layers(layers, tensors, len(features.mean), task, name)
    return Checkpoint(layers, tensors, features, task, unit, float(default_dt), training)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _features(raw: object, name: str) -> Features:
    if not isinstance(raw, dict):
        raise UserError(f"{name}: features is {_short(raw)}; expected an object with mean, scale and range")
    columns: dict[str, tuple[float, ...]] = {}
    for key in ("mean", "scale"):
        values = raw.get(key)
        if not isinstance(values, list) or not values or not all(_is_number(value) for value in values):
            raise UserError(f"{name}: features.{key} is {_short(values)}; expected a list of finite numbers")
        columns[key] = tuple(float(value) for value in values)
    if min(columns["scale"]) <= 0:
        raise UserError(f"{name}: features.scale holds {min(columns['scale'])}; expected numbers > 0")
    pairs = raw.get("range")
    counts = {len(columns["mean"]), len(columns["scale"]), len(pairs) if isinstance(pairs, list) else -1}
    if len(counts) != 1 or not isinstance(pairs, list):
        raise UserError(f"{name}: features.mean, scale and range differ in length; expected one entry a feature each")
    for index, pair in enumerate(pairs):
        sound = isinstance(pair, list) and len(pair) == 2 and all(_is_number(value) for value in pair)
        if not sound or pair[0] > pair[1]:
            raise UserError(f"{name}: features.range[{index}] is {_short(pair)}; expected [lowest, highest]")
    return Features(columns["mean"], columns["scale"], tuple((float(low), float(high)) for low, high in pairs))


def _task(raw: object, name: str) -> Task:
    kind = raw.get("kind") if isinstance(raw, dict) else raw
    if not isinstance(raw, dict) or kind not in TASKS:
        raise UserError(f"{name}: task.kind is {_short(kind)}; expected one of {', '.join(TASKS)}")
    classes = raw.get("classes")
    if kind == "classification" and not (type(classes) is int and classes >= 2):
        raise UserError(f"{name}: task.classes is {_short(classes)}; expected a whole number of at least 2")
    return Task(str(kind), classes if kind == "classification" else None)


def _layer(raw: object, index: int, name: str) -> Layer:
    where = f"layers[{index}]"
    if not isinstance(raw, dict):
        raise UserError(f"{name}: {where} is {_short(raw)}; expected an object with a kind")
    kind = raw.get("kind")
    if kind not in KINDS:
        raise UserError(f"{name}: unknown layer {_short(kind)} at {where}; supported: {', '.join(KINDS)}")
    if kind == "mean":
        return Mean()
    label = raw.get("name")
    if not isinstance(label, str) or not label:
        raise UserError(f"{name}: {where}.name is {_short(label)}; expected the name that its tensors carry")
    activation = _choice(raw.get("activation"), (*ACTIVATIONS, None) if kind == "linear" else ACTIVATIONS,
                         f"{where}.activation", name)
    if kind == "linear":
        return Linear(label, activation)
    form = _choice(raw.get("form", "input"), FORMS, f"{where}.form", name)
    tau_activation = _choice(raw.get("tau_activation"), TAU_ACTIVATIONS, f"{where}.tau_activation", name)
    return Ltc(label, str(form), str(activation), str(tau_activation))


def _choice(value: object, choices: tuple[str | None, ...], where: str, name: str) -> str | None:
    if value is None and None in choices:
        return None
    if not isinstance(value, str) or value not in choices:
        expected = ", ".join("null" if choice is None else choice for choice in choices)
        raise UserError(f"{name}: {where} is {_short(value)}, which is not supported; supported: {expected}")
    return value


def layer_shapes(layer: Layer, width: int, tensors: Tensors, name: str) -> dict[str, tuple[int, ...]]:
    """Shapes that the layer's tensors must have for an input of `width` (the output's width is read off a bias)."""
    if isinstance(layer, Mean):
        return {}
    bias = tensors.get(f"{layer.name}.bias")
    if bias is None or bias.ndim != 1 or bias.size == 0:
        held = "missing" if bias is None else f"of shape {bias.shape}"
        raise UserError(f"{name}: tensor '{layer.name}.bias' is {held}; expected one number a unit")
    out = bias.size
    if isinstance(layer, Linear):
        return {f"{layer.name}.weight": (out, width), f"{layer.name}.bias": (out,)}
    shapes: dict[str, tuple[int, ...]] = {f"{layer.name}.recurrent_weight": (out, out), f"{layer.name}.bias": (out,)}
    if layer.form == "input":
        shapes[f"{layer.name}.input_weight"] = (out, width)
    return {**shapes, f"{layer.name}.tau_weight": (out, width), f"{layer.name}.tau_bias": (out,)}


def widths(layers: tuple[Layer, ...], tensors: Mapping[str, npt.NDArray[Any]], in_features: int) -> tuple[int, ...]:
    """Width of the input, then of each layer's output."""
    result = [in_features]
    for layer in layers:
        result.append(result[-1] if isinstance(layer, Mean) else tensors[f"{layer.name}.bias"].size)
    return tuple(result)


def check_layers(layers: tuple[Layer, ...], tensors: Tensors, in_features: int, task: Task, name: str) -> None:
    """Every layer has its tensors, of the right shape and finite, and no tensor is left over."""
    width, used = in_features, set[str]()
    for index, layer in enumerate(layers):
        shapes = layer_shapes(layer, width, tensors, name)
        if used & shapes.keys():
            raise UserError(f"{name}: layers[{index}].name is used by two layers; expected a name of its own")
        for key, shape in shapes.items():
            if key not in tensors:
                raise UserError(f"{name}: tensor '{key}' of layers[{index}] is missing; expected shape {shape}")
            if tensors[key].shape != shape:
                raise UserError(f"{name}: tensor '{key}' has shape {tensors[key].shape}; expected {shape}")
            if not np.isfinite(tensors[key]).all():
                raise UserError(f"{name}: tensor '{key}' holds NaN or infinity; expected finite weights")
        used |= shapes.keys()
        width = width if isinstance(layer, Mean) else tensors[f"{layer.name}.bias"].size
    left = sorted(tensors.keys() - used)
    if left:
        raise UserError(f"{name}: tensor '{left[0]}' belongs to no layer; expected only those of the layers")
    if task.classes is not None and width != task.classes:
        raise UserError(f"{name}: the last layer has width {width}; expected task.classes = {task.classes}")
