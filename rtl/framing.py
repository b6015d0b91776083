# SPDX-License-Identifier: BSD-2-Clause
"""Frames of the link (docs/link.md): flags and escapes taken off and put on, and the CRC, a bit a cycle.

Bytes come and go at most once in 32 cycles, so that a bit a cycle keeps up, and costs a register where a byte a cycle
costs hundreds of logic cells.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .link import CRC_POLYNOMIAL, ESCAPE, ESCAPE_FLIP, FLAG
from .uart import RECEIVED, SENT

CRC_BITS = 32


class SerialCrc(wiring.Component):
    """CRC-32 over bits, lowest of each byte first.

    clear    all ones, before the first bit
    enable   takes `bit`; with `drain`, the register is no more than a shift register, and `bit` enters at its top
    out      the result's lowest bit: drained over 32 cycles, the four bytes that follow the content
             after the four bytes of the result itself: CRC_RESIDUE, inverted
    middle   what entered 16 bits ago, once drained
    Cost on iCE40: 32 flip-flops and what feeds them.
    """

    def __init__(self) -> None:
        inputs, outputs = ("clear", "enable", "drain", "bit"), ("out", "middle")
        super().__init__({**dict.fromkeys(inputs, In(1)), **dict.fromkeys(outputs, Out(1))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        crc, feedback = Signal(CRC_BITS, init=-1, reset_less=True), Signal()
        m.d.comb += [
            feedback.eq((crc[0] ^ self.bit) & ~self.drain),
            self.out.eq(~crc[0]),
            self.middle.eq(crc[CRC_BITS // 2]),
        ]
        with m.If(self.enable):
            taps = (CRC_POLYNOMIAL >> i & 1 for i in range(CRC_BITS))
            shifted = Cat(crc[1:], self.drain & self.bit)
            m.d.sync += crc.eq(Cat(bit ^ feedback if tap else bit for bit, tap in zip(shifted, taps)))
        with m.If(self.clear):
            m.d.sync += crc.eq(-1)
        return m


class Deframer(wiring.Component):
    """Bytes of the wire to bits of content.

    listen      while low, what comes is ignored; once high, it is ignored up to the first flag
    received    bytes, at least 10 cycles apart
    flag        for one cycle; it ends a frame where `filled` says that there was something since the flag before, and
                `damaged` says then whether its bytes were wrong
    valid, bit  a bit of content, lowest of each byte first, until `taken` comes with the eighth

    `damaged`: a framing error, or a flag right after an escape. Anything but flags counts as a frame.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "listen": In(1),
                "received": In(stream.Signature(RECEIVED, always_ready=True)),
                "taken": In(1),
                **dict.fromkeys(("flag", "filled", "damaged", "valid", "bit"), Out(1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        byte, error = self.received.payload.byte, self.received.payload.error
        escape = Signal()
        hunting, escaped, wrong = Signal(init=1), Signal(reset_less=True), Signal(reset_less=True)
        shift = Signal(8, reset_less=True)
        m.d.comb += [
            self.flag.eq(self.received.valid & (byte == FLAG) & ~error),
            escape.eq((byte == ESCAPE) & ~escaped),
            self.damaged.eq(wrong | escaped),
            self.bit.eq(shift[0]),
        ]
        with m.If(self.taken):
            m.d.sync += self.valid.eq(0)
        with m.If(self.received.valid):
            m.d.sync += shift.eq(byte ^ Mux(escaped, ESCAPE_FLIP, 0))
            m.d.sync += [self.valid.eq(~escape & ~hunting), self.filled.eq(~hunting)]
            m.d.sync += [escaped.eq(escape), wrong.eq(wrong | error)]
        with m.Else():
            m.d.sync += shift.eq(shift >> 1)
        with m.If(self.flag):
            m.d.sync += [self.valid.eq(0), hunting.eq(0)]
        with m.If(self.flag | hunting):
            m.d.sync += [self.filled.eq(0), escaped.eq(0), wrong.eq(0)]
        with m.If(~self.listen):
            m.d.sync += [self.valid.eq(0), hunting.eq(1)]
        return m


class Framer(wiring.Component):
    """Content to bits on the wire: a byte that is a flag or an escape becomes two bytes.

    valid   a byte, or with `flag` a flag, waits to be sent
    byte    its bits come from byte[0], to be shifted where `taken` is high, and are all there before the first
    index   of a bit in its byte: to be counted up where `taken` or `extra` is high
    taken   a bit of content goes
    extra   a bit goes that is no content: of a flag, or of an escape before the byte
    done    with the last bit of a flag
    sent    to the wire
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": In(1),
                "flag": In(1),
                "byte": In(8),
                "index": In(3),
                "taken": Out(1),
                "extra": Out(1),
                "done": Out(1),
                "sent": Out(SENT),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()

        def here(byte: int) -> Value:
            return Const(byte, 8).bit_select(self.index, 1)

        step, last = Signal(), Signal()
        special, escaped = Signal(reset_less=True), Signal()
        instead = Signal()
        flip = escaped & here(ESCAPE_FLIP)
        # While a byte is shifted out it changes: what it was before the first bit counts.
        with m.If(self.index == 0):
            m.d.sync += special.eq((self.byte == FLAG) | (self.byte == ESCAPE))
        m.d.comb += [
            step.eq(self.valid & self.sent.take),
            last.eq(self.index == 7),
            instead.eq(self.flag | (special & ~escaped)),
            self.taken.eq(step & ~instead),
            self.extra.eq(step & instead),
            self.done.eq(step & last & self.flag),
            self.sent.valid.eq(self.valid),
            self.sent.last.eq(last),
            self.sent.bit.eq(Mux(instead, Mux(self.flag, here(FLAG), here(ESCAPE)), self.byte[0] ^ flip)),
        ]
        with m.If(step & last):
            m.d.sync += escaped.eq(instead & ~self.flag)
        return m
