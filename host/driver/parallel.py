# SPDX-License-Identifier: BSD-2-Clause
"""Batches on simulated devices: sequences are dealt out to processes, each with a device of its own.

Sequences start from a fresh state and counters belong to frames, so that the result is the same, word for word,
however they are dealt out.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from liquid_accel.data import Dataset
from liquid_accel.driver.device import check_inputs
from liquid_accel.driver.frames import encode_time
from liquid_accel.driver.result import Result, merge
from liquid_accel.driver.targets import SIMULATED, check_target, is_hardware, open_target
from liquid_accel.errors import UserError
from liquid_accel.image import Image

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

Progress = Callable[[int, int], None]
Rows = npt.NDArray[np.intp]
# Opening a simulated device takes seconds, so that a second one pays only where it has work for longer.
FRAMES_A_WORKER = 200


@dataclass(frozen=True)
class Timed:
    """A result, with the seconds of each device from its first frame to its last, and the clock that the devices say
    they have, None where they say nothing."""

    result: Result
    seconds: tuple[float, ...]
    clock_mhz: float | None = None

    @property
    def cycles_per_second(self) -> float:
        """Counted cycles a second of one device, mean; cycles on the bus and between frames come on top, uncounted."""
        return float(self.result.cycles.sum()) / max(sum(self.seconds), 1e-9)


def default_jobs(target: str, frames: int) -> int:
    """How many devices to open."""
    if target not in SIMULATED:
        return 1
    return max(1, min(os.cpu_count() or 1, frames // FRAMES_A_WORKER))


def run_on(
    target: str,
    image: Image,
    batch: Dataset,
    *,
    states: bool = False,
    trace: bool = False,
    progress: Progress | None = None,
    jobs: int | None = None,
) -> Timed:
    """Run `batch` on `jobs` devices of `target` (default: as many as pay). Raises `UserError` and `DeviceError`."""
    check_target(target)
    check_inputs(image, batch)
    # A wrong dt is found before anything is built.
    encode_time(image, image.data_dt(batch.dt, batch.dt_given), batch.name)
    if jobs is not None and jobs > 1 and is_hardware(target):
        raise UserError(f"--jobs is {jobs}; expected 1 with {target}, which is one device")
    jobs = default_jobs(target, int(batch.lengths.sum())) if jobs is None else max(1, min(jobs, len(batch.x)))
    options = {"states": states, "trace": trace}
    if jobs == 1:
        return _run_one(target, image, batch, options, progress)
    if target in SIMULATED:
        open_target(target, image.config).close()  # builds the simulation once, not in each process
    # Long sequences first, dealt round: every process gets about the same number of frames.
    order = np.argsort(-batch.lengths, kind="stable")
    shares = [np.sort(order[k::jobs]) for k in range(jobs)]
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(jobs, mp_context=context) as pool:
        told: Any = manager.Queue()
        futures = [
            pool.submit(_run_share, target, image, batch.subset(rows), options, told, k)
            for k, rows in enumerate(shares)
        ]
        _watch(futures, told, int(batch.lengths.sum()), progress)
        done = [future.result() for future in futures]
    merged = merge([(rows, part.result) for rows, part in zip(shares, done)])
    return Timed(merged, tuple(part.seconds[0] for part in done), done[0].clock_mhz)


def _run_one(
    target: str, image: Image, batch: Dataset, options: dict[str, bool], progress: Progress | None
) -> Timed:
    with open_target(target, image.config) as device:
        device.load(image)
        start = time.perf_counter()
        result = device.run(batch, progress=progress, **options)
        return Timed(result, (time.perf_counter() - start,), device.clock_mhz)


def _run_share(
    target: str, image: Image, batch: Dataset, options: dict[str, bool], told: Queue[tuple[int, int]], index: int
) -> Timed:
    return _run_one(target, image, batch, options, lambda done, _: told.put((index, done)))


def _watch(futures: list[Future[Any]], told: Queue[tuple[int, int]], total: int, progress: Progress | None) -> None:
    done = [0] * len(futures)
    while not all(future.done() for future in futures) or not told.empty():
        if any(future.done() and future.exception() for future in futures):
            for future in futures:
                future.cancel()
            break
        try:
            index, count = told.get(timeout=0.2)
        except queue.Empty:
            continue
        done[index] = count
        if progress:
            progress(sum(done), total)
