# SPDX-License-Identifier: BSD-2-Clause
"""Error of the states against right-hand sides a frame: the adaptive pair on the machine, and what fixed steps need.

Each is held against the exact solution of the network that it solves, de-quantised weights and all. Exact means here
the classical Runge-Kutta method with FINE steps a frame, in float64: where time constants are a fifth of a frame and
longer, its error is many orders below the machine's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.data import Dataset
from liquid_accel.demo.run import Outcome, compile_for
from liquid_accel.driver.parallel import run_on
from liquid_accel.driver.result import Result
from liquid_accel.image import Image
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings

FINE = 64
UTTERANCES = 48
TOLERANCES = (0.3, 0.1, 0.01, 0.003, 0.001, 0.0001)
PICTURED = 0.0001  # the tolerance whose steps are drawn: small enough that a frame takes several
RK4_STEPS = (1, 2, 3, 4)
FUSED_STEPS = (1, 2, 4, 8, 16)
CALIBRATION = 64  # sequences; for the many images of the curves that is enough


@dataclass(frozen=True)
class Curve:
    """Points of one solver: its setting, right-hand sides a frame and rms error of the states."""

    name: str
    settings: tuple[float, ...]
    rhs: tuple[float, ...]
    error: tuple[float, ...]


@dataclass(frozen=True)
class Study:
    """The curves; and the test utterances `rows` as the golden model solved them at PICTURED."""

    curves: tuple[Curve, ...]
    rows: npt.NDArray[np.intp]
    pictured: Result


def study(outcome: Outcome) -> Study:
    """Three curves: bs32 and the fused step on the golden model, RK4 in float64."""
    rows = np.linspace(0, len(outcome.batch.x) - 1, min(UTTERANCES, len(outcome.batch.x))).astype(np.intp)
    batch = outcome.batch.subset(rows)
    adaptive = [_machine(outcome, batch, SolverSettings("bs32", rtol=value, atol=value)) for value in TOLERANCES]
    fused = [_machine(outcome, batch, SolverSettings("fused", steps)) for steps in FUSED_STEPS]
    frames = int(batch.lengths.sum())
    curves = []
    for name, settings, runs in (("bs32", TOLERANCES, adaptive), ("fused", FUSED_STEPS, fused)):
        errors = tuple(_error(outcome, batch, image, run.h) for image, run in runs)
        curves.append(Curve(name, settings, tuple(float(run.rhs_evals.sum() / frames) for _, run in runs), errors))
    image = adaptive[-1][0]
    weights = image.dequantised()
    floats = [reference.run(outcome.model, batch, SolverSettings("rk4", n), weights=weights) for n in RK4_STEPS]
    errors = tuple(_error(outcome, batch, image, run.states) for run in floats)
    curves.append(Curve("rk4", RK4_STEPS, tuple(run.rhs_evals_per_frame for run in floats), errors))
    return Study(tuple(curves), rows, adaptive[TOLERANCES.index(PICTURED)][1])


def _machine(outcome: Outcome, batch: Dataset, settings: SolverSettings) -> tuple[Image, Result]:
    sample = outcome.calibration.subset(slice(None, None, max(1, len(outcome.calibration.x) // CALIBRATION)))
    image = compile_for(outcome.model, sample, outcome.config, settings)
    return image, run_on("golden", image, batch, states=True, trace=True).result


def _error(outcome: Outcome, batch: Dataset, image: Image, states: npt.NDArray[np.floating] | None) -> float:
    """Rms over frames and neurons of the states' distance from the exact ones."""
    assert states is not None  # whoever calls has asked for them
    exact = reference.run(outcome.model, batch, SolverSettings("rk4", FINE), weights=image.dequantised()).states
    with np.errstate(over="ignore"):
        return float(np.sqrt(np.mean((states[batch.mask].astype(np.float64) - exact[batch.mask]) ** 2)))
