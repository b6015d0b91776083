# SPDX-License-Identifier: BSD-2-Clause
"""AXI4-Lite in front of the accelerator's register bus, for systems built outside this project."""

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from liquid_accel.rtl.csr import REQUEST
from liquid_accel.rtl.named_accelerator import named_accelerator
from liquid_accel.rtl.transport import ADDRESS_BITS, WORD_BITS

DATA_WIDTH = 32
BYTE_ADDRESS_BITS = 32
OKAY, SLVERR = 0b00, 0b10
_LANE_BITS = (DATA_WIDTH // 8 - 1).bit_length()

# Signals of the bus as its master sees them: five channels, each with valid and ready.
SIGNATURE = wiring.Signature(
    {
        "awaddr": Out(BYTE_ADDRESS_BITS), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
        "wdata": Out(DATA_WIDTH), "wstrb": Out(DATA_WIDTH // 8), "wvalid": Out(1), "wready": In(1),
        "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        "araddr": Out(BYTE_ADDRESS_BITS), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
        "rdata": In(DATA_WIDTH), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
    }
)  # fmt: skip


class AxiLiteBridge(wiring.Component):
    """One AXI4-Lite access is one request on the register bus.

    Ports: `bus` (AXI4-Lite, as the subordinate), `request` (stream of REQUEST) and `response` (stream of a word).

    Register n lies at byte address 4 n; the two lowest address bits are ignored. Byte order is little-endian: the
    register's word is bits 15:0, the upper half is ignored on a write and 0 on a read. A register has no bytes of its
    own: a write whose `wstrb` lacks one of the word's two bytes changes nothing, and is answered with OKAY. An address
    past the registers' space (4 x 256 bytes) is answered with SLVERR, reads there as 0, and reaches no register.

    Write address and write data may come in either order. Each of the channels AW, W and AR has a place to wait in, so
    that `ready` depends on no `valid`; one access is on the register bus at a time, and where a read and a write wait,
    the kind goes first that did not go last. All outputs come from registers.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bus": In(SIGNATURE),
                "request": Out(stream.Signature(REQUEST)),
                "response": In(stream.Signature(WORD_BITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, request, response = self.bus, self.request, self.response
        # A channel's place is free where its ready is high. In reset it is not, as the standard asks.
        take_aw, take_w, take_ar = (Signal(name=f"take_{channel}") for channel in ("aw", "w", "ar"))
        aw, w, ar = (Signal(name=f"{channel}_waits") for channel in ("aw", "w", "ar"))
        write_address, read_address = Signal(BYTE_ADDRESS_BITS), Signal(BYTE_ADDRESS_BITS)
        data, strobes = Signal(WORD_BITS), Signal(WORD_BITS // 8)
        for name, waits, take, stored in (
            ("aw", aw, take_aw, [write_address.eq(bus.awaddr)]),
            ("w", w, take_w, [data.eq(bus.wdata), strobes.eq(bus.wstrb)]),
            ("ar", ar, take_ar, [read_address.eq(bus.araddr)]),
        ):
            valid, ready = getattr(bus, f"{name}valid"), getattr(bus, f"{name}ready")
            with m.If(take):
                m.d.sync += waits.eq(0)
            with m.If(~waits & ~ready):
                m.d.sync += ready.eq(1)
            with m.If(valid & ready):
                m.d.sync += [waits.eq(1), ready.eq(0), *stored]

        writing, past = Signal(), Signal()
        with m.If(bus.bvalid & bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.rvalid & bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                # The answer before has to be taken first: there is one place for each kind.
                can_write, can_read = Signal(), Signal()
                m.d.comb += [can_write.eq(aw & w & ~bus.bvalid), can_read.eq(ar & ~bus.rvalid)]
                with m.If(can_write & (~can_read | ~writing)):
                    m.d.sync += writing.eq(1)
                    m.next = "CHOSEN"
                with m.Elif(can_read):
                    m.d.sync += writing.eq(0)
                    m.next = "CHOSEN"
            with m.State("CHOSEN"):
                register = Signal(BYTE_ADDRESS_BITS - _LANE_BITS)
                beyond, partial = Signal(), Signal()
                with m.If(writing):
                    m.d.comb += [register.eq(write_address[_LANE_BITS:]), take_aw.eq(1), take_w.eq(1)]
                with m.Else():
                    m.d.comb += [register.eq(read_address[_LANE_BITS:]), take_ar.eq(1)]
                m.d.comb += [
                    beyond.eq(register[ADDRESS_BITS:].any()),
                    partial.eq(writing & ~strobes.all()),
                ]
                m.d.sync += [
                    past.eq(beyond),
                    request.payload.write.eq(writing),
                    request.payload.address.eq(register),
                    request.payload.data.eq(data),
                ]
                with m.If(~writing):
                    m.d.sync += bus.rdata.eq(0)
                with m.If(beyond | partial):
                    m.next = "DONE"
                with m.Else():
                    m.d.sync += request.valid.eq(1)
                    m.next = "ASK"
            with m.State("ASK"):
                with m.If(request.ready):
                    m.d.sync += request.valid.eq(0)
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += response.ready.eq(1)
                with m.If(response.valid):
                    with m.If(~writing):
                        m.d.sync += bus.rdata.eq(response.payload)
                    m.next = "DONE"
            with m.State("DONE"):
                with m.If(writing):
                    m.d.sync += [bus.bvalid.eq(1), bus.bresp.eq(past << 1)]
                with m.Else():
                    m.d.sync += [bus.rvalid.eq(1), bus.rresp.eq(past << 1)]
                m.next = "IDLE"
        return m


class AcceleratorAxiLite(wiring.Component):
    """The bridge with a Verilog module `accelerator` behind it; ports `bus` and `interrupt`.

    The accelerator is named, not contained: accelerator.v is a file of its own.
    """

    def __init__(self) -> None:
        super().__init__({"bus": In(SIGNATURE), "interrupt": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bridge = bridge = AxiLiteBridge()
        wiring.connect(m, wiring.flipped(self.bus), bridge.bus)
        m.submodules.accelerator = named_accelerator(bridge.request, bridge.response, self.interrupt)
        return m
