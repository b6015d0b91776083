# SPDX-License-Identifier: BSD-2-Clause
"""The JSON description inside a checkpoint: features, task and layers, to text and back, every field checked."""

import json
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from liquid_accel import stack
from liquid_accel.errors import UserError
from liquid_accel.layers import KINDS, LAYERS, Check, Count, Flag, Layer, OneOf

if TYPE_CHECKING:
    from liquid_accel.checkpoint import Checkpoint

FORMAT = "liquid-checkpoint"
CHECKPOINT_VERSION = 1
TASKS = ("classification", "regression")


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
        "layers": [_encoded(layer) for layer in checkpoint.layers],
        "training": dict(checkpoint.training),
    }


def decode(text: str, tensors: stack.Tensors, name: str) -> "Checkpoint":
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
    stack.check_layers(layers, tensors, len(features.mean), task.classes, name)
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


def _encoded(layer: Layer) -> dict[str, Any]:
    result: dict[str, Any] = {"kind": layer.kind}
    for field in fields(layer):
        value = getattr(layer, field.name)
        if not (field.metadata.get("silent") and value == field.default):
            result[field.name] = list(value) if isinstance(value, tuple) else value
    return result


def _layer(raw: object, index: int, name: str) -> Layer:
    where = f"layers[{index}]"
    if not isinstance(raw, dict):
        raise UserError(f"{name}: {where} is {_short(raw)}; expected an object with a kind")
    kind = raw.get("kind")
    if kind not in KINDS:
        raise UserError(f"{name}: unknown layer {_short(kind)} at {where}; supported: {', '.join(KINDS)}")
    layer = LAYERS[KINDS.index(kind)]
    known = [field.name for field in fields(layer)]
    for key in raw:
        if key != "kind" and key not in known:
            raise UserError(f"{name}: {where}.{key} is unknown; expected, for a layer '{kind}', {', '.join(known)}")
    values: dict[str, Any] = {}
    for field in fields(layer):
        value = raw.get(field.name)
        if field.name == "name":
            if not isinstance(value, str) or not value:
                raise UserError(f"{name}: {where}.name is {_short(value)}; expected the name that its tensors carry")
            values["name"] = value
        elif field.name in raw or field.metadata["required"]:
            values[field.name] = _checked(value, field.metadata["check"], f"{name}: {where}.{field.name}")
    return layer(**values)


def _checked(value: object, check: Check, where: str) -> Any:
    """`value` as the layer holds it; `where` is how the error starts."""
    if isinstance(check, OneOf):
        if not isinstance(value, str | None) or value not in check.choices:
            raise UserError(f"{where} is {_short(value)}, which is not supported; supported: {_names(check.choices)}")
        return value
    if isinstance(check, Count):
        if type(value) is not int or not check.low <= value <= check.high:
            raise UserError(f"{where} is {_short(value)}; expected a whole number from {check.low} to {check.high}")
        return value
    if isinstance(check, Flag):
        if type(value) is not bool:
            raise UserError(f"{where} is {_short(value)}; expected true or false")
        return value
    if not isinstance(value, list) or not 1 <= len(value) <= check.most:
        raise UserError(f"{where} is {_short(value)}; expected a list of 1 to {check.most} activations")
    return tuple(_checked(item, OneOf(check.choices), f"{where}[{index}]") for index, item in enumerate(value))


def _names(choices: tuple[str | None, ...]) -> str:
    return ", ".join("null" if choice is None else choice for choice in choices)
