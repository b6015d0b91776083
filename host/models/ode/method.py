# SPDX-License-Identifier: BSD-2-Clause
"""A tableau in floating point, and one step of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from liquid_accel.rtl.tableaus import FIXED_TABLEAUS, TABLEAUS, ButcherTableau

# dy/dt = rhs(t, y), y of any shape.
Rhs = Callable[[Tensor, Tensor], Tensor]
# Names that other libraries give to methods of the machine.
ALIASES = {"bosh3": "bs32", "adaptive_heun": "heun21", "heun2": "heun"}
METHODS = (*FIXED_TABLEAUS, *TABLEAUS, *ALIASES)


@dataclass(frozen=True)
class Method:
    """The coefficients of a `ButcherTableau` as floats; `error_order` q, where its estimate is of the size dt^q."""

    name: str
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]
    error: tuple[float, ...] | None
    fsal: bool
    error_order: int

    def step(
        self, rhs: Rhs, t: float, y: Tensor, dt: float, first: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """(y after a step of `dt`, its error estimate, the slope there where known); `first` is the slope at t."""
        slopes = [rhs(y.new_tensor(t), y) if first is None else first]
        after = y
        for row, node in zip(self.a[1:], self.c[1:]):
            after = _moved(y, dt, row, slopes)
            slopes.append(rhs(y.new_tensor(t + node * dt), after))
        if not self.fsal:
            after = _moved(y, dt, self.b, slopes)
        error = None if self.error is None else _moved(torch.zeros_like(y), dt, self.error, slopes)
        return after, error, slopes[-1] if self.fsal else None


def _moved(y: Tensor, dt: float, weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """y + dt sum_i w_i k_i."""
    for weight, slope in zip(weights, slopes):
        if weight:
            y = torch.add(y, slope, alpha=dt * weight)
    return y


@cache
def from_tableau(tableau: ButcherTableau) -> Method:
    """The method of a tableau, one of the machine's or a user's own."""
    return Method(
        tableau.name,
        tuple(tuple(map(float, row)) for row in tableau.a),
        tuple(map(float, tableau.b)),
        tuple(map(float, tableau.c)),
        None if tableau.error is None else tuple(map(float, tableau.error)),
        tableau.fsal,
        tableau.error_order if tableau.adaptive else tableau.order + 1,
    )


def find(method: str | ButcherTableau) -> Method:
    """By name or tableau; raises `ValueError` for a name that is none."""
    if isinstance(method, ButcherTableau):
        return from_tableau(method)
    name = ALIASES.get(method, method)
    tableau = TABLEAUS.get(name) or FIXED_TABLEAUS.get(name)
    if tableau is None:
        raise ValueError(f"method is '{method}'; expected one of {', '.join(METHODS)}, or a ButcherTableau")
    return from_tableau(tableau)
