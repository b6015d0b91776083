# SPDX-License-Identifier: BSD-2-Clause
"""The tracker in Amaranth's simulator: what moved, where it is listed, and what TAKE, LIST and TRACK do with lists."""

import random
from typing import Any

import pytest
from blocks import EDGES, simulate, word

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import Track
from liquid_accel.rtl.tracker import Tracker

CONFIG = preset("test")
THRESHOLDS = (0, 1, 5, 4000, 32766, 32767)


class Model:
    """docs/isa.md in plain Python: lists and operands."""

    def __init__(self) -> None:
        self.start, self.end = [0] * 4, [0] * 4
        self.list = self.threshold = 0
        self.x: dict[int, int] = {}
        self.columns: dict[int, int] = {}

    def element(self, track: Track, address: int, value: int, column: int) -> tuple[tuple[int, int] | None, bool]:
        """The word written to S, if any, and whether the delta did not fit."""
        delta = value - self.x.get(address, 0)
        if track == Track.MOVED and not -32768 <= delta <= 32767:
            return None, True
        if track == Track.SET or (track == Track.MOVED and abs(delta) > self.threshold):
            self.x[address] = value
        if track != Track.MOVED or abs(delta) <= self.threshold:
            return None, False
        at = self.end[self.list]
        self.columns[at] = column
        self.end[self.list] = (at + 1) % 256
        return (at, delta), False


@pytest.mark.parametrize("seed", range(4))
def test_lists_hold_what_moved(seed: int) -> None:
    block, model, rng = Tracker(CONFIG), Model(), random.Random(seed)
    seen = {"entries": 0, "overflow": 0, "still": 0}

    async def command(ctx: Any, name: str, which: int, target: int, imm: int) -> None:
        for port, value in ((name, 1), ("list", which), ("target", target), ("imm", imm)):
            ctx.set(getattr(block, port), value)
        await ctx.tick()
        ctx.set(getattr(block, name), 0)

    async def elements(ctx: Any) -> None:
        """A burst of elements, one a cycle, each at an address of its own."""
        addresses = rng.sample(range(CONFIG.kept_elements), 20)
        ctx.set(block.x_read, addresses[0])
        await ctx.tick()
        for at, address in enumerate(addresses):
            track, column = rng.choice(tuple(Track)), rng.randrange(256)
            near = model.x.get(address, 0) + rng.choice((-1, 0, 1)) + rng.choice((-1, 1)) * model.threshold
            value = near if rng.random() < 0.5 and -32768 <= near <= 32767 else word(rng)
            for port, given in (("value", value), ("track", track), ("x_write", address), ("column", column)):
                ctx.set(getattr(block, port), given)
            ctx.set(block.x_read, addresses[(at + 1) % len(addresses)])
            entry, overflow = model.element(track, address, value, column)
            await ctx.tick()
            assert ctx.get(block.s_claim) == (track == Track.MOVED)
            assert ctx.get(block.overflow) == overflow
            assert ctx.get(block.s_write) == (entry is not None)
            if entry:
                assert (ctx.get(block.s_row), ctx.get(block.s_data)) == entry
            seen["entries"] += entry is not None
            seen["overflow"] += overflow
            seen["still"] += track == Track.MOVED and entry is None and not overflow
        ctx.set(block.track, Track.NONE)
        await ctx.tick()

    async def take(ctx: Any, which: int) -> None:
        imm = rng.getrandbits(16)
        first, count = model.start[which], (model.end[which] - model.start[which]) % 256
        await command(ctx, "take", which, 0, imm)
        model.start[which] = model.end[which] = first ^ (imm & 1) << 7
        assert (ctx.get(block.first), ctx.get(block.some)) == (first, count > 0)
        assert ctx.get(block.more) == (count - 1) % 256
        for k in range(count):
            ctx.set(block.index, (first + k) % 256)
            await ctx.tick()
            assert ctx.get(block.column_of) == model.columns[(first + k) % 256]

    async def bench(ctx: Any) -> None:
        for address in range(CONFIG.kept_elements):  # what is read was written
            for port, given in (("track", Track.SET), ("x_write", address), ("value", rng.choice(EDGES))):
                ctx.set(getattr(block, port), given)
            model.x[address] = ctx.get(block.value)
            await ctx.tick()
        ctx.set(block.track, Track.NONE)
        for which in range(4):
            model.start[which] = model.end[which] = rng.randrange(256)
            await command(ctx, "begin", which, 0, model.start[which] | rng.getrandbits(8) << 8)
        for _ in range(60):
            which = rng.randrange(4)
            if rng.random() < 0.5:
                model.list, model.threshold, offset = which, rng.choice(THRESHOLDS), rng.randrange(256)
                await command(ctx, "follow", which, offset, model.threshold | rng.getrandbits(1) << 15)
                assert ctx.get(block.offset) == offset
            await elements(ctx)
            if rng.random() < 0.5:
                await take(ctx, model.list if rng.random() < 0.7 else which)

    simulate(block, bench)
    assert all(seen.values()), seen
