# SPDX-License-Identifier: BSD-2-Clause
"""Frames as the device takes them: numbers to words, before anything is sent.

A frame is `isa.HEADER_WORDS` words of header and the inputs. With x, mean and scale in the data's units, u the
machine's time unit and t the number of the frame in its sequence, from 1:

    input word = sat16(rint((x - mean) / scale * 2**input_frac_bits))     ties to even; what saturates is counted
    ticks      = rint(dt / u * 2**20), 32 bits
    log2 dt    = rint(log2(dt / u) * 2**11), Q4.11; the most negative word where ticks is 0
    pool       = float code of 1/t: the weight of the frame in the running mean
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl import formats, isa

Words = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WORD_LOW, WORD_HIGH = -(1 << (formats.WORD - 1)), (1 << (formats.WORD - 1)) - 1
NO_TIME = WORD_LOW  # log2 dt of a frame with dt = 0
# The smallest weight that a float code holds. A mean over more frames than this forgets the oldest ones.
POOL_FRAMES = 1 << formats.FLOAT_BIAS


@dataclass(frozen=True)
class Encoded:
    """Frames in the order in which they are sent: `words` (frames, header + inputs), and per frame how many of its
    inputs `saturated`."""

    words: Words
    saturated: Ints


@lru_cache(maxsize=4096)
def pool_weight(frame: int) -> int:
    """Float code of 1/frame, `frame` from 1."""
    return formats.float_code(1.0 / min(frame, POOL_FRAMES))


def encode_inputs(image: Image, x: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.int16], Ints]:
    """Input words of x (frames, inputs), and how many saturated in each frame."""
    normal = (x.astype(np.float64) - np.array(image.input_mean)) / np.array(image.input_scale)
    rounded = np.rint(normal * 2.0**image.input_frac_bits)
    words = np.clip(rounded, WORD_LOW, WORD_HIGH)
    return words.astype(np.int16), (words != rounded).sum(1).astype(np.int64)


def encode_time(image: Image, dt: Floats, name: str = "data") -> tuple[Ints, npt.NDArray[np.int16]]:
    """Ticks and log2 dt of frames `dt` apart, in the unit of the data. Raises `UserError` where a frame is too long."""
    longest = float(dt.max(initial=0.0))
    ticks = np.rint(dt / image.machine_unit * (1 << formats.TICK_BITS))
    if longest > image.max_dt or ticks.max(initial=0.0) >= 1 << formats.TIME_WIDTH:
        unit = "frames" if image.time_unit_s is None else "s"
        raise UserError(f"{name}: dt is {longest:g} {unit}; expected at most {image.max_dt:g} {unit} with this image")
    logs = np.full(dt.shape, NO_TIME, np.int16)
    moving = ticks > 0
    scaled = np.rint(np.log2(dt[moving] / image.machine_unit) * (1 << formats.LOG2.frac_bits))
    logs[moving] = np.clip(scaled, NO_TIME + 1, WORD_HIGH).astype(np.int16)
    return ticks.astype(np.int64), logs


def encode(
    image: Image,
    x: npt.NDArray[np.floating],
    dt: Floats,
    number: Ints,
    *,
    trace: bool = False,
    name: str = "data",
) -> Encoded:
    """Frames x (frames, inputs), `dt` (frames,) apart, each the `number`th of its sequence, from 1.

    A frame with number 1 starts a sequence: its flag FIRST is what resets the network. `trace` asks for step records
    and states.
    """
    inputs, saturated = encode_inputs(image, x)
    ticks, logs = encode_time(image, dt, name)
    words: Words = np.empty((len(x), isa.HEADER_WORDS + image.inputs), np.uint16)
    words[:, 0] = np.where(number == 1, int(isa.Flag.FIRST), 0) | (int(isa.Flag.TRACE) if trace else 0)
    words[:, 1] = ticks & 0xFFFF
    words[:, 2] = ticks >> 16
    words[:, 3] = logs.view(np.uint16)
    codes = np.array([pool_weight(t) for t in range(1, int(number.max(initial=1)) + 1)], np.uint16)
    words[:, 4] = codes[number - 1]
    words[:, isa.HEADER_WORDS :] = inputs.view(np.uint16)
    return Encoded(words, saturated)
