# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: a Ram, reads and writes of parts in every cycle; a row is read MEMORY_LATENCY cycles after its address."""

import os
import random
from collections import deque
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
    dut.read_enable.value = 1
    await reset(dut, idle=("read_row", "write_row", "write_data", "write_parts"))
    # Few rows, so that each is met often: the ends, and rows that differ in one bit of the address.
    some = (rng.randrange(depth) for _ in range(8))
    rows = [0, depth - 1, *(1 << bit for bit in range(depth.bit_length() - 1)), *some]
    held: dict[int, list[int | None]] = {row: [None] * parts for row in rows}
    under_way: deque[list[int | None]] = deque()
    checked = 0
    for cycle in range(CYCLES):
        await FallingEdge(dut.clk)
        if len(under_way) == latency:
            for part, word in enumerate(under_way.popleft()):
                if word is not None:
                    bits = dut.read_data.value[16 * part + 15 : 16 * part]
                    assert bits.to_unsigned() == word, f"seed {seed}, cycle {cycle}, part {part}"
                    checked += 1
        row, written, data = rng.choice(rows), rng.choice(rows), rng.getrandbits(16 * parts)
        mask = 0 if row == written else rng.choice((0, (1 << parts) - 1, rng.getrandbits(parts)))
        dut.read_row.value, dut.write_row.value = row, written
        dut.write_data.value, dut.write_parts.value = data, mask
        under_way.append(list(held[row]))
        for part in range(parts):
            if mask >> part & 1:
                held[written][part] = data >> 16 * part & 0xFFFF
    assert checked > CYCLES // 2
