# SPDX-License-Identifier: BSD-2-Clause
"""Modules as layers of a checkpoint, each with the equation that it has: see the layers' own docstrings.

A converter takes a module and a name, and gives layers with their tensors. What no program is made for is refused with
the place of the module in the user's model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from torch import nn
from torch.nn import functional

from liquid_accel.errors import UserError
from liquid_accel.importer.graph import chain
from liquid_accel.layers import Cfc, Gru, Layer, Linear, Lstm, Node, Synaptic

Array = npt.NDArray[np.float32]
Converted = list[tuple[Layer, dict[str, Array]]]
CFC_ACTIVATIONS = {"LeCun": "lecun_tanh", "Tanh": "tanh", "ReLU": "relu"}
LINEAR_ACTIVATIONS = {nn.Tanh: "tanh", nn.Sigmoid: "sigmoid"}


def array(tensor: Any) -> Array:
    found: Array = tensor.detach().cpu().numpy().astype(np.float32)
    return found


def _either(module: nn.Module, *names: str) -> Any:
    """An attribute by the name that ncps has for it, or ours."""
    return next(getattr(module, name) for name in names if hasattr(module, name))


def refuse(place: str, module: nn.Module, why: str) -> NoReturn:
    raise UserError(f"model: {place or 'it'} is a {type(module).__name__} {why}")


def linear(module: nn.Linear, name: str) -> Converted:
    bias = np.zeros(module.out_features, np.float32) if module.bias is None else array(module.bias)
    return [(Linear(name, None), {"weight": array(module.weight), "bias": bias})]


def ltc(module: Any, place: str, name: str) -> Converted:
    """ncps' LTC: a layer with synapses; where not all neurons are motor neurons, a product with 1 picks those."""
    cell = module.rnn_cell
    if hasattr(module, "lstm"):
        refuse(place, module, "with mixed memory; expected one without")
    epsilon = _either(cell, "_epsilon", "epsilon")
    if not np.isclose(epsilon, Synaptic.epsilon, rtol=0, atol=1e-7):
        refuse(place, module, f"with epsilon {epsilon:g}; expected {Synaptic.epsilon:g}")
    own = cell.state_dict()
    implicit = _either(cell, "_implicit_param_constraints", "implicit")
    positive = functional.softplus if implicit else (lambda value: value)
    tensors: dict[str, Array] = {}
    for key in ("vleak", "sigma", "mu", "erev", "sensory_sigma", "sensory_mu", "sensory_erev"):
        tensors[key] = array(own[key])
    for key in Synaptic.not_negative:
        tensors[key] = array(positive(own[key]))
        if tensors[key].min() < 0:
            lowest = tensors[key].min()
            refuse(place, module, f"whose {key} holds {lowest:g}; expected apply_weight_constraints() before")
    tensors["mask"], tensors["sensory_mask"] = array(own["sparsity_mask"]), array(own["sensory_sparsity_mask"])
    units, inputs = len(tensors["vleak"]), len(tensors["sensory_mu"])
    motor = int(module.motor_size)
    tensors["input_w"] = array(own["input_w"]) if "input_w" in own else np.ones(inputs, np.float32)
    tensors["input_b"] = array(own["input_b"]) if "input_b" in own else np.zeros(inputs, np.float32)
    tensors["output_w"], tensors["output_b"] = np.ones(units, np.float32), np.zeros(units, np.float32)
    for key in ("output_w", "output_b"):
        if key in own:
            tensors[key][:motor] = array(own[key])
    found: Converted = [(Synaptic(name, int(_either(cell, "_ode_unfolds", "unfolds"))), tensors)]
    if motor < units:
        pick = np.eye(motor, units, dtype=np.float32)
        found.append((Linear(f"{name}_motor", None), {"weight": pick, "bias": np.zeros(motor, np.float32)}))
    return found


def cfc(module: Any, place: str, name: str) -> Converted:
    """ncps' CfC: one cell, or with a wiring one for each of its layers, whose masks the weights take in."""
    if hasattr(module, "lstm"):
        refuse(place, module, "with mixed memory; expected one without")
    wired = [part for name, part in module.rnn_cell.named_children() if name.startswith("layer_")]
    cells = wired or [module.rnn_cell]
    found: Converted = []
    for index, cell in enumerate(cells):
        found.append(_cfc_cell(module, cell, place, name if len(cells) == 1 else f"{name}{index}"))
    if isinstance(module.fc, nn.Linear):
        found += linear(module.fc, f"{name}_fc")
    return found


def _cfc_cell(module: Any, cell: Any, place: str, name: str) -> tuple[Layer, dict[str, Array]]:
    if cell.mode not in ("default", "no_gate"):
        refuse(place, module, f"of mode '{cell.mode}'; expected default or no_gate")
    tensors: dict[str, Array] = {}
    kinds, layers = set(), 0
    for part in cell.backbone if isinstance(cell.backbone, nn.Sequential) else ():
        if isinstance(part, nn.Linear):
            tensors |= {f"backbone.{layers}.weight": array(part.weight), f"backbone.{layers}.bias": array(part.bias)}
            layers += 1
        elif not isinstance(part, nn.Dropout):
            kinds.add(type(part).__name__)
    for kind in sorted(kinds - CFC_ACTIVATIONS.keys()):
        refuse(place, module, f"with a backbone of {kind}; expected lecun_tanh, tanh or relu")
    for head in ("ff1", "ff2", "time_a", "time_b"):
        part = getattr(cell, head)
        weight = array(part.weight)
        if cell.sparsity_mask is not None and head.startswith("ff"):
            weight = weight * array(cell.sparsity_mask)
        tensors |= {f"{head}.weight": weight, f"{head}.bias": array(part.bias)}
    activation = CFC_ACTIVATIONS[kinds.pop()] if kinds else "lecun_tanh"
    return Cfc(name, layers, activation, cell.mode), tensors


def gated(module: nn.GRU | nn.LSTM | nn.RNN, place: str, name: str) -> Converted:
    """torch's recurrent layers, one cell a layer."""
    if module.bidirectional:
        refuse(place, module, "that goes both ways; expected one that goes forward")
    if getattr(module, "proj_size", 0):
        refuse(place, module, f"with proj_size {module.proj_size}; expected 0")
    found: Converted = []
    for index in range(module.num_layers):
        called = name if module.num_layers == 1 else f"{name}{index}"
        parts = {key: array(getattr(module, f"{key}_l{index}")) for key in ("weight_ih", "weight_hh")}
        rows = len(parts["weight_hh"])
        for key in ("bias_ih", "bias_hh"):
            parts[key] = array(getattr(module, f"{key}_l{index}")) if module.bias else np.zeros(rows, np.float32)
        if isinstance(module, nn.RNN):
            found.append(_plain(module, place, called, parts))
        else:
            found.append((Gru(called) if isinstance(module, nn.GRU) else Lstm(called), parts))
    return found


def _plain(module: nn.RNN, place: str, name: str, parts: dict[str, Array]) -> tuple[Layer, dict[str, Array]]:
    """h' = tanh(W x + b + R h + c) is a CfC without gate whose second head is 0: tanh(F1 z) + t tanh(0)."""
    if module.nonlinearity != "tanh":
        refuse(place, module, f"of {module.nonlinearity}; expected tanh")
    weight = np.concatenate((parts["weight_ih"], parts["weight_hh"]), axis=1)
    bias = parts["bias_ih"] + parts["bias_hh"]
    tensors = {"ff1.weight": weight, "ff1.bias": bias}
    for head in ("ff2", "time_a", "time_b"):
        tensors |= {f"{head}.weight": np.zeros_like(weight), f"{head}.bias": np.zeros_like(bias)}
    return Cfc(name, 0, "lecun_tanh", "no_gate"), tensors


def node(module: Any, place: str, name: str) -> Converted:
    """A neural ODE whose right-hand side is a chain of Linear layers and activations of [h, x]."""
    size = int(module.hidden_size)
    weights, activations = chain(module.rhs, f"{place}.rhs".lstrip("."))
    first = weights[0][0]
    if first.shape[1] <= size:
        refuse(place, module, f"whose first layer has {first.shape[1]} inputs; expected {size} states and the inputs")
    tensors = {"input_weight": first[:, size:], "layers.0.weight": first[:, :size], "layers.0.bias": weights[0][1]}
    for index, (weight, bias) in enumerate(weights[1:], 1):
        tensors |= {f"layers.{index}.weight": weight, f"layers.{index}.bias": bias}
    tensors = {key: np.ascontiguousarray(value) for key, value in tensors.items()}
    return [(Node(name, tuple(activations)), tensors)]


def converter(module: nn.Module) -> Callable[[Any, str, str], Converted] | None:
    """What converts a module with a state; None where nothing does."""
    kind, home = type(module).__name__, type(module).__module__
    if home.startswith(("ncps.", "liquid_accel.ncps")):
        return {"LTC": ltc, "CfC": cfc}.get(kind)
    if home.startswith("liquid_accel.models.ode") and kind == "NeuralODE":
        return node
    if type(module) in (nn.GRU, nn.LSTM, nn.RNN):
        return gated
    return None
