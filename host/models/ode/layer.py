# SPDX-License-Identifier: BSD-2-Clause
"""A neural ODE over sequences: a right-hand side of one's own, frames held, time between them of one's own too."""

from typing import Any

import torch
from torch import Tensor, nn

from liquid_accel.models.cell import batch_leading, spacing
from liquid_accel.models.ode.frame import FrameSolver
from liquid_accel.rtl.tableaus import ButcherTableau


class NeuralODE(nn.Module):
    """dh/dt = rhs([h, x]): states (B, T, H) from `x` (B, T, I), held over each frame, and the spacing `dt`; h(0) = 0.

    `rhs` is a module from (B, H + I) to (B, H), as nn.Sequential of Linear layers and activations; H is `hidden_size`,
    by default the outputs of its last Linear layer. `dt` is a number, (T,) or (B, T): each sequence has its own time.
    `method`, `steps` a frame or `rtol` and `atol`, and `gradient` are those of `odeint`; an adaptive method takes
    one step for all sequences of a batch. The layout is (T, B, ...) with `batch_first` False; `return_sequences` False
    gives the last state alone, and `return_state` a pair of that and the state at the end.

    Cost a frame: the evaluations of the method, in passes through `rhs`. Source: R. Chen et al., NeurIPS 2018.
    """

    def __init__(
        self,
        rhs: nn.Module,
        hidden_size: int | None = None,
        *,
        method: str | ButcherTableau = "rk4",
        steps: int = 1,
        rtol: float = 1e-3,
        atol: float = 1e-4,
        gradient: str = "backprop",
        batch_first: bool = True,
        return_sequences: bool = True,
        return_state: bool = False,
    ) -> None:
        super().__init__()
        self.solver = FrameSolver(method, steps, rtol, atol, gradient)
        if hidden_size is None:
            linear = [module for module in rhs.modules() if isinstance(module, nn.Linear)]
            if not linear:
                raise ValueError("rhs has no Linear layer to tell the number of states by; expected hidden_size")
            hidden_size = linear[-1].out_features
        self.rhs, self.hidden_size = rhs, hidden_size
        self.batch_first, self.return_sequences, self.return_state = batch_first, return_sequences, return_state

    def forward(self, x: Tensor, dt: float | Tensor = 1.0, state: Tensor | None = None) -> Any:
        """States as told above, from `state` (B, H) or zeros; `x` (T, I) is a single sequence."""
        single = x.dim() == 2
        if single:
            x = x.unsqueeze(0)
        elif not self.batch_first:
            x, dt = batch_leading(x, dt)
        times = spacing(dt, x).unsqueeze(-1)
        h = x.new_zeros(x.shape[0], self.hidden_size) if state is None else state
        h = h.unsqueeze(0) if h.dim() == 1 else h
        states = []
        for frame, span in zip(x.unbind(1), times.unbind(1), strict=True):

            def slope(h: Tensor, frame: Tensor = frame) -> Tensor:
                change: Tensor = self.rhs(torch.cat((h, frame), -1))
                return change

            h = self.solver(slope, h, span, [*self.rhs.parameters(), frame])
            states.append(h)
        result = torch.stack(states, 1)
        if single:
            result, h = result[0], h[0]
        elif not self.batch_first:
            result = result.transpose(0, 1)
        result = result if self.return_sequences else h
        return (result, h) if self.return_state else result
