# SPDX-License-Identifier: BSD-2-Clause
"""One frame of a layer by any tableau: time runs from 0 to 1, and the slope with each sequence's own dt."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from liquid_accel.models.ode.method import find
from liquid_accel.models.ode.solve import GRADIENTS, odeint
from liquid_accel.rtl.tableaus import ButcherTableau


@dataclass(frozen=True)
class FrameSolver:
    """How frames are solved; fields as the arguments of `odeint`. Raises `ValueError` for what that does not know."""

    method: str | ButcherTableau
    steps: int
    rtol: float
    atol: float
    gradient: str

    def __post_init__(self) -> None:
        find(self.method)
        if self.gradient not in GRADIENTS:
            raise ValueError(f"gradient is '{self.gradient}'; expected one of {', '.join(GRADIENTS)}")

    def __call__(
        self, slope: Callable[[Tensor], Tensor], h: Tensor, span: Tensor, parameters: Iterable[Tensor]
    ) -> Tensor:
        """h (B, H) after `span` (B, 1) of dh/dt = slope(h); `parameters` are all tensors that `slope` depends on.

        An adaptive method takes one step for all sequences.
        """
        return odeint(
            lambda _, h: span * slope(h), h, torch.tensor([0.0, 1.0]), self.rtol, self.atol, self.method,
            steps=self.steps, gradient=self.gradient, parameters=[*parameters, span],
        )[-1]  # fmt: skip
