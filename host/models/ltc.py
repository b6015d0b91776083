# SPDX-License-Identifier: BSD-2-Clause
"""The liquid time-constant layer, as the article writes it, in torch."""

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from liquid_accel.layers import Ltc
from liquid_accel.models.cell import Cell, batch_leading, decay_bound, inverse_softplus, spacing
from liquid_accel.models.ode.frame import FrameSolver
from liquid_accel.models.ode.method import METHODS
from liquid_accel.models.recording import is_scripting
from liquid_accel.models.scripted import ScriptedEquation
from liquid_accel.models.solvers import SOLVERS, Activation, coupled

# Time constants at birth, in units of the frame spacing: shorter than a frame to a few frames.
TAU_RANGE = (0.2, 4.0)
FORMS = ("input", "literal")



def check_solver(name: str) -> None:
    """Raises `ValueError` for a name that no solver of a frame has."""
    if name not in SOLVERS and name not in METHODS:
        raise ValueError(f"solver must be one of {', '.join(dict.fromkeys((*SOLVERS, *METHODS)))}, not '{name}'")


# To a script, what the layer returns is a tensor.
if TYPE_CHECKING:
    Result = Any
else:
    Result = Tensor


class LTC(Cell, ScriptedEquation):
    """A layer of H liquid neurons driven by I features.

        tau_i dh_i/dt = -h_i + sigma( sum_j W_ij h_j + [sum_k U_ik x_k] + b_i )
        tau_i         = phi( sum_k V_ik x_k + [sum_j R_ij h_j] + c_i )

    `form="input"` keeps the term U x; `form="literal"` is the article's equation to the letter, where the input
    acts through tau alone. `tau_recurrent` adds R h, evaluated wherever sigma is. `x` is (B, T, I), or (T, I) for
    one sequence, and is held over each frame; `dt` is the spacing of frames in the unit of tau: a number, (T,) or
    (B, T); dt = 0 advances nothing; for one below 0 or not finite `ValueError` is raised. The result is the state
    at the end of each frame, (B, T, H).

    With `batch_first` False batches are (T, B, ...), dt too; `return_sequences` False gives the last state alone, and
    `return_state` a pair of that and the state at the end.

    `solver` is "fused" (order 1), "expeuler" (order 1) or "rk4" (order 4) with `steps` sub-steps a frame;
    both may be changed between calls. Cost a frame: steps (rk4: 4 steps) products of H x H. Any other method of
    `odeint`, by name, goes with `rtol` and `atol` where its steps are adaptive, and `gradient` then says what the way
    back keeps.

    Source: the article; R. Hasani et al., "Liquid Time-constant Networks", AAAI 2021.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: Activation = torch.tanh,
        tau_activation: Activation = nn.functional.softplus,
        *,
        form: str = "input",
        solver: str = "fused",
        steps: int = 4,
        return_state: bool = False,
        tau_recurrent: bool = False,
        batch_first: bool = True,
        return_sequences: bool = True,
        rtol: float = 1e-3,
        atol: float = 1e-4,
        gradient: str = "backprop",
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"in_features and out_features must be at least 1, not {in_features} and {out_features}")
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, not '{form}'")
        check_solver(solver)
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        self.in_features, self.out_features = in_features, out_features
        self.activation, self.tau_activation = activation, tau_activation
        self.form, self.solver, self.steps, self.return_state = form, solver, steps, return_state
        self.batch_first, self.return_sequences = batch_first, return_sequences
        self.rtol, self.atol, self.gradient = rtol, atol, gradient
        self.recurrent_weight = nn.Parameter(torch.empty(out_features, out_features))
        self.bias = nn.Parameter(torch.empty(out_features))
        self.input_weight = nn.Parameter(torch.empty(out_features, in_features)) if form == "input" else None
        self.tau_weight = nn.Parameter(torch.empty(out_features, in_features))
        self.tau_bias = nn.Parameter(torch.empty(out_features))
        square = torch.empty(out_features, out_features)
        self.tau_recurrent_weight = nn.Parameter(square) if tau_recurrent else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Recurrent matrix of spectral radius about 0.8; time constants log-uniform over `TAU_RANGE`."""
        nn.init.normal_(self.recurrent_weight, std=0.8 / math.sqrt(self.out_features))
        nn.init.zeros_(self.bias)
        if self.input_weight is not None:
            nn.init.normal_(self.input_weight, std=1.0 / math.sqrt(self.in_features))
        nn.init.normal_(self.tau_weight, std=0.5 / math.sqrt(self.in_features))
        low, high = (math.log(tau) for tau in TAU_RANGE)
        tau = torch.exp(torch.empty_like(self.tau_bias).uniform_(low, high))
        self.tau_bias.copy_(inverse_softplus(tau))
        if self.tau_recurrent_weight is not None:
            nn.init.normal_(self.tau_recurrent_weight, std=0.5 / math.sqrt(self.out_features))

    def tau(self, x: torch.Tensor) -> torch.Tensor:
        """Time constants of each frame, (..., H), in the unit of dt; those of h = 0 with `tau_recurrent`."""
        result: torch.Tensor = self.tau_activation(nn.functional.linear(x, self.tau_weight, self.tau_bias))
        return result

    def forward(self, x: Tensor, dt: float | Tensor = 1.0, state: Tensor | None = None) -> Result:
        """States (B, T, H); with `return_state`, the pair of them and the last state (B, H)."""
        states, last = self.run(x, dt, state)
        states = states if self.return_sequences else last
        if not is_scripting():
            if self.return_state:
                return states, last
        elif self.return_state:
            raise RuntimeError("a script of LTC returns the states alone; its method run() has the last state too")
        return states

    @torch.jit.export
    def run(self, x: Tensor, dt: float | Tensor = 1.0, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """States (B, T, H) and the last state (B, H), from `state` or zeros."""
        single = x.dim() == 2
        if single:
            x = x.unsqueeze(0)
        if is_scripting():
            result, h = self._scripted(x, dt, state, not single and not self.batch_first)
        else:
            if not single and not self.batch_first:
                x, dt = batch_leading(x, dt)
            result, h = self._solve(x, dt, state)
        if single:
            result, h = result[0], h[0]
        elif not self.batch_first:
            result = result.transpose(0, 1)
        return result, h

    def _solve(self, x: Tensor, dt: float | Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        batch, frames, _ = x.shape
        times = spacing(dt, x).unsqueeze(-1)
        if self.input_weight is None:
            drive = self.bias.expand(batch, frames, self.out_features)
        else:
            drive = nn.functional.linear(x, self.input_weight, self.bias)
        h = x.new_zeros(batch, self.out_features) if state is None else state
        if self.tau_recurrent_weight is None and not (self.training and self.skip_threshold > 0):
            return self._plain(drive, self.tau(x), times, h)
        return self._coupled(x, drive, times, h)

    def _plain(
        self, drive: torch.Tensor, tau: torch.Tensor, times: torch.Tensor, h: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.solver not in SOLVERS:
            return self._tableau(drive, tau, times, h)
        states, solve = [], SOLVERS[self.solver]
        for frame_drive, frame_tau, frame_dt in zip(drive.unbind(1), tau.unbind(1), times.unbind(1), strict=True):
            h = solve(h, frame_drive, frame_tau, self.recurrent_weight, frame_dt, self.activation, self.steps)
            states.append(h)
        self.keep(tau)
        return torch.stack(states, 1), h

    def _tableau(self, drive: Tensor, tau: Tensor, times: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        solve = FrameSolver(self.solver, self.steps, self.rtol, self.atol, self.gradient)
        states, weight = [], self.recurrent_weight
        for u, frame_tau, span in zip(drive.unbind(1), tau.unbind(1), times.unbind(1), strict=True):

            def slope(h: Tensor, u: Tensor = u, tau: Tensor = frame_tau) -> Tensor:
                return (self.activation(torch.addmm(u, h, weight.t())) - h) / tau

            h = solve(slope, h, span, [weight, u, frame_tau])
            states.append(h)
        self.keep(tau)
        return torch.stack(states, 1), h

    def _coupled(
        self, x: torch.Tensor, drive: torch.Tensor, times: torch.Tensor, h: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.solver not in SOLVERS:
            what = "time constants that the state moves" if self.tau_recurrent_weight is not None else "skipped columns"
            raise ValueError(f"{what} go with a solver of {', '.join(SOLVERS)}, not '{self.solver}'")
        slow = nn.functional.linear(x, self.tau_weight, self.tau_bias)
        seen, states, taus = self.skipper(self.out_features, x), [], []
        for frame_drive, frame_slow, frame_dt in zip(drive.unbind(1), slow.unbind(1), times.unbind(1), strict=True):

            def rate(
                h: torch.Tensor, drive: torch.Tensor = frame_drive, slow: torch.Tensor = frame_slow
            ) -> tuple[torch.Tensor, torch.Tensor]:
                held = seen(h)
                f = self.activation(torch.addmm(drive, held, self.recurrent_weight.t()))
                if self.tau_recurrent_weight is not None:
                    slow = torch.addmm(slow, held, self.tau_recurrent_weight.t())
                taus.append(self.tau_activation(slow))
                return f, taus[-1]

            h = coupled(self.solver, h, rate, frame_dt, self.steps)
            states.append(h)
        self.keep(torch.stack(taus, 1))
        return torch.stack(states, 1), h

    def fastest(self) -> Tensor | None:
        return decay_bound(self.recurrent_weight, self.time_constants)

    def layer(self, name: str) -> Ltc:
        """Its description in a checkpoint; the functions are tanh and softplus there."""
        return Ltc(name, self.form, tau_recurrent=self.tau_recurrent_weight is not None)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, form={self.form}, solver={self.solver}, steps={self.steps}"
