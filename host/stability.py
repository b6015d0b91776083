# SPDX-License-Identifier: BSD-2-Clause
"""Which steps an explicit method can take: its stability polynomial, from the tableau."""

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import FIXED_TABLEAUS, TABLEAUS, ButcherTableau

EXPLICIT = {**FIXED_TABLEAUS, **TABLEAUS}
MOST_STEPS = 1 << 16


def explicit(name: str) -> ButcherTableau:
    """The tableau of that name; `UserError` for any other."""
    if name not in EXPLICIT:
        raise UserError(f"solver is '{name}', which is not explicit; expected one of {', '.join(EXPLICIT)}")
    return EXPLICIT[name]


def polynomial(tableau: ButcherTableau) -> npt.NDArray[np.float64]:
    """Coefficients of R(z) = 1 + sum_k z^k b^T A^(k-1) 1, the lowest first: a step dt takes y to R(lambda dt) y on
    dy/dt = lambda y. (Hairer, Wanner: Solving Ordinary Differential Equations II, section IV.2.)"""
    stages = tableau.stages
    a = np.zeros((stages, stages))
    for index, row in enumerate(tableau.a):
        a[index, : len(row)] = [float(value) for value in row]
    b, power, found = np.array([float(value) for value in tableau.b]), np.ones(stages), [1.0]
    for _ in range(stages):
        found.append(float(b @ power))
        power = a @ power
    return np.array(found)


def real_limit(tableau: ButcherTableau) -> float:
    """The longest step, in units of 1 / |lambda|, that decays on a real lambda < 0: 2 for euler, 2.785 for rk4."""
    coefficients = polynomial(tableau)
    grid = np.linspace(0, 20, 20001)[1:]
    grows = np.abs(np.polynomial.polynomial.polyval(-grid, coefficients)) > 1 + 1e-12
    return float(grid[max(int(grows.argmax()) - 1, 0)]) if grows.any() else float(grid[-1])


def stable_steps(tableau: ButcherTableau, rates: npt.NDArray[np.complexfloating]) -> int | None:
    """The fewest steps a frame with which no decaying mode grows: |R(lambda dt / n)| <= 1 for n and all greater.

    `rates` are lambda dt of a frame each; those with a real part of 0 or more grow by themselves and are left out. None
    where even `MOST_STEPS` do not do.
    """
    decaying, coefficients = rates[rates.real < 0], polynomial(tableau)

    def stable(steps: int) -> bool:
        size = np.abs(np.polynomial.polynomial.polyval(decaying / steps, coefficients))
        return bool((size <= 1 + 1e-9).all())

    enough = 1
    while not stable(enough):
        enough *= 2
        if enough > MOST_STEPS:
            return None
    # The region has no hole on the way to 0 for the methods here, and a step less than `enough` need not do.
    few = enough // 2
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if stable(middle) else (middle, enough)
    return enough
