# SPDX-License-Identifier: BSD-2-Clause
"""A checkpoint as the sequence of layers that a program can be made for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel import description
from liquid_accel.checkpoint import Checkpoint, Linear, Ltc, Mean
from liquid_accel.errors import UserError

Floats = npt.NDArray[np.float64]
EXPECTED = "expected linear layers, one ltc, a mean or none, linear layers"


@dataclass(frozen=True)
class Dense:
    """y = act(A x + a): A `weight` (out, in), a `bias` (out,); `activation` None is the identity."""

    name: str
    weight: Floats
    bias: Floats
    activation: str | None


@dataclass(frozen=True)
class Liquid:
    """tau dh/dt = -h + act(W h + [U x] + b), tau = softplus(V x + c); `tau` holds V and c, `input_weight` U or None."""

    name: str
    recurrent: Floats
    input_weight: Floats | None
    bias: Floats
    tau: Dense
    activation: str

    @property
    def size(self) -> int:
        return len(self.bias)


@dataclass(frozen=True)
class Network:
    """Dense layers on a frame, the liquid layer, the running mean of its states if `pooled`, dense layers."""

    before: tuple[Dense, ...]
    liquid: Liquid
    pooled: bool
    after: tuple[Dense, ...]

    @property
    def frame_macs(self) -> int:
        """Multiplications of the dense products that a frame asks for once: those before the liquid layer, and its own
        input and tau products. The read-out is not among them."""
        extra = self.liquid.input_weight.size if self.liquid.input_weight is not None else 0
        return sum(layer.weight.size for layer in self.before) + self.liquid.tau.weight.size + extra


def parse(model: Checkpoint) -> Network:
    """Raises `UserError` for layers in an order that no program can be made for."""
    before: list[Dense] = []
    after: list[Dense] = []
    liquid: Liquid | None = None
    pooled = False
    tensors = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
    for index, layer in enumerate(model.layers):
        if isinstance(layer, Linear):
            dense = Dense(layer.name, tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"], layer.activation)
            (before if liquid is None else after).append(dense)
        elif isinstance(layer, Ltc) and liquid is None:
            liquid = _liquid(layer, tensors)
        elif isinstance(layer, Mean) and liquid is not None and not pooled and not after:
            pooled = True
        else:
            raise UserError(f"unknown layer '{layer.kind}' at layers[{index}]: {EXPECTED}")
    if liquid is None:
        raise UserError(f"the model has no layer 'ltc' among its {len(model.layers)} layers; {EXPECTED}")
    return Network(tuple(before), liquid, pooled, tuple(after))


def _liquid(layer: Ltc, tensors: dict[str, Floats]) -> Liquid:
    name = layer.name
    tau = Dense(f"{name}.tau", tensors[f"{name}.tau_weight"], tensors[f"{name}.tau_bias"], layer.tau_activation)
    drive = tensors[f"{name}.input_weight"] if layer.form == "input" else None
    return Liquid(name, tensors[f"{name}.recurrent_weight"], drive, tensors[f"{name}.bias"], tau, layer.activation)


def checkpoint_hash(model: Checkpoint) -> str:
    """SHA-256 over description and tensors: which model an image was made from."""
    digest = hashlib.sha256(json.dumps(description.encode(model), sort_keys=True).encode())
    for name in sorted(model.tensors):
        tensor = np.ascontiguousarray(model.tensors[name], np.float32)
        digest.update(f"{name}{tensor.shape}".encode() + tensor.astype("<f4").tobytes())
    return digest.hexdigest()
