# SPDX-License-Identifier: BSD-2-Clause
"""Random checkpoints of every cell but the liquid ones, which tests/toys.py has."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from toys import toy_model

from liquid_accel.checkpoint import Checkpoint, Features, Layer, Linear, Mean, Synaptic, Task
from liquid_accel.layers import Cfc, Gru, Lstm, Node

UPDATED: dict[str, Layer] = {
    "gru": Gru("cell"),
    "lstm": Lstm("cell"),
    "cfc": Cfc("cell"),
    "cfc no_gate": Cfc("cell", mode="no_gate"),
    "cfc without backbone": Cfc("cell", backbone_layers=0),
    "cfc relu": Cfc("cell", backbone_layers=2, backbone_activation="relu"),
    "cfc tanh": Cfc("cell", backbone_activation="tanh"),
    "cfc sigmoid": Cfc("cell", backbone_activation="sigmoid"),
}


def cell_model(layer: Layer, size: int = 12, hidden: int = 7, seed: int = 0, **changes: Any) -> Checkpoint:
    """The toy model with `layer` in the place of its LTC; `hidden` is the width inside the cell."""
    model = toy_model(**changes)
    random = np.random.default_rng(seed)
    lengths = {name: size * gates for name, gates in (("bias_hh", {"gru": 3, "lstm": 4}.get(layer.kind, 1)),)}

    def length(name: str) -> int:
        last = f"layers.{len(layer.activations) - 1}.bias" if isinstance(layer, Node) else "ff1.bias"
        return size if name == last else lengths.get(name, hidden)

    before = changes.get("before", (8,))
    width = before[-1] if before else model.in_features
    tensors = {name: value for name, value in model.tensors.items() if not name.startswith("ltc.")}
    for name, shape in layer.shapes(width, size, length).items():
        gain = 1.0 / np.sqrt(shape[-1]) if len(shape) == 2 else 0.2
        tensors[f"cell.{name}"] = (gain * random.standard_normal(shape)).astype(np.float32)
    if "out.weight" in tensors:
        tensors["out.weight"] = random.standard_normal((3, size)).astype(np.float32) / np.float32(np.sqrt(size))
    layers = tuple(layer if old.kind == "ltc" else old for old in model.layers)
    return replace(model, layers=layers, tensors=tensors)


def synaptic_model(
    size: int = 10, features: int = 3, density: float = 1.0, unfolds: int = 6, seed: int = 0, before: bool = False
) -> Checkpoint:
    """Weights from the ranges of ncps, and a wiring of that density."""
    random = np.random.default_rng(seed)
    width = 6 if before else features

    def draw(low: float, high: float, *shape: int) -> npt.NDArray[np.float32]:
        return random.uniform(low, high, shape).astype(np.float32)

    tensors: dict[str, npt.NDArray[np.float32]] = {}
    for prefix, sources in (("", size), ("sensory_", width)):
        wired = (sources, size)
        tensors |= {
            f"{prefix}w": draw(0.001, 1.0, *wired), f"{prefix}sigma": draw(3.0, 8.0, *wired),
            f"{prefix}mu": draw(0.3, 0.8, *wired),
            f"{prefix}erev": (draw(0.8, 1.2, *wired) * random.choice([-1, 1], wired)).astype(np.float32),
            f"{prefix}mask": (random.random(wired) < density).astype(np.float32),
        }  # fmt: skip
    tensors |= {
        "gleak": draw(0.05, 1.0, size), "vleak": draw(-0.2, 0.2, size), "cm": draw(0.4, 0.6, size),
        "output_w": draw(-2.0, 2.0, size), "output_b": draw(-0.3, 0.3, size),
        "input_w": draw(0.5, 1.5, width), "input_b": draw(-0.3, 0.3, width),
    }  # fmt: skip
    tensors = {f"ltc.{name}": value for name, value in tensors.items()}
    layers: list[Layer] = [Synaptic("ltc", unfolds), Mean(), Linear("out", None)]
    if before:
        tensors |= {"dense.weight": draw(-1, 1, width, features), "dense.bias": draw(-0.2, 0.2, width)}
        layers.insert(0, Linear("dense", "tanh"))
    tensors |= {"out.weight": draw(-1, 1, 3, size), "out.bias": draw(-0.2, 0.2, 3)}
    extent = Features((0.5,) * features, (2.0,) * features, ((-7.0, 8.0),) * features)
    return Checkpoint(tuple(layers), tensors, extent, Task("classification", 3), None)
