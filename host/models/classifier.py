# SPDX-License-Identifier: BSD-2-Clause
"""The classifier around a liquid layer: Linear + tanh, LTC, mean over time, Linear."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from liquid_accel.checkpoint import Checkpoint, Features, Linear, Ltc, Mean, Task
from liquid_accel.errors import UserError
from liquid_accel.models.ltc import LTC


class LiquidClassifier(nn.Module):
    """logits = R mean_t h(t) + r, where h solves an `LTC` driven by tanh(P x + p).

    `x` (B, T, F) is normalised; frames at and past `lengths` (B,) count for nothing. The result is (B, classes).
    `dropout` acts on the mean, in training only.
    """

    def __init__(
        self, in_features: int, hidden_size: int, classes: int, *, form: str = "input", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.proj = nn.Linear(in_features, hidden_size)
        self.ltc = LTC(hidden_size, hidden_size, form=form)
        self.classifier = nn.Linear(hidden_size, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: torch.Tensor, lengths: torch.Tensor | None = None, dt: float | torch.Tensor = 1.0
    ) -> torch.Tensor:
        states = self.ltc(torch.tanh(self.proj(x)), dt)
        if lengths is None:
            pooled = states.mean(1)
        else:
            inside = torch.arange(x.shape[1], device=x.device)[None, :] < lengths[:, None]
            pooled = (states * inside.unsqueeze(-1)).sum(1) / lengths.unsqueeze(-1)
        logits: torch.Tensor = self.classifier(self.dropout(pooled))
        return logits

    def time_constants(self, x: torch.Tensor) -> torch.Tensor:
        """tau of each frame (B, T, H) for normalised features `x`, in the unit of dt."""
        return self.ltc.tau(torch.tanh(self.proj(x)))

    def to_checkpoint(
        self,
        features: Features,
        *,
        time_unit_s: float | None = None,
        default_dt: float = 1.0,
        training: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """The weights and their description, ready to be saved."""
        tensors = {
            name: value.detach().cpu().numpy().astype(np.float32, copy=True)
            for name, value in self.state_dict().items()
        }
        layers = (Linear("proj", "tanh"), Ltc("ltc", self.ltc.form), Mean(), Linear("classifier"))
        task = Task("classification", self.classifier.out_features)
        return Checkpoint(layers, tensors, features, task, time_unit_s, default_dt, dict(training or {}))

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LiquidClassifier":
        """The torch model of a checkpoint that has these four layers; `UserError` for any other."""
        match checkpoint.layers:
            case (Linear("proj", "tanh"), Ltc("ltc", form, "tanh", "softplus"), Mean(), Linear("classifier", None)):
                pass
            case _:
                kinds = ", ".join(layer.kind for layer in checkpoint.layers)
                raise UserError(f"checkpoint: layers are {kinds}; expected proj (tanh), ltc, mean, classifier")
        widths = checkpoint.layer_widths()
        if widths[1] != widths[2]:
            raise UserError(f"checkpoint: ltc has width {widths[2]}; expected that of proj, {widths[1]}")
        model = cls(widths[0], widths[1], widths[4], form=form)
        model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in checkpoint.tensors.items()})
        return model.eval()
