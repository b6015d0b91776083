# SPDX-License-Identifier: BSD-2-Clause
"""Flags, escapes and CRC, bit by bit, against zlib and a codec in plain Python."""

import zlib
from typing import Any

from blocks import simulate
from hypothesis import given, settings
from hypothesis import strategies as st
from link_peer import FLAG, escape

from liquid_accel.rtl.framing import Deframer, Framer, SerialCrc
from liquid_accel.rtl.link import CRC_RESIDUE

# Bytes that need an escape come often.
TEXTS = st.binary(max_size=12) | st.lists(st.sampled_from([0x7D, 0x7E, 0x5D, 0x5E, 0x20, 0]), max_size=12).map(bytes)


async def crc_of(ctx: Any, crc: SerialCrc, text: bytes) -> None:
    ctx.set(crc.clear, 1)
    await ctx.tick()
    ctx.set(crc.clear, 0)
    ctx.set(crc.enable, 1)
    for bit in range(8 * len(text)):
        ctx.set(crc.bit, text[bit // 8] >> bit % 8 & 1)
        await ctx.tick()


@given(TEXTS, st.integers(0, (1 << 32) - 1))
@settings(max_examples=40, deadline=None)
def test_the_crc_is_that_of_zlib_and_leaves_the_residue(text: bytes, other: int) -> None:
    crc = SerialCrc()

    async def drained(ctx: Any, entering: int) -> int:
        """The result; `entering` takes its place."""
        ctx.set(crc.drain, 1)
        found = 0
        for bit in range(32):
            found |= ctx.get(crc.out) << bit
            ctx.set(crc.bit, entering >> bit & 1)
            await ctx.tick()
        return found

    async def bench(ctx: Any) -> None:
        await crc_of(ctx, crc, text)
        assert await drained(ctx, other) == zlib.crc32(text)
        assert ctx.get(crc.middle) == other >> 16 & 1
        assert await drained(ctx, 0) == other ^ 0xFFFFFFFF
        ctx.set(crc.drain, 0)
        await crc_of(ctx, crc, text + zlib.crc32(text).to_bytes(4, "little"))
        assert await drained(ctx, 0) == CRC_RESIDUE ^ 0xFFFFFFFF

    simulate(crc, bench)


@given(st.lists(TEXTS.filter(len), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_bytes_are_framed_and_taken_out_again(texts: list[bytes]) -> None:
    framer, wire = Framer(), bytearray()

    async def send(ctx: Any, byte: int, flag: bool) -> None:
        """As the engine does: the byte in a shift register, its bits counted."""
        ctx.set(framer.flag, flag)
        index = 0
        ctx.set(framer.byte, byte)
        ctx.set(framer.index, 0)
        ctx.set(framer.valid, 1)
        await ctx.tick()
        over = False
        while not over:
            await ctx.tick().repeat(2)
            sent = 0
            for bit in range(8):
                assert ctx.get(framer.sent.last) == (bit == 7)
                sent |= ctx.get(framer.sent.bit) << bit
                ctx.set(framer.sent.take, 1)
                taken, extra = ctx.get(framer.taken), ctx.get(framer.extra)
                over = bool(taken or ctx.get(framer.done))
                assert taken + extra == 1
                await ctx.tick()
                ctx.set(framer.sent.take, 0)
                if taken:
                    byte >>= 1
                    ctx.set(framer.byte, byte | 0x80 * (bit & 1))
                index = (index + 1) % 8
                ctx.set(framer.index, index)
            wire.append(sent)
        ctx.set(framer.valid, 0)

    async def bench(ctx: Any) -> None:
        await send(ctx, 0, True)
        for text in texts:
            for byte in text:
                await send(ctx, byte, False)
            await send(ctx, 0x7D, True)

    simulate(framer, bench)
    assert bytes(wire) == FLAG + b"".join(escape(text) + FLAG for text in texts)
    assert deframed([(byte, False) for byte in wire])[1:] == [(text, False) for text in texts]


def deframed(wire: list[tuple[int, bool]], listen: int = 0) -> list[tuple[bytes, bool]]:
    """What a deframer that listens from byte `listen` on gives at each flag: content and whether it is damaged."""
    deframer = Deframer()
    found: list[tuple[bytes, bool]] = []

    async def bench(ctx: Any) -> None:
        bits: list[int] = []
        for place, (byte, error) in enumerate(wire):
            ctx.set(deframer.listen, place >= listen)
            ctx.set(deframer.received.valid, 1)
            ctx.set(deframer.received.payload.byte, byte)
            ctx.set(deframer.received.payload.error, error)
            for cycle in range(12):
                if ctx.get(deframer.flag) and place >= listen:
                    assert len(bits) % 8 == 0 and ctx.get(deframer.filled) >= bool(bits)
                    text = bytes(sum(bits[i + j] << j for j in range(8)) for i in range(0, len(bits), 8))
                    found.append((text, bool(ctx.get(deframer.damaged))))
                    bits.clear()
                if ctx.get(deframer.valid):
                    bits.append(ctx.get(deframer.bit))
                ctx.set(deframer.taken, len(bits) % 8 == 0 and cycle > 1)
                await ctx.tick()
                ctx.set(deframer.received.valid, 0)

    simulate(deframer, bench)
    return found


def test_escapes_are_taken_off() -> None:
    wire = FLAG + b"\x7d\x5e\x7d\x5d\x01" + FLAG + b"\x7d\x7d\x7d\x01" + FLAG
    assert deframed([(byte, False) for byte in wire])[1:] == [(b"\x7e\x7d\x01", False), (b"\x5d\x21", False)]


def test_a_flag_after_an_escape_and_a_wrong_byte_damage_their_frame_alone() -> None:
    wire = [*((byte, False) for byte in b"\x7e\x01\x7d\x7e\x02"), (0x33, True), *((b, False) for b in b"\x7e\x04\x7e")]
    assert deframed(wire)[1:] == [(b"\x01", True), (b"\x02\x33", True), (b"\x04", False)]


def test_a_flag_with_a_framing_error_is_none() -> None:
    wire = [(0x7E, False), (1, False), (0x7E, True), (2, False), (0x7E, False)]
    assert deframed(wire)[1:] == [(b"\x01\x7e\x02", True)]


def test_what_comes_before_the_first_flag_is_ignored() -> None:
    wire = [(byte, False) for byte in b"\x7e\x01\x02\x7e\x03\x04\x7e\x05\x7e"]
    assert deframed(wire, listen=2) == [(b"", False), (b"\x03\x04", False), (b"\x05", False)]
    assert deframed(wire, listen=4) == [(b"", False), (b"\x05", False)]
