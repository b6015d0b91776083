# SPDX-License-Identifier: BSD-2-Clause
"""The SPI peripheral against a bit-level controller at the fastest clock that is allowed, and slower."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from liquid_accel.rtl.link import SPI_CLOCK_RATIO
from liquid_accel.rtl.spi import SpiPeripheral

CYCLE = 1e-6
SETUP = 0.3  # of a cycle: what the controller asks for before its edge


def exchange(
    come: bytes, go: bytes, ratio: float = SPI_CLOCK_RATIO, gaps: bool = False, cut: int | None = None
) -> tuple[bytes, bytes]:
    """Clock `come` into a peripheral that has `go` to send; what either side saw. `cut`: the byte that chip select
    ends after three bits."""
    spi, received = SpiPeripheral(), bytearray()
    seen = bytearray()
    rng = random.Random(len(come))
    half = ratio / 2 * CYCLE

    async def controller(ctx: Any) -> None:
        ctx.set(spi.cs_n, 1)
        await ctx.delay(rng.uniform(20, 21) * CYCLE)
        ctx.set(spi.cs_n, 0)
        await ctx.delay(rng.uniform(4, 5) * CYCLE)
        for place, byte in enumerate(come):
            value = 0
            for bit in range(3 if place == cut else 8):
                ctx.set(spi.mosi, byte >> 7 - bit & 1)
                await ctx.delay(half - SETUP * CYCLE)
                value = value << 1 | ctx.get(spi.miso)
                await ctx.delay(SETUP * CYCLE)
                ctx.set(spi.sck, 1)
                await ctx.delay(half)
                ctx.set(spi.sck, 0)
            if place != cut:
                seen.append(value)
            if place == cut or (gaps and rng.random() < 0.5):
                await ctx.delay(rng.uniform(4, 12) * CYCLE)
                ctx.set(spi.cs_n, 1)
                ctx.set(spi.mosi, 1)
                for _ in range(rng.randrange(3)):  # somebody else's bits
                    await ctx.delay(half)
                    ctx.set(spi.sck, 1)
                    await ctx.delay(half)
                    ctx.set(spi.sck, 0)
                await ctx.delay(rng.uniform(8, 40) * CYCLE)
                ctx.set(spi.cs_n, 0)
                await ctx.delay(rng.uniform(4, 5) * CYCLE)
        await ctx.delay(20 * CYCLE)

    async def device(ctx: Any) -> None:
        sent = spi.sent
        for byte in go:
            ctx.set(sent.valid, 1)
            for bit in range(8):
                ctx.set(sent.bit, byte >> bit & 1)
                ctx.set(sent.last, bit == 7)
                while not (await ctx.tick().sample(sent.take))[2]:
                    pass
            ctx.set(sent.valid, 0)
            for _ in range(30):
                await ctx.tick()

    async def watch(ctx: Any) -> None:
        port = spi.received
        async for _, _, valid, byte, error in ctx.tick().sample(port.valid, port.payload.byte, port.payload.error):
            if valid:
                received.append(byte)
                assert not error

    simulator = Simulator(spi)
    simulator.add_clock(CYCLE)
    simulator.add_testbench(controller)
    simulator.add_testbench(device, background=True)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    return bytes(received), bytes(seen)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("ratio", [SPI_CLOCK_RATIO, 8.37, 11, 40])
def test_bytes_go_both_ways(ratio: float, gaps: bool) -> None:
    rng = random.Random(3)
    come, go = rng.randbytes(30), bytes(byte | 1 for byte in rng.randbytes(20))
    received, seen = exchange(come, go, ratio, gaps)
    assert received == come
    # Flags stand where nothing is to be said: before the first byte and after the last.
    assert seen.lstrip(b"\x7e").startswith(go)
    assert set(seen) - set(go) == {0x7E} and len(seen) == 30
    assert seen.index(go) <= 2


def test_a_silent_device_sends_flags() -> None:
    assert exchange(b"\x01\x02\x03", b"") == (b"\x01\x02\x03", b"\x7e\x7e\x7e")


def test_a_byte_that_chip_select_cuts_is_forgotten_and_the_next_is_whole() -> None:
    received, seen = exchange(b"\xaa\xbb\xcc\xdd\xee", b"\x11\x22\x33\x44\x55", cut=2)
    assert received == b"\xaa\xbb\xdd\xee"
    assert seen[:2] == b"\x7e\x11" and set(seen[2:]) <= {0x7E, 0x22, 0x33, 0x44}
