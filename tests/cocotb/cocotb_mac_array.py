# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: rows of a MAC array, dots and terms with bubbles between them; what is summed is what was taken."""

import os
import random
from dataclasses import dataclass, field
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from streams import reset

from liquid_accel.sim.golden import arithmetic

IDLE = ("weights", "row", "use_row", "broadcast", "take", "clear")
EDGES_8, EDGES_16 = (-128, -1, 0, 1, 127), (-32768, -1, 0, 1, 32767)
LIMIT = 1 << 31


@dataclass
class Cycle:
    """Inputs of one cycle; `take` and `clear` are put to the cycle in which the product is there. `sums` is checked."""

    inputs: dict[str, int] = field(default_factory=dict)
    take: int = 0
    clear: int = 0
    sums: list[int] | None = None


def pack(words: list[int], bits: int) -> int:
    return sum((int(word) & (1 << bits) - 1) << bits * k for k, word in enumerate(words))


def word(rng: random.Random, bits: int) -> int:
    """A signed word, often one at the edge of its range."""
    if rng.random() < 0.3:
        return rng.choice(EDGES_8 if bits == 8 else EDGES_16)
    return rng.randrange(-(1 << bits - 1), 1 << bits - 1)


def noise(rng: random.Random, lanes: int) -> dict[str, int]:
    return {
        "weights": rng.getrandbits(8 * lanes), "row": rng.getrandbits(16 * lanes), "use_row": rng.getrandbits(1),
        "broadcast": rng.getrandbits(16),
    }  # fmt: skip


def script(rng: random.Random, lanes: int, rows: int) -> list[Cycle]:
    """Rows of up to 40 products; the golden model's product says what each comes to."""
    # A lane need not start at 0: whoever owns it clears it.
    cycles = [Cycle(noise(rng, lanes), clear=1)]
    for _ in range(rows):
        sums = np.zeros(lanes, np.int64)
        for _ in range(rng.randint(0, 3)):
            is_dot = rng.random() < 0.7
            cols = rng.randint(1, 20) if is_dot else 1
            x = np.array([[word(rng, 16) for _ in range(cols)]])
            w = np.array([[word(rng, 8 if is_dot else 16) for _ in range(lanes)] for _ in range(cols)])
            added = arithmetic.matrix_product(x.astype(np.float64), w.astype(np.float64))[0]
            if max(abs(sums + added)) >= LIMIT:  # the compiler's promise
                continue
            sums = sums + added
            for column in range(cols):
                while rng.random() < 0.2:
                    cycles.append(Cycle(noise(rng, lanes)))
                inputs = noise(rng, lanes) | {"use_row": int(not is_dot), "broadcast": pack([x[0, column]], 16)}
                inputs["weights" if is_dot else "row"] = pack(w[column].tolist(), 8 if is_dot else 16)
                cycles.append(Cycle(inputs, take=1))
        # The row is complete in the cycle of its clear, whatever the operands of that slot are.
        cycles.append(Cycle(noise(rng, lanes), clear=1, sums=sums.tolist()))
    return cycles


@cocotb.test()
async def rows_sum_what_was_taken(dut: Any) -> None:
    """Sums stand in the cycle of `clear`, `latency` - 1 cycles after the last operands could have come."""
    seed = int(os.environ["MAC_SEED"])
    dut._log.info("seed %d", seed)
    rng, lanes = random.Random(seed), len(dut.sums) // 32
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    dut.enable.value = 1
    await reset(dut, idle=IDLE)
    # `reset` ends in the first cycle without reset, in which nothing is taken.
    behind = int(os.environ["MAC_LATENCY"]) - 1
    cycles = [Cycle() for _ in range(behind)] + script(rng, lanes, 120) + [Cycle() for _ in range(behind + 1)]
    checked = 0
    for at, cycle in enumerate(cycles):
        settled = cycles[at - behind] if at >= behind else Cycle()
        await FallingEdge(dut.clk)
        if settled.sums is not None:
            assert int(dut.sums.value) == pack(settled.sums, 32), f"seed {seed}: row {checked}, cycle {at}"
            checked += 1
        for name, value in (cycle.inputs or noise(rng, lanes)).items():
            getattr(dut, name).value = value
        dut.take.value, dut.clear.value = settled.take, settled.clear
    await FallingEdge(dut.clk)
    assert int(dut.sums.value) == 0, "the sums are not 0 after the last clear"
    assert checked == 120
