# SPDX-License-Identifier: BSD-2-Clause
"""The decisions of torchdiffeq's adaptive solvers, in NumPy: what a user of that package compares our steps with.

It differs from our own controller in four ways: the error is scaled by the larger of |y| at both ends of a step, the
first step is estimated from the equation, after an accepted step the size never falls, and a step runs past the times
asked for, where the solution is interpolated. Its dopri5 has Shampine's embedded weights, its order the tableau's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import BOGACKI_SHAMPINE32, DORMAND_PRINCE54, ButcherTableau
from liquid_accel.sim.reference_equation import Array
from liquid_accel.sim.reference_solvers import combine

Slope = Callable[[float, Array], Array]
SAFETY, IFACTOR, DFACTOR = 0.9, 10.0, 0.2  # defaults of torchdiffeq 0.2
MAX_STEPS = 100_000


def _fractions(*texts: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(text) for text in texts)


_SHAMPINE = _fractions("1951/21600", "0", "22642/50085", "451/720", "-12231/42400", "649/6300", "1/60")
DORMAND_PRINCE_SHAMPINE54 = replace(
    DORMAND_PRINCE54,
    error=tuple(b - e for b, e in zip(DORMAND_PRINCE54.b, _SHAMPINE, strict=True)),
    source="Shampine: Some practical Runge-Kutta formulas, Math. Comp. 46(173), 1986",
)
# By torchdiffeq's names: the pair, and weights of the slopes for the state at a step's middle.
METHODS: dict[str, tuple[ButcherTableau, tuple[Fraction, ...]]] = {
    "bosh3": (BOGACKI_SHAMPINE32, _fractions("0", "1/2", "0", "0")),
    "dopri5": (
        DORMAND_PRINCE_SHAMPINE54,
        _fractions(
            "6025192743/60171106304", "0", "51252292925/130801643196", "-2691868925/90256659456",
            "187940372067/3189068634112", "-1776094331/39487288512", "11237099/470086768",
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Solution:
    """`states` (T, ...) at the times asked for; evaluations, accepted, rejected steps; `sizes` of all those tried."""

    states: Array
    rhs_evals: int
    accepted: int
    rejected: int
    sizes: tuple[float, ...]


def rms(values: Array) -> float:
    """sqrt(mean of squares) over all elements."""
    return float(np.sqrt(np.mean(values**2)))


def first_step(slope: Slope, t: float, y: Array, k: Array, order: int, rtol: float, atol: float) -> float:
    """The first step for a method whose error goes as step^(order + 1); one evaluation (Hairer et al., II.4)."""
    scale = atol + rtol * np.abs(y)
    d0, d1 = rms(y / scale), rms(k / scale)
    h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    d2 = rms((slope(t + h0, y + h0 * k) - k) / scale) / h0
    h1 = max(1e-6, h0 * 1e-3) if d1 <= 1e-15 and d2 <= 1e-15 else (0.01 / max(d1, d2)) ** (1.0 / (order + 1))
    return min(100.0 * h0, h1)


def next_size(size: float, error: float, order: int) -> float:
    """The size after a step of `size` with scaled `error`: not below it if error < 1."""
    if error == 0:
        return size * IFACTOR
    return size * min(IFACTOR, max(SAFETY / error ** (1.0 / order), 1.0 if error < 1 else DFACTOR))


def odeint(slope: Slope, y0: Array, times: Sequence[float], rtol: float, atol: float, method: str) -> Solution:
    """dy/dt = slope(t, y) from `y0` at the first of the ascending `times`, by "bosh3" or "dopri5".

    Raises `UserError` for another method or times, `ArithmeticError` where the state is not finite, the step vanishes
    beside the time, or `MAX_STEPS` do not suffice.
    """
    if method not in METHODS:
        raise UserError(f"method is '{method}'; expected {' or '.join(METHODS)}")
    if len(times) < 1 or any(b <= a for a, b in pairwise(times)):
        raise UserError("times are not ascending; expected at least one, each above the one before")
    tableau, middle = METHODS[method]
    order, c = tableau.order, [float(node) for node in tableau.c]
    y, t = np.array(y0, np.float64), float(times[0])
    k = slope(t, y)
    size = first_step(slope, t, y, k, order - 1, rtol, atol)
    evals, accepted, states, sizes = 2, 0, [y], list[float]()
    before, polynomial = t, [y]
    for time in times[1:]:
        while time > t:
            if not (np.isfinite(y).all() and t + size > t and len(sizes) < MAX_STEPS):
                raise ArithmeticError(f"{method} stopped at t = {t:g} after {len(sizes)} steps, the next one {size:g}")
            slopes, moved = [k], y
            for node, row in zip(c[1:], tableau.a[1:]):
                moved = y + size * combine(row, slopes)
                slopes.append(slope(t + node * size, moved))
            evals += tableau.stages - 1
            sizes.append(size)
            estimate = size * combine(tableau.error or (), slopes)
            error = rms(estimate / (atol + rtol * np.maximum(np.abs(y), np.abs(moved))))
            if error <= 1.0:
                accepted += 1
                before, polynomial = t, _quartic(y, moved, y + size * combine(middle, slopes), k, slopes[-1], size)
                y, k, t = moved, slopes[-1], t + size
            size = next_size(size, error, order)
        x = (time - before) / (t - before)
        states.append(sum((term * x**power for power, term in enumerate(polynomial)), np.zeros_like(y)))
    return Solution(np.stack(states), evals, accepted, len(sizes) - accepted, tuple(sizes))


def _quartic(y0: Array, y1: Array, middle: Array, k0: Array, k1: Array, size: float) -> list[Array]:
    """Coefficients in x = 0 to 1 of the polynomial with these ends, slopes at them, and middle; the lowest first."""
    return [
        y0,
        size * k0,
        size * (k1 - 4.0 * k0) - 11.0 * y0 - 5.0 * y1 + 16.0 * middle,
        size * (5.0 * k0 - 3.0 * k1) + 18.0 * y0 + 14.0 * y1 - 32.0 * middle,
        2.0 * size * (k1 - k0) - 8.0 * (y1 + y0) + 16.0 * middle,
    ]
