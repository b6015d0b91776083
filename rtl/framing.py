# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the link (docs/link.md): flags and escapes taken off and put on, and the CRC, a bit a cycle.

Bytes come and go at most once in 32 cycles, so that a bit a cycle keeps up, and costs a register where a byte a cycle
costs hundreds of logic cells.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .link import CRC_POLYNOMIAL, CRC_RESIDUE, ESCAPE, ESCAPE_FLIP, FLAG
from .uart import RECEIVED

CRC_BITS = 32
# What goes out: a content byte, or in its place a flag.
CONTENT = data.StructLayout({"byte": 8, "flag": 1})


class SerialCrc(wiring.Component):
    """CRC-32 over bits, lowest of each byte first.

    clear    all ones, before the first bit
    enable   takes `bit`; with `drain`, moves on to the next bit of the result in its place
    out      the result's lowest bit: drained over 32 cycles, the four bytes that follow the content
    sound    the bits so far are content and the CRC that belongs to it
    Cost on iCE40: 32 flip-flops, 11 look-up tables for `sound`.
    """

    clear: In(1)
    enable: In(1)
    drain: In(1)
    bit: In(1)
    out: Out(1)
    sound: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        crc, feedback = Signal(CRC_BITS, init=-1), Signal()
        m.d.comb += [
            feedback.eq((crc[0] ^ self.bit) & ~self.drain),
            self.out.eq(~crc[0]),
            self.sound.eq(crc == CRC_RESIDUE),
        ]
        with m.If(self.enable):
            taps = (CRC_POLYNOMIAL >> i & 1 for i in range(CRC_BITS))
            shifted = Cat(crc[1:], Const(0, 1))
            m.d.sync += crc.eq(Cat(bit ^ feedback if tap else bit for bit, tap in zip(shifted, taps)))
        with m.If(self.clear):
            m.d.sync += crc.eq(-1)
        return m


class Deframer(wiring.Component):
    """Bytes of the wire to bits of content.

    listen      while low, what comes is ignored; once high, it is ignored up to the first flag
    received    bytes, at least 10 cycles apart
    start       for one cycle: a flag, with nothing between it and the one before; a frame may begin
    stop        for one cycle: a flag that ends a frame; `damaged` says then whether its bytes were wrong
    valid, bit  a bit of content, lowest of each byte first, eight cycles in a row

    `damaged`: a framing error, or a flag right after an escape. Anything but flags counts as a frame.
    """

    listen: In(1)
    received: In(stream.Signature(RECEIVED, always_ready=True))
    start: Out(1)
    stop: Out(1)
    damaged: Out(1)
    valid: Out(1)
    bit: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, error = self.received.payload.byte, self.received.payload.error
        flag, escape = Signal(), Signal()
        hunting, filled, escaped, wrong = Signal(init=1), Signal(), Signal(), Signal()
        shift, left = Signal(8), Signal(4)
        m.d.comb += [
            flag.eq(self.received.valid & (byte == FLAG) & ~error),
            escape.eq((byte == ESCAPE) & ~escaped),
            self.start.eq(flag & ~filled & self.listen),
            self.stop.eq(flag & filled),
            self.damaged.eq(wrong | escaped),
            self.valid.eq(left[3]),
            self.bit.eq(shift[0]),
        ]
        with m.If(left[3]):
            m.d.sync += [left.eq(left + 1), shift.eq(shift >> 1)]
        with m.If(flag):
            m.d.sync += [hunting.eq(0), filled.eq(0), escaped.eq(0), wrong.eq(0)]
        with m.Elif(self.received.valid & ~hunting):
            m.d.sync += [filled.eq(1), escaped.eq(escape), wrong.eq(wrong | error)]
            m.d.sync += shift.eq(byte ^ Mux(escaped, ESCAPE_FLIP, 0))
            with m.If(~escape):
                m.d.sync += left.eq(8)
        with m.If(~self.listen):
            m.d.sync += [hunting.eq(1), filled.eq(0), escaped.eq(0), wrong.eq(0), left.eq(0)]
        return m


class Framer(wiring.Component):
    """Bytes of content to bytes of the wire, in the same cycle: a byte that is a flag or an escape becomes two.

    content   a byte, or with `flag` a flag as it is
    bytes     to the wire
    """

    content: In(stream.Signature(CONTENT))
    bytes: Out(stream.Signature(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, flag = self.content.payload.byte, self.content.payload.flag
        special, escaped, escape = Signal(), Signal(), Signal()
        m.d.comb += [
            special.eq((byte == FLAG) | (byte == ESCAPE)),
            escape.eq(special & ~flag & ~escaped),
            self.bytes.valid.eq(self.content.valid),
            self.content.ready.eq(self.bytes.ready & ~escape),
            self.bytes.payload.eq(Mux(flag, FLAG, Mux(escape, ESCAPE, byte ^ Mux(special, ESCAPE_FLIP, 0)))),
        ]
        with m.If(self.content.valid & self.bytes.ready):
            m.d.sync += escaped.eq(escape)
        return m
