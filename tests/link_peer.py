# SPDX-License-Identifier: BSD-2-Clause
"""The host's end of the link for tests of the device's end: docs/link.md once more, in plain Python and zlib."""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OK, DAMAGED, SEQUENCE, CLOSED = range(4)
VERSION = 1
FLAG = b"\x7e"


def content(words: Iterable[int]) -> bytes:
    """Words and the CRC behind them, before escaping."""
    text = b"".join(word.to_bytes(2, "little") for word in words)
    return text + zlib.crc32(text).to_bytes(4, "little")


def escape(text: bytes) -> bytes:
    return text.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")


def unescape(text: bytes) -> bytes:
    out, after = bytearray(), False
    for byte in text:
        if after:
            out.append(byte ^ 0x20)
            after = False
        elif byte == 0x7D:
            after = True
        else:
            out.append(byte)
    assert not after, "a frame ends with an escape"
    return bytes(out)


def frame(words: Iterable[int]) -> bytes:
    return FLAG + escape(content(words)) + FLAG


def write(address: int, words: Sequence[int], count: int | None = None) -> list[int]:
    return [address | (len(words) if count is None else count) << 8 | 1 << 15, *words]


def read(address: int, count: int = 1) -> list[int]:
    return [address | count << 8]


def wait(units: int) -> list[int]:
    return [units]


SKIP = [1 << 15]


@dataclass(frozen=True)
class Answer:
    """A response taken apart."""

    tag: int
    code: int
    interrupt: int
    words: tuple[int, ...]


def answer(text: bytes) -> Answer:
    """What stands between two flags; AssertionError where it is not a response as it should be."""
    plain = unescape(text)
    assert len(plain) % 2 == 0 and len(plain) >= 8, f"{len(plain)} bytes"
    words = [int.from_bytes(plain[i : i + 2], "little") for i in range(0, len(plain) - 4, 2)]
    assert content(words) == plain, "the CRC is wrong"
    tag, status, *rest = words
    assert status & 0x80F4 == 0, f"status {status:#06x} has bits that mean nothing"
    assert status >> 8 & 0x7F == len(rest), f"status {status:#06x} with {len(rest)} words"
    return Answer(tag, status & 3, status >> 3 & 1, tuple(rest))


def answers(stream: bytes) -> list[Answer]:
    """Every response of a stream that has nothing else but flags in it."""
    assert stream.startswith(FLAG) == stream.endswith(FLAG) == bool(stream), "bytes outside of frames"
    return [answer(part) for part in stream.split(FLAG) if part]
