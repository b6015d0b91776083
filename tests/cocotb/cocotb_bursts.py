# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the core's results taken in bursts with long rests between, so that the output FIFO fills up many times."""

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly
from cocotb_accelerator import check
from cocotb_core import IDLE, load
from streams import drive, reset

REPEATS = 4


@cocotb.test()
async def no_word_is_lost(dut: Any) -> None:
    """Each rest is long enough for the machine to do all that it can without another word being taken."""
    seed, case = int(os.environ["MACHINE_SEED"]), np.load(os.environ["MACHINE_CASE"])
    dut._log.info("seed %d", seed)
    rng = random.Random(seed)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    await load(dut, case)
    frames, expected = case["frames"].reshape(-1).tolist(), case["expected"].tolist()
    fullest = 0
    for repeat in range(REPEATS):
        feed = cocotb.start_soon(drive(dut, "frames", frames, rng))
        got: list[int] = []
        while len(got) < len(expected):
            await ClockCycles(dut.clk, rng.choice((300, 5000)))
            await FallingEdge(dut.clk)
            fullest = max(fullest, int(dut.out_level.value))
            dut.results__ready.value = 1
            for _ in range(min(rng.randint(1, 40), len(expected) - len(got))):
                await ReadOnly()
                if int(dut.results__valid.value):
                    got.append(int(dut.results__payload.value))
                await FallingEdge(dut.clk)
            dut.results__ready.value = 0
            check(got, expected[: len(got)], f"seed {seed}, repeat {repeat}")
        await feed
    assert fullest > int(os.environ["MACHINE_FIFO_WORDS"]) * 3 // 4, "the output FIFO was never full"
