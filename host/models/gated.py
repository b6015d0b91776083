# SPDX-License-Identifier: BSD-2-Clause
"""Cells that update themselves once a frame: torch's own GRU and LSTM, and the closed-form cell."""

from itertools import pairwise

import torch
from torch import nn

from liquid_accel.layers import Cfc, Gru, Lstm
from liquid_accel.models.cell import Cell, spacing
from liquid_accel.models.solvers import Activation

BACKBONE_FUNCTIONS: dict[str, Activation] = {
    "lecun_tanh": lambda x: 1.7159 * torch.tanh(0.666 * x), "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}  # fmt: skip
HEADS = ("ff1", "ff2", "time_a", "time_b")


class GatedRNN(Cell):
    """torch.nn.GRU (`kind` "gru") or torch.nn.LSTM ("lstm") of one layer: states (B, T, H) from `x` (B, T, I).

    It knows no time: `dt` is taken and changes nothing. With skipping in training the same equations are written out.
    """

    def __init__(self, in_features: int, out_features: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.rnn = (nn.GRU if kind == "gru" else nn.LSTM)(in_features, out_features, batch_first=True)

    def forward(self, x: torch.Tensor, dt: float | torch.Tensor = 1.0) -> torch.Tensor:
        if self.training and self.skip_threshold > 0:
            return self._skipping(x)
        states: torch.Tensor = self.rnn(x)[0]
        return states

    def _skipping(self, x: torch.Tensor) -> torch.Tensor:
        units = self.rnn.hidden_size
        weight_ih, weight_hh, bias_ih, bias_hh = self.rnn.all_weights[0]
        given = nn.functional.linear(x, weight_ih, bias_ih)
        seen, h, cell, states = self.skipper(units, x), x.new_zeros(len(x), units), x.new_zeros(len(x), units), []
        for a in given.unbind(1):
            b = nn.functional.linear(seen(h), weight_hh, bias_hh)
            if self.kind == "gru":
                (a_r, a_z, a_n), (b_r, b_z, b_n) = a.chunk(3, 1), b.chunk(3, 1)
                z = torch.sigmoid(a_z + b_z)
                n = torch.tanh(a_n + torch.sigmoid(a_r + b_r) * b_n)
                h = (1.0 - z) * n + z * h
            else:
                i, f, g, o = (a + b).chunk(4, 1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(cell)
            states.append(h)
        return torch.stack(states, 1)

    def layer(self, name: str) -> Gru | Lstm:
        return Gru(name) if self.kind == "gru" else Lstm(name)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {name.removesuffix("_l0"): value for name, value in self.rnn.state_dict().items()}


class CfC(Cell):
    """The closed-form continuous-time cell: an update a frame that knows its `dt`, and no solver.

        z = backbone([x, h]);  t = s(A z dt + B z);  f1 = tanh(F1 z), f2 = tanh(F2 z), each product with a bias
        "default": h' = (1 - t) f1 + t f2;  "no_gate": h' = f1 + t f2

    States (B, T, H) from `x` (B, T, I); the backbone is `backbone_layers` of `backbone_units` with
    `backbone_activation`, of "lecun_tanh", "tanh", "sigmoid" and "relu". Source: R. Hasani et al., "Closed-form
    continuous-time neural networks", Nature Machine Intelligence 2022; the names are those of ncps.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        mode: str = "default",
        backbone_activation: str = "lecun_tanh",
        backbone_units: int = 64,
        backbone_layers: int = 1,
    ) -> None:
        super().__init__()
        self.out_features, self.mode, self.backbone_activation = out_features, mode, backbone_activation
        widths = [in_features + out_features, *[backbone_units] * backbone_layers]
        self.backbone = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.ff1, self.ff2, self.time_a, self.time_b = (nn.Linear(widths[-1], out_features) for _ in HEADS)
        for matrix in (value for value in self.parameters() if value.dim() == 2):
            nn.init.xavier_uniform_(matrix)

    def forward(self, x: torch.Tensor, dt: float | torch.Tensor = 1.0) -> torch.Tensor:
        times, act = spacing(dt, x).unsqueeze(-1), BACKBONE_FUNCTIONS[self.backbone_activation]
        h, states = x.new_zeros(x.shape[0], self.out_features), []
        for frame_x, frame_dt in zip(x.unbind(1), times.unbind(1), strict=True):
            z = torch.cat([frame_x, h], 1)
            for layer in self.backbone:
                z = act(layer(z))
            t = torch.sigmoid(self.time_a(z) * frame_dt + self.time_b(z))
            first, second = torch.tanh(self.ff1(z)), torch.tanh(self.ff2(z))
            h = first + t * second if self.mode == "no_gate" else torch.lerp(first, second, t)
            states.append(h)
        return torch.stack(states, 1)

    def layer(self, name: str) -> Cfc:
        return Cfc(name, len(self.backbone), self.backbone_activation, self.mode)
