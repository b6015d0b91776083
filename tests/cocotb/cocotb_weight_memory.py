# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the weight memory, random reads and writes of parts; a row reads one cycle after its address."""

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from streams import reset

CYCLES = 3000


@cocotb.test()
async def reads_what_was_written(dut: Any) -> None:
    """A cycle that writes reads nothing useful; a row that was never written is not looked at."""
    seed, depth = int(os.environ["MEMORY_SEED"]), int(os.environ["MEMORY_DEPTH"])
    dut._log.info("seed %d", seed)
    rng, parts = random.Random(seed), len(dut.write_parts)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=("row", "write_data", "write_parts"))
    # Few rows, so that each is met often: the ends, and rows that differ in one bit of the address.
    some = (rng.randrange(depth) for _ in range(8))
    rows = [0, depth - 1, *(1 << bit for bit in range(depth.bit_length() - 1)), *some]
    held: dict[int, list[int | None]] = {row: [None] * parts for row in rows}
    wanted: list[int | None] = [None] * parts
    checked = 0
    for cycle in range(CYCLES):
        await FallingEdge(dut.clk)
        for part, word in enumerate(wanted):
            if word is not None:
                bits = dut.read_data.value[16 * part + 15 : 16 * part]
                assert bits.to_unsigned() == word, f"seed {seed}, cycle {cycle}, part {part}"
                checked += 1
        row, data = rng.choice(rows), rng.getrandbits(16 * parts)
        mask = rng.choice((0, 0, (1 << parts) - 1, rng.getrandbits(parts)))
        dut.row.value, dut.write_data.value, dut.write_parts.value = row, data, mask
        wanted = [None] * parts if mask else list(held[row])
        for part in range(parts):
            if mask >> part & 1:
                held[row][part] = data >> 16 * part & 0xFFFF
    assert checked > CYCLES // 4
