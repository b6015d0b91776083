# SPDX-License-Identifier: BSD-2-Clause
"""One frame, one transaction: send it, wait, read its answer and STATUS."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.decode import Decoder
from liquid_accel.driver.flow import NOTHING, Flow, batch_mark
from liquid_accel.driver.result import Result, collect
from liquid_accel.driver.session import IN_DATA, OUT_DATA, READ_STATUS, WAIT_S, Session
from liquid_accel.image import Image
from liquid_accel.rtl import isa
from liquid_accel.rtl.transport import Operation, Read, Wait, Write

Words = npt.NDArray[np.uint16]


@dataclass(eq=False)
class Answer:
    """What came for one frame: `y` (outputs,) at once, all else when it is asked for."""

    image: Image
    words: Words | Decoder  # an answer of a plain frame, not taken apart, or a decoder of one frame
    saturated: int
    traced: bool

    @cached_property
    def decoder(self) -> Decoder:
        """The words, taken apart."""
        if isinstance(self.words, Decoder):
            return self.words
        decoder = Decoder(self.image, 1, False)
        decoder.feed(self.words)
        return decoder

    @property
    def y(self) -> npt.NDArray[np.float32]:
        """The outputs."""
        image = self.image
        if isinstance(self.words, Decoder):
            words = np.array(self.words.outputs[0][: image.outputs], np.uint16)
        else:
            words = self.words[1 : 1 + image.outputs]
        return (words.view(np.int16) / 2.0**image.output_frac_bits).astype(np.float32)

    @cached_property
    def result(self) -> Result:
        """A `Result` of one sequence of one frame."""
        lengths, saturated = np.ones(1, np.int32), np.array([self.saturated], np.int64)
        return collect(self.image, self.decoder, lengths, 1, saturated, steps=self.traced)


class Stepper:
    """Frames of `image`, one after the other; no other frame is under way. The device must be ready."""

    def __init__(self, image: Image, session: Session) -> None:
        self._image, self._session = image, session
        self._vector = isa.MARK_VECTOR | image.output_words
        self._trailer = 1 + image.output_words
        self._words = self._trailer + isa.TRAILER_WORDS
        self._rest: tuple[Operation, ...] = (
            Wait(min(WAIT_S, session.patience_s)), Read(OUT_DATA, self._words), READ_STATUS
        )  # fmt: skip

    def step(self, words: Words, saturated: int, traced: bool) -> Answer:
        """Send a frame's words; its answer. Raises `DeviceError`."""
        session, sent = self._session, 0
        decoder = Decoder(self._image, 1, traced)
        if not traced:
            session.interrupted()
            operations = [Write(IN_DATA, words), *session.mark(self._words), *self._rest]
            answers = session.transact(operations)
            sent = words.size
            if len(answers) == len(operations):
                session.check(int(answers[-1][0]))
                got = answers[-2]
                if got[0] == self._vector and got[self._trailer] & isa.MARK_MASK == isa.MARK_DONE:
                    return Answer(self._image, got, saturated, False)
                decoder.feed(got)  # a frame that a budget cut short has more words, and others are an error
        flow = Flow(session, decoder, sys.maxsize, batch_mark(self._image, traced), sent)
        while not decoder.complete:
            flow.trip(NOTHING if sent else words)
            sent = words.size
        return Answer(self._image, decoder, saturated, traced)
