# SPDX-License-Identifier: BSD-2-Clause
"""A wire without length: a channel whose other end carries out requests of the link at once, for `LinkTransport`."""

from __future__ import annotations

import struct
import time

from liquid_accel.bench.loopback import LoopBack
from liquid_accel.driver.link_codec import FrameDecoder, encode_frame
from liquid_accel.rtl.link import CRC_WORDS, LINK_VERSION, OPERATION_FIELDS, REQUEST_WORDS, STATUS_FIELDS, Code


def _places(fields: tuple[tuple[str, int], ...]) -> dict[str, tuple[int, int]]:
    """Lowest bit and mask of each field."""
    places, low = {}, 0
    for name, width in fields:
        places[name] = low, (1 << width) - 1
        low += width
    return places


_OPERATION, _STATUS = _places(OPERATION_FIELDS), _places(STATUS_FIELDS)
_ADDRESS_LOW, _ADDRESS = _OPERATION["address"]
_COUNT_LOW, _COUNT = _OPERATION["count"]
_WRITE_LOW, _ = _OPERATION["write"]


class LinkLoop:
    """A `Channel` to `bus`. `seconds`: what the other end took, which a host would not spend."""

    name, advice, seconds_a_byte = "loop", "nothing", 0.0

    def __init__(self, bus: LoopBack) -> None:
        self._bus = bus
        self._decoder = FrameDecoder(1 + REQUEST_WORDS + CRC_WORDS)
        self._answers = b""
        self.seconds = 0.0

    def write(self, data: bytes) -> None:
        """Carry out what arrives."""
        start = time.process_time()
        for content in self._decoder.feed(data):
            tag, *words = struct.unpack(f"<{len(content) // 2}H", content)
            answers = self._carry_out(words) if words else [LINK_VERSION]
            status = int(Code.OK) << _STATUS["code"][0] | len(answers) << _STATUS["count"][0]
            self._answers += encode_frame(struct.pack(f"<{2 + len(answers)}H", tag, status, *answers))
        self.seconds += time.process_time() - start

    def _carry_out(self, words: list[int]) -> list[int]:
        answers: list[int] = []
        at = 0
        while at < len(words):
            operation = words[at]
            address, count = operation >> _ADDRESS_LOW & _ADDRESS, operation >> _COUNT_LOW & _COUNT
            at += 1
            if operation >> _WRITE_LOW:
                self._bus.write(address, words[at : at + count])
                at += count
            else:
                answers += self._bus.read(address, count).tolist() if count else [1]
        return answers

    def read(self, limit: int, timeout_s: float) -> bytes:
        """All that was answered."""
        answers, self._answers = self._answers[:limit], self._answers[limit:]
        return answers

    def close(self) -> None:
        """Nothing is held."""

    def reopen(self) -> None:
        """Nothing is left."""
        self._answers = b""
