# SPDX-License-Identifier: BSD-2-Clause
"""The FIFO in Amaranth's simulator, against a queue."""

import random
from collections import deque
from typing import Any

from blocks import simulate
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.memory import Fifo

DEPTH = 8


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from((0.1, 0.5, 0.9)), st.sampled_from((0.1, 0.5, 0.9))), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
)
def test_a_fifo_keeps_order_and_loses_nothing(phases: list[tuple[float, float]], seed: int) -> None:
    """A word is valid two cycles after it was written; full and empty ends are safe to push at."""
    fifo, rng = Fifo(DEPTH), random.Random(seed)
    held: deque[tuple[int, int]] = deque()  # word, cycle in which it was written

    async def bench(ctx: Any) -> None:
        cycle = 0
        for writing, reading in phases:
            for _ in range(40):
                write, read, clear = rng.random() < writing, rng.random() < reading, rng.random() < 0.01
                data = rng.getrandbits(16)
                for name, value in (("write", write), ("write_data", data), ("read", read), ("clear", clear)):
                    ctx.set(getattr(fifo, name), value)
                valid = bool(held) and held[0][1] <= cycle - 2
                assert ctx.get(fifo.level) == len(held)
                assert ctx.get(fifo.room) == DEPTH - len(held)
                assert ctx.get(fifo.valid) == valid
                room = len(held) < DEPTH
                if valid:
                    assert ctx.get(fifo.read_data) == held[0][0]
                    if read:
                        held.popleft()
                if write and room:
                    held.append((data, cycle))
                if clear:
                    held.clear()
                await ctx.tick()
                cycle += 1

    simulate(fifo, bench)
