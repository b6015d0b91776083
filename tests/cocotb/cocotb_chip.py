# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the whole chip in front of the stand-in, with the UART of cocotbext-uart on its pins."""

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.uart import UartSink, UartSource
from link_peer import DAMAGED, OK, VERSION, Answer, answers, frame, read, write
from standin import FIFO, LEVEL
from streams import reset

CYCLE_NS = 10


@cocotb.test()
async def requests_are_answered(dut: Any) -> None:
    """A session of random bursts, with noise between requests."""
    divisor = int(os.environ["CHIP_DIVISOR"])
    baud = 1e9 / CYCLE_NS / divisor
    cocotb.start_soon(Clock(dut.clk, CYCLE_NS, unit="ns").start())
    dut.rx.value = 1
    source, sink = UartSource(dut.rx, baud=baud), UartSink(dut.tx, baud=baud)
    await reset(dut)
    rng = random.Random(3)

    async def ask(text: bytes) -> list[Answer]:
        await source.write(text)
        await source.wait()
        await ClockCycles(dut.clk, 400 * divisor + 1000)
        return answers(bytes(sink.read_nowait()))

    tag = rng.randrange(1 << 16)
    assert await ask(frame([tag])) == [Answer(tag, OK, 0, (VERSION,))]
    for _ in range(8):
        tag = (tag + 1) & 0xFFFF
        words = [rng.choice((0x7E7D, rng.randrange(1 << 16))) for _ in range(rng.randrange(1, 12))]
        request = frame([tag, *write(FIFO, words), *read(LEVEL), *read(FIFO, len(words))])
        noise = bytes(rng.choice((0x7E, rng.randrange(256))) for _ in range(rng.randrange(20)))
        assert all(answer.code == DAMAGED for answer in await ask(noise))
        if noise and noise[-1] != 0x7E:
            await ask(b"\x7e")
        assert await ask(request) == [Answer(tag, OK, 0, (len(words), *words))]
