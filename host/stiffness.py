# SPDX-License-Identifier: BSD-2-Clause
"""How stiff a network is on data: its time constants, its fastest mode, and the steps that explicit solvers need."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.data import Dataset
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings
from liquid_accel.sim.reference_equation import Array, Field, Inside, Progress, Trajectory
from liquid_accel.sim.reference_fields import final_taus
from liquid_accel.stability import EXPLICIT, stable_steps

SAMPLES = 48
SOLVERS = ("euler", "heun", "rk4")
DIFFERENCE = 1e-5
Seen = tuple[Field, Array, Array, Inside]


@dataclass(frozen=True)
class _Watched(SolverSettings):
    """Settings whose solver keeps what it solved: equation, states, dt and which frames count, of each cell."""

    seen: list[Seen] = field(default_factory=list)

    def solver(self) -> Any:
        solve = super().solver()

        def watched(equation: Field, dt: Array, inside: Inside, progress: Progress | None = None) -> Trajectory:
            found = solve(equation, dt, inside, progress)
            self.seen.append((equation, found.states, dt, inside))
            return found

        return watched


def measure(checkpoint: Checkpoint, data: Dataset, samples: int = SAMPLES) -> dict[str, Any] | None:
    """Over `samples` frames of `data` spread evenly, in every cell that is an equation; None where there is none.

    `stiffness`: the largest |lambda| dt, lambda an eigenvalue of the Jacobian of dh/dt at the end of a frame;
    `stable_steps`: for each explicit method of fixed steps, how many a frame keep every decaying mode from growing;
    `tau_frames`: smallest, median and largest time constant in units of the frame spacing, None without any.
    """
    settings = _Watched(reference.default_solver(checkpoint))
    data = data.subset(np.unique(np.linspace(0, len(data.x) - 1, samples).astype(int)))
    reference.run(checkpoint, data, settings)
    if not settings.seen:
        return None
    rates, taus = [], []
    for equation, states, dt, inside in settings.seen:
        chosen, found = np.argwhere(inside & (dt > 0)), final_taus(equation, states)
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, samples).astype(int))] if len(chosen) else chosen
        for row, frame in chosen:
            h, span = states[row, frame], dt[row, frame]
            rates.append(span * np.linalg.eigvals(jacobian(equation, h, int(frame), int(row))))
            taus.append(found[row, frame] / span)
    if not rates:
        return None
    every = np.concatenate(rates)
    times = np.concatenate(taus)
    return {
        "stiffness": float(np.abs(every).max()),
        "stable_steps": {name: stable_steps(EXPLICIT[name], every) for name in SOLVERS},
        "tau_frames": None if not times.size else [float(value) for value in np.percentile(times, (0, 50, 100))],
    }  # fmt: skip


def jacobian(equation: Field, h: Array, frame: int, row: int) -> npt.NDArray[np.float64]:
    """d(dh/dt)/dh (H, H) at `h` (H,), by central differences."""
    shifts = DIFFERENCE * np.eye(len(h))
    rows = np.full(2 * len(h), row)
    slopes = equation.slope(np.concatenate((h + shifts, h - shifts)), frame, rows)
    result: npt.NDArray[np.float64] = ((slopes[: len(h)] - slopes[len(h) :]) / (2 * DIFFERENCE)).T
    return result
