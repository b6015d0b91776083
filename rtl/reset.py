# SPDX-License-Identifier: BSD-2-Clause
"""Resets: from a pin, and at power-on: asserted at once, released with the clock."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import In, Out


class SynchronisedReset(wiring.Component):
    """`inner` with its ports, plus `clk` and `rst` of its sync domain, where `rst` may come at any time.

    The domain is reset as soon as `rst` is high, and leaves reset two clock edges after it is low, so that all its
    flip-flops leave it together. A requester lets those two cycles pass: in reset, the bus accepts and
    forgets.
    """

    def __init__(self, inner: wiring.Component) -> None:
        self.inner = inner
        super().__init__({**dict(inner.signature.members), "clk": In(1), "rst": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain("sync", local=True)
        m.d.comb += ClockSignal("sync").eq(self.clk)
        m.submodules.synchroniser = ResetSynchronizer(self.rst, domain="sync")
        m.submodules.inner = self.inner
        for name, member in self.inner.signature.members.items():
            outside, inside = getattr(self, name), getattr(self.inner, name)
            if not member.is_port:
                wiring.connect(m, wiring.flipped(outside), inside)
            elif member.flow == In:
                m.d.comb += inside.eq(outside)
            else:
                m.d.comb += outside.eq(inside)
        return m


class PowerOnReset(wiring.Component):
    """`rst` is high until `ready` (a PLL's lock, which comes at any time) has been high for `cycles` edges of `clk`.

    cycles   a power of two. Where `ready` falls again, `rst` is back within two edges of `clk`.
    Latency from `ready` to the fall of `rst`: two edges of the synchroniser, `cycles`, and one of the register behind.
    """

    def __init__(self, cycles: int) -> None:
        if cycles < 1 or cycles & cycles - 1:
            raise ValueError(f"cycles is {cycles}: a power of two was expected")
        self.cycles = cycles
        super().__init__({"clk": In(1), "ready": In(1), "rst": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.por = ClockDomain("por", local=True)
        m.d.comb += ClockSignal("por").eq(self.clk)
        m.submodules.synchroniser = ResetSynchronizer(~self.ready, domain="por")
        # The highest bit says that the count is over.
        count = Signal(self.cycles.bit_length())
        with m.If(~count[-1]):
            m.d.por += count.eq(count + 1)
        m.d.por += self.rst.eq(~count[-1])
        return m
