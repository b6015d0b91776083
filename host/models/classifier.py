# SPDX-License-Identifier: BSD-2-Clause
"""The classifier around a liquid layer: Linear + tanh, LTC, mean over time, Linear."""

import torch
from torch import nn

from liquid_accel.checkpoint import Checkpoint, Linear, Ltc, Mean
from liquid_accel.errors import UserError
from liquid_accel.models.ltc import LTC
from liquid_accel.models.network import CellClassifier


class LiquidClassifier(CellClassifier):
    """logits = R mean_t h(t) + r, where h solves an `LTC` driven by tanh(P x + p).

    `x` (B, T, F) is normalised; frames at and past `lengths` (B,) count for nothing. The result is (B, classes).
    `dropout` acts on the mean, in training only.
    """

    ltc: LTC
    proj: nn.Linear

    def __init__(
        self, in_features: int, hidden_size: int, classes: int, *, form: str = "input", dropout: float = 0.0
    ) -> None:
        super().__init__(in_features, hidden_size, classes, form=form, dropout=dropout)

    def time_constants(self, x: torch.Tensor) -> torch.Tensor:
        """tau of each frame (B, T, H) for normalised features `x`, in the unit of dt."""
        return self.ltc.tau(torch.tanh(self.proj(x)))

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> "LiquidClassifier":
        """The torch model of a checkpoint that has these four layers; `UserError` for any other."""
        match checkpoint.layers:
            case (Linear("proj", "tanh"), Ltc("ltc", form, "tanh", "softplus", False), Mean(), Linear("classifier")):
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
