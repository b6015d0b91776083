# SPDX-License-Identifier: BSD-2-Clause
"""The accelerator alone on an iCE40UP5K, its register bus on pins: counts cells and clock without a board."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig

RESPONSE_PINS = 4


class BareTop(wiring.Component):
    """Every request bit on a pin; the response leaves a nibble at a time, as there are 39 pins in all."""

    def __init__(self, config: LiquidConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(1),
                "address": In(8),
                "data": In(16),
                "request_valid": In(1),
                "request_ready": Out(1),
                "nibble": In(2),
                "response": Out(RESPONSE_PINS),
                "response_valid": Out(1),
                "response_ready": In(1),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.accelerator = accelerator = Accelerator(self.config, vendor="ice40")
        request, response = accelerator.request, accelerator.response
        payload = Signal(16)
        m.d.comb += [
            request.payload.eq(Cat(self.write, self.address, self.data)),
            request.valid.eq(self.request_valid),
            self.request_ready.eq(request.ready),
            payload.eq(response.payload),
            self.response.eq(payload.word_select(self.nibble, RESPONSE_PINS)),
            self.response_valid.eq(response.valid),
            response.ready.eq(self.response_ready),
            self.interrupt.eq(accelerator.interrupt),
        ]
        return m
