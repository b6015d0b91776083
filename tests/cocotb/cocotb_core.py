# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the core's own streams, frames in and results out, with random back-pressure on both at once."""

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge
from cocotb_accelerator import check, sections
from streams import check_stable, collect, drive, reset

IDLE = (
    "frames__valid", "frames__payload", "results__ready", "run", "host_space", "host_address", "host_write",
    "host_write_data",
)  # fmt: skip
HELD = 5000


async def load(dut: Any, case: Any) -> None:
    """Write all memories and start the program."""
    for space, words in sections(case).items():
        dut.host_space.value = int(space)
        for at, word in enumerate(words):
            dut.host_address.value, dut.host_write_data.value, dut.host_write.value = at, word, 1
            await FallingEdge(dut.clk)
    dut.host_write.value, dut.run.value = 0, 1


@cocotb.test()
@cocotb.parametrize((("stall", "held"), [(0.0, False), (0.3, True)]))
async def every_word_comes_whatever_the_sides_do(dut: Any, stall: float, held: bool) -> None:
    """Neither side stalls; both do, and no result is taken before the machine can do no more."""
    seed = int(os.environ["MACHINE_SEED"])
    dut._log.info("seed %d", seed)
    rng, case = random.Random(seed), np.load(os.environ["MACHINE_CASE"])
    fifo_words = int(os.environ["MACHINE_FIFO_WORDS"])
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    await load(dut, case)
    frames, expected = case["frames"].reshape(-1).tolist(), case["expected"].tolist()
    cocotb.start_soon(check_stable(dut, "results"))
    cocotb.start_soon(drive(dut, "frames", frames, random.Random(seed), stall))
    if held:
        await ClockCycles(dut.clk, HELD)
        await FallingEdge(dut.clk)
        assert int(dut.in_room.value) == 0, "the input was not held back"
        assert int(dut.out_level.value) > fifo_words // 2, "the output was not held back"
    check(await collect(dut, "results", len(expected), rng, stall), expected, f"seed {seed}, stall {stall}")
    for _ in range(50):
        await FallingEdge(dut.clk)
        assert not int(dut.results__valid.value), "a word too many"
