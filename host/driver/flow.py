# SPDX-License-Identifier: BSD-2-Clause
"""Frames on their way through a device: both its FIFOs kept busy, several operations a trip over the wire.

The input FIFO needs no asking for its room: what it holds at most is what was sent, less the words of the frames that
have come out. And a device that has been sent whole frames is certain to give so many words for them, so that one
transaction sends frames, waits for some of those words, and reads them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.decode import Decoder
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.session import IN_DATA, OUT_DATA, READ_LEVEL, READ_STATUS, UNLIMITED, WAIT_S, Session
from liquid_accel.image import Image
from liquid_accel.rtl import isa
from liquid_accel.rtl.transport import Operation, Read, Wait, Write

Words = npt.NDArray[np.uint16]


def capacity(image: Image, room: int) -> int:
    """Words that the empty input FIFO takes, of which it said `room`. Raises `DeviceError` where that cannot be."""
    if room == UNLIMITED:
        return sys.maxsize
    if room < image.config.fifo_words:
        raise DeviceError(f"the input FIFO takes {room} words after an abort; expected {image.config.fifo_words}")
    return image.config.fifo_words


def batch_mark(image: Image, traced: bool) -> int:
    """Words of output to wake up for in a batch: a quarter of the FIFO leaves the device room to go on meanwhile.

    A device must never wait for room where the host waits for more words. For a frame it wants room for at most half
    of the FIFO, and for a step record half of it; then, where the frame is traced, for the state vector.
    """
    quarter = image.config.fifo_words // 4
    return max(1, min(quarter, image.config.fifo_words - image.state_words - 4)) if traced else quarter


class Flow:
    """Frames of `frame_words` words each, sent with `trip`; their answers go to `decoder`.

    `capacity`: words that the input FIFO holds. `mark`: words of output to wake up for, where so many are to come.
    """

    def __init__(self, session: Session, decoder: Decoder, capacity: int, mark: int, sent: int = 0) -> None:
        self._session, self._decoder, self._capacity, self._mark = session, decoder, capacity, mark
        self._frame_words = isa.HEADER_WORDS + decoder.image.inputs
        self._sent = sent  # words
        self._level = 0  # words that wait in the output FIFO, at least
        self._left = time.monotonic()  # when the last trip ended
        self._deadline = self._left + session.patience_s

    @property
    def room(self) -> int:
        """Words that the device takes now."""
        return self._capacity - self._sent + self._decoder.finished * self._frame_words

    def trip(self, words: Words) -> None:
        """Send `words`, at most `room`, and take what has come when there is something to take, or after WAIT_S.

        A whole frame must be under way. Raises `DeviceError`, also where none was finished for the patience of the
        session; time between trips does not count.
        """
        session, decoder = self._session, self._decoder
        session.interrupted()
        now = time.monotonic()
        self._deadline += now - self._left
        certain = decoder.words_left((self._sent + words.size) // self._frame_words)
        mark = min(self._mark, certain)
        operations: list[Operation] = [Write(IN_DATA, words)] if words.size else []
        operations += session.mark(mark)
        operations += [
            Wait(min(WAIT_S, max(0.0, self._deadline - now))), Read(OUT_DATA, max(mark, self._level)), READ_LEVEL,
            READ_STATUS,
        ]  # fmt: skip
        done = decoder.finished
        answers = session.transact(operations)
        self._sent += words.size
        if len(answers) == len(operations):
            status = int(answers[-1][0])
            session.check(status)
            self._level = int(answers[-2][0])
            decoder.feed(answers[-3])
        else:
            status, level = session.waiting()
            if level:
                decoder.feed(session.transact([Read(OUT_DATA, level)])[0])
            self._level = 0
        # Step records are no progress: a solver that never gets anywhere sends them without end.
        if decoder.finished != done:
            self._renew()
            return
        self._left = time.monotonic()
        if self._left > self._deadline:
            raise DeviceError(
                f"the device is stuck: no frame was finished for {session.patience_s:g} s, {decoder.finished} of "
                f"{decoder.started} are done (STATUS 0x{status:04x})"
            )

    def _renew(self) -> None:
        self._left = time.monotonic()
        self._deadline = self._left + self._session.patience_s


def exchange(flow: Flow, words: Words, decoder: Decoder, progress: Callable[[int], None] | None = None) -> None:
    """Send frames and take their answers until `decoder` has all. `progress` is told the number of finished frames."""
    at, said = 0, -1
    while not decoder.complete:
        burst = words[at : at + flow.room]
        at += burst.size
        flow.trip(burst)
        if progress and decoder.done != said:
            said = decoder.done
            progress(said)


NOTHING: Words = np.zeros(0, np.uint16)
