# SPDX-License-Identifier: BSD-2-Clause
"""Runs the shipped model over the shipped test utterances: float reference, golden model, simulated RTL."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_accel import checkpoint, data
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.cli.common import note, progress_bar
from liquid_accel.data import Dataset
from liquid_accel.demo import precision
from liquid_accel.demo.precision import TOLERANCE, compile_for
from liquid_accel.driver.compare import Comparison, compare
from liquid_accel.driver.figures import figures
from liquid_accel.driver.parallel import Timed, run_on
from liquid_accel.driver.result import Result
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.shipped import shipped
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings

STEPS = 4  # of the fixed solver


@dataclass(frozen=True)
class SolverOutcome:
    """One solver in its three forms, all on the same utterances. `rtl` holds the time that it took as well."""

    name: str
    title: str
    image: Image
    reference: reference.Run
    golden: Result
    rtl: Timed
    comparison: Comparison
    golden_figures: dict[str, Any]
    rtl_figures: dict[str, Any]

    def agreement(self, labels: Any) -> float:
        """Fraction of the utterances that get the float reference's label."""
        return float((labels == self.reference.labels).mean())


@dataclass(frozen=True)
class Outcome:
    """What the demo found; `report` is the page that shows it."""

    model: Checkpoint
    batch: Dataset
    calibration: Dataset
    config: LiquidConfig
    target: str
    solvers: tuple[SolverOutcome, ...]
    study: precision.Study
    report: Path
    started: float


def find(folder: str, name: str) -> Path:
    """A file that comes with the project: with the installation, or below the current folder."""
    try:
        return shipped(folder, name)
    except FileNotFoundError as error:
        here = Path(folder) / name
        if here.is_file():
            return here
        raise UserError(f"{folder}/{name}: {error}; expected it below the current folder") from None


def run_demo(config: LiquidConfig, folder: Path, utterances: int | None, jobs: int | None, target: str) -> Outcome:
    """Run everything and write `folder`/report.html. Raises `UserError` and `DeviceError`."""
    started = time.perf_counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); expected a folder") from None
    model = checkpoint.load(find("checkpoints", "japanese_vowels.safetensors"))
    calibration = data.load(find("data", "japanese_vowels_train.npz"))
    batch = data.load(find("data", "japanese_vowels_test.npz"))
    batch = batch.subset(slice(0, utterances))
    solvers = (
        (SolverSettings("fused", STEPS), f"fused, {STEPS} steps"),
        (SolverSettings("bs32", rtol=TOLERANCE, atol=TOLERANCE), f"bs32, tolerance {TOLERANCE:g}"),
    )
    outcomes = tuple(
        _solver(model, calibration, batch, config, settings, title, jobs, target) for settings, title in solvers
    )
    note("work against precision: golden model at several settings")
    study = precision.study(model, calibration, batch, config)
    report = folder / "report.html"
    outcome = Outcome(model, batch, calibration, config, target, outcomes, study, report, started)
    note("drawing the report")
    from liquid_accel.demo.report import write_report  # matplotlib takes a second to import

    write_report(outcome)
    return outcome


def _solver(
    model: Checkpoint,
    calibration: Dataset,
    batch: Dataset,
    config: LiquidConfig,
    settings: SolverSettings,
    title: str,
    jobs: int | None,
    target: str,
) -> SolverOutcome:
    note(f"{title}: compiling, then float reference and golden model")
    image = compile_for(model, calibration, config, settings)
    exact = reference.run(model, batch, settings)
    golden = run_on("golden", image, batch, states=True, trace=True).result
    with progress_bar(f"{title}: simulated RTL") as progress:
        rtl = run_on(target, image, batch, states=True, trace=True, progress=progress, jobs=jobs)
    counted = figures(image, batch, golden), figures(image, batch, rtl.result)
    return SolverOutcome(settings.name, title, image, exact, golden, rtl, compare(golden, rtl.result), *counted)
