# SPDX-License-Identifier: BSD-2-Clause
"""Cells with equations besides the LTC: the continuous-time recurrent network and the neural ODE."""

import math
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from liquid_accel.layers import Ctrnn, Node
from liquid_accel.models.cell import Cell, batch_leading, decay_bound, inverse_softplus, spacing
from liquid_accel.models.ltc import TAU_RANGE, check_solver
from liquid_accel.models.ode.frame import FrameSolver
from liquid_accel.models.solvers import SOLVERS, Activation, coupled, runge_kutta4

NODE_FUNCTIONS: dict[str | None, Activation] = {
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "softplus": functional.softplus, "relu": torch.relu,
    None: lambda x: x,
}  # fmt: skip


class CTRNN(Cell):
    """tau_i dh_i/dt = -h_i + tanh( sum_j W_ij h_j + sum_k U_ik x_k + b_i ), tau_i = softplus(c_i): no input moves it.

    States (B, T, H) from `x` (B, T, I), held over each frame, and `dt`; all arguments as for `LTC`.
    Source: K. Funahashi and Y. Nakamura, Neural Networks 6 (1993), eq. 1.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        solver: str = "fused",
        steps: int = 4,
        return_state: bool = False,
        batch_first: bool = True,
        return_sequences: bool = True,
        rtol: float = 1e-3,
        atol: float = 1e-4,
        gradient: str = "backprop",
    ) -> None:
        super().__init__()
        check_solver(solver)
        self.rtol, self.atol, self.gradient = rtol, atol, gradient
        self.batch_first, self.return_sequences, self.return_state = batch_first, return_sequences, return_state
        self.in_features, self.out_features, self.solver, self.steps = in_features, out_features, solver, steps
        self.recurrent_weight = nn.Parameter(torch.randn(out_features, out_features) * 0.8 / math.sqrt(out_features))
        self.input_weight = nn.Parameter(torch.randn(out_features, in_features) / math.sqrt(in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        low, high = (math.log(tau) for tau in TAU_RANGE)
        self.tau_bias = nn.Parameter(inverse_softplus(torch.exp(torch.empty(out_features).uniform_(low, high))))

    def forward(
        self, x: torch.Tensor, dt: float | torch.Tensor = 1.0, state: torch.Tensor | None = None
    ) -> Any:
        """States (B, T, H) from `state` (B, H) or zeros; with `return_state`, the pair of them and the last state."""
        single = x.dim() == 2
        if single:
            x = x.unsqueeze(0)
        elif not self.batch_first:
            x, dt = batch_leading(x, dt)
        result, h = self._solve(x, dt, state)
        if single:
            result, h = result[0], h[0]
        elif not self.batch_first:
            result = result.transpose(0, 1)
        result = result if self.return_sequences else h
        return (result, h) if self.return_state else result

    def _solve(
        self, x: torch.Tensor, dt: float | torch.Tensor, state: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        times = spacing(dt, x).unsqueeze(-1)
        drive, tau = functional.linear(x, self.input_weight, self.bias), functional.softplus(self.tau_bias)
        self.keep(tau)
        h = x.new_zeros(x.shape[0], self.out_features) if state is None else state
        seen, states = self.skipper(self.out_features, x), []
        skips = self.training and self.skip_threshold > 0
        for u, frame_dt in zip(drive.unbind(1), times.unbind(1), strict=True):

            def rate(h: torch.Tensor, u: torch.Tensor = u) -> tuple[torch.Tensor, torch.Tensor]:
                return torch.tanh(torch.addmm(u, seen(h), self.recurrent_weight.t())), tau

            if self.solver not in SOLVERS:
                if skips:
                    raise ValueError(f"skipped columns go with a solver of {', '.join(SOLVERS)}, not '{self.solver}'")
                solve = FrameSolver(self.solver, self.steps, self.rtol, self.atol, self.gradient)
                h = solve(partial(self._slope, u=u, tau=tau), h, frame_dt, [self.recurrent_weight, u, tau])
            elif skips:
                h = coupled(self.solver, h, rate, frame_dt, self.steps)
            else:
                h = SOLVERS[self.solver](h, u, tau, self.recurrent_weight, frame_dt, torch.tanh, self.steps)
            states.append(h)
        return torch.stack(states, 1), h

    def _slope(self, h: torch.Tensor, u: torch.Tensor, tau: torch.Tensor) -> torch.Tensor:
        return (torch.tanh(torch.addmm(u, h, self.recurrent_weight.t())) - h) / tau

    def fastest(self) -> torch.Tensor | None:
        return decay_bound(self.recurrent_weight, self.time_constants)

    def layer(self, name: str) -> Ctrnn:
        return Ctrnn(name)


class NeuralODE(Cell):
    """dh/dt = act_n(W_n ... act_1(W_0 h + U x + b_0) + b_n), h(0) = 0: a stack of Linear and activation, solved by rk4.

    States (B, T, H) from `x` (B, T, I), held over each frame, and `dt`. `activations`, of "tanh", "sigmoid",
    "softplus", "relu" and None, is one a layer, `units` the width of the inner ones (default H); `steps` a frame.
    Cost a frame: 4 steps passes through the stack. Source: R. Chen et al., NeurIPS 2018.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        activations: tuple[str | None, ...] = ("tanh", None),
        units: int | None = None,
        steps: int = 2,
    ) -> None:
        super().__init__()
        self.out_features, self.activations, self.steps = out_features, activations, steps
        widths = [out_features, *[units or out_features] * (len(activations) - 1), out_features]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.input_weight = nn.Parameter(torch.randn(widths[1], in_features) / math.sqrt(in_features))
        self.functions = [NODE_FUNCTIONS[name] for name in activations]

    def slope(self, h: torch.Tensor, drive: torch.Tensor) -> torch.Tensor:
        """dh/dt for `drive` = U x."""
        z: torch.Tensor = self.functions[0](self.layers[0](h) + drive)
        for layer, function in zip(self.layers[1:], self.functions[1:], strict=True):
            z = function(layer(z))
        return z

    def forward(self, x: torch.Tensor, dt: float | torch.Tensor = 1.0) -> torch.Tensor:
        times = spacing(dt, x).unsqueeze(-1)
        h, states = x.new_zeros(x.shape[0], self.out_features), []
        for u, frame_dt in zip(functional.linear(x, self.input_weight).unbind(1), times.unbind(1), strict=True):
            h = runge_kutta4(h, partial(self.slope, drive=u), frame_dt / self.steps, self.steps)
            states.append(h)
        return torch.stack(states, 1)

    def fastest(self) -> torch.Tensor | None:
        """The product of the layers' spectral norms: no activation has a slope above 1."""
        norms = [torch.linalg.matrix_norm(layer.get_parameter("weight"), ord=2) for layer in self.layers]
        return torch.stack(norms).prod()

    def layer(self, name: str) -> Node:
        return Node(name, self.activations)
