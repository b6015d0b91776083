# SPDX-License-Identifier: BSD-2-Clause
"""The closed-form continuous-time cell, with the parameters of ncps."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from liquid_accel.ncps.sequence import frame_times

MODES = ("default", "pure", "no_gate")


class LeCun(nn.Module):
    """1.7159 tanh(0.666 x)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(0.666 * x)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU, "relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "lecun_tanh": LeCun,
}  # fmt: skip


class CfCCell(nn.Module):
    """A frame: (h', h') from inputs (B, I), states h (B, H) and the time ts since the frame before; no solver.

        z = backbone([x, h]);  t = s(A z ts + B z);  f1 = tanh(F1 z), f2 = tanh(F2 z), each product with a bias
        "default": h' = (1 - t) f1 + t f2;  "no_gate": h' = f1 + t f2
        "pure":    h' = a - a exp(-ts (|w_tau| + |F1 z|)) F1 z

    The backbone is `backbone_layers` of `backbone_units` with `backbone_activation`, of "lecun_tanh", "tanh", "relu",
    "silu" and "gelu"; 0 layers leave [x, h]. `sparsity_mask` (I + H, H), of a cell without a backbone, closes
    weights of F1 and F2, and as in ncps none of A and B. Parameters, their names, order and draws are those of
    ncps 1.0.1.

    Source: R. Hasani et al., "Closed-form continuous-time neural networks", Nature Machine Intelligence 2022.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        mode: str = "default",
        backbone_activation: str = "lecun_tanh",
        backbone_units: int = 128,
        backbone_layers: int = 1,
        backbone_dropout: float = 0.0,
        sparsity_mask: Any = None,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode is '{mode}'; expected one of {', '.join(MODES)}")
        if backbone_activation not in ACTIVATIONS:
            names = ", ".join(ACTIVATIONS)
            raise ValueError(f"backbone_activation is '{backbone_activation}'; expected one of {names}")
        self.input_size, self.hidden_size, self.mode = input_size, hidden_size, mode
        self.pure, self.no_gate = mode == "pure", mode == "no_gate"
        self.sparsity_mask = None
        if sparsity_mask is not None:
            mask = np.abs(np.asarray(sparsity_mask).T).astype(np.float32)
            self.sparsity_mask = nn.Parameter(torch.from_numpy(mask), requires_grad=False)
        self.backbone_layers = backbone_layers
        width = input_size + hidden_size
        self.backbone: nn.Module = nn.Identity()
        if backbone_layers > 0:
            parts: list[nn.Module] = []
            for index in range(backbone_layers):
                parts += [nn.Linear(width, backbone_units), ACTIVATIONS[backbone_activation]()]
                if index and backbone_dropout > 0:  # as in ncps, never after the first layer
                    parts.append(nn.Dropout(backbone_dropout))
                width = backbone_units
            self.backbone = nn.Sequential(*parts)
        self.ff1 = nn.Linear(width, hidden_size)
        if mode == "pure":
            self.w_tau = nn.Parameter(torch.zeros(1, hidden_size))
            self.A = nn.Parameter(torch.ones(1, hidden_size))
        else:
            self.ff2 = nn.Linear(width, hidden_size)
            self.time_a = nn.Linear(width, hidden_size)
            self.time_b = nn.Linear(width, hidden_size)
        self.init_weights()

    __constants__ = ("pure", "no_gate")  # a script compiles what is there alone

    def init_weights(self) -> None:
        """Draw every matrix anew: Glorot's uniform range."""
        for parameter in self.parameters():
            if parameter.dim() == 2 and parameter.requires_grad:
                nn.init.xavier_uniform_(parameter)

    def heads(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of all products of z in one, (n H, width) and (n H,)."""
        first = self.ff1.weight if self.sparsity_mask is None else self.ff1.weight * self.sparsity_mask
        if self.pure:
            return first, self.ff1.bias
        else:  # (torch.jit.script compiles no line after a return that stands alone.)
            second = self.ff2.weight if self.sparsity_mask is None else self.ff2.weight * self.sparsity_mask
            weight = torch.cat((first, second, self.time_a.weight, self.time_b.weight))
            return weight, torch.cat((self.ff1.bias, self.ff2.bias, self.time_a.bias, self.time_b.bias))

    def advance(self, inputs: Tensor, state: Tensor, times: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """h' (B, H) with the `heads` of this sequence, `times` (B or 1, H or 1)."""
        z = functional.linear(self.backbone(torch.cat((inputs, state), 1)), weight, bias)
        if self.pure:
            return self.A - self.A * torch.exp(-times * (torch.abs(self.w_tau) + torch.abs(z))) * z
        else:
            first, second, slow, fast = z.chunk(4, 1)
            gate = torch.sigmoid(slow * times + fast)
            if self.no_gate:
                return torch.tanh(first) + gate * torch.tanh(second)
            else:
                return torch.tanh(first) * (1.0 - gate) + gate * torch.tanh(second)

    def sequence(self, inputs: Tensor, state: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """States (T, B, H), and the last of them, of inputs (T, B, I), `times` (T, B or 1, H or 1)."""
        weight, bias = self.heads()
        found = []
        for frame in range(inputs.shape[0]):
            state = self.advance(inputs[frame], state, times[frame], weight, bias)
            found.append(state)
        return torch.stack(found), state

    def forward(self, input: Tensor, hx: Tensor, ts: float | Tensor) -> tuple[Tensor, Tensor]:
        """One frame; `ts` is a number, one a sequence (B,) or (B, 1), or one a neuron (B, H)."""
        weight, bias = self.heads()
        state = self.advance(input, hx, frame_times(ts, input), weight, bias)
        return state, state
