# SPDX-License-Identifier: BSD-2-Clause
"""A torch model as a checkpoint: its modules one after the other, held against the model itself on data.

    checkpoint = import_model(model, data)

What a model's own code does between its modules is not read. Whether the modules in their order are the model is
measured: both compute the calibration data, and where they differ the model is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from liquid_accel.checkpoint import Checkpoint, Features, Task
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.importer.cells import LINEAR_ACTIVATIONS, Array, Converted, converter, linear, refuse
from liquid_accel.layers import CELLS, Layer, Linear, Mean
from liquid_accel.sim import reference

NOTHING = (nn.Dropout, nn.Identity)
SEQUENCES, FRAMES = 4, 12  # of the data that model and checkpoint are compared on
CLOSE = 1e-3  # of the largest output


def import_model(model: Any, data: Dataset) -> Checkpoint:
    """The checkpoint of a torch model; `data` (B, T, features) calibrates it, and shows that it computes the same.

    Time is counted in units of the data's dt, 1 a frame where it has none. Where `data` has labels that fit the
    outputs, the task is classification. Raises UserError, with the place in the model, for a module that no program is
    made for, and where the modules one after the other are not what the model computes.
    """
    if not isinstance(model, nn.Module):
        raise UserError(f"model is of type {type(model).__name__}; expected a torch module")
    model = model.eval()
    layers: list[Layer] = []
    tensors: dict[str, Array] = {}
    for layer, own in _converted(model):
        if isinstance(layer, Linear) and layer.activation is not None and not own:
            _activate(layers, layer.activation)
            continue
        assert not isinstance(layer, Mean), "no module becomes one"
        layers.append(layer)
        tensors |= {f"{layer.name}.{key}": value for key, value in own.items()}
    if not any(isinstance(layer, CELLS) for layer in layers):
        raise UserError(f"model: {type(model).__name__} has no recurrent layer; expected one of ncps or torch in it")
    seen = data.x[data.mask]
    ranges = tuple((float(low), float(high)) for low, high in zip(seen.min(0), seen.max(0), strict=True))
    features = Features((0.0,) * len(ranges), (1.0,) * len(ranges), ranges)
    outputs = _width(layers[-1], tensors)
    labels = data.labels
    classes = outputs if labels is not None and 0 <= labels.min() and labels.max() < outputs else None
    task = Task("regression") if classes is None else Task("classification", classes)
    try:
        found = Checkpoint(tuple(layers), tensors, features, task, training={"imported": type(model).__name__})
    except UserError as error:
        raise UserError(f"model does not take the {len(ranges)} features of {data.name} ({error})") from None
    _check(model, found, data)
    return found


def _converted(model: nn.Module) -> Iterator[tuple[Layer, dict[str, Array]]]:
    for index, (place, module) in enumerate(_modules(model, "")):
        name = place.replace(".", "_") or "cell"
        convert = converter(module)
        if convert is not None:
            converted: Converted = convert(module, place, name)
        elif isinstance(module, nn.Linear):
            converted = linear(module, name)
        elif type(module) in LINEAR_ACTIVATIONS and index:
            converted = [(Linear(name, LINEAR_ACTIVATIONS[type(module)]), {})]
        elif isinstance(module, NOTHING):
            continue
        else:
            refuse(place, module, "; expected Linear, Tanh, Sigmoid, ncps' LTC or CfC, GRU, LSTM, RNN or NeuralODE")
        yield from converted


def _modules(module: nn.Module, place: str) -> Iterator[tuple[str, nn.Module]]:
    """Modules that are converted as a whole, in the order in which they were made."""
    children = list(module.named_children())
    if converter(module) is not None or not children:
        yield place, module
        return
    for name, child in children:
        yield from _modules(child, f"{place}.{name}".lstrip("."))


def _activate(layers: list[Layer], activation: str) -> None:
    before = layers[-1] if layers else None
    if not isinstance(before, Linear) or before.activation is not None:
        raise UserError(f"model: a {activation} does not follow a Linear layer; expected it behind one")
    layers[-1] = Linear(before.name, activation)


def _width(layer: Layer, tensors: dict[str, Array]) -> int:
    assert not isinstance(layer, Mean), "no module becomes one"
    name = layer.name
    return layer.size(lambda tensor: len(tensors[f"{name}.{tensor}"]))


def _check(model: nn.Module, found: Checkpoint, data: Dataset) -> None:
    """UserError where model and checkpoint differ on some of the data. A model gives its outputs frame by frame or at
    the end, alone or with its state."""
    count, frames = min(SEQUENCES, len(data.x)), min(FRAMES, int(data.lengths[:SEQUENCES].min()))
    x, dt = data.x[:count, :frames].astype(np.float32), data.dt[:count, :frames]
    part = Dataset(x, np.full(count, frames), dt, None, data.dt_given, data.name)
    ours = reference.run(found, part, reference.default_solver(found)).outputs
    theirs = _forward(model, x, dt if data.dt_given else None)
    if theirs.ndim == 2 or theirs.shape[:2] != ours.shape[:2]:
        ours = ours[:, -1]
    if theirs.shape != ours.shape:
        raise UserError(f"model gives outputs of shape {theirs.shape}; its modules one after the other {ours.shape}")
    worst, size = float(np.abs(theirs - ours).max()), float(np.abs(ours).max())
    if not worst <= CLOSE * max(size, 1.0):
        raise UserError(
            f"model: its modules one after the other differ from it by up to {worst:.3g} on {data.name}; expected a "
            "model that computes nothing between them"
        )


def _forward(model: nn.Module, x: Array, dt: npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    """Outputs of the user's model for x (B, T, I), batch first whatever its layout."""
    first = next((bool(m.batch_first) for m in model.modules() if hasattr(m, "batch_first")), True)
    value = torch.from_numpy(x if first else np.ascontiguousarray(x.swapaxes(0, 1)))
    times: list[dict[str, Any]] = [{}]
    if dt is not None:
        spans = torch.from_numpy(dt.astype(np.float32) if first else np.ascontiguousarray(dt.T).astype(np.float32))
        times = [{"timespans": spans}, {"dt": spans}, {}]
    said: Exception | None = None
    for keywords in times:
        try:
            with torch.no_grad():
                given = model(value, **keywords)
            break
        except TypeError as error:  # the model has no such argument
            said = said or error
        except Exception as error:
            raise UserError(f"model fails on the data ({type(error).__name__}: {error})".splitlines()[0]) from error
    else:
        raise UserError(f"model takes no frames alone ({said})")
    given = given[0] if isinstance(given, tuple) else given
    found: npt.NDArray[np.float64] = given.numpy().astype(np.float64)
    return found.swapaxes(0, 1) if found.ndim == 3 and not first else found
