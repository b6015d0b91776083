# SPDX-License-Identifier: BSD-2-Clause
"""One frame at a time to words, with everything that does not change computed beforehand. The words are `encode`'s."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from liquid_accel.data import from_arrays
from liquid_accel.driver.frames import WORD_HIGH, WORD_LOW, Words, encode_inputs, encode_time, pool_weight
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl import isa

SPACINGS = 1024  # different dt whose words are kept


class Encoder:
    """Frames of a streamed sequence for `image`. Cost: some 10 µs a frame."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._mean = np.array(image.input_mean, np.float64)
        self._scale = np.array(image.input_scale, np.float64)
        self._steps = 2.0**image.input_frac_bits
        self._default_dt = float(image.default_dt)
        self._shape = (image.inputs,)
        self._width = isa.HEADER_WORDS + image.inputs
        self._time = lru_cache(SPACINGS)(self._time_words)

    def frame(self, frame: npt.ArrayLike, dt: npt.ArrayLike | None, number: int, traced: bool) -> tuple[Words, int]:
        """Words of the `number`th frame of a sequence, from 1, and how many of its inputs saturated.

        `frame` (features,) and `dt`, None for the model's own spacing, are checked as data sets are, and refused with
        a `UserError`.
        """
        given = x = np.asarray(frame)
        if x.shape != self._shape or x.dtype.kind not in "fiub" or not (dt is None or isinstance(dt, _NUMBERS)):
            x, dt = self._checked(given, dt)
        elif x.dtype != np.float32:
            with np.errstate(over="ignore"):  # what becomes infinite is found below
                x = x.astype(np.float64).astype(np.float32)
        words: Words = np.empty(self._width, np.uint16)
        scaled = np.rint((x.astype(np.float64) - self._mean) / self._scale * self._steps)
        saturated = 0
        if scaled.min() >= WORD_LOW and scaled.max() <= WORD_HIGH:
            words[isa.HEADER_WORDS :] = scaled.astype(np.int16).view(np.uint16)
        else:  # too large for a word, or not a number
            self._checked(given, dt)
            clipped, counts = encode_inputs(self._image, x[None])
            words[isa.HEADER_WORDS :] = clipped[0].view(np.uint16)
            saturated = int(counts[0])
        words[0] = (_FIRST if number == 1 else 0) | (_TRACE if traced else 0)
        words[1:4] = self._time(self._default_dt if dt is None else float(dt))
        words[4] = pool_weight(number)
        return words, saturated

    def _time_words(self, dt: float) -> Words:
        if not 0.0 <= dt < float("inf"):
            raise UserError(f"frame: dt of sequence 0, frame 0 is {dt}; expected finite and >= 0")
        ticks, logs = encode_time(self._image, np.array([dt]), "frame")
        return np.array([ticks[0] & 0xFFFF, ticks[0] >> 16, logs.view(np.uint16)[0]], np.uint16)

    def _checked(self, x: npt.NDArray[np.generic], dt: npt.ArrayLike | None) -> tuple[npt.NDArray[np.float32], float]:
        """The frame as a data set of one sequence of one frame, with all its checks."""
        arrays = {"x": x[None] if x.ndim == 1 else x} | ({} if dt is None else {"dt": np.asarray(dt)})
        batch = from_arrays(arrays, self._default_dt, "frame")
        if batch.x.shape[:2] != (1, 1):
            raise UserError(f"frame: its shape is {x.shape}; expected {self._shape}, one frame")
        check_width(self._image, batch.x.shape[2], "frame")
        return batch.x[0, 0], float(batch.dt[0, 0])


def check_width(image: Image, features: int, name: str) -> None:
    """Raise `UserError` where frames have another number of features than the image's."""
    if features != image.inputs:
        raise UserError(f"{name}: x has {features} features a frame; expected {image.inputs}")


_NUMBERS = (float, int, np.floating, np.integer)
_FIRST, _TRACE = int(isa.Flag.FIRST), int(isa.Flag.TRACE)
