# SPDX-License-Identifier: BSD-2-Clause
"""One request at a time over a wire that loses, repeats and damages what it carries: tags, tries and time-outs.

A request goes out, the same bytes under the same tag, until a sound answer with that tag comes; the device carries it
out once, however often it arrives. So it is carried out exactly once, or the session says that it does not know
(`DeviceLost`).
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from liquid_accel.driver.channel import Channel, ChannelError
from liquid_accel.driver.link_codec import (
    MAX_RESPONSE_WORDS,
    MIN_FRAME_WORDS,
    FrameDecoder,
    Response,
    decode_response,
    encode_request,
    frame_bytes,
)
from liquid_accel.rtl.link import LINK_VERSION, Code
from liquid_accel.rtl.transport import WORD_BITS, DeviceLost, TransportError

TAGS = 1 << WORD_BITS
APART = 1 << 10  # tags between two sessions
READ_BYTES = 4096


@dataclass(frozen=True)
class Patience:
    """How long an answer is waited for beyond what its request asks for, and how often it is asked for again.

    Time-outs start at `answer_s` and double up to `longest_s`. `tries` bounds requests that nothing answered,
    `damaged_tries` those that were answered with DAMAGED. `quiet_s`: a wire silent for that long is taken for empty.
    """

    answer_s: float = 0.25
    longest_s: float = 2.0
    tries: int = 8
    damaged_tries: int = 64
    quiet_s: float = 0.02


@dataclass
class Statistics:
    """What the wire cost so far: requests, those sent again, and answers that nobody waited for any more."""

    requests: int = 0
    timeouts: int = 0
    damaged: int = 0
    late: int = 0


class _Unanswered(Exception):
    """All tries are spent; the message says on what."""


class LinkSession:
    """Requests over `channel`; `clock` counts seconds. `lost` says why there is no session, if there is none."""

    def __init__(self, channel: Channel, patience: Patience, clock: Callable[[], float]) -> None:
        self._channel = channel
        self._patience = patience
        self._clock = clock
        self._decoder = FrameDecoder()
        self._answers: deque[Response] = deque()
        self._tag = secrets.randbelow(TAGS)
        self._pending: tuple[int, bytes, float, int] | None = None
        self.lost: str | None = "no session has begun"
        self.statistics = Statistics()

    def begin(self, tag: int | None = None) -> None:
        """SYNC with `tag`, by default a random one; what was under way before is forgotten.

        Raises `TransportError` where no device answers, or one that speaks another version.
        """
        name = self._channel.name
        self.lost = "it was opened again, and no device has answered since"
        self._pending = None
        self._decoder.reset()
        self._settle()
        received, sound = self._decoder.received, self._decoder.sound
        if tag is None:
            # Far from the last one: what was said then and comes only now is no answer to anything.
            tag = (self._tag + APART + secrets.randbelow(TAGS - 2 * APART)) % TAGS
        self._tag = tag
        try:
            response = self._exchange(self._tag, encode_request(self._tag), 0.0, 1)
        except _Unanswered as error:
            got = self._decoder.received - received
            noise = got and self._decoder.sound == sound
            what = f", and the {got} bytes that came hold no sound frame" if noise else ""
            raise TransportError(f"{name}: {error}{what}; check {self._channel.advice}") from None
        version = int.from_bytes(response.words, "little")
        if response.code is not Code.OK or version != LINK_VERSION:
            raise TransportError(f"{name}: the device speaks version {version} of the link; expected {LINK_VERSION}")
        self.lost = None

    def ask(self, operations: bytes, wait_s: float, answers: int) -> bytes:
        """Carry out one request, which may take `wait_s` seconds and answers `answers` words at most; returns those.

        Raises `DeviceLost`.
        """
        if self.lost:
            raise DeviceLost(f"{self._channel.name}: {self.lost}")
        if self._pending:
            # A call was interrupted: its request may be on its way, or carried out, or neither.
            self._finish(*self._pending)
        self._tag = (self._tag + 1) % TAGS
        self._pending = self._tag, encode_request(self._tag, operations), wait_s, answers
        return self._finish(*self._pending)

    def _finish(self, tag: int, frame: bytes, wait_s: float, answers: int) -> bytes:
        try:
            response = self._exchange(tag, frame, wait_s, answers)
        except _Unanswered as error:
            raise self._lose(f"{error}; check {self._channel.advice}") from None
        except ChannelError as error:
            raise self._lose(str(error).removeprefix(f"{self._channel.name}: ")) from error
        if response.code is Code.CLOSED:
            raise self._lose("the device was reset, and what it held is gone")
        if response.code is not Code.OK:
            raise self._lose("another host spoke to the device, and what it holds is not known")
        self._pending = None
        return response.words

    def _lose(self, reason: str) -> DeviceLost:
        self.lost = reason
        return DeviceLost(f"{self._channel.name}: {reason}")

    def _exchange(self, tag: int, frame: bytes, wait_s: float, answers: int) -> Response:
        """Send `frame` until a response with its tag comes. Raises `_Unanswered` and `ChannelError`."""
        on_wire = len(frame) + frame_bytes(MIN_FRAME_WORDS + 1 + answers)
        # Twice: neither clock is exact.
        least = 2 * (wait_s + on_wire * self._channel.seconds_a_byte)
        timeouts = damaged = sent = heard = 0
        self.statistics.requests += 1
        while timeouts < self._patience.tries and damaged < self._patience.damaged_tries:
            self._channel.write(frame)
            sent += 1
            beyond = min(self._patience.answer_s * 2**timeouts, self._patience.longest_s)
            deadline = self._clock() + least + beyond
            while True:
                response = self._receive(deadline)
                if response is None:
                    timeouts += 1
                    self.statistics.timeouts += 1
                    break
                heard += 1
                if response.code is Code.DAMAGED:
                    damaged += 1
                    self.statistics.damaged += 1
                    if damaged > 1:
                        self._settle()
                    break
                if response.tag == tag:
                    if heard < sent:
                        self._settle()
                    return response
                self.statistics.late += 1
        raise _Unanswered(f"no answer to any of {timeouts} tries" if timeouts else "every request arrives damaged")

    def _receive(self, deadline: float) -> Response | None:
        """The next response, or None once `deadline` has passed without one."""
        while not self._answers:
            left = deadline - self._clock()
            if left <= 0:
                return None
            self._hear(left)
        return self._answers.popleft()

    def _hear(self, timeout_s: float) -> bool:
        """Take in what arrives within `timeout_s`; returns whether anything did."""
        data = self._channel.read(READ_BYTES, timeout_s)
        for content in self._decoder.feed(data):
            response = decode_response(content)
            if response is not None:
                self._answers.append(response)
        return bool(data)

    def _settle(self) -> None:
        """Wait until the wire is silent, and forget what came.

        A device that answers DAMAGED misses what arrives meanwhile. With two copies of a request on the wire it would
        find the tail of the second damaged, and the third, if each answer sent one more: so only the first DAMAGED is
        answered at once. Bounded: a wire that is never silent is left as it is.
        """
        silence = self._patience.quiet_s + 2 * frame_bytes(MAX_RESPONSE_WORDS) * self._channel.seconds_a_byte
        deadline = self._clock() + self._patience.longest_s
        while self._hear(silence) and self._clock() < deadline:
            pass
        self._answers.clear()
