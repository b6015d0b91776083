# SPDX-License-Identifier: BSD-2-Clause
"""Kept sums, the norm and the step's logarithm in Amaranth's simulator, against the formulas of docs/isa.md."""

import random
from typing import Any

import pytest
from blocks import simulate, word

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.formats import LOG2_CORRECTION
from liquid_accel.rtl.isa import Keep, Norm, Timing
from liquid_accel.rtl.kept_sums import KeptSums
from liquid_accel.rtl.log_step import LogStep
from liquid_accel.rtl.norm import ErrorNorm


def wrapped(total: int) -> int:
    """Modulo 2**32, signed."""
    return (total + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
def test_kept_sums_are_added_read_and_set_modulo_two_to_the_32(lanes: int) -> None:
    """Rows as close as they come, on few addresses, so that a row adds to what the one before it has kept."""
    config, rng = preset("test", lanes=lanes), random.Random(lanes)
    block, kept = KeptSums(config), {}
    starts = [3]
    for _ in range(80):
        starts.append(starts[-1] + lanes + rng.choice((0, 0, 1, 5)))
    rows = [(at, rng.randrange(3), rng.choice(tuple(Keep))) for at in starts]
    rows[:3] = [(at, k, Keep.SET) for k, at in enumerate(starts[:3])]  # what is read was written
    driven: dict[int, dict[str, int]] = {}
    wanted: dict[int, int] = {}
    for at, row, keep in rows:
        driven.setdefault(at, {})["start"] = 1
        driven.setdefault(at + 1, {}).update(row=row, keep=keep)
        for lane in range(lanes):
            given = rng.getrandbits(32) - (1 << 31)
            driven.setdefault(at + 3 + lane, {})["sum"] = given
            total = wrapped(given + (kept[row, lane] if keep in (Keep.ADD, Keep.READ) else 0))
            if keep in (Keep.ADD, Keep.SET):
                kept[row, lane] = total
            wanted[at + 4 + lane] = total

    async def bench(ctx: Any) -> None:
        for cycle in range(max(wanted) + 1):
            now = driven.get(cycle, {})
            ctx.set(block.start, now.get("start", 0))
            ctx.set(block.row, now.get("row", rng.randrange(4)))
            ctx.set(block.keep, now.get("keep", rng.choice(tuple(Keep))))
            ctx.set(block.sum, now.get("sum", 0))
            if cycle in wanted:
                assert ctx.get(block.total) == wanted[cycle], cycle
            await ctx.tick()

    simulate(block, bench)


@pytest.mark.parametrize("kind", [Norm.OUT, Norm.CHANGE_16])
def test_the_norm_is_a_sum_of_clamped_squares_and_the_peak_has_the_largest_length(kind: Norm) -> None:
    block, rng = ErrorNorm(), random.Random(kind)
    near = [sign * (value + offset) for value in (0, 15, 16, 255, 256, 4095, 4096, 32767) for offset in (-1, 0, 1)
            for sign in (-1, 1)]  # fmt: skip
    values = [v for v in near if -32768 <= v <= 32767] + [word(rng) for _ in range(60)] + [-32768]

    async def bench(ctx: Any) -> None:
        for start in range(0, len(values), 10):
            norm, largest = 0, 0
            ctx.set(block.clear, 1)
            await ctx.tick()
            ctx.set(block.clear, 0)
            for value in values[start : start + 10]:
                square, watch = rng.getrandbits(1), rng.getrandbits(1)
                ctx.set(block.measured, value)
                ctx.set(block.sixteenth, kind == Norm.CHANGE_16)
                ctx.set(block.square, square)
                ctx.set(block.watch, watch)
                y = abs(value) >> (4 if kind == Norm.CHANGE_16 else 0)
                norm += min(y, 255) ** 2 * square
                largest = max(largest, min(abs(value), 32767) * watch)
                await ctx.tick()
            ctx.set(block.square, 0)
            ctx.set(block.watch, 0)
            await ctx.tick().repeat(Timing.NORM)
            assert ctx.get(block.norm) == norm
            assert ctx.get(block.peak).bit_length() == largest.bit_length()

    simulate(block, bench)


def test_the_logarithm_of_every_step() -> None:
    block = LogStep()

    async def bench(ctx: Any) -> None:
        for code in range(1 << 16):
            ctx.set(block.step, code)
            await ctx.tick()
            e, m = code >> 11, code & 2047
            assert ctx.get(block.log) == max(((e - 20) << 11) + m + LOG2_CORRECTION[m >> 5], -32768), hex(code)

    simulate(block, bench)
