# SPDX-License-Identifier: BSD-2-Clause
"""The liquid layer in the words of TorchScript: typed, its solvers written out rather than looked up in a table.

A script computes what the layer does when it runs; columns are never skipped there, which acts in training alone.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional


class ScriptedEquation:
    """tau(x, h) dh/dt = -h + f(x, h) for `LTC`, whose parameters and settings it finds in `self`."""

    if TYPE_CHECKING:
        activation: Callable[[Tensor], Tensor]
        tau_activation: Callable[[Tensor], Tensor]
        solver: str
        steps: int
        out_features: int
        recurrent_weight: Tensor
        bias: Tensor
        tau_weight: Tensor
        tau_bias: Tensor
        input_weight: Tensor | None
        tau_recurrent_weight: Tensor | None

    def _rate(self, h: Tensor, drive: Tensor, slow: Tensor) -> tuple[Tensor, Tensor]:
        """f and tau at `h`."""
        f = self.activation(torch.addmm(drive, h, self.recurrent_weight.t()))
        if self.tau_recurrent_weight is not None:
            slow = torch.addmm(slow, h, self.tau_recurrent_weight.t())
        return f, self.tau_activation(slow)

    def _slope(self, h: Tensor, drive: Tensor, slow: Tensor) -> Tensor:
        f, tau = self._rate(h, drive, slow)
        return (f - h) / tau

    def _frame(self, h: Tensor, drive: Tensor, slow: Tensor, step: Tensor) -> Tensor:
        """The state after `steps` steps of length `step` (B, 1)."""
        if self.solver not in ("fused", "expeuler", "rk4"):
            raise ValueError("a script of LTC has the solvers fused, expeuler and rk4, not '" + self.solver + "'")
        for _ in range(self.steps):
            if self.solver == "rk4":
                k1 = self._slope(h, drive, slow)
                k2 = self._slope(h + 0.5 * step * k1, drive, slow)
                k3 = self._slope(h + 0.5 * step * k2, drive, slow)
                k4 = self._slope(h + step * k3, drive, slow)
                h = h + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
            else:
                f, tau = self._rate(h, drive, slow)
                z = step / tau
                gate = z / (1.0 + z) if self.solver == "fused" else -torch.expm1(-z)
                h = torch.lerp(h, f, gate)
        return h

    def _scripted(
        self, x: Tensor, dt: float | Tensor, state: Tensor | None, time_first: bool
    ) -> tuple[Tensor, Tensor]:
        """States (B, T, H) and the last of them, of `x` (B, T, I), or (T, B, I) with `time_first`, and dt like it."""
        if isinstance(dt, Tensor):
            times = dt.to(x)
        else:
            times = torch.full([1, 1], dt, dtype=x.dtype, device=x.device)
        if time_first:
            x = x.transpose(0, 1)
            times = times.t() if times.dim() == 2 else times
        batch, frames = x.shape[0], x.shape[1]
        if not bool((torch.isfinite(times) & (times >= 0)).all()):
            raise ValueError("dt must be finite and at least 0")
        times = times.expand(batch, frames).unsqueeze(-1) / self.steps
        drive = self.bias.expand(batch, frames, self.out_features)
        if self.input_weight is not None:
            drive = functional.linear(x, self.input_weight, self.bias)
        slow = functional.linear(x, self.tau_weight, self.tau_bias)
        h = torch.zeros([batch, self.out_features], dtype=x.dtype, device=x.device) if state is None else state
        states = []
        for index in range(frames):
            h = self._frame(h, drive[:, index], slow[:, index], times[:, index])
            states.append(h)
        return torch.stack(states, 1), h
