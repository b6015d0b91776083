# SPDX-License-Identifier: BSD-2-Clause
"""Traces of frames: an image and one sequence on the golden machine, told of each instruction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from liquid_accel.data import Dataset
from liquid_accel.driver.device import check_inputs
from liquid_accel.driver.frames import encode
from liquid_accel.image import Image
from liquid_accel.rtl.isa import Space
from liquid_accel.sim.golden import GoldenMachine
from liquid_accel.sim.golden.trace import FrameTrace

STAND_IN_FRAMES = 8


def trace_sequence(image: Image, batch: Dataset, sequence: int = 0) -> list[FrameTrace]:
    """What the golden machine executes in each frame of a sequence of `batch`. Costs some 10 ms a frame."""
    check_inputs(image, batch)
    length = int(batch.lengths[sequence])
    dt = image.data_dt(batch.dt, batch.dt_given)[sequence, :length]
    words = encode(image, batch.x[sequence, :length], dt, np.arange(1, length + 1), name=batch.name).words
    golden = GoldenMachine(image.config, 1, trace=True)
    for space, section in image.sections.items():
        golden.load(Space(space), 0, section)
    golden.run([words])
    return golden.frames_traced


def median_frame(traces: Sequence[FrameTrace]) -> int:
    """The frame with the median of the cycles, those of the first being other than all others' left out."""
    later = sorted(range(min(1, len(traces) - 1), len(traces)), key=lambda at: traces[at].cycles)
    return later[len(later) // 2]


def stand_in(image: Image) -> Dataset:
    """A sequence drawn from the image's mean and scale, for a timeline without data: a slow random walk."""
    random = np.random.default_rng(0)
    walk = np.cumsum(0.3 * random.standard_normal((1, STAND_IN_FRAMES, image.inputs)), axis=1)
    x = np.array(image.input_mean) + np.array(image.input_scale) * walk
    lengths = np.full(1, STAND_IN_FRAMES, np.int32)
    dt = np.full((1, STAND_IN_FRAMES), image.default_dt)
    return Dataset(x.astype(np.float32), lengths, dt, None, False, "a random walk")
