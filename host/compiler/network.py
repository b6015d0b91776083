# SPDX-License-Identifier: BSD-2-Clause
"""A checkpoint as the sequence of layers that a program can be made for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from liquid_accel import description, layers
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.errors import UserError
from liquid_accel.layers import Cfc, Ctrnn, Gru, Linear, Lstm, Ltc, Mean, Node, Synaptic

Floats = npt.NDArray[np.float64]
EXPECTED = "expected linear layers, recurrent layers, a mean or none, linear layers"


@dataclass(frozen=True)
class Dense:
    """y = act(A x + a): A `weight` (out, in), a `bias` (out,); `activation` None is the identity."""

    name: str
    weight: Floats
    bias: Floats
    activation: str | None


@dataclass(frozen=True)
class Liquid:
    """tau dh/dt = -h + act(W h + [U x] + b), tau = softplus(V x + [R h] + c): LTC, and CT-RNN, whose tau is constant.

    `tau` holds V and c, or is None and `time_constants` holds tau; `input_weight` U or None, `tau_recurrent` R or None.
    """

    name: str
    recurrent: Floats
    input_weight: Floats | None
    bias: Floats
    tau: Dense | None
    time_constants: Floats
    tau_recurrent: Floats | None
    activation: str

    in_halves: ClassVar[bool] = True  # the state stands in the half that the parity says
    turns: ClassVar[bool] = False  # a frame turns the parity once, whatever the solver and its steps

    @property
    def size(self) -> int:
        return len(self.bias)

    @property
    def frame_macs(self) -> int:
        """Multiplications once a frame."""
        weights = (self.input_weight, None if self.tau is None else self.tau.weight)
        return sum(weight.size for weight in weights if weight is not None)

    @property
    def rhs_macs(self) -> int:
        """Multiplications of one evaluation of the right-hand side."""
        return self.recurrent.size + (0 if self.tau_recurrent is None else self.tau_recurrent.size)


@dataclass(frozen=True)
class Other:
    """A recurrent layer of another kind: its description and its tensors, without the layer's name in front."""

    layer: Gru | Lstm | Cfc | Node | Synaptic
    size: int
    tensors: Mapping[str, Floats]

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def in_halves(self) -> bool:
        """Whether the state stands in the half that the parity says."""
        return isinstance(self.layer, Node) or self.turns

    @property
    def turns(self) -> bool:
        """Whether a frame turns the parity once: without a backbone the last head of a CfC still reads h while its rows
        are made anew."""
        return isinstance(self.layer, Cfc) and self.layer.backbone_layers == 0

    @property
    def frame_macs(self) -> int:
        """Multiplications once a frame: the products with the input, where they do not change within it."""
        if isinstance(self.layer, Gru | Lstm):
            return self.tensors["weight_ih"].size
        if isinstance(self.layer, Synaptic):  # each synapse in the numerator and in the denominator
            return 2 * int((self.tensors["sensory_mask"] != 0).sum())
        return self.tensors["input_weight"].size if isinstance(self.layer, Node) else 0

    @property
    def rhs_macs(self) -> int:
        """Multiplications of one update of the state, or evaluation of its derivative."""
        if isinstance(self.layer, Synaptic):
            return 2 * int((self.tensors["mask"] != 0).sum())
        every = sum(weight.size for weight in self.tensors.values() if weight.ndim == 2)
        return every - self.frame_macs


Cell = Liquid | Other


@dataclass(frozen=True)
class Network:
    """Dense layers on a frame, recurrent layers, the running mean of the states if `pooled` ("last" or "all" of the
    layers), dense layers."""

    inputs: int
    before: tuple[Dense, ...]
    cells: tuple[Cell, ...]
    pooled: str | None
    after: tuple[Dense, ...]

    @property
    def frame_macs(self) -> int:
        """Multiplications of the dense products that a frame asks for once: those before the recurrent layers, and
        their own with the input. The read-out is not among them."""
        return sum(layer.weight.size for layer in self.before) + sum(cell.frame_macs for cell in self.cells)

    @property
    def rhs_macs(self) -> float:
        """Multiplications of a right-hand side, the mean of the layers: several take as many evaluations each."""
        return sum(cell.rhs_macs for cell in self.cells) / len(self.cells)

    @property
    def skips_inputs(self) -> bool:
        """Whether the first recurrent layer's products with its input may skip columns."""
        first = self.cells[0]
        return isinstance(first, Liquid) or isinstance(first.layer, Gru | Lstm)

    @property
    def equations(self) -> bool:
        """Whether a recurrent layer is an equation, which a solver integrates."""
        return any(isinstance(cell, Liquid) or isinstance(cell.layer, Node) for cell in self.cells)


def parse(model: Checkpoint) -> Network:
    """Raises `UserError` for layers in an order that no program can be made for."""
    before: list[Dense] = []
    after: list[Dense] = []
    cells: list[Cell] = []
    pooled: str | None = None
    tensors = {name: tensor.astype(np.float64) for name, tensor in model.tensors.items()}
    for index, layer in enumerate(model.layers):
        if isinstance(layer, Linear):
            dense = Dense(layer.name, tensors[f"{layer.name}.weight"], tensors[f"{layer.name}.bias"], layer.activation)
            (after if cells else before).append(dense)
        elif isinstance(layer, Mean) and cells and pooled is None and not after:
            pooled = layer.of
        elif not isinstance(layer, Mean) and pooled is None and not after:
            cells.append(_cell(layer, tensors))
        else:
            raise UserError(f"unknown layer '{layer.kind}' at layers[{index}]: {EXPECTED}")
    if not cells:
        raise UserError(f"the model has no recurrent layer among its {len(model.layers)} layers; {EXPECTED}")
    return Network(model.in_features, tuple(before), tuple(cells), pooled, tuple(after))


def _cell(layer: layers.Cell, tensors: dict[str, Floats]) -> Cell:
    name = layer.name
    own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    if isinstance(layer, Ltc):
        tau = Dense(f"{name}.tau", own["tau_weight"], own["tau_bias"], layer.tau_activation)
        return Liquid(
            name, own["recurrent_weight"], own.get("input_weight"), own["bias"], tau, np.zeros(0),
            own.get("tau_recurrent_weight"), layer.activation,
        )  # fmt: skip
    if isinstance(layer, Ctrnn):
        constants = np.logaddexp(0.0, own["tau_bias"])
        return Liquid(
            name, own["recurrent_weight"], own["input_weight"], own["bias"], None, constants, None, layer.activation
        )
    return Other(layer, layer.size(lambda tensor: len(own[tensor])), own)


def checkpoint_hash(model: Checkpoint) -> str:
    """SHA-256 over description and tensors: which model an image was made from."""
    digest = hashlib.sha256(json.dumps(description.encode(model), sort_keys=True).encode())
    for name in sorted(model.tensors):
        tensor = np.ascontiguousarray(model.tensors[name], np.float32)
        digest.update(f"{name}{tensor.shape}".encode() + tensor.astype("<f4").tobytes())
    return digest.hexdigest()
