# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the link to bytes and back, as docs/link.md writes them: flags, escapes, CRC-32, tags and status words."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from liquid_accel.rtl.link import CRC_WORDS, ESCAPE, ESCAPE_FLIP, FLAG, RESPONSE_WORDS, STATUS_FIELDS, Code, field_lows

WORD_BYTES = 2
MIN_FRAME_WORDS = 1 + CRC_WORDS
HEAD_WORDS = 2  # of a response: its tag and its status
MAX_RESPONSE_WORDS = HEAD_WORDS + RESPONSE_WORDS + CRC_WORDS

_FLAG, _ESCAPE = bytes([FLAG]), bytes([ESCAPE])
_ESCAPED_FLAG, _ESCAPED_ESCAPE = (bytes([ESCAPE, byte ^ ESCAPE_FLIP]) for byte in (FLAG, ESCAPE))
_CRC = struct.Struct("<I")
_HEAD = struct.Struct("<HH")


def encode_frame(content: bytes) -> bytes:
    """`content` (whole words) with its CRC, escaped, between two flags."""
    content += _CRC.pack(zlib.crc32(content))
    escaped = content.replace(_ESCAPE, _ESCAPED_ESCAPE).replace(_FLAG, _ESCAPED_FLAG)
    return _FLAG + escaped + _FLAG


def frame_bytes(words: int) -> int:
    """The most bytes that a frame of `words` content words takes, every byte of it escaped."""
    return 2 * WORD_BYTES * words + 2


class FrameDecoder:
    """Bytes as they come, in pieces of any size, to the content of sound frames.

    Holds less than `frame_bytes(max_words)` bytes, whatever arrives: what is longer than the longest frame is dropped
    up to the next flag. `received` counts bytes, `sound` and `damaged` frames; empty frames count as nothing.
    """

    def __init__(self, max_words: int = MAX_RESPONSE_WORDS) -> None:
        self._least = MIN_FRAME_WORDS * WORD_BYTES
        self._most = max_words * WORD_BYTES
        self._limit = frame_bytes(max_words) - 2
        self._held = bytearray()
        self._overrun = False
        self.received = self.sound = self.damaged = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that end in `data`, in order, each without flags, escapes and CRC."""
        self.received += len(data)
        *ended, rest = data.split(_FLAG)
        frames = []
        for piece in ended:
            self._hold(piece)
            if self._held or self._overrun:
                content = None if self._overrun else self._content(bytes(self._held))
                if content is None:
                    self.damaged += 1
                else:
                    self.sound += 1
                    frames.append(content)
                self._held.clear()
                self._overrun = False
        self._hold(rest)
        return frames

    def reset(self) -> None:
        """Forget what has arrived of a frame that has not ended."""
        self._held.clear()
        self._overrun = False

    def _hold(self, piece: bytes) -> None:
        if len(self._held) + len(piece) > self._limit:
            self._overrun = True
            self._held.clear()
        elif not self._overrun:
            self._held += piece

    def _content(self, escaped: bytes) -> bytes | None:
        """Content of a frame, or None where it is damaged."""
        content = escaped
        escapes = escaped.count(_ESCAPE)
        if escapes:
            # No sender writes another pair, so a pair that is neither is damage, before the CRC says it.
            if escapes != escaped.count(_ESCAPED_FLAG) + escaped.count(_ESCAPED_ESCAPE):
                return None
            content = escaped.replace(_ESCAPED_FLAG, _FLAG).replace(_ESCAPED_ESCAPE, _ESCAPE)
        if not self._least <= len(content) <= self._most or len(content) % WORD_BYTES:
            return None
        body, check = content[: -_CRC.size], content[-_CRC.size :]
        return body if zlib.crc32(body) == _CRC.unpack(check)[0] else None


# ---- Requests and responses ------------------------------------------------------------------------------------


def encode_request(tag: int, operations: bytes = b"") -> bytes:
    """The frame of a request; without operations it is SYNC."""
    return encode_frame(tag.to_bytes(WORD_BYTES, "little") + operations)


@dataclass(frozen=True)
class Response:
    """What a device answered: the tag of the request, what became of it, and the words, two bytes each."""

    tag: int
    code: Code
    interrupt: bool
    words: bytes


def decode_response(content: bytes) -> Response | None:
    """The response that a sound frame holds, or None where it holds none: a code or a count that no device sends."""
    if len(content) < _HEAD.size:
        return None
    tag, status = _HEAD.unpack_from(content)
    fields = {name: status >> _LOWS[name] & (1 << width) - 1 for name, width in STATUS_FIELDS}
    words = content[_HEAD.size :]
    if fields["code"] not in _CODES or fields["count"] * WORD_BYTES != len(words):
        return None
    return Response(tag, Code(fields["code"]), bool(fields["interrupt"]), words)


_CODES = frozenset(map(int, Code))
_LOWS = field_lows(STATUS_FIELDS)
