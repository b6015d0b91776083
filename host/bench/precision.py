# SPDX-License-Identifier: BSD-2-Clause
"""Work against precision: rms error of the states against right-hand sides a frame, every solver, on the machine."""

from __future__ import annotations

from typing import Any

from liquid_accel.bench.machine import Laboratory
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.cli.common import Progress
from liquid_accel.compiler import CompileOptions, available
from liquid_accel.compiler.options import is_adaptive
from liquid_accel.driver.parallel import run_on
from liquid_accel.errors import UserError

STEPS = (1, 2, 4, 8, 16)
TOLERANCES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
UTTERANCES = 48
DIVERGED = 0.5  # an rms error past which the states are no solution: they lie within 1 of 0


def points(lab: Laboratory, model: Checkpoint, quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """A point a solver and setting: rtol = atol = the tolerance, or steps a frame; `refused` where it does not compile.

    Errors are against the exact solution of the same quantised network, on some of the test utterances.
    """
    batch = lab.batch.subset(slice(None, None, max(1, len(lab.batch.x) // UTTERANCES)))
    frames = int(batch.lengths.sum())
    tasks = [(name, value) for name in available() for value in _values(name, quick)]
    found = []
    for done, (name, value) in enumerate(tasks):
        adaptive = is_adaptive(name)
        point: dict[str, Any] = {"solver": name, "adaptive": adaptive, "tolerance" if adaptive else "steps": value}
        options: dict[str, Any] = {"rtol": value, "atol": value} if adaptive else {"steps": int(value)}
        try:
            image = lab.image(model, CompileOptions(name, **options))
        except UserError as refusal:
            found.append(point | {"refused": str(refusal)})
            continue
        result = run_on("golden", image, batch, states=True).result
        error = lab.error(model, image, batch, result)
        point |= {
            "rhs_per_frame": float(result.rhs_evals.sum()) / frames,
            "cycles_per_frame": float(result.cycles.sum()) / frames,
            "rms_error": error, "diverged": error is None or not error < DIVERGED,
        }  # fmt: skip
        found.append(point)
        progress(done + 1, len(tasks))
    return found


def _values(name: str, quick: bool) -> tuple[float, ...]:
    values: tuple[float, ...] = TOLERANCES if is_adaptive(name) else STEPS
    return values[1::2] if quick else values
