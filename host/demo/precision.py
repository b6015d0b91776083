# SPDX-License-Identifier: BSD-2-Clause
"""Error of the states against right-hand sides a frame: the adaptive pair on the machine, and what fixed steps need.

All of them solve the same quantised network. The yardstick is the classical Runge-Kutta method with FINE steps a frame,
in float64: where the network's time constants are a fifth of a frame and longer, its error is many orders below the
machine's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from liquid_accel.demo.run import Outcome, compile_for
from liquid_accel.driver.parallel import run_on
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings

FINE = 96
UTTERANCES = 48
TOLERANCES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
RK4_STEPS = (1, 2, 3, 4, 6, 8)
FUSED_STEPS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Curve:
    """Points of one solver: its setting, right-hand sides a frame and rms error of the states."""

    name: str
    settings: tuple[float, ...]
    rhs: tuple[float, ...]
    error: tuple[float, ...]


def curves(outcome: Outcome) -> list[Curve]:
    """Three curves: bs32 and the fused step on the golden model, RK4 in float64."""
    adaptive = next(solver.image for solver in outcome.solvers if solver.name == "bs32")
    chosen = np.linspace(0, len(outcome.batch.x) - 1, min(UTTERANCES, len(outcome.batch.x))).astype(np.intp)
    batch = outcome.batch.subset(chosen)
    weights = adaptive.dequantised()
    exact = reference.run(outcome.model, batch, SolverSettings("rk4", FINE), weights=weights).states
    inside = batch.mask

    def rms(states: object) -> float:
        return float(np.sqrt(np.mean((np.asarray(states, np.float64)[inside] - exact[inside]) ** 2)))

    found = []
    for name, values in (("bs32", TOLERANCES), ("fused", FUSED_STEPS)):
        points = []
        for value in values:
            settings = (
                SolverSettings("bs32", rtol=value, atol=value) if name == "bs32" else SolverSettings(name, int(value))
            )
            image = compile_for(outcome.model, outcome.calibration, outcome.config, settings)
            result = run_on("golden", image, batch, states=True).result
            points.append((float(result.rhs_evals.sum() / inside.sum()), rms(result.h)))
        rhs, error = zip(*points)
        found.append(Curve(name, values, rhs, error))
    points = []
    for steps in RK4_STEPS:
        run = reference.run(outcome.model, batch, SolverSettings("rk4", steps), weights=weights)
        with np.errstate(over="ignore"):
            points.append((run.rhs_evals_per_frame, rms(run.states)))
    rhs, error = zip(*points)
    return [*found, Curve("rk4", RK4_STEPS, rhs, error)]
