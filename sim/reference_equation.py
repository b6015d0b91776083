# SPDX-License-Identifier: BSD-2-Clause
"""What solvers of the float reference share: the equation that they solve, and what they hand back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.sim.reference_kept import Kept

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Inside = npt.NDArray[np.bool_]
Rows = slice | npt.NDArray[np.intp]
Progress = Callable[[int, int], None]

DIVERGED = 8.0  # of a state: the largest of Q3.12. A bounded activation never leads there.
ALL = slice(None)


@dataclass(frozen=True)
class Field:
    """tau dh/dt = -h + act(W h + u) along a batch of sequences.

    `recurrent` W (H, H); `drive` u (B, T, H) and `tau` (B, T, H), constant over each frame; `act` elementwise;
    `kept`, where columns of W are skipped, holds the product and is moved by every evaluation.
    """

    recurrent: Array
    drive: Array
    tau: Array
    act: Callable[[Array], Array]
    kept: Kept | None = field(default=None, kw_only=True)

    def product(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """W h, for the batch's `rows` at `frame`."""
        return h @ self.recurrent.T if self.kept is None else self.kept.product(h, frame, rows)

    def target(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """f = act(W h + u)."""
        return self.act(self.product(h, frame, rows) + self.drive[rows, frame])

    def tau_at(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """Time constants of `rows` at `frame`; other fields let them depend on `h`, so that solvers ask here."""
        return self.tau[rows, frame]

    def slope(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """dh/dt = (f - h) / tau."""
        slope: Array = (self.target(h, frame, rows) - h) / self.tau_at(h, frame, rows)
        return slope


def keep(equation: Field, threshold: float | None) -> Field:
    """The same equation with columns of W skipped where their operand moved by no more than `threshold`; None: none."""
    if threshold is None:
        return equation
    if type(equation) is not Field:
        raise UserError(f"threshold is {threshold:g}, but the layer has other products than W h; expected none")
    return replace(equation, kept=Kept(equation.recurrent, len(equation.drive), equation.drive.shape[1], threshold))


@dataclass(frozen=True)
class Trajectory:
    """What a solver did: `states` at the end of each frame (B, T, H), and per frame (B, T):

    rhs_evals           evaluations of the right-hand side
    accepted, rejected  steps
    columns             columns of W used; rhs_evals times H where none is skipped
    limited             steps accepted at the smallest size although they missed the tolerance
    unconverged         steps whose iteration met its limit
    short               time that the frame fell short by, its budget being spent
    """

    states: Array
    rhs_evals: Counts
    accepted: Counts
    rejected: Counts
    columns: Counts
    limited: Counts
    unconverged: Counts
    short: Array

    @classmethod
    def blank(cls, equation: Field) -> Trajectory:
        """All zeros, to be filled; `columns` are those of the equation where it counts them."""
        batch, frames, width = equation.drive.shape
        evals, accepted, rejected, none, limited, unconverged = np.zeros((6, batch, frames), np.int64)
        columns = none if equation.kept is None else equation.kept.columns
        states, short = np.zeros((batch, frames, width)), np.zeros((batch, frames))
        return cls(states, evals, accepted, rejected, columns, limited, unconverged, short)

    def finished(self, equation: Field) -> Trajectory:
        """With `columns` in any case."""
        return self if equation.kept is not None else replace(self, columns=self.rhs_evals * self.states.shape[2])

    @property
    def diverged(self) -> Inside:
        """Frames (B, T) that end in a state that is not finite or beyond `DIVERGED`."""
        with np.errstate(invalid="ignore"):
            outside: Inside = np.asarray(~(np.abs(self.states) <= DIVERGED).all(axis=2))
        return outside


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
