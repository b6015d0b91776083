# SPDX-License-Identifier: BSD-2-Clause
"""A streamed sequence with several frames under way: what goes in, what comes out, and when there is room."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.decode import Decoder
from liquid_accel.driver.encoder import Encoder
from liquid_accel.driver.errors import DeviceError, say_lost
from liquid_accel.driver.flow import NOTHING, Flow, batch_mark
from liquid_accel.driver.machine import Machine
from liquid_accel.driver.steps import Answer
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl import isa

Frame = npt.ArrayLike
Source = Iterable[Frame | tuple[Frame, float | None]]


def frames_of(item: Any) -> tuple[Any, Any]:
    """(frame, dt) of what a source gave: a frame alone, or a pair."""
    if isinstance(item, tuple) and len(item) == 2 and np.ndim(item[0]) == 1:
        return item
    return item, None


class Stream:
    """`put` frames while there is `room`, and make a `trip` for their answers while any are `under_way`.

    One thread may put while another makes a trip. `lock` is the device's. Closed early, it aborts what is under way.
    """

    def __init__(
        self,
        lock: threading.RLock,
        machine: Machine,
        image: Image,
        encoder: Encoder,
        depth: int | None,
        traced: bool,
    ) -> None:
        self._lock, self._machine, self._image, self._encoder = lock, machine, image, encoder
        self._decoder = Decoder(image, 0, traced)
        # Awake as soon as a frame is there: what else has come meanwhile is read as well.
        mark = batch_mark(image, traced) if traced else self._decoder.frame_words
        self._flow = Flow(machine.session, self._decoder, machine.capacity, mark)
        self._width = isa.HEADER_WORDS + image.inputs
        self._depth = depth or max(1, image.config.fifo_words // self._width)
        self._traced = traced
        self._waiting: deque[npt.NDArray[np.uint16]] = deque()
        self._saturated: deque[int] = deque()
        self._put = self._given = 0  # frames that came in; answers that went out
        self.open = True

    @property
    def under_way(self) -> int:
        """Frames that were put and whose answers are not here."""
        return self._put - self._given

    @property
    def room(self) -> bool:
        """Whether another frame may be put."""
        return self.under_way < self._depth

    def put(self, frame: npt.ArrayLike, dt: float | None = None) -> None:
        """Take one more frame of the sequence; the next trip sends it. Raises `UserError` for one that is not sound."""
        words, saturated = self._encoder.frame(frame, dt, self._put + 1, self._traced)
        self._saturated.append(saturated)
        self._waiting.append(words)
        self._put += 1

    def trip(self) -> list[Answer]:
        """Send what fits and take what has come, waiting for it a second at most; the answers, in order.

        Something must be under way. Raises `DeviceError`, which ends the stream, and `UserError` after its end.
        """
        with self._lock:
            if not self.open:
                raise UserError("stream: it was ended by another call; expected a new one")
            try:
                self._flow.trip(self._next_words())
            except BaseException as error:
                self.open = False
                self._machine.failed(error)
                say_lost(error, self._given)
                raise
            answers = []
            while self._decoder.done:
                answers.append(
                    Answer(self._image, self._decoder.release(), self._saturated.popleft(), self._traced)
                )
            self._given += len(answers)
            return answers

    def _next_words(self) -> npt.NDArray[np.uint16]:
        """Words of the frames that wait and fit."""
        count = min(len(self._waiting), self._flow.room // self._width)
        self._decoder.frames += count
        words = [self._waiting.popleft() for _ in range(count)]
        return np.concatenate(words) if words else NOTHING

    def close(self) -> None:
        """End the sequence; a second call does nothing. What is under way is lost."""
        with self._lock:
            if not self.open:
                return
            self.open = False
            if self._decoder.frames:
                with suppress(DeviceError):  # the next call puts the device in order, or says why it cannot
                    self._machine.abort()
