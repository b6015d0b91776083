# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: product = a * b of a Multiplier, one a cycle, two cycles later."""

import os
import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from cocotb_multiplier import operands
from streams import reset

LATENCY = 2


@cocotb.test()
async def a_product_a_cycle(dut: Any) -> None:
    seed, width, rows = (int(os.environ[f"MULTIPLIER_{name}"]) for name in ("SEED", "WIDTH", "ROWS"))
    dut._log.info("seed %d", seed)
    mask = (1 << width + rows) - 1
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=("a", "b"))
    under_way: deque[tuple[int, int]] = deque()
    for a, b, _ in operands(width, rows, random.Random(seed)):
        await FallingEdge(dut.clk)
        if len(under_way) == LATENCY:
            x, y = under_way.popleft()
            assert int(dut.product.value) == x * y & mask, f"seed {seed}: {x} * {y}"
        dut.a.value, dut.b.value = a & (1 << width) - 1, b
        under_way.append((a, b))
