# SPDX-License-Identifier: BSD-2-Clause
"""Accuracy against multiplications: liquid networks and GRUs of several widths, with and without column skipping."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from liquid_accel.bench.machine import Laboratory, Setting
from liquid_accel.bench.models import Bench
from liquid_accel.cli.common import Progress
from liquid_accel.compiler import CompileOptions

WIDTHS = (8, 16, 24, 32, 48, 64)
QUICK_WIDTHS = (16, 32)
SKIP_TRAINED = (16, 32)  # widths that are trained with skipping as well
SKIP_THRESHOLD = 0.125
THRESHOLDS = (None, 0.0625, 0.125)
TARGETS = (0.94, 0.95, 0.96, 0.965, 0.97, 0.975, 0.98, 0.985)
CELLS = ("ltc", "gru")
MEANS = ("accuracy", "products_per_frame", "useful_products_per_frame", "cycles_per_frame", "rhs_per_frame")


def settings(cell: str, quick: bool = False) -> list[Setting]:
    """How a network is compiled for the front: an LTC with one step a frame, and with adaptive ones."""
    thresholds = THRESHOLDS[::2] if quick else THRESHOLDS
    if cell != "ltc":
        return [Setting(cell, CompileOptions(delta_threshold=each)) for each in thresholds]
    return [
        Setting(name, options)
        for each in thresholds
        for name, options in (
            ("fused, 1 step", CompileOptions("fused", steps=1, delta_threshold=each)),
            ("etd21, 0.1", CompileOptions("etd21", rtol=0.1, atol=0.1, delta_threshold=each)),
        )
    ]


def points(bench: Bench, lab: Laboratory, seeds: int, quick: bool, progress: Progress) -> list[dict[str, Any]]:
    """A point a cell, width, training and setting: means over `seeds`; none without torch and without the cache."""
    widths = QUICK_WIDTHS if quick else WIDTHS
    tasks = [(cell, width, 0.0) for width in widths for cell in CELLS]
    if not quick:
        tasks += [(cell, width, SKIP_THRESHOLD) for width in SKIP_TRAINED for cell in CELLS]
    found = []
    for done, (cell, width, skip) in enumerate(tasks):
        models = [bench.trained(cell, width, seed, skip) for seed in range(seeds)]
        for setting in settings(cell, quick):
            if skip and not setting.threshold:
                continue
            rows = [lab.measure(model, setting, brief=True) for model in models if model is not None]
            if rows:
                point = {"cell": cell, "units": width, "name": setting.name, "threshold": setting.threshold}
                sums = {name: mean(float(row[name]) for row in rows) for name in MEANS}
                found.append(point | {"trained_with_skipping": skip or None, "seeds": len(rows)} | sums)
        progress(done + 1, len(tasks))
    return found


def pareto(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that no other one beats: in order of products, each more accurate than all that are cheaper."""
    best, kept = -1.0, []
    for point in sorted(points, key=lambda p: (p["products_per_frame"], -p["accuracy"])):
        if point["accuracy"] > best:
            best = point["accuracy"]
            kept.append(point)
    return kept


def cheapest(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """By accuracy that is to be reached, the cheapest network of each cell, and who wins: None where neither gets so
    far; one that alone gets there wins."""
    found = []
    for target in TARGETS:
        row: dict[str, Any] = {"accuracy": target}
        for cell in CELLS:
            able = [p for p in points if p["cell"] == cell and p["accuracy"] >= target]
            row[cell] = min(able, key=lambda p: p["products_per_frame"], default=None)
        costs = {cell: row[cell]["products_per_frame"] for cell in CELLS if row[cell] is not None}
        row["winner"] = min(costs, key=lambda cell: costs[cell], default=None)
        row["ratio"] = costs["ltc"] / costs["gru"] if len(costs) == len(CELLS) else None
        found.append(row)
    return found
