# SPDX-License-Identifier: BSD-2-Clause
"""What a user would take on a processor: microseconds a frame of this machine, one thread, one sequence at a time.

Each side is timed over the same utterances, after one that warms it up: the time of an utterance over its frames,
median over repetitions. Frames come one by one, as they do in use, but where a row says "whole utterance".
"""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from liquid_accel.bench.models import Bench
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.data import Dataset
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings

UTTERANCES = 3
REPEATS = 15
QUICK_REPEATS = 3
UNITS = 64
UNFOLDS = 6  # of ncps' LTC, its default
TOLERANCE = 1e-2
Run = Callable[[Any], int]  # an utterance (frames, features): right-hand sides that it took, or 0


def rows(bench: Bench, quick: bool) -> list[dict[str, Any]]:
    """A row a library, with `us_per_frame`; or with `missing`, the package that is not installed."""
    repeats = QUICK_REPEATS if quick else REPEATS
    model = bench.shipped
    batch = bench.batch.subset(slice(0, UTTERANCES))
    found = [_reference(model, batch, repeats)]
    for name, package, build in (
        ("torch GRU, frame by frame", "torch", gru_cell), ("torch GRU, whole utterance", "torch", gru_layer),
        ("ncps CfC", "ncps", ncps_cfc), (f"ncps LTC, {UNFOLDS} unfolds", "ncps", ncps_ltc),
        (f"torchdiffeq bosh3, {TOLERANCE:g}", "torchdiffeq", torchdiffeq_ltc),
    ):  # fmt: skip
        try:
            importlib.import_module("torch")
            importlib.import_module(package)
        except ImportError as error:
            found.append({"name": name, "missing": error.name or package, "us_per_frame": None})
            continue
        from liquid_accel.training import one_thread

        with one_thread(0) as torch, torch.no_grad():
            x = [torch.tensor(each, dtype=torch.float32) for each in _utterances(model, batch)]
            found.append({"name": name, **_timed(build(torch, model), x, repeats)})
    return found


def _utterances(model: Checkpoint, batch: Dataset) -> list[Any]:
    return [model.features.normalise(batch.x[b, :n]) for b, n in enumerate(batch.lengths)]


def _timed(run: Run, utterances: list[Any], repeats: int) -> dict[str, Any]:
    run(utterances[0])
    times, rhs, frames = [], 0, sum(len(x) for x in utterances)
    for _ in range(repeats):
        start = time.perf_counter()
        rhs = sum(run(x) for x in utterances)
        times.append((time.perf_counter() - start) / frames)
    spread = (max(times) - min(times)) / statistics.median(times)
    return {
        "us_per_frame": 1e6 * statistics.median(times), "fastest_us": 1e6 * min(times), "spread": spread,
        "repeats": repeats,
        "rhs_per_frame": rhs / frames if rhs else None,
    }  # fmt: skip


def _reference(model: Checkpoint, batch: Dataset, repeats: int) -> dict[str, Any]:
    """Our own float reference in NumPy, which is made for whole batches."""
    settings = SolverSettings("etd21", rtol=0.1, atol=0.1)
    sequences = [batch.subset(slice(b, b + 1)) for b in range(len(batch.x))]
    times, rhs, frames = [], 0, int(batch.lengths.sum())
    reference.run(model, sequences[0], settings)
    for _ in range(repeats):
        start = time.perf_counter()
        rhs = sum(int(reference.run(model, each, settings).rhs_evals.sum()) for each in sequences)
        times.append((time.perf_counter() - start) / frames)
    spread = (max(times) - min(times)) / statistics.median(times)
    return {
        "name": "NumPy, etd21 0.1 (float reference)", "us_per_frame": 1e6 * statistics.median(times),
        "fastest_us": 1e6 * min(times), "spread": spread, "repeats": repeats, "rhs_per_frame": rhs / frames,
    }  # fmt: skip


def _ends(torch: Any, model: Checkpoint) -> tuple[Any, Any]:
    """Projection with tanh, and read-out, of the benchmark's networks."""
    features, classes = model.in_features, model.out_features
    front = torch.nn.Sequential(torch.nn.Linear(features, UNITS), torch.nn.Tanh())
    return front, torch.nn.Linear(UNITS, classes)


def gru_cell(torch: Any, model: Checkpoint) -> Run:
    """torch.nn.GRUCell, a frame a call; random weights, which its time does not depend on."""
    (front, read), cell = _ends(torch, model), torch.nn.GRUCell(UNITS, UNITS)

    def run(x: Any) -> int:
        h = mean = torch.zeros(1, UNITS)
        for number, frame in enumerate(x, 1):
            h = cell(front(frame[None]), h)
            mean = mean + (h - mean) / number
            read(mean)
        return 0

    return run


def gru_layer(torch: Any, model: Checkpoint) -> Run:
    """torch.nn.GRU over a whole utterance in one call: its fast way, which a stream cannot take."""
    (front, read), layer = _ends(torch, model), torch.nn.GRU(UNITS, UNITS, batch_first=True)

    def run(x: Any) -> int:
        states, _ = layer(front(x)[None])
        read(states.mean(1))
        return 0

    return run


def ncps_cfc(torch: Any, model: Checkpoint) -> Run:
    """The closed-form cell of ncps with a backbone as wide as the state, as its class makes it."""
    from ncps.torch import CfC

    return _ncps(torch, model, CfC(UNITS, UNITS, backbone_units=UNITS, backbone_layers=1))


def ncps_ltc(torch: Any, model: Checkpoint) -> Run:
    """The published LTC of ncps, all neurons joined."""
    from ncps.torch import LTC

    return _ncps(torch, model, LTC(UNITS, UNITS, ode_unfolds=UNFOLDS))


def _ncps(torch: Any, model: Checkpoint, layer: Any) -> Run:
    front, read = _ends(torch, model)

    def run(x: Any) -> int:
        h, mean = None, torch.zeros(1, UNITS)
        for number, frame in enumerate(x, 1):
            output, h = layer(front(frame[None])[:, None], h)
            mean = mean + (output[:, 0] - mean) / number
            read(mean)
        return 0

    return run


def torchdiffeq_ltc(torch: Any, model: Checkpoint) -> Run:
    """The shipped LTC itself, each frame by torchdiffeq's adaptive bosh3."""
    from torchdiffeq import odeint

    t = {name: torch.tensor(np.asarray(tensor), dtype=torch.float32) for name, tensor in model.tensors.items()}
    functional, span = torch.nn.functional, torch.tensor([0.0, 1.0])

    def run(x: Any) -> int:
        evals = 0
        h = mean = torch.zeros(len(t["ltc.bias"]))
        for number, frame in enumerate(x, 1):
            p = torch.tanh(functional.linear(frame, t["proj.weight"], t["proj.bias"]))
            tau = functional.softplus(functional.linear(p, t["ltc.tau_weight"], t["ltc.tau_bias"]))
            drive = functional.linear(p, t["ltc.input_weight"], t["ltc.bias"])

            def slope(_: Any, y: Any, tau: Any = tau, drive: Any = drive) -> Any:
                nonlocal evals
                evals += 1
                return (torch.tanh(t["ltc.recurrent_weight"] @ y + drive) - y) / tau

            h = odeint(slope, h, span, rtol=TOLERANCE, atol=TOLERANCE, method="bosh3")[-1]
            mean = mean + (h - mean) / number
            functional.linear(mean, t["classifier.weight"], t["classifier.bias"])
        return evals

    return run
