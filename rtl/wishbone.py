# SPDX-License-Identifier: BSD-2-Clause
"""Wishbone B4 (classic cycles) in front of the accelerator's register bus, for systems built outside this project."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from liquid_accel.rtl.csr import REQUEST
from liquid_accel.rtl.named_accelerator import named_accelerator
from liquid_accel.rtl.transport import ADDRESS_BITS, WORD_BITS

DATA_WIDTHS = (16, 32)


def wishbone_signature(data_width: int) -> wiring.Signature:
    """Return the signals of the bus as its master sees them; `adr` counts registers, not bytes.

    Raises ValueError unless `data_width` is one of DATA_WIDTHS.
    """
    if data_width not in DATA_WIDTHS:
        raise ValueError(f"data_width is {data_width}: one of {DATA_WIDTHS} was expected")
    return wiring.Signature(
        {
            "cyc": Out(1),
            "stb": Out(1),
            "we": Out(1),
            "adr": Out(ADDRESS_BITS),
            "sel": Out(data_width // 8),
            "dat_w": Out(data_width),
            "dat_r": In(data_width),
            "ack": In(1),
        }
    )


class WishboneBridge(wiring.Component):
    """One Wishbone access is one request on the register bus.

    Ports: `bus` (Wishbone, as the slave), `request` (stream of REQUEST) and `response` (stream of a word).

    Byte order is little-endian: the register's word is bits 15:0 of the data, `sel[0]` its low byte. With 32 data bits
    the upper half is ignored on a write and 0 on a read, so that register n lies at byte address 4 n (2 n with 16).
    A register has no bytes of its own: a write whose `sel` lacks one of the word's two bytes changes nothing, and is
    acknowledged.

    One access is outstanding at a time, and each is acknowledged, for one cycle, when the register bus has answered:
    4 cycles after `stb` where the device answers in one. A master that lets go of `cyc` or `stb` before the
    acknowledgement gets none; the access happens all the same.
    """

    def __init__(self, data_width: int = 32) -> None:
        self.data_width = data_width
        super().__init__(
            {
                "bus": In(wishbone_signature(data_width)),
                "request": Out(stream.Signature(REQUEST)),
                "response": In(stream.Signature(WORD_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, request, response = self.bus, self.request, self.response
        asks = bus.cyc & bus.stb
        # The request is held in registers: a stream must not fall back, whatever the master does.
        gone = Signal()
        with m.FSM():
            with m.State("IDLE"):
                with m.If(asks & ~bus.ack):
                    m.d.sync += [
                        gone.eq(0),
                        request.payload.write.eq(bus.we),
                        request.payload.address.eq(bus.adr),
                        request.payload.data.eq(bus.dat_w),
                    ]
                    with m.If(bus.we & ~bus.sel[: WORD_BITS // 8].all()):
                        m.d.sync += bus.ack.eq(1)
                        m.next = "ACK"
                    with m.Else():
                        m.d.sync += request.valid.eq(1)
                        m.next = "ASK"
            with m.State("ASK"):
                m.d.sync += gone.eq(gone | ~asks)
                with m.If(request.ready):
                    m.d.sync += request.valid.eq(0)
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.sync += gone.eq(gone | ~asks)
                m.d.comb += response.ready.eq(1)
                with m.If(response.valid):
                    # A master that let go and came back must not take this answer for its new access.
                    m.d.sync += [bus.dat_r.eq(response.payload), bus.ack.eq(asks & ~gone)]
                    m.next = "ACK"
            with m.State("ACK"):
                m.d.sync += bus.ack.eq(0)
                m.next = "IDLE"
        return m


class AcceleratorWishbone(wiring.Component):
    """The bridge with a Verilog module `accelerator` behind it; ports `bus` and `interrupt`.

    The accelerator is named, not contained: accelerator.v is a file of its own.
    """

    def __init__(self, data_width: int = 32) -> None:
        self.data_width = data_width
        super().__init__({"bus": In(wishbone_signature(data_width)), "interrupt": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bridge = bridge = WishboneBridge(self.data_width)
        wiring.connect(m, wiring.flipped(self.bus), bridge.bus)
        m.submodules.accelerator = named_accelerator(bridge.request, bridge.response, self.interrupt)
        return m
