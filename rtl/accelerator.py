# SPDX-License-Identifier: BSD-2-Clause
"""The accelerator: the core behind its register bus."""

from __future__ import annotations

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .core import Core
from .csr import REQUEST, RegisterBlock


class Accelerator(wiring.Component):
    """Registers (rtl/registers.py) in front of the core; what a transport or a bus wrapper talks to.

    request, response   streams: one response for each request, in order
    interrupt           level, see IRQ_ENABLE
    error               level: STATUS shows an error
    clock_khz           what the register CLOCK_KHZ reads as; 0: unknown
    gate_clock          the datapath's flip-flops are clocked only while a frame is under way, see Core
    Reset of the sync domain is synchronous; where it comes from a pin, rtl/reset.py synchronises its release. ABORT
    resets the core, not the memories' contents.
    """

    def __init__(
        self, config: LiquidConfig, vendor: str = "portable", clock_khz: int = 0, gate_clock: bool = True
    ) -> None:
        self.config, self.vendor, self.clock_khz = config, vendor, clock_khz
        self.core = Core(config, vendor, gate_clock)
        super().__init__(
            {
                "request": In(stream.Signature(REQUEST)),
                "response": Out(stream.Signature(16)),
                "interrupt": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.registers = block = RegisterBlock(self.config, self.clock_khz)
        core = self.core
        m.submodules.core = ResetInserter(block.abort)(core)
        wiring.connect(m, wiring.flipped(self.request), block.request)
        wiring.connect(m, block.response, wiring.flipped(self.response))
        wiring.connect(m, block.frames, core.frames)
        wiring.connect(m, core.results, block.results)
        m.d.comb += [self.interrupt.eq(block.interrupt), self.error.eq(block.error)]
        for name in ("run", "near", "host_space", "host_address", "host_write", "host_write_data"):
            m.d.comb += getattr(core, name).eq(getattr(block, name))
        for name in ("idle", "starved", "illegal", "in_room", "out_level", "host_read_data"):
            m.d.comb += getattr(block, name).eq(getattr(core, name))
        return m
