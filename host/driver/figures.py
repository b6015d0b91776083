# SPDX-License-Identifier: BSD-2-Clause
"""The figures of a run, as totals: what `--json` prints and what tables are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from liquid_accel.data import Dataset
from liquid_accel.driver.frames import encode_time
from liquid_accel.driver.result import FRAMES_WITH, Result
from liquid_accel.image import Image
from liquid_accel.rtl.formats import TIME_WIDTH

DEFAULT_CLOCK_MHZ = 12.0  # that of the smallest board


def predicted_cycles(image: Image, batch: Dataset) -> int:
    """What the compiler says of these frames."""
    ticks, logs = encode_time(image, image.data_dt(batch.dt, batch.dt_given), batch.name)
    inside, still = batch.mask, ticks == 0
    first = np.zeros_like(inside)
    first[:, 0] = True
    moving, rest = ([int((inside & a & b).sum()) for a in (first, ~first)] for b in (~still, still))
    zeros = TIME_WIDTH - np.frexp(ticks[inside & ~still].astype(np.float64))[1]
    irregular = inside & ~still & (logs != image.regular_log_dt) if image.regular_log_dt is not None else inside & False
    return image.predicted_cycles(
        moving[0], moving[1], rest[0], rest[1], zeros=int(zeros.sum()), irregular=int(irregular.sum())
    )


def dense_macs(image: Image, frames: int, rhs_evals: int) -> float:
    """Multiplications of the dense matrix-vector products that the model asks for, skipped columns included."""
    return frames * image.frame_macs + rhs_evals * image.rhs_macs


def accuracy(result: Result, batch: Dataset) -> float | None:
    """Fraction of the sequences with the right label, or None without class labels."""
    return None if batch.labels is None else float(np.mean(result.label == batch.labels))


def figures(image: Image, batch: Dataset, result: Result, clock_mhz: float | None = None) -> dict[str, Any]:
    """Totals over all frames, with the keys of the contract.

    `mac_utilisation` = dense_macs / (lanes * cycles), which may pass 1 where columns are skipped; `macs_issued` =
    cycles of matrix-vector products * lanes, padding and read-out included; `macs_skipped` = columns that had not moved
    * lanes. `early_halts`, `step_limits`, `not_converged` and `budget_spent` count frames; `time_lag` is the time that
    those of a spent budget did not get to, in the unit of dt. `latency_us` is the mean of a frame at `clock_mhz`,
    12 MHz where none is given.
    """
    clock = DEFAULT_CLOCK_MHZ if clock_mhz is None else clock_mhz
    totals = result.totals()
    frames, cycles = totals["frames"], totals["cycles"]
    lanes = image.config.lanes
    return {
        "accuracy": accuracy(result, batch),
        "sequences": len(batch.x),
        "frames": frames,
        "cycles": cycles,
        "cycles_per_frame": cycles / frames,
        "predicted_cycles": predicted_cycles(image, batch),
        "rhs_evals": totals["rhs_evals"],
        "steps_accepted": totals["steps_accepted"],
        "steps_rejected": totals["steps_rejected"],
        **{name: totals[name] for name in FRAMES_WITH},
        "time_lag": float(result.time_lag.sum()),
        "macs_issued": totals["mac_cycles"] * lanes,
        "macs_skipped": totals["macs_skipped"],
        "mac_utilisation": dense_macs(image, frames, totals["rhs_evals"]) / (lanes * max(cycles, 1)),
        "saturations": totals["saturations"],
        "input_saturations": totals["input_saturations"],
        "latency_us": cycles / frames / clock,
        "clock_mhz": clock,
    }
