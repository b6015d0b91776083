# SPDX-License-Identifier: BSD-2-Clause
"""Adaptive embedded pairs of the float reference, with a step controller in the log2 domain.

The coefficients are those of `rtl/tableaus.py`; the arithmetic is this file's own.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.tableaus import ButcherTableau
from liquid_accel.sim.reference_solvers import Array, Field, Inside, Progress, Trajectory

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Controller:
    """Chooses step sizes of a method of `order` from err = rms_i( e_i / (atol + rtol |h_i|) ), h at the step's start.

    A step with err <= 1 is accepted. The next is the one taken times 2 ** clip(log2(safety) - log2(err) / order,
    -limit, limit), after a reject at most times 2 ** -reject. The step is carried over frames; a step that only
    the frame's end cut short does not lower it. At `smallest` of the frame a step is accepted whatever its error.
    """

    rtol: float
    atol: float
    order: int = 3
    safety: float = 0.9
    limit: float = 2.3
    reject: float = 0.25
    smallest: float = 2.0**-16

    def error(self, estimate: Array, h: Array) -> Array:
        """Scaled error of each row (B,); infinite where it is not finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            norm = np.sqrt(np.mean((estimate / (self.atol + self.rtol * np.abs(h))) ** 2, axis=1))
        return np.where(np.isfinite(norm), norm, np.inf)

    def exponent(self, error: Array) -> Array:
        """log2 of the factor on the step, before the limit on rejects."""
        with np.errstate(divide="ignore"):
            exponent: Array = np.clip(np.log2(self.safety) - np.log2(error) / self.order, -self.limit, self.limit)
        return exponent


def pair_step(
    tableau: ButcherTableau, field: Field, h: Array, k1: Array, frame: int, step: Array, rows: Rows
) -> tuple[Array, Array, Array]:
    """One step of length `step` (R, 1) from slope `k1` at `h`: the new state, its slope and the error estimate.

        k_i = f(h + step sum_j a_ij k_j);  h' = h + step sum_i b_i k_i;  e = step sum_i error_i k_i

    The tableau has first-same-as-last: its last slope is that at h' and starts the next step, so that a step
    takes one evaluation less than the tableau has stages.
    """
    if tableau.error is None or not tableau.fsal:
        raise ValueError(f"tableau {tableau.name} is no embedded pair with first-same-as-last")

    def combine(weights: tuple[Fraction, ...]) -> Array:
        return sum((float(w) * k for w, k in zip(weights, slopes, strict=True) if w), np.zeros_like(h))

    slopes, moved = [k1], h
    with np.errstate(over="ignore", invalid="ignore"):
        for row in tableau.a[1:]:
            moved = h + step * combine(row)
            slopes.append(field.slope(moved, frame, rows))
        return moved, slopes[-1], step * combine(tableau.error)


def cut(step: Array, remaining: Array) -> Array:
    """The step to take: all that remains if it fits, half of it if two steps do, else `step`."""
    halved = np.where(remaining < 2.0 * step, 0.5 * remaining, step)
    return np.where(remaining <= step, remaining, halved)


def solve_adaptive(
    tableau: ButcherTableau,
    controller: Controller,
    field: Field,
    dt: Array,
    inside: Inside,
    progress: Progress | None = None,
) -> Trajectory:
    """An embedded pair, every sequence with its own steps; a frame with dt = 0 takes none.

    The first step tries a whole frame. The input jumps between frames, so that the first slope of each is
    evaluated anew.
    """
    batch, frames, width = field.drive.shape
    h, states = np.zeros((batch, width)), np.empty((batch, frames, width))
    evals, accepted, rejected = (np.zeros((batch, frames), np.int64) for _ in range(3))
    step = np.full(batch, np.inf)
    for frame in range(frames):
        rows = np.flatnonzero(inside[:, frame] & (dt[:, frame] > 0))
        remaining = np.where(inside[:, frame], dt[:, frame], 0.0)
        floor = controller.smallest * dt[:, frame]
        step[rows] = np.where(np.isinf(step[rows]), remaining[rows], step[rows])
        slope = np.zeros_like(h)
        slope[rows] = field.slope(h[rows], frame, rows)
        evals[rows, frame] += 1
        while rows.size:
            taken = cut(np.maximum(step[rows], floor[rows]), remaining[rows])
            moved, last, estimate = pair_step(tableau, field, h[rows], slope[rows], frame, taken[:, None], rows)
            error = controller.error(estimate, h[rows])
            accept = (error <= 1.0) | (taken <= floor[rows])
            exponent = controller.exponent(error)
            grown = taken * 2.0**exponent
            # What the frame's end cut short says nothing about longer steps where the factor met its limit.
            grown = np.where(exponent >= controller.limit, np.maximum(grown, step[rows]), grown)
            step[rows] = np.where(accept, grown, taken * 2.0 ** np.minimum(exponent, -controller.reject))
            evals[rows, frame] += tableau.stages - 1
            accepted[rows, frame] += accept
            rejected[rows, frame] += ~accept
            done = rows[accept]
            h[done], slope[done] = moved[accept], last[accept]
            # A remainder of rounding errors is none.
            left = remaining[done] - taken[accept]
            remaining[done] = np.where(left > 1e-12 * dt[done, frame], left, 0.0)
            rows = rows[remaining[rows] > 0]
        states[:, frame] = h
        if progress:
            progress(frame + 1, frames)
    return Trajectory(states, evals, accepted, rejected)
