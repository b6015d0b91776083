# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the link: what is encoded comes back, and what is not a sound frame never does."""

import struct
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from link_twin import EchoBus, LinkTwin

from liquid_accel.driver.link_codec import (
    MAX_RESPONSE_WORDS,
    FrameDecoder,
    decode_response,
    encode_frame,
    encode_request,
    frame_bytes,
)
from liquid_accel.driver.link_requests import pack, prepare
from liquid_accel.rtl.link import CRC_POLYNOMIAL, CRC_RESIDUE, Code
from liquid_accel.rtl.transport import Read, TransportError, Wait, Write

contents = st.binary(min_size=1, max_size=MAX_RESPONSE_WORDS - 2).filter(lambda b: len(b) % 2 == 0)
# Flags and escapes much more often than one byte in 128.
nasty = st.lists(st.sampled_from([0x7E, 0x7D, 0x5E, 0x5D, 0x20, 0]) | st.integers(0, 255), max_size=400).map(bytes)


def crc(data: bytes) -> int:
    """CRC-32 a bit at a time, before the final exclusive-or."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (CRC_POLYNOMIAL if value & 1 else 0)
    return value


def in_pieces(decoder: FrameDecoder, data: bytes, cuts: list[int]) -> list[bytes]:
    frames, at = [], 0
    for cut in cuts:
        frames += decoder.feed(data[at : at + cut])
        at += cut
    return frames + decoder.feed(data[at:])


def test_a_frame_byte_for_byte():
    # SYNC with the tag 0x7d7e: both of its bytes are escaped.
    frame = encode_request(0x7D7E)
    check = struct.pack("<I", crc(b"\x7e\x7d") ^ 0xFFFFFFFF)
    assert not set(check) & {0x7D, 0x7E}
    assert frame == b"\x7e" + b"\x7d\x5e\x7d\x5d" + check + b"\x7e"


@given(contents)
def test_the_crc_is_that_of_the_document(content):
    (found,) = FrameDecoder().feed(encode_frame(content)) if len(content) >= 2 else [content]
    assert found == content
    body = encode_frame(content)[1:-1].replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    assert crc(body) == CRC_RESIDUE


@given(st.lists(contents | nasty.filter(lambda b: 2 <= len(b) <= 250 and len(b) % 2 == 0), max_size=5),
       st.lists(st.integers(0, 60)))  # fmt: skip
def test_all_content_comes_back_however_it_is_cut(frames, cuts):
    data = b"".join(map(encode_frame, frames))
    assert in_pieces(FrameDecoder(), data, cuts) == frames


@given(nasty, contents, st.lists(st.integers(0, 60)))
def test_after_any_garbage_the_next_frame_is_found(garbage, content, cuts):
    decoder = FrameDecoder()
    found = in_pieces(decoder, garbage + encode_frame(content), cuts)
    assert found[-1] == content
    # The garbage cannot have a right CRC but by a chance of 2**-32.
    assert found[:-1] == []


@given(contents, st.data())
def test_a_damaged_frame_never_passes(content, data):
    """Up to 3 flipped bits, a run of missing bytes, or both ends cut: nothing or the content itself comes out."""
    frame = bytearray(encode_frame(content))
    kind = data.draw(st.sampled_from(["flip", "drop", "insert"]))
    at = data.draw(st.integers(0, len(frame) - 1))
    if kind == "flip":
        for _ in range(data.draw(st.integers(1, 3))):
            frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    elif kind == "drop":
        del frame[at : at + data.draw(st.integers(1, 20))]
    else:
        frame[at:at] = data.draw(nasty)
    assert FrameDecoder().feed(bytes(frame) + b"\x7e") in ([], [content])


@given(st.binary(max_size=2000) | nasty, st.lists(st.integers(0, 100)))
def test_any_bytes_are_survived_and_what_comes_out_has_its_crc(data, cuts):
    decoder = FrameDecoder()
    for content in in_pieces(decoder, data, cuts):
        decode_response(content)
        assert encode_frame(content)[1:-1] in data


@pytest.mark.parametrize("byte", [b"\x00", b"\x7d", b"\x7d\x5e"])
def test_memory_is_bounded(byte):
    decoder = FrameDecoder()
    for _ in range(200):
        assert decoder.feed(byte * 5000) == []
        assert sys.getsizeof(decoder._held) < 2 * frame_bytes(MAX_RESPONSE_WORDS)
    assert decoder.feed(b"\x7e" + encode_frame(b"ok")) == [b"ok"]
    assert decoder.damaged == 1


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "too short"), (b"\x01\x02\x03", "odd"), (b"\x00" * 2 * (MAX_RESPONSE_WORDS - 1), "too long")],
)
def test_content_of_a_wrong_length_is_damage(content, why):
    decoder = FrameDecoder()
    assert decoder.feed(encode_frame(content)) == [], why
    assert decoder.damaged == 1


def test_a_flag_after_an_escape_is_damage():
    frame = encode_frame(b"abcd")
    assert FrameDecoder().feed(frame[:-1] + b"\x7d\x7e") == []


@given(st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=250))
def test_a_response_is_what_its_status_says(tag, status, words):
    words = words[: len(words) // 2 * 2]
    found = decode_response(struct.pack("<HH", tag, status) + words)
    if status & 7 > 3 or status >> 8 & 127 != len(words) // 2:
        assert found is None
    else:
        assert (found.tag, found.code, found.interrupt) == (tag, Code(status & 7), bool(status >> 3 & 1))
        assert found.words == words


# ---- Packing ---------------------------------------------------------------------------------------------------

operations = st.one_of(
    st.builds(Write, st.integers(0, 255), st.lists(st.integers(0, 65535), max_size=300)),
    st.builds(Read, st.integers(0, 255), st.integers(0, 300)),
    st.builds(Wait, st.floats(0, 1)),
)


@given(st.lists(operations, max_size=8))
def test_requests_keep_the_limits_and_carry_out_everything_in_order(listed):
    """The twin carries them out: what reaches its bus is what was asked, word for word."""
    prepared = [prepare(operation) for operation in listed]
    bus, position, requests = EchoBus(), (0, 0), 0
    bus.wait = lambda timeout_s: True
    twin = LinkTwin(bus)
    while position[0] < len(prepared):
        request = pack(prepared, position, lambda index: 7)
        assert request.next > position
        position = request.next
        if request.pieces:
            requests += 1
            assert len(request.operations) <= 2 * 125
            _, answers = twin._carry_out(list(struct.unpack(f"<{len(request.operations) // 2}H", request.operations)))
            assert len(answers) == request.answers == sum(piece.answers for piece in request.pieces) <= 125
    done = [(kind, register, word) for kind, register, words in bus.log for word in words]
    asked = []
    for operation in listed:
        if isinstance(operation, Write):
            asked += [("write", operation.address, word) for word in operation.words]
        elif isinstance(operation, Read):
            asked += [("read", operation.address, None)] * operation.count
    assert [(k, a, w if k == "write" else None) for k, a, w in done] == asked
    # No fewer than words and answers need by themselves.
    words = sum(len(o.words) + 1 if isinstance(o, Write) and len(o.words) else 0 for o in listed)
    answers = sum(o.count if isinstance(o, Read) else isinstance(o, Wait) for o in listed)
    assert requests >= max(-(-words // 125), -(-answers // 125))


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([Write(1, [5] * 124)], 1),
        ([Write(1, [5] * 125)], 2),
        ([Read(1, 125)], 1),
        ([Read(1, 126)], 2),
        ([Write(1, [5] * 60), Wait(1.0), Read(2, 60)], 1),
        ([Read(1, 100), Write(1, [5] * 100), Read(1, 25)], 1),
        ([Write(1, [5] * 1240)], 10),
        ([Write(1, []), Read(1, 0)], 0),
    ],
)
def test_how_many_requests_a_transaction_takes(listed, expected):
    prepared = [prepare(operation) for operation in listed]
    position, requests = (0, 0), 0
    while position[0] < len(prepared):
        request = pack(prepared, position, lambda index: 1)
        position = request.next
        requests += bool(request.pieces)
    assert requests == expected


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        (Write(256, [0]), "address"), (Write(1, [65536]), "65535"), (Write(1, np.zeros((2, 2), int)), "dimension"),
        (Read(-1), "address"), (Read(1, -1), "words"), (Wait(-1.0), "-1.0 s"), (Wait(float("nan")), "nan s"),
    ],
)  # fmt: skip
def test_an_operation_that_cannot_be_is_refused(operation, words):
    with pytest.raises(TransportError, match=words):
        prepare(operation)
