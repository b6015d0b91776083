# SPDX-License-Identifier: BSD-2-Clause
"""A stack of layers against its tensors: widths, shapes, and every check of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.layers import CELLS, Layer, Length, Mean, Shape, Synaptic

Tensors = dict[str, npt.NDArray[np.float32]]
AnyTensors = Mapping[str, npt.NDArray[Any]]


def _length(layer: Layer, tensors: AnyTensors, name: str) -> Length:
    def length(tensor: str) -> int:
        key = f"{_prefix(layer)}{tensor}"
        held = tensors.get(key)
        if held is None or held.ndim != 1 or held.size == 0:
            what = "missing" if held is None else f"of shape {held.shape}"
            raise UserError(f"{name}: tensor '{key}' is {what}; expected one number a unit")
        return held.size

    return length


def _prefix(layer: Layer) -> str:
    return "" if isinstance(layer, Mean) else f"{layer.name}."


def _sized(
    layers: tuple[Layer, ...], tensors: AnyTensors, in_features: int, name: str
) -> Iterator[tuple[Layer, int, int]]:
    """Each layer with the widths of its input and its output."""
    width, cells = in_features, 0
    for index, layer in enumerate(layers):
        if isinstance(layer, Mean):
            if layer.of == "all" and not cells:
                raise UserError(f"{name}: layers[{index}].of is 'all'; expected a cell in front of it, or 'last'")
            out = cells if layer.of == "all" else width
        else:
            out = layer.size(_length(layer, tensors, name))
            cells += out if isinstance(layer, CELLS) else 0
        yield layer, width, out
        width = out


def widths(layers: tuple[Layer, ...], tensors: AnyTensors, in_features: int) -> tuple[int, ...]:
    """Width of the input, then of each layer's output."""
    return (in_features, *(out for _, _, out in _sized(layers, tensors, in_features, "checkpoint")))


def layer_shapes(layer: Layer, width: int, size: int, tensors: AnyTensors, name: str) -> dict[str, Shape]:
    """Shapes that the layer's tensors must have, by full name, for an input of `width` and an output of `size`."""
    if isinstance(layer, Mean):
        return {}
    shapes = layer.shapes(width, size, _length(layer, tensors, name))
    return {f"{layer.name}.{tensor}": shape for tensor, shape in shapes.items()}


def check_layers(
    layers: tuple[Layer, ...], tensors: Tensors, in_features: int, classes: int | None, name: str
) -> None:
    """Every layer has its tensors, of the right shape and sound, and no tensor is left over."""
    width, used = in_features, set[str]()
    for index, (layer, below, width) in enumerate(_sized(layers, tensors, in_features, name)):
        shapes = layer_shapes(layer, below, width, tensors, name)
        if used & shapes.keys():
            raise UserError(f"{name}: layers[{index}].name is used by two layers; expected a name of its own")
        for key, shape in shapes.items():
            if key not in tensors:
                raise UserError(f"{name}: tensor '{key}' of layers[{index}] is missing; expected shape {shape}")
            if tensors[key].shape != shape:
                raise UserError(f"{name}: tensor '{key}' has shape {tensors[key].shape}; expected {shape}")
            if not np.isfinite(tensors[key]).all():
                raise UserError(f"{name}: tensor '{key}' holds NaN or infinity; expected finite weights")
        if isinstance(layer, Synaptic):
            _check_synapses(layer, tensors, name)
        used |= shapes.keys()
    left = sorted(tensors.keys() - used)
    if left:
        raise UserError(f"{name}: tensor '{left[0]}' belongs to no layer; expected only those of the layers")
    if classes is not None and width != classes:
        raise UserError(f"{name}: the last layer has width {width}; expected task.classes = {classes}")


def _check_synapses(layer: Synaptic, tensors: Tensors, name: str) -> None:
    for tensor in layer.not_negative:
        lowest = tensors[f"{layer.name}.{tensor}"].min()
        if lowest < 0:
            raise UserError(f"{name}: tensor '{layer.name}.{tensor}' holds {lowest:g}; expected numbers of at least 0")
    for tensor in layer.masks:
        if not np.isin(tensors[f"{layer.name}.{tensor}"], (0.0, 1.0)).all():
            raise UserError(f"{name}: tensor '{layer.name}.{tensor}' is no mask; expected 0 or 1 for each synapse")
