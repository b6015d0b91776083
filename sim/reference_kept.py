# SPDX-License-Identifier: BSD-2-Clause
"""Column skipping in float: a product M = W x that is kept, and corrected only where x moved.

Where |h_j - x_j| > threshold, column j of W is used, M += W[:, j] (h_j - x_j), and x_j = h_j; so M = W x always, and x
is within the threshold of the operand asked for. With threshold 0 each column is used whose operand moved at all.
"""

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError

Array = npt.NDArray[np.float64]
Rows = slice | npt.NDArray[np.intp]


class Kept:
    """`recurrent` W (H, H); `total` M and `operand` x (B, H), 0 at first; `columns` used in each frame (B, T)."""

    def __init__(self, recurrent: Array, batch: int, frames: int, threshold: float):
        if not 0 <= threshold < np.inf:
            raise UserError(f"threshold is {threshold}; expected 0 or more, finite")
        self.recurrent, self.threshold = recurrent, threshold
        self.total, self.operand = np.zeros((batch, len(recurrent))), np.zeros((batch, len(recurrent)))
        self.columns = np.zeros((batch, frames), np.int64)

    def product(self, h: Array, frame: int, rows: Rows) -> Array:
        """M of `rows` once it has followed `h`, one row of it each; what is not finite moves no column."""
        with np.errstate(invalid="ignore", over="ignore"):
            delta = h - self.operand[rows]
            moved = np.isfinite(delta) & (np.abs(delta) > self.threshold)
        self.total[rows] += np.where(moved, delta, 0.0) @ self.recurrent.T
        self.operand[rows] = np.where(moved, h, self.operand[rows])
        self.columns[rows, frame] += moved.sum(axis=1)
        total: Array = self.total[rows]
        return total
