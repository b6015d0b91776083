# SPDX-License-Identifier: BSD-2-Clause
"""`etd21`: an exponential pair with first-same-as-last that costs one product with W a step, and none a frame."""

import numpy as np
import numpy.typing as npt

from liquid_accel.sim.reference_adaptive import scaled_error
from liquid_accel.sim.reference_equation import Array, Counts, Field, Inside

SERIES = 1e-3  # z below which the correction's gain is its series, to an error of z^3 / 24


class Etd21:
    """A method of `solve_adaptive`, with z = T / tau over the step T:

        predict   h* = f + (h - f) e^-z              exact for a constant f
        evaluate  f* = act(W h* + u)                 the one product of the step
        correct   h' = h* + (f* - f) (z - 1 + e^-z) / z    exact for an f that runs from f to f* in a straight line
        error     rms_i of the correction / (atol + rtol scale)

    f* starts the next step. h' is a mean of h, f and f* with weights e^-z, (1 - e^-z)/z - e^-z and the gain, none of
    them negative, so that it keeps the activation's bounds at any step. Of order 2: f* is f(h') but for an error of
    the size T^2, which the next prediction and correction pass on with a factor T.

    M = W h* is kept over frames, and the input is added to it: a new frame's f is act(M + u), no product. After a
    reject f at the step's start is still there, and M follows the next prediction.

    Where tau depends on h, the corrected state is that of the mean of 1/tau at h and h*, so that order and estimate
    hold.
    """

    opening, dearest = 0, 1

    def __init__(self, rtol: float, atol: float, scale: float, equation: Field):
        self.rtol, self.atol, self.scale, self.equation = rtol, atol, scale, equation
        batch, _, width = equation.drive.shape
        self.h, self.f, self.m = (np.zeros((batch, width)) for _ in range(3))

    def enter(self, frame: int, rows: npt.NDArray[np.intp]) -> None:
        self.f[rows] = self.equation.act(self.m[rows] + self.equation.drive[rows, frame])

    def cost(self, rows: npt.NDArray[np.intp]) -> Counts:
        return np.ones(rows.size, np.int64)

    def attempt(self, frame: int, rows: npt.NDArray[np.intp], step: Array) -> Array:
        h, f = self.h[rows], self.f[rows]
        z = step[:, None] / self.equation.tau_at(h, frame, rows)
        predicted = f + (h - f) * np.exp(-z)
        self.m[rows] = self.equation.product(predicted, frame, rows)
        self._last = self.equation.act(self.m[rows] + self.equation.drive[rows, frame])
        # The mean of the rates at both ends; where they do not depend on h, z itself.
        z = 0.5 * (z + step[:, None] / self.equation.tau_at(predicted, frame, rows))
        self._moved = f + (h - f) * np.exp(-z) + (self._last - f) * gain(z)
        return scaled_error(self._moved - predicted, self.scale, self.rtol, self.atol)

    def accept(self, rows: npt.NDArray[np.intp], accepted: Inside) -> None:
        done = rows[accepted]
        self.h[done], self.f[done] = self._moved[accepted], self._last[accepted]


def gain(z: Array) -> Array:
    """(z - 1 + e^-z) / z, 0 to 1, without cancellation near 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(z < SERIES, z / 2.0 - z * z / 6.0, 1.0 + np.expm1(-z) / z)
