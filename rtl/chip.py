# SPDX-License-Identifier: BSD-2-Clause
"""The whole chip: accelerator, link and lamps, with pins that know no clock."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .accelerator import Accelerator
from .config import LiquidConfig
from .link import DEFAULT_BAUD
from .link_engine import LinkEngine
from .spi import SpiPeripheral
from .uart import UartReceiver, UartTransmitter, baud_divisor

WIRES = {
    "uart": {"rx": In(1), "tx": Out(1, init=1)},
    "spi": {"sck": In(1), "mosi": In(1), "cs_n": In(1), "miso": Out(1)},
}
LAMP_SECONDS = 0.05  # what an eye still sees


class Lamps(wiring.Component):
    """Events of a cycle made visible: each output is high from its event on, for LAMP_SECONDS to four times as long.

    One counter serves both, and stands still while both are dark.
    """

    def __init__(self, clock_hz: float) -> None:
        self.bits = max(1, (round(clock_hz * LAMP_SECONDS) - 1).bit_length())
        super().__init__({"sound": In(1), "trouble": In(1), "activity": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The carry has a flip-flop of its own, so that the chain ends there.
        count, tick = Signal(self.bits), Signal()
        m.d.sync += Cat(count, tick).eq(count + 1)
        with m.If(~self.activity & ~self.error):
            m.d.sync += [count.eq(0), tick.eq(0)]
        for event, lamp in ((self.sound, self.activity), (self.trouble, self.error)):
            more = Signal()
            with m.If(event):
                m.d.sync += [lamp.eq(1), more.eq(1)]
            with m.Elif(tick):
                m.d.sync += [lamp.eq(more), more.eq(0)]
        return m


class Chip(wiring.Component):
    """The accelerator with its link on pins, in the sync domain.

    rx, tx               UART, idle high; or with wire="spi":
    sck, mosi, cs_n, miso
    activity, error      lamps: a sound frame came; a damaged one did, or STATUS shows an error
    interrupt            the accelerator's, a level

    A bit of the UART takes `divisor` cycles; where it is None, what `clock_hz` and `baud` give. `device` takes the
    place of the accelerator. A clock of 0 is one that nobody knows. Raises ValueError where `wire` is unknown or the
    UART cannot have that rate.
    """

    def __init__(
        self,
        config: LiquidConfig,
        *,
        clock_hz: float,
        baud: float = DEFAULT_BAUD,
        divisor: int | None = None,
        vendor: str = "portable",
        wire: str = "uart",
        device: Any = None,
    ) -> None:
        if wire not in WIRES:
            raise ValueError(f"wire is {wire!r}: one of {', '.join(WIRES)} was expected")
        self.config, self.clock_hz, self.vendor, self.wire, self.device = config, clock_hz, vendor, wire, device
        if divisor is None:
            divisor = baud_divisor(clock_hz, baud) if wire == "uart" else 0
        self.divisor = divisor
        super().__init__({**WIRES[wire], "activity": Out(1), "error": Out(1), "interrupt": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        device = self.device or Accelerator(self.config, self.vendor, round(self.clock_hz / 1e3))
        m.submodules.accelerator = device
        m.submodules.link = link = LinkEngine(self.vendor)
        m.submodules.lamps = lamps = Lamps(self.clock_hz)
        if self.wire == "uart":
            m.submodules.receiver = receiver = UartReceiver(self.divisor)
            m.submodules.transmitter = transmitter = UartTransmitter(self.divisor)
            m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
            wiring.connect(m, receiver.received, link.received)
            wiring.connect(m, link.sent, transmitter.sent)
        else:
            m.submodules.peripheral = peripheral = SpiPeripheral()
            m.d.comb += [getattr(peripheral, name).eq(getattr(self, name)) for name in ("sck", "mosi", "cs_n")]
            m.d.comb += self.miso.eq(peripheral.miso)
            wiring.connect(m, peripheral.received, link.received)
            wiring.connect(m, link.sent, peripheral.sent)
        wiring.connect(m, link.request, device.request)
        wiring.connect(m, device.response, link.response)
        m.d.comb += [
            link.interrupt.eq(device.interrupt),
            self.interrupt.eq(device.interrupt),
            lamps.sound.eq(link.sound),
            lamps.trouble.eq(link.damaged | device.error),
            self.activity.eq(lamps.activity),
            self.error.eq(lamps.error),
        ]
        return m
