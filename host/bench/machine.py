# SPDX-License-Identifier: BSD-2-Clause
"""One network, compiled one way, over the test utterances: all figures of the accelerator, on the golden model."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.bench.products import KINDS, count_products
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.data import Dataset
from liquid_accel.demo.precision import exact, rms_error
from liquid_accel.driver.figures import figures
from liquid_accel.driver.parallel import run_on
from liquid_accel.driver.result import Result
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.timeline import trace_sequence

Floats = npt.NDArray[np.float64]
CALIBRATION = 64  # sequences that formats, first steps and predictions are taken from


@dataclass(frozen=True)
class Setting:
    """A way of compiling: a name for tables, and the options."""

    name: str
    options: CompileOptions

    @property
    def threshold(self) -> float | None:
        return self.options.delta_threshold


@dataclass
class Laboratory:
    """Measures on one machine; remembers the exact solutions of networks."""

    config: LiquidConfig
    train: Dataset
    batch: Dataset
    clock_mhz: float
    _exact: dict[str, Floats] = field(default_factory=dict)

    def image(self, model: Checkpoint, options: CompileOptions) -> Image:
        """Compiled, calibrated on some of the training utterances."""
        some = self.train.subset(slice(None, None, max(1, len(self.train.x) // CALIBRATION)))
        return compile(model, calibration=some, config=self.config, options=options)

    def solution(self, model: Checkpoint, image: Image, batch: Dataset) -> Floats:
        """States (B, T, H) of the exact solution of the equation with the image's own, quantised, weights."""
        weights = image.dequantised()
        digest = hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights)))
        digest.update(batch.x.tobytes())
        found = digest.hexdigest()
        if found not in self._exact:
            self._exact[found] = exact(model, batch, weights)
        return self._exact[found]

    def error(self, model: Checkpoint, image: Image, batch: Dataset, result: Result) -> float | None:
        """Rms error of the states; None where there is no equation."""
        if image.solver == "none" or result.h is None:
            return None
        return rms_error(batch, result.h, self.solution(model, image, batch))

    def measure(self, model: Checkpoint, setting: Setting, brief: bool = False) -> dict[str, Any]:
        """All figures, means a frame; counts of one utterance under "trace". `brief`: without those and the error."""
        image = self.image(model, setting.options)
        result = run_on("golden", image, self.batch, states=not brief).result
        totals = figures(image, self.batch, result, self.clock_mhz)
        products, frames = count_products(image, self.batch), totals["frames"]
        recurrent = image.rhs_macs
        row: dict[str, Any] = {
            "name": setting.name, "cells": list(image.cells), "units": image.state_size, "solver": image.solver,
            "threshold": setting.threshold, "accuracy": totals["accuracy"],
            "cycles_per_frame": totals["cycles_per_frame"], "latency_us": totals["latency_us"],
            "rhs_per_frame": totals["rhs_evals"] / frames, "rejected_per_frame": totals["steps_rejected"] / frames,
            "macs_issued_per_frame": totals["macs_issued"] / frames,
            "macs_skipped_per_frame": totals["macs_skipped"] / frames,
            "effective_products_per_frame": products.recurrent / (recurrent * frames),
            "products_per_frame": products.total / frames,
            "products_by_kind": {kind: products.issued[kind] / frames for kind in KINDS},
            "useful_products_per_frame": sum(products.useful.values()) / frames,
            "rms_error": None if brief else self.error(model, image, self.batch, result),
            "mac_utilisation": totals["mac_utilisation"],
            "predicted_over_actual": totals["predicted_cycles"] / totals["cycles"],
            "predicted_exact": image.cycles.exact,
            "saturations": totals["saturations"],
        }  # fmt: skip
        return row if brief else row | {"trace": self.traced(image)}

    def traced(self, image: Image) -> dict[str, float | dict[str, float]]:
        """Means a frame over the first utterance, counted by the golden model: reads by kind, function evaluations,
        idle cycles (no product and no element under way)."""
        traces = trace_sequence(image, self.batch)
        kinds = sorted({kind for trace in traces for kind in trace.reads})
        count = len(traces)
        return {
            "reads": {kind: sum(trace.reads[kind] for trace in traces) / count for kind in kinds},
            "function_evaluations": sum(trace.function_evaluations for trace in traces) / count,
            "idle_cycles": sum(trace.idle for trace in traces) / count,
            "cycles": sum(trace.cycles for trace in traces) / count,
        }
