# SPDX-License-Identifier: BSD-2-Clause
"""A batch on the compiled simulation, with waveforms of some of its frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liquid_accel.data import Dataset
from liquid_accel.driver.device import Device, check_inputs
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.parallel import Timed
from liquid_accel.errors import UserError
from liquid_accel.files import write_whole
from liquid_accel.image import Image
from liquid_accel.sim.cxxrtl_build import SimulatorBuildError, compiler
from liquid_accel.sim.trace import TracedTransport
from liquid_accel.waves.watch import Watch

# A few frames answer most questions, and are a file of a megabyte.
DEFAULT_FRAMES = (0, 8)


@dataclass(frozen=True)
class Traced:
    """A result as any run's, with the frames and cycles that the waveforms show."""

    timed: Timed
    frames: int
    cycles: int


def run_traced(
    image: Image,
    batch: Dataset,
    path: Path,
    clock_mhz: float,
    frames: tuple[int, int] = DEFAULT_FRAMES,
    *,
    states: bool = False,
    progress: Callable[[int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Traced:
    """Run `batch`, and write the frames first <= n < last, counted over its sequences, to `path` as FST.

    Beside it goes a save file for GTKWave, with the suffix .gtkw. Both are there, whole, where the run succeeds. Raises
    `UserError` for data that are not sound, frames that do not exist and where there is no C++ compiler, `DeviceError`
    where the simulation fails.
    """
    check_inputs(image, batch)
    total, (first, last) = int(batch.lengths.sum()), frames
    if not 0 <= first < min(last, total):
        raise UserError(f"--trace-frames is {first}:{last}; expected A:B with A < {total}, the data's frames")
    if compiler() is None:
        raise UserError("--trace needs the compiled simulation; expected a C++ compiler: g++, c++, clang++")
    done: list[Traced] = []
    saved: list[str] = []

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            watch = Watch(file, image, batch.lengths, clock_mhz, first, last)
            try:
                transport = TracedTransport(image.config, watch.rows, say)
            except SimulatorBuildError as error:
                raise DeviceError(f"target 'sim' cannot be opened: {error}") from error
            with Device(transport) as device:
                device.load(image)
                start = time.perf_counter()
                result = device.run(batch, states=states, progress=progress)
                seconds = time.perf_counter() - start
            watch.close()
            saved.append(watch.save_file(path.name))
            done.append(Traced(Timed(result, (seconds,), None), watch.frames, watch.cycles))

    write_whole(path, write)
    write_whole(path.with_suffix(".gtkw"), lambda temporary: temporary.write_text(saved[0]))
    return done[0]
