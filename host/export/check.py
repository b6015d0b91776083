# SPDX-License-Identifier: BSD-2-Clause
"""Frames with the golden model's answers, as the C program that holds a model against them."""

from __future__ import annotations

import numpy as np

from liquid_accel.data import Dataset
from liquid_accel.driver import Device
from liquid_accel.driver.frames import encode
from liquid_accel.export.program import tidy
from liquid_accel.export.source import filled
from liquid_accel.image import Image
from liquid_accel.rtl.isa import HEADER_WORDS, Flag
from liquid_accel.sim.golden import GoldenTransport

SEQUENCES, FRAMES = 3, 12  # of data that are drawn
REPORT = ("status", "rhs_evals", "steps_accepted", "steps_rejected", "saturations", "macs_skipped")


def drawn(image: Image, seed: int = 1) -> Dataset:
    """Inputs about as large as those of the training data, at irregular times."""
    rng = np.random.default_rng(seed)
    size = SEQUENCES, FRAMES
    x = np.array(image.input_mean) + np.array(image.input_scale) * rng.normal(size=(*size, image.inputs))
    dt = np.minimum(image.default_dt * rng.uniform(0, 2, size), image.max_dt)
    return Dataset(x.astype(np.float32), np.full(SEQUENCES, FRAMES), dt, None, True, "drawn")


def check_file(image: Image, title: str, data: Dataset) -> str:
    """C99: all frames of `data` with the golden model's answers. Raises UserError where data do not fit the image."""
    device = Device(GoldenTransport(image.config))
    device.load(image)
    found = device.run(data)
    dt = image.data_dt(data.dt, data.dt_given)
    lines = []
    for b, length in enumerate(data.lengths):
        number = np.arange(1, length + 1)
        words = encode(image, data.x[b, :length], dt[b, :length], number, name=data.name).words
        for t in range(length):
            header = [int(word) for word in words[t, :HEADER_WORDS]]
            log2_dt = (header[3] ^ 0x8000) - 0x8000
            inputs = ", ".join(str(word) for word in words[t, HEADER_WORDS:].view(np.int16).tolist())
            outputs = ", ".join(str(word) for word in found.words[b, t].tolist())
            report = ", ".join(str(int(getattr(found, name)[b, t])) for name in REPORT)
            first, ticks = header[0] & Flag.FIRST, header[1] | header[2] << 16
            lines.append(f"    {{{first}, {ticks}u, {log2_dt}, {{{inputs}}}, {{{outputs}}}, {report}}},\n")
    frames = f"static const checked FRAMES[] = {{\n{''.join(lines)}}};\n"
    return filled("check.c", {"title": f"/* {tidy(title)}: frames of {tidy(data.name)}. */\n", "frames": frames})
