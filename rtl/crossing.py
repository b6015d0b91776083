# SPDX-License-Identifier: BSD-2-Clause
"""Inputs that know no clock, brought into the sync domain. All such crossings stand here and in rtl/reset.py."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

STAGES = 2


class SynchronisedPin(wiring.Component):
    """A pin through STAGES flip-flops, so that what leaves is stable for a whole cycle.

    pin     the input, which may change at any time
    value   the same, STAGES cycles later; `idle` until then

    Several pins that are synchronised apart may move against each other by a cycle. Cost: STAGES flip-flops.
    """

    def __init__(self, idle: int = 0) -> None:
        self.idle = idle
        super().__init__({"pin": In(1), "value": Out(1, init=idle)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.flops = FFSynchronizer(self.pin, self.value, stages=STAGES, init=self.idle, reset_less=False)
        return m
