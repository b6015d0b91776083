# SPDX-License-Identifier: BSD-2-Clause
"""The step controller under cocotb, beside an S memory of its own: random frames against the golden controller."""

import pytest
from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from runner import run_cocotb

from liquid_accel.rtl.memory import Ram
from liquid_accel.rtl.step_controller import StepController

SCALARS = 256
# Ports that the bench uses for its memory; all others are its own ports, by the same names.
MEMORY_PORTS = ("s_address", "s_data", "s_write", "s_write_data")


class ControllerBench(wiring.Component):
    """A step controller with its S memory, which the host may read and write while the controller rests."""

    def __init__(self) -> None:
        self.controller = StepController()
        ports = {name: member for name, member in self.controller.signature.members.items() if name not in MEMORY_PORTS}
        self.passed = tuple(ports)
        host = {"host": In(1), "host_address": In(8), "host_write": In(1), "host_data": In(16), "host_word": Out(16)}
        super().__init__({**ports, **host})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.controller = controller = self.controller
        m.submodules.scalars = scalars = Ram(SCALARS)
        for name in self.passed:
            inner, outer = getattr(controller, name), getattr(self, name)
            flow = controller.signature.members[name].flow
            m.d.comb += inner.eq(outer) if flow == In else outer.eq(inner)
        address = Signal(8)
        m.d.comb += [
            address.eq(Mux(self.host, self.host_address, controller.s_address)),
            scalars.read_row.eq(address),
            scalars.write_row.eq(address),
            scalars.write_data.eq(Mux(self.host, self.host_data, controller.s_write_data)),
            scalars.write_parts.eq(Mux(self.host, self.host_write, controller.s_write)),
            controller.s_data.eq(scalars.read_data),
            self.host_word.eq(scalars.read_data),
        ]
        return m


@pytest.mark.parametrize("seed", [1, 2])
def test_plans_and_decisions_are_the_golden_models(simulator: str, seed: int) -> None:
    print(f"seed {seed}")
    environment = {"CONTROLLER_SEED": str(seed)}
    run_cocotb(ControllerBench(), "cocotb_step_controller", simulator, environment=environment, seed=seed)
