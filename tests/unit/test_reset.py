# SPDX-License-Identifier: BSD-2-Clause
"""A reset that comes at any time leaves with the clock."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from liquid_accel.rtl.reset import PowerOnReset, SynchronisedReset


class Counter(wiring.Component):
    """Counts while enabled."""

    enable: In(1)
    count: Out(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        with m.If(self.enable):
            m.d.sync += self.count.eq(self.count + 1)
        return m


def test_the_domain_leaves_reset_two_edges_after_the_pin() -> None:
    top = SynchronisedReset(Counter())
    seen: list[int] = []

    async def bench(ctx):  # type: ignore[no-untyped-def]
        ctx.set(top.enable, 1)

        async def edge() -> None:
            ctx.set(top.clk, 1)
            await ctx.delay(1e-6)
            ctx.set(top.clk, 0)
            await ctx.delay(1e-6)
            seen.append(ctx.get(top.count))

        ctx.set(top.rst, 1)
        for _ in range(3):
            await edge()
        ctx.set(top.rst, 0)
        for _ in range(4):
            await edge()
        # Between two edges: it takes hold at the next one.
        ctx.set(top.rst, 1)
        await ctx.delay(1e-7)
        await edge()

    simulator = Simulator(top)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [0, 0, 0, 0, 0, 1, 2, 0]


def rises(cycles: int, ready: list[int]) -> list[int]:
    """`rst` after each edge of the clock, while `ready` is as the list says."""
    top = PowerOnReset(cycles)
    seen: list[int] = []

    async def bench(ctx):  # type: ignore[no-untyped-def]
        for value in ready:
            ctx.set(top.ready, value)
            await ctx.delay(1e-6)
            ctx.set(top.clk, 1)
            await ctx.delay(1e-6)
            ctx.set(top.clk, 0)
            seen.append(ctx.get(top.rst))

    simulator = Simulator(top)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def test_reset_stays_until_the_lock_has_held_for_the_cycles() -> None:
    # Two edges of the synchroniser, the cycles, and the register at the end.
    assert rises(4, [0, 0, 0] + [1] * 9) == [1] * 3 + [1] * (2 + 4) + [0] * 3


def test_a_lock_that_is_lost_resets_again_and_the_wait_begins_anew() -> None:
    seen = rises(4, [1] * 8 + [0] + [1] * 8)
    assert seen[:8] == [1] * 6 + [0] * 2
    assert seen[8:] == [1] * (1 + 6) + [0] * 2


def test_no_clock_passes_unreset_while_there_is_no_lock() -> None:
    assert all(rises(2, [0] * 20))


@pytest.mark.parametrize("cycles", [0, 3, -4])
def test_only_powers_of_two_are_counted(cycles: int) -> None:
    with pytest.raises(ValueError, match=f"cycles is {cycles}"):
        PowerOnReset(cycles)
