# SPDX-License-Identifier: BSD-2-Clause
"""The whole benchmark, as one dictionary: what the JSON says and what tables, page and pictures are made of."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from liquid_accel.bench import front, memory, overhead, precision, processor, training
from liquid_accel.bench.claims import claims
from liquid_accel.bench.machine import Laboratory, Setting
from liquid_accel.bench.models import Bench
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.cli.common import note, progress_bar
from liquid_accel.compiler import CompileOptions
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.version import PACKAGE_VERSION

UNITS = 64
QUICK_UTTERANCES, QUICK_EPOCHS = 96, 60
SYNAPTIC_EPOCHS = 100  # an epoch of it takes ten times that of the others
FIXED = {"fused": (4, 1), "euler": (4,), "heun": (2,), "rk4": (2,), "expeuler": (1,), "beuler": (2,)}
ADAPTIVE = {"heun21": (0.01,), "bs32": (0.01,), "rkf45": (0.01,), "dopri5": (0.01,), "etd21": (0.1, 0.03)}
THRESHOLDS = (None, 0.0625)
# Solvers that are measured at coarser thresholds as well.
FINER, COARSER, COARSEST = ("etd21", "fused"), 0.125, 0.2
GATED = ("gru", "lstm")


def settings(quick: bool) -> Iterator[Setting]:
    """How the shipped network is compiled: every solver, dense and with columns skipped; fewer weight bits."""
    for name, steps in FIXED.items():
        if quick and name != "fused":
            continue
        for count in steps:
            for each in thresholds(name, quick):
                text = f"{name}, {count} step" + ("s" if count > 1 else "")
                yield Setting(text, CompileOptions(name, steps=count, delta_threshold=each))
    for name, tolerances in ADAPTIVE.items():
        if quick and name not in ("bs32", "etd21"):
            continue
        for tolerance in tolerances[: 1 if quick else None]:
            for each in thresholds(name, quick):
                options = CompileOptions(name, rtol=tolerance, atol=tolerance, delta_threshold=each)
                yield Setting(f"{name}, {tolerance:g}", options)
    for bits in () if quick else (6, 4):
        options = CompileOptions("etd21", rtol=0.1, atol=0.1, delta_threshold=COARSER, weight_bits=bits)
        yield Setting(f"etd21, 0.1, {bits}-bit weights", options)


def thresholds(solver: str, quick: bool) -> tuple[float | None, ...]:
    """None: dense."""
    if quick:
        return None, COARSER
    return (*THRESHOLDS, COARSER, COARSEST) if solver in FINER else THRESHOLDS


def run_bench(config: LiquidConfig, clock_mhz: float, seeds: int, quick: bool) -> dict[str, Any]:
    """Measure everything. Raises `UserError`."""
    started = time.perf_counter()
    bench = Bench(QUICK_UTTERANCES, QUICK_EPOCHS) if quick else Bench()
    lab = Laboratory(config, bench.train, bench.batch, clock_mhz)
    note("processor: libraries, one sequence at a time")
    timed = processor.rows(bench, quick)  # first, while nothing else has warmed the machine up
    host = run_host(config, quick)
    trained = run_training(quick)
    note("accelerator: every solver, and gated networks")
    machine = _machine(bench, lab, quick)
    with progress_bar("work against precision", "settings") as progress:
        points = precision.points(lab, bench.shipped, quick, progress)
    with progress_bar("accuracy against products", "networks") as progress:
        fronts = front.points(bench, lab, seeds, quick, progress)
    _accuracies(bench, timed, quick)
    found: dict[str, Any] = {
        **host, "clock_mhz": clock_mhz, "seeds": seeds, "utterances": len(lab.batch.x),
        "frames": int(lab.batch.lengths.sum()), "accelerator": machine, "precision": points, "front": fronts,
        "cheapest": front.cheapest(fronts), "processor": timed,
        **{name: trained[name] for name in ("training", "memory")},
    }  # fmt: skip
    return found | {"claims": claims(found), "seconds": time.perf_counter() - started}


def run_host(config: LiquidConfig, quick: bool) -> dict[str, Any]:
    """What the host's part of a frame costs, alone. Raises `UserError`."""
    note("host: frames a second with nothing behind the transport")
    return {
        "quick": quick, "version": PACKAGE_VERSION, "lanes": config.lanes, "processor_name": _processor(),
        "python": platform.python_version(), "host": overhead.rows(config, quick),
    }  # fmt: skip


def run_training(quick: bool) -> dict[str, Any]:
    """What a step of training costs beside ncps, alone."""
    note("training: a step of each layer, ours and that of ncps")
    return {
        "quick": quick, "version": PACKAGE_VERSION, "processor_name": _processor(),
        "python": platform.python_version(), "training": training.rows(quick), "memory": memory.rows(quick),
    }  # fmt: skip


def _machine(bench: Bench, lab: Laboratory, quick: bool) -> list[dict[str, Any]]:
    models: list[tuple[Checkpoint | None, str, list[Setting]]] = [(bench.shipped, "ltc", list(settings(quick)))]
    for cell in GATED[: 1 if quick else None]:
        kept = (None, COARSER) if quick else (*THRESHOLDS, COARSER, COARSEST)
        named = [Setting(cell, CompileOptions(delta_threshold=each)) for each in kept]
        models.append((bench.trained(cell, UNITS), cell, named))
    rows: list[dict[str, Any]] = []
    total = sum(len(each) for _, _, each in models)
    with progress_bar("accelerator", "settings") as progress:
        for model, cell, each in models:
            for setting in each:
                rows.append(_row(lab, model, cell, setting))
                progress(len(rows), total)
    return rows


def _row(lab: Laboratory, model: Checkpoint | None, cell: str, setting: Setting) -> dict[str, Any]:
    """The figures, or why there are none."""
    blank: dict[str, Any] = {"name": setting.name, "cells": [cell], "threshold": setting.threshold}
    if model is None:
        return blank | {"missing": "torch"}
    try:
        return lab.measure(model, setting)
    except UserError as error:
        return blank | {"refused": str(error)}


def _accuracies(bench: Bench, timed: list[dict[str, Any]], quick: bool) -> None:
    """Of the float networks that the rows of `timed` stand for, trained here like all others; adds "accuracy"."""
    from liquid_accel.evaluate import accuracy

    shipped = accuracy(bench.shipped, bench.batch)
    cells = {"torch GRU": bench.trained("gru", UNITS)}
    if not quick:
        short = Bench(bench.utterances, SYNAPTIC_EPOCHS)
        cells |= {"ncps CfC": bench.trained("cfc", UNITS), "ncps LTC": short.trained("ltc-synaptic", UNITS)}
    for row in timed:
        model = next((model for name, model in cells.items() if row["name"].startswith(name)), None)
        row["accuracy"] = shipped if row["name"].startswith(("NumPy", "torchdiffeq")) else None
        if model is not None:
            row["accuracy"] = accuracy(model, bench.batch)


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or os.name
