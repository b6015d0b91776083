# SPDX-License-Identifier: BSD-2-Clause
"""A reset that comes at any time leaves with the clock."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from liquid_accel.rtl.reset import SynchronisedReset


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
