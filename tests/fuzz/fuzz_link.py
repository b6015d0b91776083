# SPDX-License-Identifier: BSD-2-Clause
"""Coverage-guided fuzzing of the host's end of the link: any bytes, in portions of any size, give the sound frames that
are in them, the same in whatever portions they came, and never an exception.

Mutations are made frames with a right CRC, so that they come past it. Run by tests/fuzz/run.py; arguments are
libFuzzer's. An input: portion, then the bytes.
"""

import random
import sys
import zlib
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["liquid_accel.driver.link_codec"]):
    from liquid_accel.driver import link_codec

from fuzz.limits import bounded

from liquid_accel.rtl.link import ESCAPE, ESCAPE_FLIP, FLAG, REQUEST_WORDS, RESPONSE_WORDS

LIMIT = link_codec.frame_bytes(link_codec.MAX_RESPONSE_WORDS)


def frames(data: bytes, portion: int) -> list[bytes]:
    decoder = link_codec.FrameDecoder()
    found = [frame for at in range(0, len(data), portion) for frame in decoder.feed(data[at : at + portion])]
    if decoder.received != len(data) or decoder.sound != len(found):
        raise AssertionError("bytes or frames that were not counted")
    if len(decoder._held) > LIMIT:
        raise AssertionError("more bytes are held than a frame has")
    return found


def expected(data: bytes) -> list[bytes]:
    """The same from the page (docs/link.md), byte by byte."""
    found: list[bytes] = []
    content, escaped, broken = bytearray(), False, False
    for byte in data:
        if byte == FLAG:
            whole = len(content) % 2 == 0 and 6 <= len(content) <= 2 * (RESPONSE_WORDS + 4)
            right = zlib.crc32(content[:-4]) == int.from_bytes(content[-4:], "little")
            if whole and right and not (escaped or broken):
                found.append(bytes(content[:-4]))
            content, escaped, broken = bytearray(), False, False
        elif byte == ESCAPE and not escaped:
            escaped = True
        else:
            value = byte ^ ESCAPE_FLIP if escaped else byte
            broken |= escaped and value not in (FLAG, ESCAPE)
            content.append(value)
            escaped = False
    return found


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Any bytes, with a whole frame of some of them put in here or there."""
    draw = random.Random(seed)
    data = bytes(atheris.Mutate(data, max_size - 2))
    if draw.random() < 0.3:
        return data
    first = draw.randrange(len(data) + 1)
    content = data[first : first + 2 * draw.randrange(1, 140)]
    framed = link_codec.encode_frame(content[: len(content) & ~1])
    return (data[:first] + framed + data[first + len(content) :])[:max_size]


def one(data: bytes) -> None:
    portion, data = data[0] % 97 + 1 if data else 1, data[1:]
    found = frames(data, portion)
    if found != frames(data, max(1, len(data))) or found != expected(data):
        raise AssertionError(f"frames differ: {found}")
    for content in found:
        if frames(link_codec.encode_frame(content), 7) != [content]:
            raise AssertionError("a frame that does not come back")
        response = link_codec.decode_response(content)
        if response is not None and len(response.words) != len(content) - 4:
            raise AssertionError(f"words that are not the frame's: {response}")


if __name__ == "__main__":
    assert REQUEST_WORDS == RESPONSE_WORDS
    atheris.Setup(sys.argv, bounded(one), custom_mutator=mutate)
    atheris.Fuzz()
