# SPDX-License-Identifier: BSD-2-Clause
"""The datapath's clock is enabled from a frame's beginning until the next is waited for, and is off in between."""

from collections.abc import Iterator

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from simulators import need
from toys import toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver import Device
from liquid_accel.rtl import registers
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.golden import GoldenTransport

CONFIG = preset("test")
METERS = ("CLOCK_KHZ_LOW", "CLOCK_KHZ_HIGH")


class Metered(wiring.Component):
    """An accelerator whose registers CLOCK_KHZ count the cycles in which the datapath has a clock."""

    def __init__(self, config: LiquidConfig, gate_clock: bool) -> None:
        self.inner = Accelerator(config, gate_clock=gate_clock)
        super().__init__(dict(self.inner.signature.members))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = self.inner
        m.d.comb += [
            self.inner.request.valid.eq(self.request.valid),
            self.inner.request.payload.eq(self.request.payload),
            self.request.ready.eq(self.inner.request.ready),
            self.inner.response.ready.eq(self.response.ready),
            self.response.valid.eq(self.inner.response.valid),
            self.interrupt.eq(self.inner.interrupt),
        ]
        clocked, chosen = Signal(32), Signal(8)
        m.d.sync += clocked.eq(clocked + self.inner.core.active)
        with m.If(self.request.valid & self.request.ready):
            m.d.sync += chosen.eq(self.request.payload.address)
        m.d.comb += self.response.payload.eq(self.inner.response.payload)
        for half, name in enumerate(METERS):
            with m.If(chosen == registers.address(name)):
                word = clocked.word_select(half, 16)
                m.d.comb += self.response.payload.eq(word)
        return m


def meters(wire: CxxrtlTransport) -> tuple[int, int]:
    """Cycles so far, and those with a clock."""
    low, high = (int(wire.read(registers.address(name), 1)[0]) for name in METERS)
    return wire.cycles, low | high << 16


@pytest.fixture(scope="module", params=[True, False], ids=["gated", "free"])
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[bool, CxxrtlTransport]]:
    need("cxxrtl")
    with CxxrtlTransport(CONFIG, device=Metered(CONFIG, request.param)) as wire:
        yield request.param, wire


def test_the_clock_is_off_between_frames_and_no_word_changes(machine: tuple[bool, CxxrtlTransport]) -> None:
    gated, wire = machine
    options = CompileOptions(solver="etd21", delta_threshold=1 / 64)
    image = compile(toy_model(size=12), calibration=toy_data(), options=options, config=CONFIG)
    data = toy_data(sequences=3)
    expected = Device(GoldenTransport(CONFIG))
    expected.load(image)
    golden = expected.run(data, states=True, trace=True)
    device = Device(wire)
    device.load(image)
    start = meters(wire)
    found = device.run(data, states=True, trace=True)
    frames = meters(wire)
    wire.write(registers.address("IRQ_ENABLE"), [0])
    wire.wait(0.0)  # for what does not come
    end = meters(wire)
    assert np.array_equal(found.y, golden.y)
    assert np.array_equal(found.cycles, golden.cycles), "the same cycles"
    spent = int(golden.cycles[golden.mask].sum())
    # FRAME's own cycles are counted before the header is read; the trailer and states come after the last one counted.
    assert frames[1] - start[1] >= spent - 8 * int(golden.mask.sum())
    still = end[0] - frames[0]
    assert still > 10_000
    if gated:
        assert end[1] - frames[1] < 40, "clocked for the requests of this test alone"
    else:
        assert end[1] - frames[1] == still
