# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: total = start + a * b of a RowMultiplier, for all operands where there are few, else for many of them."""

import os
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import cocotb
from cocotb.triggers import Timer

CASES = 4000


def operands(width: int, rows: int, rng: random.Random) -> Iterator[tuple[int, int, int]]:
    """a, b, start; `start` is a number of `width` bits, as what an earlier multiplier of the same a leaves."""
    a, b = range(-(1 << width - 1), 1 << width - 1), range(1 << rows)
    if len(a) ** 2 * len(b) <= CASES:
        yield from product(a, b, a)
        return
    edges = (a[0], a[0] + 1, -1, 0, 1, a[-1] - 1, a[-1])
    yield from product(edges, (0, 1, b[-1] // 2, b[-1] - 1, b[-1]), edges)
    for _ in range(CASES):
        yield rng.choice(a), rng.choice(b), rng.choice(a)


@cocotb.test()
async def total_is_start_and_product(dut: Any) -> None:
    seed, width, rows = (int(os.environ[f"MULTIPLIER_{name}"]) for name in ("SEED", "WIDTH", "ROWS"))
    dut._log.info("seed %d", seed)
    mask = (1 << width + 1 + rows) - 1
    for a, b, start in operands(width, rows, random.Random(seed)):
        dut.a.value, dut.b.value, dut.start.value = a & (1 << width) - 1, b, start & (2 << width) - 1
        await Timer(1, "ns")
        assert int(dut.total.value) == (start + a * b) & mask, f"seed {seed}: {start} + {a} * {b}"
