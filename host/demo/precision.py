# SPDX-License-Identifier: BSD-2-Clause
"""Error of the states against right-hand sides a frame: the adaptive pair on the machine, and what fixed steps need.

Each is held against the exact solution of the network that it solves, de-quantised weights and all. Exact means here
the classical Runge-Kutta method with FINE steps a frame, in float64, so that the demo needs no scipy;
tests/system/test_precision.py holds it against scipy's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.data import Dataset
from liquid_accel.driver.parallel import run_on
from liquid_accel.driver.result import Result
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings

FINE = 64
UTTERANCES = 48
TOLERANCE = 1e-2  # of the demo's adaptive solver: near the resolution that training leaves unused
TOLERANCES = (0.3, 0.1, TOLERANCE, 0.003, 0.001, 0.0001)
PICTURED = 0.0001  # the tolerance whose steps are drawn: small enough that a frame takes several
RK4_STEPS = (1, 2, 3, 4)
FUSED_STEPS = (1, 2, 4, 8, 16)
CALIBRATION = 64  # sequences; for the many images of the curves that is enough

Weights = Mapping[str, npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Curve:
    """Points of one solver: its setting, right-hand sides a frame and rms error of the states."""

    name: str
    settings: tuple[float, ...]
    rhs: tuple[float, ...]
    error: tuple[float, ...]


@dataclass(frozen=True)
class Machine:
    """An image, what the golden model made of it, and the rms error of its states."""

    image: Image
    result: Result
    error: float


@dataclass(frozen=True)
class Study:
    """The curves; and the test utterances `rows` as the golden model solved them at PICTURED.

    Over all frames of those utterances RK4 with one step a frame is judged by the ones in which it diverges. So
    `single` holds, utterance by utterance, its rms error, and `single_adaptive` that of bs32 at TOLERANCE.
    """

    curves: tuple[Curve, ...]
    rows: npt.NDArray[np.intp]
    pictured: Result
    single: npt.NDArray[np.float64]
    single_adaptive: npt.NDArray[np.float64]

    def curve(self, name: str) -> Curve:
        """That of a solver."""
        return next(curve for curve in self.curves if curve.name == name)

    def point(self) -> tuple[float, float]:
        """(right-hand sides a frame, rms error) of the adaptive solver at TOLERANCE."""
        curve = self.curve("bs32")
        at = curve.settings.index(TOLERANCE)
        return curve.rhs[at], curve.error[at]

    def rk4_as_close(self, error: float) -> float | None:
        """Right-hand sides a frame of the smallest RK4 with an rms error of at most `error`; None past RK4_STEPS."""
        curve = self.curve("rk4")
        return next((rhs for rhs, found in zip(curve.rhs, curve.error) if found <= error), None)

    def crossing(self) -> tuple[float | None, float | None]:
        """(the error down to which the adaptive solver is the cheaper one, that from which on RK4 is).

        Cheaper is who takes fewer right-hand sides for an error that is as small; RK4 where both take the same. Errors
        are those of TOLERANCES, None where there is no such one.
        """
        curve = self.curve("bs32")
        points = sorted(zip(curve.error, curve.rhs), reverse=True)
        cheaper = [(needed := self.rk4_as_close(error)) is None or rhs < needed for error, rhs in points]
        first = cheaper.index(False) if False in cheaper else len(points)
        last = len(points) - cheaper[::-1].index(True) if True in cheaper else 0
        wins = points[first - 1][0] if first else None
        return wins, points[last][0] if last < len(points) else None


def compile_for(model: Checkpoint, calibration: Dataset, config: LiquidConfig, settings: SolverSettings) -> Image:
    """The image of one solver."""
    options = CompileOptions(settings.name, steps=settings.steps, rtol=settings.rtol, atol=settings.atol)
    return compile(model, calibration=calibration, config=config, options=options)


def study(model: Checkpoint, calibration: Dataset, batch: Dataset, config: LiquidConfig) -> Study:
    """Three curves: bs32 and the fused step on the golden model, RK4 in float64."""
    rows = np.linspace(0, len(batch.x) - 1, min(UTTERANCES, len(batch.x))).astype(np.intp)
    batch = batch.subset(rows)
    sample = calibration.subset(slice(None, None, max(1, len(calibration.x) // CALIBRATION)))
    frames = int(batch.lengths.sum())

    def curve(name: str, settings: Sequence[float], solvers: Sequence[SolverSettings]) -> tuple[Curve, list[Machine]]:
        runs = [machine(model, sample, batch, config, solver) for solver in solvers]
        rhs = tuple(float(run.result.rhs_evals.sum() / frames) for run in runs)
        return Curve(name, tuple(settings), rhs, tuple(run.error for run in runs)), runs

    bs32, runs = curve("bs32", TOLERANCES, [SolverSettings("bs32", rtol=each, atol=each) for each in TOLERANCES])
    fused, _ = curve("fused", FUSED_STEPS, [SolverSettings("fused", steps) for steps in FUSED_STEPS])
    default = runs[TOLERANCES.index(TOLERANCE)]
    weights = default.image.dequantised()
    solution = exact(model, batch, weights)
    rk4 = rk4_curve(model, batch, weights, solution)
    one = reference.run(model, batch, SolverSettings("rk4", 1), weights=weights).states
    assert default.result.h is not None  # states were asked for
    single, single_adaptive = (rms_errors(batch, states, solution) for states in (one, default.result.h))
    return Study((bs32, fused, rk4), rows, runs[TOLERANCES.index(PICTURED)].result, single, single_adaptive)


def machine(
    model: Checkpoint, calibration: Dataset, batch: Dataset, config: LiquidConfig, settings: SolverSettings
) -> Machine:
    """Compile for a solver, and run on the golden model."""
    image = compile_for(model, calibration, config, settings)
    result = run_on("golden", image, batch, states=True, trace=True).result
    assert result.h is not None  # states were asked for
    return Machine(image, result, rms_error(batch, result.h, exact(model, batch, image.dequantised())))


def exact(model: Checkpoint, batch: Dataset, weights: Weights) -> npt.NDArray[np.float64]:
    """States (B, T, H) by RK4 with FINE steps a frame."""
    return reference.run(model, batch, SolverSettings("rk4", FINE), weights=weights).states


def rk4_curve(model: Checkpoint, batch: Dataset, weights: Weights, solution: npt.NDArray[np.float64]) -> Curve:
    """RK4 in float64 with each of RK4_STEPS, against the exact `solution`."""
    runs = [reference.run(model, batch, SolverSettings("rk4", steps), weights=weights) for steps in RK4_STEPS]
    errors = tuple(rms_error(batch, run.states, solution) for run in runs)
    return Curve("rk4", RK4_STEPS, tuple(run.rhs_evals_per_frame for run in runs), errors)


def rms_error(batch: Dataset, states: npt.NDArray[np.floating], solution: npt.NDArray[np.float64]) -> float:
    """Rms over frames and neurons of the states' distance from the exact ones; infinite where they diverged."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.sqrt(np.mean((states[batch.mask].astype(np.float64) - solution[batch.mask]) ** 2)))
    return error if np.isfinite(error) else float("inf")


def rms_errors(
    batch: Dataset, states: npt.NDArray[np.floating], solution: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """`rms_error` of each sequence (B,)."""
    rows = [slice(row, row + 1) for row in range(len(batch.x))]
    return np.array([rms_error(batch.subset(row), states[row], solution[row]) for row in rows])
