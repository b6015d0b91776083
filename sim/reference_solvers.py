# SPDX-License-Identifier: BSD-2-Clause
"""Fixed steps of the float reference: Runge-Kutta tableaus, liquid gates, and backward Euler by iteration.

Beside them stands the solution that scipy calls exact, and what `reference_equation` holds for all solvers.

Coefficients are those of `rtl/tableaus.py`; the arithmetic is this file's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.tableaus import FIXED_TABLEAUS, ButcherTableau
from liquid_accel.sim.reference_equation import (
    Array,
    Counts,
    Field,
    Inside,
    Progress,
    Trajectory,
    activation,
    keep,
    sigmoid,
    softplus,
)

__all__ = [
    "FIXED_STEPS", "Array", "Counts", "Field", "Inside", "Iteration", "Progress", "Trajectory",
    "activation", "keep", "sigmoid", "softplus", "solve_exact", "solve_fixed", "stages",
]  # fmt: skip

Indices = npt.NDArray[np.intp]
EXACT_RTOL = 1e-8
EXACT_ATOL = 1e-10
# One step of length (R, 1) of `rows` from h (R, H): the new h, and (R,) evaluations and steps that did not converge.
Step = Callable[[Array, int, Array, Indices], tuple[Array, Counts, Inside]]

# Gates of h += g(z) (f - h) with z = step/tau: one evaluation a step, order 1 each.
GATES: dict[str, Callable[[Array], Array]] = {
    "fused": lambda z: z / (1.0 + z),
    "expeuler": lambda z: -np.expm1(-z),
}
# Solvers with steps that the user chooses, by name.
FIXED_STEPS = (*GATES, *FIXED_TABLEAUS, "beuler")


@dataclass(frozen=True)
class Iteration:
    """When the iteration of an implicit step ends: no element moved by more than `tolerance`, or after `limit`."""

    tolerance: float = 1e-6
    limit: int = 30


def combine(weights: Sequence[Fraction], slopes: Sequence[Array]) -> Array:
    """sum_i w_i k_i."""
    return sum((float(w) * k for w, k in zip(weights, slopes) if w), np.zeros_like(slopes[0]))


def stages(
    tableau: ButcherTableau, equation: Field, h: Array, k1: Array, frame: int, step: Array, rows: Indices
) -> tuple[Array, list[Array]]:
    """One step of length `step` (R, 1) from slope `k1` at `h`: the new state and all slopes.

        k_i = f(h + step sum_j a_ij k_j);  h' = h + step sum_i b_i k_i

    What overflows becomes infinite or no number, without a warning: an explicit method may diverge, and says so so.
    """
    slopes, moved = [k1], h
    with np.errstate(over="ignore", invalid="ignore"):
        for row in tableau.a[1:]:
            moved = h + step * combine(row, slopes)
            slopes.append(equation.slope(moved, frame, rows))
        # Where the last stage is at the new state, it is that state to the last bit.
        return (moved if tableau.fsal else h + step * combine(tableau.b, slopes)), slopes


def tableau_step(tableau: ButcherTableau, equation: Field) -> Step:
    """A step of an explicit Runge-Kutta method; one evaluation a stage."""

    def step(h: Array, frame: int, length: Array, rows: Indices) -> tuple[Array, Counts, Inside]:
        with np.errstate(over="ignore", invalid="ignore"):
            k1 = equation.slope(h, frame, rows)
        moved, _ = stages(tableau, equation, h, k1, frame, length, rows)
        return moved, np.full(rows.size, tableau.stages), np.zeros(rows.size, np.bool_)

    return step


def gated_step(name: str, equation: Field) -> Step:
    """h + g(z) (f(h) - h), z = step / tau; one evaluation."""

    def step(h: Array, frame: int, length: Array, rows: Indices) -> tuple[Array, Counts, Inside]:
        gate = GATES[name](length / equation.tau_at(h, frame, rows))
        moved: Array = h + gate * (equation.target(h, frame, rows) - h)
        return moved, np.ones(rows.size, np.int64), np.zeros(rows.size, np.bool_)

    return step


def implicit_step(iteration: Iteration, equation: Field) -> Step:
    """y = h + g (f(y) - h), g = z / (1 + z), by y <- h + g (f(y) - h) from y = h; one evaluation an iterate.

    Each iterate lies between h and f, so that it stays bounded whether the iteration converges or not.
    """

    def step(h: Array, frame: int, length: Array, rows: Indices) -> tuple[Array, Counts, Inside]:
        y, evals = h.copy(), np.zeros(rows.size, np.int64)
        moving = np.arange(rows.size)
        for _ in range(iteration.limit):
            at = rows[moving]
            z = length[moving] / equation.tau_at(y[moving], frame, at)
            moved = h[moving] + z / (1.0 + z) * (equation.target(y[moving], frame, at) - h[moving])
            evals[moving] += 1
            far = np.abs(moved - y[moving]).max(axis=1) > iteration.tolerance
            y[moving] = moved
            moving = moving[far]
            if not moving.size:
                break
        unconverged = np.zeros(rows.size, np.bool_)
        unconverged[moving] = True
        return y, evals, unconverged

    return step


def solve_fixed(
    solver: str | ButcherTableau,
    steps: int,
    equation: Field,
    dt: Array,
    inside: Inside,
    progress: Progress | None = None,
    iteration: Iteration | None = None,
) -> Trajectory:
    """`steps` equal steps a frame, by a name of `FIXED_STEPS` or a tableau. A frame with dt = 0 takes none."""
    if isinstance(solver, str) and solver in GATES:
        take = gated_step(solver, equation)
    elif solver == "beuler":
        take = implicit_step(iteration or Iteration(), equation)
    else:
        take = tableau_step(FIXED_TABLEAUS[solver] if isinstance(solver, str) else solver, equation)
    batch, frames, width = equation.drive.shape
    h, run = np.zeros((batch, width)), Trajectory.blank(equation)
    for frame in range(frames):
        rows = np.flatnonzero(inside[:, frame] & (dt[:, frame] > 0))
        for _ in range(steps if rows.size else 0):
            h[rows], evals, unconverged = take(h[rows], frame, dt[rows, frame, None] / steps, rows)
            run.rhs_evals[rows, frame] += evals
            run.accepted[rows, frame] += 1
            run.unconverged[rows, frame] += unconverged
        run.states[:, frame] = h
        if progress:
            progress(frame + 1, frames)
    return run.finished(equation)


def solve_exact(equation: Field, dt: Array, inside: Inside, progress: Progress | None = None) -> Trajectory:
    """scipy's DOP853 over each frame, all sequences in one system.

    scipy holds the rms error over the whole system to the tolerance, so that it is set tighter by the root of
    the batch: then each sequence alone keeps `EXACT_RTOL`. The evaluations are those of the shared solution.
    """
    from scipy.integrate import solve_ivp  # only this solver needs scipy

    batch, frames, width = equation.drive.shape
    h, run = np.zeros((batch, width)), Trajectory.blank(equation)
    for frame in range(frames):
        rows = np.flatnonzero(inside[:, frame] & (dt[:, frame] > 0))
        if rows.size:
            duration = dt[rows, frame, None]

            def slope(
                _: float, flat: Array, frame: int = frame, rows: npt.NDArray[np.intp] = rows, duration: Array = duration
            ) -> Array:
                scaled: Array = duration * equation.slope(flat.reshape(rows.size, width), frame, rows)
                return scaled.ravel()

            tighter = np.sqrt(rows.size)
            solution = solve_ivp(
                slope, (0.0, 1.0), h[rows].ravel(), "DOP853", t_eval=[1.0],
                rtol=max(EXACT_RTOL / tighter, 1e-13), atol=EXACT_ATOL / tighter,
            )  # fmt: skip
            if not solution.success:
                raise ArithmeticError(f"scipy found no solution of frame {frame}: {solution.message}")
            h[rows] = solution.y[:, -1].reshape(rows.size, width)
            run.rhs_evals[rows, frame] = solution.nfev
        run.states[:, frame] = h
        if progress:
            progress(frame + 1, frames)
    return run.finished(equation)
