# SPDX-License-Identifier: BSD-2-Clause
"""The other end of a simulated chip's UART, on a chip that is a wire with a delay: what is sent comes back."""

from collections.abc import Iterator

import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulators import need

from liquid_accel.sim.chip import BYTE_BITS, SimulatedChip
from liquid_accel.sim.elaborate import to_rtlil

DELAY = 300  # cycles
LONG = 1_000_000


class Wire(wiring.Component):
    """tx follows rx, a shift register of 3 bits later; `activity` is high for DELAY cycles after rx was low."""

    def __init__(self) -> None:
        ports = {"rx": In(1), "tx": Out(1, init=1), "activity": Out(1), "error": Out(1), "interrupt": Out(1)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        first, second = Signal(init=1), Signal(init=1)
        left = Signal(range(DELAY + 1))
        m.d.sync += [first.eq(self.rx), second.eq(first), self.tx.eq(second)]
        m.d.sync += left.eq(Mux(self.rx, left - left.any(), DELAY))
        m.d.comb += [self.activity.eq(left.any()), self.error.eq(~self.rx), self.interrupt.eq(1)]
        return m


@pytest.fixture(scope="module", params=[4, 5, 104])
def chip(request: pytest.FixtureRequest) -> Iterator[SimulatedChip]:
    need("cxxrtl")
    with SimulatedChip(to_rtlil(Wire(), "liquid"), request.param) as simulated:
        yield simulated


def drain(chip: SimulatedChip) -> None:
    chip.noise(0, 1)
    while chip.exchange(cycles=LONG):
        pass


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=1, max_size=300))
def test_every_byte_comes_back_in_order_and_in_its_time(chip: SimulatedChip, sent: bytes) -> None:
    drain(chip)
    before = chip.cycles
    came = chip.exchange(sent, LONG)
    while more := chip.exchange(cycles=DELAY):
        came += more
    assert came == sent
    assert chip.cycles - before >= len(sent) * BYTE_BITS * chip.divisor
    assert chip.framing_errors == 0


def test_bytes_in_slices_are_the_bytes_of_one_call(chip: SimulatedChip) -> None:
    drain(chip)
    sent = bytes(range(256))
    came = chip.exchange(sent, 7)
    assert chip.state.sending
    for _ in range(256 * BYTE_BITS * chip.divisor):
        came += chip.exchange(cycles=7, quiet=LONG)
        if len(came) == len(sent):
            break
    assert came == sent
    assert not chip.state.sending


def test_a_chip_that_rests_costs_nothing_and_says_so(chip: SimulatedChip) -> None:
    drain(chip)
    assert chip.state.resting
    assert not chip.state.activity
    assert chip.state.interrupt
    cycles, simulated = chip.cycles, chip.simulated_cycles
    assert chip.exchange(cycles=10**12) == b""
    assert chip.cycles - cycles == 10**12
    assert chip.simulated_cycles - simulated <= 1024
    assert chip.exchange(b"\x55", BYTE_BITS * chip.divisor + 5, quiet=LONG) == b"\x55"
    assert chip.state.activity, "it is busy for a while after a byte"
    assert not chip.state.resting
    cycles, simulated = chip.cycles, chip.simulated_cycles
    assert chip.exchange(cycles=LONG) == b""
    assert DELAY // 2 < chip.simulated_cycles - simulated < DELAY + 1024
    assert chip.state.resting


def test_noise_inverts_bits_and_the_wire_recovers(chip: SimulatedChip) -> None:
    drain(chip)
    sent = bytes(range(256)) * 4
    chip.noise(0.01, 3)
    came = b""
    for start in range(0, len(sent), 64):
        came += chip.exchange(sent[start : start + 64], LONG)
    assert came != sent
    assert chip.framing_errors
    drain(chip)
    assert chip.exchange(sent, 2 * LONG) == sent
