# SPDX-License-Identifier: BSD-2-Clause
"""What the host costs: frames a second with nothing behind the transport, by step, stream and batch.

Time is that of one core that this process spent, so that other programs do not count; the fastest of some repetitions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from liquid_accel import checkpoint, compiler
from liquid_accel.bench.link_loop import LinkLoop
from liquid_accel.bench.loopback import LoopBack
from liquid_accel.demo.run import find
from liquid_accel.driver import Device
from liquid_accel.driver.link import LinkTransport
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import Transport

FRAMES, QUICK_FRAMES = 5000, 500
REPEATS, QUICK_REPEATS = 5, 2
SEQUENCE = 20  # frames of one in a batch


def rows(config: LiquidConfig, quick: bool) -> list[dict[str, Any]]:
    """A row a transport and way: `frames_per_second`, and `trips_per_frame` in transactions or requests of the link."""
    # Any program: its frames have the same words.
    image = compiler.compile(checkpoint.load(find("checkpoints", "japanese_vowels.safetensors")), config=config)
    count, repeats = (QUICK_FRAMES, QUICK_REPEATS) if quick else (FRAMES, REPEATS)
    found = []
    for name in ("loop-back", "link"):
        for way, work in _ways(image, count).items():
            found.append({"transport": name, "way": way, **_measured(image, name, work, count, repeats)})
    return found


def _ways(image: Image, count: int) -> dict[str, Callable[[Device], None]]:
    draw = np.random.default_rng(0)
    x = draw.normal(0, 1, (count, image.inputs)).astype(np.float32)
    times = draw.uniform(0.5, 1.5, count) * image.default_dt
    batch = x.reshape(-1, SEQUENCE, image.inputs)

    def step(device: Device) -> None:
        for frame in x:
            device.step(frame)

    def irregular(device: Device) -> None:
        for frame, dt in zip(x, times):
            device.step(frame, dt)

    def stream(device: Device) -> None:
        for _ in device.stream(x):
            pass

    def run(device: Device) -> None:
        device.run(batch)

    return {"step": step, "step, each its own dt": irregular, "stream": stream, "run": run}


def _measured(
    image: Image, name: str, work: Callable[[Device], None], count: int, repeats: int
) -> dict[str, float]:
    bus = LoopBack(image)
    wire = LinkLoop(bus)
    link = LinkTransport(wire) if name == "link" else None
    transport: Transport = bus if link is None else link
    with Device(transport) as device:
        device.load(image)
        work(device)
        seconds = []
        for _ in range(repeats):
            device.reset()
            before = trips = bus.trips if link is None else link.statistics.requests
            start = time.process_time() - wire.seconds
            work(device)
            seconds.append(time.process_time() - wire.seconds - start)
            trips = (bus.trips if link is None else link.statistics.requests) - before
    return {
        "frames_per_second": count / min(seconds), "us_per_frame": 1e6 * min(seconds) / count,
        "trips_per_frame": trips / count,
    }  # fmt: skip
