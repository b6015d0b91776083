# SPDX-License-Identifier: BSD-2-Clause
"""Adaptive steps of the float reference: one loop over frames and steps for every method that estimates its error.

A method is an embedded pair (`Pair`, here) or the exponential pair of `reference_etd21`.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import ButcherTableau
from liquid_accel.sim.reference_controller import Controller, Steps
from liquid_accel.sim.reference_equation import Array, Counts, Field, Inside, Progress, Trajectory
from liquid_accel.sim.reference_solvers import combine, stages

Indices = npt.NDArray[np.intp]


class Method(Protocol):
    """A step that may be tried, and tried again smaller, before it is accepted. `h` (B, H) is the state.

    opening  right-hand sides that a frame's start costs
    dearest  those of the dearest step
    """

    equation: Field
    h: Array
    opening: int
    dearest: int

    def enter(self, frame: int, rows: Indices) -> None:
        """A frame begins: its input stands from here on."""

    def cost(self, rows: Indices) -> Counts:
        """Right-hand sides (R,) that the next step of each row takes."""

    def attempt(self, frame: int, rows: Indices, step: Array) -> Array:
        """Try steps of length (R,): their errors (R,) in units of the tolerance."""

    def accept(self, rows: Indices, accepted: Inside) -> None:
        """Take over those of the tried steps that are accepted (R,)."""


def scaled_error(estimate: Array, size: Array | float, rtol: float, atol: float) -> Array:
    """rms_i( e_i / (atol + rtol size_i) ) of each row (R,); infinite where it is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        norm = np.sqrt(np.mean((estimate / (atol + rtol * size)) ** 2, axis=1))
    return np.where(np.isfinite(norm), norm, np.inf)


class Pair:
    """An embedded pair of Runge-Kutta methods, its error against atol + rtol |h| with h at the step's start.

    The slope at h is kept after a reject, and after an accepted step where the last stage is the first of the next. A
    new frame has a new input, and so a new slope: an evaluation at the frame's start with first-same-as-last.
    """

    def __init__(self, tableau: ButcherTableau, rtol: float, atol: float, equation: Field):
        if tableau.error is None:
            raise UserError(f"solver '{tableau.name}' estimates no error; expected one that does, or fixed steps")
        self.tableau, self.rtol, self.atol, self.equation = tableau, rtol, atol, equation
        self.error_weights = tableau.error
        batch, _, width = equation.drive.shape
        self.h, self.slope = np.zeros((batch, width)), np.zeros((batch, width))
        self.known = np.zeros(batch, np.bool_)
        self.opening = int(tableau.fsal)
        self.dearest = tableau.stages - self.opening

    def _evaluate(self, frame: int, rows: Indices) -> None:
        self.slope[rows] = self.equation.slope(self.h[rows], frame, rows)
        self.known[rows] = True

    def enter(self, frame: int, rows: Indices) -> None:
        self.known[rows] = False
        if self.tableau.fsal:
            self._evaluate(frame, rows)

    def cost(self, rows: Indices) -> Counts:
        return self.tableau.stages - self.known[rows].astype(np.int64)

    def attempt(self, frame: int, rows: Indices, step: Array) -> Array:
        missing = rows[~self.known[rows]]
        if missing.size:
            self._evaluate(frame, missing)
        h, length = self.h[rows], step[:, None]
        self._moved, slopes = stages(self.tableau, self.equation, h, self.slope[rows], frame, length, rows)
        self._last = slopes[-1]
        with np.errstate(over="ignore", invalid="ignore"):
            estimate = length * combine(self.error_weights, slopes)
        return scaled_error(estimate, np.abs(h), self.rtol, self.atol)

    def accept(self, rows: Indices, accepted: Inside) -> None:
        done = rows[accepted]
        self.h[done] = self._moved[accepted]
        self.known[done] = self.tableau.fsal
        if self.tableau.fsal:
            self.slope[done] = self._last[accepted]


def time_unit(dt: Array, inside: Inside) -> float:
    """The power of two nearest to the median time step, as the compiler's machine unit; 1 where no time passes."""
    moving = dt[inside & (dt > 0)]
    return float(2.0 ** np.round(np.log2(np.median(moving)))) if moving.size else 1.0


def solve_adaptive(
    method: Method, controller: Controller, dt: Array, inside: Inside, progress: Progress | None = None
) -> Trajectory:
    """Every sequence with its own steps; a frame with dt = 0 takes none."""
    equation = method.equation
    least = method.opening + method.dearest
    if controller.budget is not None and controller.budget < least:
        raise UserError(f"budget is {controller.budget}; expected at least {least}, which one step takes")
    batch, frames, _ = equation.drive.shape
    steps, run = Steps(controller, batch, time_unit(dt, inside)), Trajectory.blank(equation)
    for frame in range(frames):
        rows = np.flatnonzero(inside[:, frame] & (dt[:, frame] > 0))
        remaining = np.where(inside[:, frame], dt[:, frame], 0.0)
        steps.enter(rows, dt[rows, frame])
        method.enter(frame, rows)
        run.rhs_evals[rows, frame] += method.opening
        while rows.size:
            cost = method.cost(rows)
            if controller.budget is not None:
                within = run.rhs_evals[rows, frame] + cost <= controller.budget
                run.short[rows[~within], frame] = remaining[rows[~within]]
                rows, cost = rows[within], cost[within]
            taken = steps.plan(rows, remaining[rows])
            error = method.attempt(frame, rows, taken)
            accept, limited = steps.decide(rows, taken, error)
            method.accept(rows, accept)
            run.rhs_evals[rows, frame] += cost
            run.accepted[rows, frame] += accept
            run.rejected[rows, frame] += ~accept
            run.limited[rows, frame] += limited
            done = rows[accept]
            # A remainder of rounding errors is none.
            left = remaining[done] - taken[accept]
            remaining[done] = np.where(left > 1e-12 * dt[done, frame], left, 0.0)
            rows = rows[remaining[rows] > 0]
        run.states[:, frame] = method.h
        if progress:
            progress(frame + 1, frames)
    return run.finished(equation)
