# SPDX-License-Identifier: BSD-2-Clause
"""Fixed-step solvers of the float reference, and the solution that scipy calls exact."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Inside = npt.NDArray[np.bool_]
Progress = Callable[[int, int], None]

EXACT_RTOL = 1e-8
EXACT_ATOL = 1e-10


@dataclass(frozen=True)
class Field:
    """tau dh/dt = -h + act(W h + u) along a batch of sequences.

    `recurrent` W (H, H); `drive` u (B, T, H) and `tau` (B, T, H), constant over each frame; `act` elementwise.
    """

    recurrent: Array
    drive: Array
    tau: Array
    act: Callable[[Array], Array]

    def target(self, h: Array, frame: int, rows: slice | npt.NDArray[np.intp] = slice(None)) -> Array:
        """f = act(W h + u), for the batch's `rows` at `frame`."""
        return self.act(h @ self.recurrent.T + self.drive[rows, frame])

    def tau_at(self, h: Array, frame: int, rows: slice | npt.NDArray[np.intp] = slice(None)) -> Array:
        """Time constants of `rows` at `frame`; other fields let them depend on `h`, so that solvers ask here."""
        return self.tau[rows, frame]

    def slope(self, h: Array, frame: int, rows: slice | npt.NDArray[np.intp] = slice(None)) -> Array:
        """dh/dt = (f - h) / tau."""
        slope: Array = (self.target(h, frame, rows) - h) / self.tau_at(h, frame, rows)
        return slope


@dataclass(frozen=True)
class Trajectory:
    """States at the end of each frame (B, T, H); per frame (B, T): evaluations, accepted and rejected steps."""

    states: Array
    rhs_evals: Counts
    accepted: Counts
    rejected: Counts


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softplus(x: Array) -> Array:
    """log(1 + e^x), kept above 0 so that a time constant stays a divisor."""
    return np.maximum(np.logaddexp(0.0, x), np.finfo(np.float64).tiny)


def activation(name: str | None) -> Callable[[Array], Array]:
    """The function of that name; None is the identity."""
    functions: dict[str | None, Callable[[Array], Array]] = {
        None: lambda x: x,
        "tanh": np.tanh,
        "sigmoid": sigmoid,
        "softplus": softplus,
    }
    return functions[name]


# Gates of h += g(z) (f - h) with z = step/tau: one evaluation a step, order 1 each.
GATES: dict[str, Callable[[Array], Array]] = {
    "euler": lambda z: z,
    "fused": lambda z: z / (1.0 + z),
    "expeuler": lambda z: -np.expm1(-z),
}
# Evaluations of the right-hand side that a step takes.
FIXED_STEPS = {**dict.fromkeys(GATES, 1), "rk4": 4}


def gated_step(name: str, field: Field, h: Array, frame: int, step: Array) -> Array:
    """One step of length `step` (B, 1) with the gate of that name."""
    gate = GATES[name](step / field.tau_at(h, frame))
    moved: Array = h + gate * (field.target(h, frame) - h)
    return moved


def rk4_step(field: Field, h: Array, frame: int, step: Array) -> Array:
    """One step of the classical Runge-Kutta method of order 4."""
    k1 = field.slope(h, frame)
    k2 = field.slope(h + 0.5 * step * k1, frame)
    k3 = field.slope(h + 0.5 * step * k2, frame)
    k4 = field.slope(h + step * k3, frame)
    moved: Array = h + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return moved


def solve_fixed(
    name: str, steps: int, field: Field, dt: Array, inside: Inside, progress: Progress | None = None
) -> Trajectory:
    """`steps` equal steps a frame. A frame with dt = 0 takes none."""
    batch, frames, width = field.drive.shape
    h, states = np.zeros((batch, width)), np.empty((batch, frames, width))
    moving = inside & (dt > 0)
    for frame in range(frames):
        step = (dt[:, frame] / steps)[:, None]
        for _ in range(steps):
            # An explicit method may diverge: then infinities are its answer, not a warning.
            with np.errstate(over="ignore", invalid="ignore"):
                moved = rk4_step(field, h, frame, step) if name == "rk4" else gated_step(name, field, h, frame, step)
            h = np.where(moving[:, frame, None], moved, h)
        states[:, frame] = h
        if progress:
            progress(frame + 1, frames)
    taken = moving.astype(np.int64) * steps
    return Trajectory(states, taken * FIXED_STEPS[name], taken, np.zeros_like(taken))


def solve_exact(field: Field, dt: Array, inside: Inside, progress: Progress | None = None) -> Trajectory:
    """scipy's DOP853 over each frame, all sequences in one system.

    scipy holds the rms error over the whole system to the tolerance, so that it is set tighter by the root of
    the batch: then each sequence alone keeps `EXACT_RTOL`. The evaluations are those of the shared solution.
    """
    from scipy.integrate import solve_ivp  # only this solver needs scipy

    batch, frames, width = field.drive.shape
    h, states = np.zeros((batch, width)), np.empty((batch, frames, width))
    evals = np.zeros((batch, frames), np.int64)
    for frame in range(frames):
        rows = np.flatnonzero(inside[:, frame] & (dt[:, frame] > 0))
        if rows.size:
            duration = dt[rows, frame, None]

            def slope(
                _: float, flat: Array, frame: int = frame, rows: npt.NDArray[np.intp] = rows, duration: Array = duration
            ) -> Array:
                scaled: Array = duration * field.slope(flat.reshape(rows.size, width), frame, rows)
                return scaled.ravel()

            tighter = np.sqrt(rows.size)
            solution = solve_ivp(
                slope, (0.0, 1.0), h[rows].ravel(), "DOP853", t_eval=[1.0],
                rtol=max(EXACT_RTOL / tighter, 1e-13), atol=EXACT_ATOL / tighter,
            )  # fmt: skip
            if not solution.success:
                raise ArithmeticError(f"scipy found no solution of frame {frame}: {solution.message}")
            h[rows] = solution.y[:, -1].reshape(rows.size, width)
            evals[rows, frame] = solution.nfev
        states[:, frame] = h
        if progress:
            progress(frame + 1, frames)
    none = np.zeros_like(evals)
    return Trajectory(states, evals, none, none)
