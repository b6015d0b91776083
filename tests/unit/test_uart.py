# SPDX-License-Identifier: BSD-2-Clause
"""The UART against a peer that has a clock of its own, in time rather than in cycles."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from liquid_accel.rtl.uart import UartReceiver, UartTransmitter, baud_divisor

CYCLE = 1e-6
TEXT = bytes([0x00, 0xFF, 0x55, 0xAA, 0x7E, 0x01, 0x80]) + random.Random(1).randbytes(25)


def received(divisor: int, levels: list[tuple[int, float]]) -> list[tuple[int, int]]:
    """Bytes and errors that a receiver sees of a line: (level, bits that it lasts)."""
    receiver, found = UartReceiver(divisor), []

    async def line(ctx: Any) -> None:
        ctx.set(receiver.rx, 1)
        await ctx.delay(20.3 * CYCLE)
        for level, bits in levels:
            ctx.set(receiver.rx, level)
            await ctx.delay(bits * divisor * CYCLE)
        ctx.set(receiver.rx, 1)
        await ctx.delay(12 * divisor * CYCLE)

    async def watch(ctx: Any) -> None:
        port = receiver.received
        async for _, _, valid, byte, error in ctx.tick().sample(port.valid, port.payload.byte, port.payload.error):
            if valid:
                found.append((byte, error))

    simulator = Simulator(receiver)
    simulator.add_clock(CYCLE)
    simulator.add_testbench(line)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    return found


def frame(byte: int, rate: float = 1.0, stop: int = 1) -> list[tuple[int, float]]:
    """A byte on the line of a peer whose bits are `rate` times as long."""
    return [(0, rate), *((byte >> i & 1, rate) for i in range(8)), (stop, rate)]


@pytest.mark.parametrize(
    ("divisor", "rate"),
    [(4, 1.0), (4, 1.01), (4, 0.99), (5, 1.0), (5, 1.01), (5, 0.99), (16, 1.02), (16, 0.98), (50, 1.035), (50, 0.965)],
)
def test_bytes_without_a_pause_are_received(divisor: int, rate: float) -> None:
    assert received(divisor, [level for byte in TEXT for level in frame(byte, rate)]) == [(byte, 0) for byte in TEXT]


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_bytes_at_any_time_are_received(divisor: int) -> None:
    rng = random.Random(divisor)
    line = [level for byte in TEXT for level in (*frame(byte), (1, rng.uniform(0, 3)))]
    assert received(divisor, line) == [(byte, 0) for byte in TEXT]


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_edges_may_come_half_a_cycle_early_or_late(divisor: int) -> None:
    rng = random.Random(divisor)
    line, late = [], 0.0
    for level, bits in (level for byte in TEXT for level in frame(byte)):
        before, late = late, rng.uniform(-0.5, 0.5) / divisor
        line.append((level, bits + late - before))
    assert received(divisor, line) == [(byte, 0) for byte in TEXT]


@pytest.mark.parametrize("divisor", [8, 16])
def test_a_glitch_is_no_start_bit(divisor: int) -> None:
    glitch = [(0, 0.3), (1, 2.0)]
    assert received(divisor, [*glitch, *frame(0x5A), *glitch, *frame(0xA5)]) == [(0x5A, 0), (0xA5, 0)]


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_a_low_stop_bit_is_an_error_and_a_break_is_one_byte(divisor: int) -> None:
    line = [*frame(0x41, stop=0), (1, 1.5), *frame(0x42), (0, 40.0), (1, 1.5), *frame(0x43)]
    assert received(divisor, line) == [(0x41, 1), (0x42, 0), (0, 1), (0x43, 0)]


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_what_is_sent_has_bits_of_equal_length(divisor: int) -> None:
    transmitter, line = UartTransmitter(divisor), []

    async def feed(ctx: Any) -> None:
        sent = transmitter.sent
        assert ctx.get(transmitter.tx) == 1
        await ctx.tick().repeat(3)
        for byte in TEXT:
            ctx.set(sent.valid, 1)
            for bit in range(8):
                ctx.set(sent.bit, byte >> bit & 1)
                ctx.set(sent.last, bit == 7)
                await ctx.tick().until(sent.take)
            ctx.set(sent.valid, byte % 2)  # the next one waits already, or comes later
            if not byte % 2:
                await ctx.tick().repeat(5 * divisor)
        ctx.set(sent.valid, 0)
        await ctx.tick().repeat(12 * divisor)

    async def watch(ctx: Any) -> None:
        async for _, _, level in ctx.tick().sample(transmitter.tx):
            line.append(level)

    simulator = Simulator(transmitter)
    simulator.add_clock(CYCLE)
    simulator.add_testbench(feed)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    seen, at = bytearray(), 0
    while 0 in line[at:]:
        at = line.index(0, at)
        bits = [line[at + divisor * bit : at + divisor * (bit + 1)] for bit in range(10)]
        assert all(len(set(bit)) == 1 for bit in bits), "a bit changes within its time"
        assert (bits[0][0], bits[9][0]) == (0, 1)
        seen.append(sum(bit[0] << place for place, bit in enumerate(bits[1:9])))
        at += 10 * divisor
    assert bytes(seen) == TEXT


def test_rates_that_a_clock_cannot_make_are_refused() -> None:
    assert baud_divisor(12e6, 1e6) == 12
    assert baud_divisor(48e6, 115200) == 417
    assert baud_divisor(4e6, 1e6) == 4
    with pytest.raises(ValueError, match=r"baud is 1e\+06: at most 750000 was expected at 3e\+06 Hz"):
        baud_divisor(3e6, 1e6)
    with pytest.raises(ValueError, match="baud is 3e"):
        baud_divisor(25e6, 3e6)


@pytest.mark.filterwarnings("ignore::amaranth._unused.UnusedMustUse")
@pytest.mark.parametrize("part", [UartReceiver, UartTransmitter])
def test_a_bit_of_three_cycles_is_refused(part: Any) -> None:
    with pytest.raises(ValueError, match="divisor is 3: 4 or more was expected"):
        part(3)
