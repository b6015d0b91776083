# SPDX-License-Identifier: BSD-2-Clause
"""The right-hand side of a neural ODE as a chain of Linear layers and activations, whatever module it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from liquid_accel.errors import UserError

Array = npt.NDArray[np.float32]
ACTIVATIONS = {
    "aten.tanh.default": "tanh", "aten.sigmoid.default": "sigmoid", "aten.relu.default": "relu",
    "aten.softplus.default": "softplus",
}  # fmt: skip
NOTHING = ("aten.dropout.default", "aten.alias.default", "aten.clone.default")


def chain(rhs: nn.Module, place: str) -> tuple[list[tuple[Array, Array]], list[str | None]]:
    """((weight, bias) of each Linear layer in order, the activation behind each or None).

    Raises UserError for another operation, named with the line of the user's code that it is in.
    """
    first = next((module for module in rhs.modules() if isinstance(module, nn.Linear)), None)
    if first is None:
        raise UserError(f"model: {place} has no Linear layer; expected Linear layers and activations")
    try:
        program = torch.export.export(rhs.eval(), (torch.zeros(2, first.in_features),))
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"model: {place} cannot be traced ({said})") from error
    values: dict[str, Any] = dict(program.state_dict)
    names = {spec.arg.name: spec.target for spec in program.graph_signature.input_specs if spec.target is not None}
    weights: list[tuple[Array, Array]] = []
    activations: list[str | None] = []
    last: Any = None
    for step in program.graph.nodes:
        if step.op == "placeholder":
            if step.name not in names:
                last = step
            continue
        if step.op == "output":
            continue
        kind = str(step.target)
        if step.args[0] is not last:
            raise UserError(f"model: {place} branches at {_where(step)}; expected one layer after the other")
        last = step
        if kind == "aten.linear.default":
            weight = values[names[step.args[1].name]]
            bias = values[names[step.args[2].name]] if len(step.args) > 2 else torch.zeros(len(weight))
            weights.append((_array(weight), _array(bias)))
            activations.append(None)
        elif kind in ACTIVATIONS and weights and activations[-1] is None:
            activations[-1] = ACTIVATIONS[kind]
        elif kind not in NOTHING:
            operation = kind.removeprefix("aten.").split(".")[0]
            known = ", ".join(sorted(ACTIVATIONS.values()))
            raise UserError(f"model: {place} has {operation} at {_where(step)}; expected Linear layers, each with "
                            f"{known} or nothing behind it")  # fmt: skip
    return weights, activations


def _array(tensor: Any) -> Array:
    found: Array = tensor.detach().cpu().numpy().astype(np.float32)
    return found


def _where(step: Any) -> str:
    """The line of the user's code that a step of the graph comes from, or its name."""
    lines = [line.strip() for line in (step.meta.get("stack_trace") or "").splitlines() if line.strip()]
    modules = [path for path, _ in (step.meta.get("nn_module_stack") or {}).values() if path]
    if modules:
        return f"'{modules[-1]}'"
    return f"'{lines[-1]}'" if lines else f"'{step.name}'"
