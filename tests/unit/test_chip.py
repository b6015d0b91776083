# SPDX-License-Identifier: BSD-2-Clause
"""The whole chip from its pins, with the stand-in in place of the accelerator."""

from typing import Any

import pytest
from amaranth.hdl import Signal
from amaranth.sim import Simulator
from link_peer import CLOSED, DAMAGED, FLAG, OK, VERSION, Answer, answers, frame, read, write
from standin import FIFO, IDENTITY, IDENTITY_WORD, StandIn

from liquid_accel.rtl.chip import LAMP_SECONDS, Chip, Lamps
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.link import SPI_CLOCK_RATIO

CYCLE = 1e-6
WORDS = [0x7E7E, 0x1234, 0xFFFF, 0x7D00]
SENT = [
    frame([1, *read(IDENTITY)]),
    frame([4])[:-2] + FLAG,
    frame([4]),
    frame([5, *write(FIFO, WORDS), *read(FIFO, len(WORDS)), *read(IDENTITY)]),
]
EXPECTED = [
    Answer(1, CLOSED, 0, ()),
    Answer(0, DAMAGED, 0, ()),
    Answer(4, OK, 0, (VERSION,)),
    Answer(5, OK, 0, (*WORDS, IDENTITY_WORD)),
]


def chip(**options: Any) -> Chip:
    return Chip(preset("test"), clock_hz=0, device=StandIn(16), **options)


def simulate(device: Chip, *benches: Any) -> None:
    simulator = Simulator(device)
    simulator.add_clock(CYCLE)
    for bench in benches:
        simulator.add_testbench(bench, background=bench is not benches[0])
    simulator.run()


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_a_session_over_a_uart(divisor: int) -> None:
    device, heard = chip(divisor=divisor), bytearray()
    bit_time = divisor * CYCLE

    async def host(ctx: Any) -> None:
        ctx.set(device.rx, 1)
        await ctx.delay(33.4 * CYCLE)
        for text in SENT:
            for byte in text:
                for level in (0, *(byte >> i & 1 for i in range(8)), 1):
                    ctx.set(device.rx, level)
                    await ctx.delay(bit_time)
            await ctx.delay(200 * bit_time + 1500 * CYCLE)

    async def listen(ctx: Any) -> None:
        while True:
            await ctx.negedge(device.tx)
            await ctx.delay(1.5 * bit_time)
            byte = 0
            for place in range(8):
                byte |= ctx.get(device.tx) << place
                await ctx.delay(bit_time)
            heard.append(byte)

    simulate(device, host, listen)
    assert answers(bytes(heard)) == EXPECTED


@pytest.mark.parametrize("ratio", [SPI_CLOCK_RATIO, 13.3])
def test_a_session_over_spi(ratio: float) -> None:
    device, heard = chip(wire="spi"), bytearray()

    async def byte_out(ctx: Any, byte: int) -> int:
        seen = 0
        for bit in range(8):
            ctx.set(device.mosi, byte >> 7 - bit & 1)
            await ctx.delay((ratio / 2 - 0.3) * CYCLE)
            seen = seen << 1 | ctx.get(device.miso)
            await ctx.delay(0.3 * CYCLE)
            ctx.set(device.sck, 1)
            await ctx.delay(ratio / 2 * CYCLE)
            ctx.set(device.sck, 0)
        return seen

    async def host(ctx: Any) -> None:
        ctx.set(device.cs_n, 1)
        await ctx.delay(33.4 * CYCLE)
        for text in SENT:
            ctx.set(device.cs_n, 0)
            await ctx.delay(ratio * CYCLE)
            for byte in text + FLAG * 45:
                heard.append(await byte_out(ctx, byte))
            await ctx.delay(ratio * CYCLE)
            ctx.set(device.cs_n, 1)
            await ctx.delay(ratio * CYCLE)

    simulate(device, host)
    assert answers(bytes(heard)) == EXPECTED


def test_a_chip_is_quiet_in_reset() -> None:
    device = chip(divisor=4)

    async def bench(ctx: Any) -> None:
        for cycle in range(200):
            ctx.set(device.rx, cycle // 3 % 2)
            assert (ctx.get(device.tx), ctx.get(device.activity), ctx.get(device.error)) == (1, 0, 0)
            await ctx.tick()

    simulate(device, bench)


@pytest.mark.parametrize("clock_hz", [400, 2000])
def test_lamps_stay_on_for_once_to_four_times_their_time(clock_hz: int) -> None:
    lamps = Lamps(clock_hz)
    shortest = clock_hz * LAMP_SECONDS

    async def bench(ctx: Any) -> None:
        pairs = (lamps.sound, lamps.activity), (lamps.trouble, lamps.error)
        for (event, lamp), (_, other) in zip(pairs, reversed(pairs)):
            for times in (1, 5):
                for _ in range(times):
                    ctx.set(event, 1)
                    await ctx.tick()
                    ctx.set(event, 0)
                    for _ in range(7):
                        await ctx.tick()
                        assert ctx.get(lamp)
                lit = 7
                while ctx.get(lamp):
                    assert not ctx.get(other)
                    await ctx.tick()
                    lit += 1
                assert shortest <= lit <= 4 * shortest + 2
                await ctx.tick().repeat(3)

    simulate(lamps, bench)


def test_the_pins_are_those_of_the_wire() -> None:
    names = {wire: set(Chip(preset("test"), clock_hz=12e6, wire=wire).signature.members) for wire in ("uart", "spi")}
    assert names["uart"] ^ names["spi"] == {"rx", "tx", "sck", "mosi", "cs_n", "miso"}
    assert names["uart"] & names["spi"] == {"activity", "error", "interrupt"}


@pytest.mark.filterwarnings("ignore::amaranth._unused.UnusedMustUse")
def test_a_chip_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="wire is 'i2c': one of uart, spi was expected"):
        chip(wire="i2c")
    with pytest.raises(ValueError, match="baud is"):
        Chip(preset("test"), clock_hz=3e6)


def test_an_error_of_the_accelerator_lights_the_lamp_as_long_as_it_lasts() -> None:
    accelerator = StandIn(16)
    fault = Signal()
    accelerator.error = fault
    device = Chip(preset("test"), clock_hz=200, divisor=4, device=accelerator)

    async def bench(ctx: Any) -> None:
        await ctx.tick().repeat(4)
        assert not ctx.get(device.error)
        ctx.set(fault, 1)
        await ctx.tick()
        for _ in range(500):
            await ctx.tick()
            assert ctx.get(device.error)
            assert not ctx.get(device.activity)
        ctx.set(fault, 0)
        await ctx.tick().repeat(200)
        assert not ctx.get(device.error)

    simulate(device, bench)
