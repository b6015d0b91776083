# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: a skid buffer passes everything on, in order, whatever the two sides do."""

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from streams import check_stable, collect, drive, reset

IDLE = ("i__valid", "i__payload", "o__ready")


@cocotb.test()
@cocotb.parametrize(stall_in=[0.0, 0.5], stall_out=[0.0, 0.5])
async def passes_everything_in_order(dut: Any, stall_in: float, stall_out: float) -> None:
    """What goes in comes out, with and without stalls on either side; the output keeps its promise."""
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    rng = random.Random(int(os.environ.get("SKID_SEED", "1")))
    words = [rng.randrange(1 << len(dut.i__payload)) for _ in range(300)]
    cocotb.start_soon(check_stable(dut, "o"))
    cocotb.start_soon(drive(dut, "i", words, rng, stall_in))
    assert await collect(dut, "o", len(words), rng, stall_out) == words
