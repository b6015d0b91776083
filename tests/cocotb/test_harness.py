# SPDX-License-Identifier: BSD-2-Clause
"""The cocotb harness itself, on a skid buffer: it passes a good block, and fails a bad one with the reason."""

import pytest
from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from runner import run_cocotb


class SkidBuffer(wiring.Component):
    """A stream through two registers, so that `ready` is one too. `broken` lets the payload change while it waits."""

    def __init__(self, width: int, broken: bool = False):
        self.broken = broken
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        full, kept = Signal(), Signal.like(self.i.payload)
        m.d.comb += self.i.ready.eq(~full)
        free = ~self.o.valid | self.o.ready
        with m.If(free):
            m.d.sync += [self.o.valid.eq(self.i.valid | full), full.eq(0)]
            m.d.sync += self.o.payload.eq(self.i.payload)
            with m.If(full):
                m.d.sync += self.o.payload.eq(kept)
        with m.Elif(self.i.valid & ~full):
            m.d.sync += [full.eq(1), kept.eq(self.i.payload)]
            if self.broken:
                m.d.sync += self.o.payload.eq(self.i.payload)
        return m


@pytest.mark.parametrize("width", [8, 25])
def test_a_good_block_passes(simulator: str, width: int) -> None:
    run_cocotb(SkidBuffer(width), "cocotb_skid", simulator, environment={"SKID_SEED": "7"})


def test_a_bad_block_fails_with_the_reason(simulator: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"o: payload changed from \w+ to \w+ before it was taken"):
        run_cocotb(SkidBuffer(16, broken=True), "cocotb_skid", simulator)
