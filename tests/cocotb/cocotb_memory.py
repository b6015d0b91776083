# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: a Ram, reads and writes of parts in every cycle; a row is read MEMORY_LATENCY cycles after its address, and
each stage stays as it is where it is not enabled."""

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from streams import reset

CYCLES = 2000


@cocotb.test()
async def reads_what_was_written(dut: Any) -> None:
    """A row is not read in the cycle that writes it; one that was never written is not looked at."""
    seed, depth, latency = (int(os.environ[f"MEMORY_{name}"]) for name in ("SEED", "DEPTH", "LATENCY"))
    dut._log.info("seed %d", seed)
    rng, parts = random.Random(seed), len(dut.write_parts)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.row_enable.value = dut.read_enable.value = 1
    await reset(dut, idle=("read_row", "write_row", "write_data", "write_parts"))
    # Few rows, so that each is met often: the ends, and rows that differ in one bit of the address.
    some = (rng.randrange(depth) for _ in range(8))
    rows = [0, depth - 1, *(1 << bit for bit in range(depth.bit_length() - 1)), *some]
    held: dict[int, list[int | None]] = {row: [None] * parts for row in rows}
    stages: list[list[int | None]] = [[None] * parts] * latency  # what each register holds, the output's first
    checked = stayed = 0
    for cycle in range(CYCLES):
        row, written, data = rng.choice(rows), rng.choice(rows), rng.getrandbits(16 * parts)
        mask = 0 if row == written else rng.choice((0, (1 << parts) - 1, rng.getrandbits(parts)))
        enables = [rng.random() < 0.8 for _ in range(latency)]
        dut.read_row.value, dut.write_row.value = row, written
        dut.write_data.value, dut.write_parts.value = data, mask
        dut.read_enable.value = enables[0]
        if latency > 1:
            dut.row_enable.value = enables[1]
        await FallingEdge(dut.clk)
        following = [*stages[1:], list(held[row])]
        stages = [new if enable else old for enable, new, old in zip(enables, following, stages)]
        stayed += not enables[0]
        for part in range(parts):
            if mask >> part & 1:
                held[written][part] = data >> 16 * part & 0xFFFF
        for part, word in enumerate(stages[0]):
            if word is not None:
                bits = dut.read_data.value[16 * part + 15 : 16 * part]
                assert bits.to_unsigned() == word, f"seed {seed}, cycle {cycle}, part {part}"
                checked += 1
    assert checked > CYCLES // 2
    assert stayed > CYCLES // 10
