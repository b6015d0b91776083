# SPDX-License-Identifier: BSD-2-Clause
"""What a step of training costs: our drop-ins for ncps beside ncps itself, forward and backward, on one core."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

FEATURES, UNITS = 32, 64
BATCH, FRAMES, REPEATS = 32, 100, 5
QUICK_FRAMES, QUICK_REPEATS = 10, 2
GOAL = {"LTC": 4.0}  # times faster; half of it is what is asked for


def rows(quick: bool) -> list[dict[str, Any]]:
    """A row a layer: `ms` and `ncps_ms` a step, `times_faster`, and the `difference` of the outputs.

    Without torch or ncps the figures are None. Both sides have the same weights and take turns; of each the
    fastest step counts, in processor time, so that other programs do not.
    """
    frames, repeats = (QUICK_FRAMES, QUICK_REPEATS) if quick else (FRAMES, REPEATS)
    shape = {"batch": BATCH, "frames": frames, "features": FEATURES, "units": UNITS, "repeats": repeats}
    return [
        {"name": name, **_measured(name, frames, repeats), "goal": GOAL.get(name), **shape} for name in ("LTC", "CfC")
    ]


def _measured(name: str, frames: int, repeats: int) -> dict[str, Any]:
    try:
        theirs, ours = import_module("ncps.torch"), import_module("liquid_accel.ncps.torch")
    except ImportError:
        return dict.fromkeys(("ms", "ncps_ms", "times_faster", "difference"))
    from liquid_accel.training import one_thread

    with one_thread(0) as torch:
        reference, layer = getattr(theirs, name)(FEATURES, UNITS), getattr(ours, name)(FEATURES, UNITS)
        layer.load_state_dict(reference.state_dict())
        x = torch.randn(BATCH, frames, FEATURES)
        with torch.no_grad():
            difference = float((reference(x)[0] - layer(x)[0]).abs().max())
        times = [(_step(reference, x), _step(layer, x)) for _ in range(repeats + 1)][1:]  # the first warms up
    theirs_s, ours_s = (min(side) for side in zip(*times, strict=True))
    return {
        "ms": 1e3 * ours_s, "ncps_ms": 1e3 * theirs_s, "times_faster": theirs_s / ours_s, "difference": difference,
    }  # fmt: skip


def _step(layer: Any, x: Any) -> float:
    """Seconds of the forward and the backward pass."""
    layer.zero_grad()
    start = time.process_time()
    layer(x)[0].square().mean().backward()
    return time.process_time() - start
