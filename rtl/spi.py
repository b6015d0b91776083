# SPDX-License-Identifier: BSD-2-Clause
"""SPI, the peripheral's side: mode 0, highest bit first, a stream of bytes each way (docs/link.md)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .crossing import SynchronisedPin
from .link import FLAG
from .uart import RECEIVED, SENT


class SpiPeripheral(wiring.Component):
    """Bytes from and to the pins, all of which are sampled with the device's clock, at least SPI_CLOCK_RATIO times as
    fast as `sck`.

    sck, mosi, cs_n, miso   the pins; miso changes up to 3 cycles after sck has fallen
    received                a byte for one cycle, after its last rising edge; `error` is never set
    sent                    a byte is taken ahead, as soon as the one before it has begun; where there is none, a flag
                            goes out

    A byte that chip select cuts short is forgotten, in both directions.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "sck": In(1),
                "mosi": In(1),
                "cs_n": In(1),
                "miso": Out(1),
                "received": Out(stream.Signature(RECEIVED, always_ready=True)),
                "sent": In(SENT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sck = sck = SynchronisedPin()
        m.submodules.mosi = mosi = SynchronisedPin()
        m.submodules.cs_n = cs_n = SynchronisedPin(idle=1)
        before, rises, falls = Signal(), Signal(), Signal()
        # One register serves both directions: what is sent leaves at the top, what comes enters at the bottom.
        shift, came, count, between = Signal(8, init=FLAG), Signal(), Signal(3), Signal()
        # The byte that goes out next; its lowest bit came first.
        following, full, rest = Signal(8, reset_less=True), Signal(), Signal()
        m.d.sync += [before.eq(sck.value), rest.eq(self.sent.valid & ~full & ~(self.sent.take & self.sent.last))]
        m.d.comb += [
            sck.pin.eq(self.sck),
            mosi.pin.eq(self.mosi),
            cs_n.pin.eq(self.cs_n),
            rises.eq(sck.value & ~before & ~cs_n.value),
            falls.eq(~sck.value & before & ~cs_n.value),
            between.eq(count == 0),
            self.miso.eq(shift[-1]),
            self.received.payload.byte.eq(Cat(mosi.value, shift[:-1])),
            self.received.valid.eq(rises & (count == 7)),
            self.sent.take.eq(rest & self.sent.valid & ~full),
        ]
        with m.If(self.sent.take):
            m.d.sync += [following.eq(Cat(following[1:], self.sent.bit)), full.eq(self.sent.last)]
        with m.If(rises):
            m.d.sync += [count.eq(count + 1), came.eq(mosi.value)]
        with m.If(falls):
            m.d.sync += shift.eq(Cat(came, shift[:-1]))
            with m.If(between):
                m.d.sync += [shift.eq(Mux(full, following, FLAG)), full.eq(0)]
        with m.If(cs_n.value):
            m.d.sync += count.eq(0)
            with m.If(~between):
                m.d.sync += shift.eq(FLAG)
        return m
