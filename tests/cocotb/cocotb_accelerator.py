# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the accelerator over its request and response streams, both with random stalls; frames, an abort, frames."""

import os
import random
from collections.abc import Sequence
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly
from streams import check_stable, collect, drive, reset

from liquid_accel.rtl.isa import Space
from liquid_accel.rtl.registers import PRODUCT_ID, address, mask

IDLE = ("request__valid", "request__payload", "response__ready")
PATIENCE = 30_000


def payload(name: str, word: int | None = None) -> int:
    """A request: a read, or a write of `word`."""
    return address(name) << 1 | (0 if word is None else 1 | int(word) << 9)


class Host:
    """What a driver does with a bus that stalls on both sides, with a probability that changes from burst to burst."""

    def __init__(self, dut: Any, rng: random.Random, fifo_words: int) -> None:
        self.dut, self.rng, self.fifo_words = dut, rng, fifo_words

    async def exchange(self, requests: Sequence[int]) -> list[int]:
        """One response for each request, in order."""
        stalls = [self.rng.choice((0.0, 0.0, 0.2, 0.6)) for _ in range(2)]
        asked = cocotb.start_soon(drive(self.dut, "request", requests, random.Random(self.rng.random()), stalls[0]))
        answers = await collect(self.dut, "response", len(requests), self.rng, stalls[1])
        await asked
        return answers

    async def write(self, name: str, words: Sequence[int]) -> None:
        assert not any(await self.exchange([payload(name, word) for word in words])), f"a write of {name} answers 0"

    async def read(self, name: str, count: int = 1) -> list[int]:
        return await self.exchange([payload(name)] * count)

    async def load(self, sections: dict[Space, list[int]]) -> None:
        """Write each memory, and read a stretch of it back."""
        for space, words in sections.items():
            await self.write("MEM_SPACE", [space])
            await self.write("MEM_ADDRESS", [0])
            await self.write("MEM_DATA", words)
            if words:
                at = self.rng.randrange(len(words))
                await self.write("MEM_ADDRESS", [at])
                width = {Space.ISSUE: (4, 3), Space.FINISH: (4, 3)}.get(space, (1, 1))
                stretch = words[at : at + 40]
                for offset, word in enumerate(await self.read("MEM_DATA", len(stretch))):
                    if (at + offset) % width[0] < width[1]:  # the others do not exist
                        assert word == stretch[offset], f"{space.name} word {at + offset}"

    async def idle(self) -> bool:
        return bool((await self.read("STATUS"))[0] & mask("STATUS", "IDLE"))

    async def run(self, frames: list[int], count: int, lazy: bool) -> list[int]:
        """Feed `frames` and take `count` words. A lazy host leaves the output until the machine can do no more."""
        got: list[int] = []
        sent = idle = 0
        while len(got) < count:
            room = min((await self.read("IN_ROOM"))[0], len(frames) - sent)
            burst = self.rng.randint(0, room) if self.rng.random() < 0.3 else room
            await self.write("IN_DATA", frames[sent : sent + burst])
            sent += burst
            await self._sleep(lazy)
            level = (await self.read("OUT_LEVEL"))[0]
            burst = self.rng.randint(0, level) if self.rng.random() < 0.3 else level
            got += await self.read("OUT_DATA", burst)
            idle = 0 if burst else idle + 1
            assert idle < 100, f"nothing moves, after {len(got)} of {count} words"
        assert sent == len(frames)
        return got

    async def _sleep(self, lazy: bool) -> None:
        if lazy:
            await ClockCycles(self.dut.clk, self.rng.randrange(1500, 3000))
            await FallingEdge(self.dut.clk)
            return
        await self.write("OUT_MARK", [self.rng.randrange(20)])
        await self.write("IRQ_ENABLE", [mask("IRQ_ENABLE", "OUT_READY") | mask("IRQ_ENABLE", "STARVED")])
        for _ in range(PATIENCE):
            await ReadOnly()
            high = int(self.dut.interrupt.value)
            await FallingEdge(self.dut.clk)
            if high:
                return
        raise AssertionError(f"no interrupt in {PATIENCE} cycles")


async def start(dut: Any) -> tuple[Host, Any]:
    """The machine after reset, and the case of the environment; watches the promise of the response stream."""
    seed = int(os.environ["MACHINE_SEED"])
    dut._log.info("seed %d", seed)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    cocotb.start_soon(check_stable(dut, "response"))
    return Host(dut, random.Random(seed), int(os.environ["MACHINE_FIFO_WORDS"])), np.load(os.environ["MACHINE_CASE"])


def sections(case: Any) -> dict[Space, list[int]]:
    return {space: case[f"section{int(space)}"].tolist() for space in Space}


def check(got: list[int], expected: list[int], what: str) -> None:
    """Name the first word that differs."""
    assert len(got) == len(expected), f"{what}: {len(got)} words, not {len(expected)}"
    for at, (ours, theirs) in enumerate(zip(got, expected)):
        assert ours == theirs, f"{what}: word {at} of {len(expected)} is {ours:#06x}, golden {theirs:#06x}"


@cocotb.test()
async def every_word_is_the_golden_models(dut: Any) -> None:
    """A quick host; a lazy one, at which both FIFOs fill up; aborts in the middle of a frame, and all frames again."""
    host, case = await start(dut)
    frames, expected = case["frames"].reshape(-1).tolist(), case["expected"].tolist()
    assert await host.read("ID") == [PRODUCT_ID]
    await host.load(sections(case))
    await host.write("CONTROL", [mask("CONTROL", "RUN")])
    for lazy in (False, True):
        check(await host.run(frames, len(expected), lazy), expected, "a lazy host" if lazy else "a quick host")
    await host.write("OUT_MARK", [0])
    await host.write("IRQ_ENABLE", [0])
    assert int(dut.interrupt.value) == 0

    width = case["frames"].shape[1]
    moving = [at * width for at, frame in enumerate(case["frames"]) if frame[1] | frame[2]]  # dt is not 0
    first = int(case["counts"][0])
    for _ in range(int(os.environ["MACHINE_ABORTS"])):
        assert await host.idle(), "a frame is under way that nobody asked for"
        # A whole frame and a part of the next, and MEM_DATA in vain, so that there is an error to clear.
        await host.write("IN_DATA", frames[moving[0] : moving[0] + width + host.rng.randrange(1, width)])
        await ClockCycles(dut.clk, host.rng.randrange(10, 200))
        assert not await host.idle(), "the frame is over before it is aborted"
        await host.read("MEM_DATA")
        assert (await host.read("STATUS"))[0] & mask("STATUS", "MEM_BUSY")
        await host.write("CONTROL", [mask("CONTROL", "ABORT")])
        assert await host.read("STATUS") == [mask("STATUS", "IDLE")], "ABORT ends everything and clears errors"
        assert await host.read("CONTROL") == [0]
        assert await host.read("IN_ROOM") == [host.fifo_words]
        assert await host.read("OUT_LEVEL") == [0]
        await host.write("CONTROL", [mask("CONTROL", "RUN")])
        # Nothing of the aborted frame may be left in the next, which starts a sequence.
        check(await host.run(frames[:width], first, False), expected[:first], "after an abort")
    check(await host.run(frames, len(expected), False), expected, "after all aborts")

    await host.write("CONTROL", [0])
    await host.write("IN_DATA", frames[:width])
    await ClockCycles(dut.clk, 300)
    assert await host.read("OUT_LEVEL") == [0], "a frame was taken although RUN is cleared"
