# SPDX-License-Identifier: BSD-2-Clause
"""AXI4-Lite against a master that was written elsewhere."""

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from runner import run_cocotb
from standin import StandIn

from liquid_accel.rtl.axi_lite import SIGNATURE, AxiLiteBridge


class AxiSystem(wiring.Component):
    """The bridge in front of the stand-in."""

    bus: In(SIGNATURE)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bridge = bridge = AxiLiteBridge()
        m.submodules.device = device = StandIn(16)
        wiring.connect(m, wiring.flipped(self.bus), bridge.bus)
        wiring.connect(m, bridge.request, device.request)
        wiring.connect(m, device.response, bridge.response)
        return m


def test_axi_lite(simulator: str) -> None:
    run_cocotb(AxiSystem(), "cocotb_axi_lite", simulator)
