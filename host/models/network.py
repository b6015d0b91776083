# SPDX-License-Identifier: BSD-2-Clause
"""The classifier around any cells: Linear + tanh, cells one on top of the other, mean over time, Linear."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from liquid_accel import layers
from liquid_accel.checkpoint import Checkpoint, Features, Linear, Mean, Task
from liquid_accel.models.cell import Cell
from liquid_accel.models.ctrnn import CTRNN, NeuralODE
from liquid_accel.models.gated import CfC, GatedRNN
from liquid_accel.models.ltc import LTC
from liquid_accel.models.synaptic import SynapticLTC

BUILDERS: dict[str, Callable[..., Cell]] = {
    "ltc": LTC,
    "ltc-synaptic": SynapticLTC,
    "cfc": CfC,
    "ctrnn": CTRNN,
    "node": NeuralODE,
    "gru": lambda inputs, units: GatedRNN(inputs, units, "gru"),
    "lstm": lambda inputs, units: GatedRNN(inputs, units, "lstm"),
}


class CellClassifier(nn.Module):
    """logits = R mean_t h(t) + r, where h are the states of cells that tanh(P x + p) drives.

    `x` (B, T, F) is normalised; frames at and past `lengths` (B,) count for nothing. The result is (B, classes).
    `cell` is a kind of layer, with `depth` of them one on top of the other, each of `hidden_size`; `projection` is the
    width of P, None that of the cells and 0 none at all; `mean` "all" takes the states of every cell into the mean,
    "last" those of the last. `dropout` acts on the mean and `skip_threshold` on the cells, in training only. `options`
    go to each cell.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int,
        classes: int,
        *,
        cell: str = "ltc",
        depth: int = 1,
        projection: int | None = None,
        mean: str = "last",
        dropout: float = 0.0,
        skip_threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        width = hidden_size if projection is None else projection
        self.proj = nn.Linear(in_features, width) if width else None
        kind = cell.rpartition("-")[2]
        self.names = tuple(kind if depth == 1 else f"{kind}{index}" for index in range(depth))
        width = width or in_features
        for name in self.names:
            built = BUILDERS[cell](width, hidden_size, **options)
            built.skip_threshold = skip_threshold
            self.add_module(name, built)
            width = hidden_size
        self.mean = mean
        self.classifier = nn.Linear(hidden_size * (depth if mean == "all" else 1), classes)
        self.dropout = nn.Dropout(dropout)

    def cells(self) -> list[Cell]:
        """The cells, the one that sees the features first."""
        return [cast(Cell, self.get_submodule(name)) for name in self.names]

    def set_steps(self, steps: int) -> None:
        """Steps a frame of every cell that a solver integrates."""
        for cell in self.cells():
            cell.steps = steps

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """tanh(P x + p), or x where there is no projection."""
        return x if self.proj is None else torch.tanh(self.proj(x))

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, dt: float | torch.Tensor = 1.0
    ) -> torch.Tensor:
        values, all_states = self.project(x), []
        for cell in self.cells():
            values = cell(values, dt)
            all_states.append(values)
        states = torch.cat(all_states, 2) if self.mean == "all" and len(all_states) > 1 else values
        if lengths is None:
            pooled = states.mean(1)
        else:
            inside = torch.arange(x.shape[1], device=x.device)[None, :] < lengths[:, None]
            pooled = (states * inside.unsqueeze(-1)).sum(1) / lengths.unsqueeze(-1)
        logits: torch.Tensor = self.classifier(self.dropout(pooled))
        return logits

    def kept_time_constants(self) -> torch.Tensor | None:
        """tau of the last call, of every cell in one row of numbers; None where no cell has any or keeps it."""
        found = [cell.time_constants.flatten() for cell in self.cells() if cell.time_constants is not None]
        return torch.cat(found) if found else None

    def keep_time_constants(self, keep: bool) -> None:
        """Have the cells keep tau of each call, or let go of it."""
        for cell in self.cells():
            cell.keeps_time_constants = keep
            cell.time_constants = None

    def decayed(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Parameters that weight decay suits, and the others: vectors, and cells that it would undo."""
        spared = {id(p) for cell in self.cells() if not cell.decays for p in cell.parameters()}
        chosen = [p for p in self.parameters() if p.dim() > 1 and id(p) not in spared]
        return chosen, [p for p in self.parameters() if p.dim() == 1 or id(p) in spared]

    def to_checkpoint(
        self,
        features: Features,
        *,
        time_unit_s: float | None = None,
        default_dt: float = 1.0,
        training: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """The weights and their description, ready to be saved."""
        tensors: dict[str, torch.Tensor] = {}
        stack: list[layers.Layer] = []
        if self.proj is not None:
            stack.append(Linear("proj", "tanh"))
            tensors |= {f"proj.{name}": value for name, value in self.proj.state_dict().items()}
        for name, cell in zip(self.names, self.cells(), strict=True):
            stack.append(cell.layer(name))
            tensors |= {f"{name}.{tensor}": value for tensor, value in cell.tensors().items()}
        stack += [Mean(self.mean), Linear("classifier")]
        tensors |= {f"classifier.{name}": value for name, value in self.classifier.state_dict().items()}
        arrays = {
            name: value.detach().cpu().numpy().astype(np.float32, copy=True) for name, value in tensors.items()
        }
        task = Task("classification", self.classifier.out_features)
        return Checkpoint(tuple(stack), arrays, features, task, time_unit_s, default_dt, dict(training or {}))
