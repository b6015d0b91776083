# SPDX-License-Identifier: BSD-2-Clause
"""UART: 8 data bits, no parity, one stop bit, lowest bit first (docs/link.md)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .crossing import SynchronisedPin
from .link import MIN_DIVISOR

# What a wire hands on: a byte, and whether it is known to be wrong.
RECEIVED = data.StructLayout({"byte": 8, "error": 1})
# What a wire takes: while `valid`, a byte waits whose lowest bit is `bit`; `take` asks for the next one, `last` says
# that there is none. Neither in the cycle in which `valid` comes, nor in the one after `last`, may a wire take.
SENT = wiring.Signature({"valid": Out(1), "bit": Out(1), "last": Out(1), "take": In(1)})
TOLERANCE = 0.02  # of the rate that is asked for: what is left for the other side's clock


def baud_divisor(clock_hz: float, baud: float) -> int:
    """Clock cycles a bit. Raises ValueError where fewer than MIN_DIVISOR, or where whole cycles miss `baud` by more
    than TOLERANCE."""
    divisor = round(clock_hz / baud)
    if divisor < MIN_DIVISOR:
        raise ValueError(f"baud is {baud:g}: at most {clock_hz / MIN_DIVISOR:g} was expected at {clock_hz:g} Hz")
    if abs(clock_hz / divisor / baud - 1) > TOLERANCE:
        raise ValueError(
            f"baud is {baud:g}: {clock_hz:g} Hz gives {clock_hz / divisor:g}, within {TOLERANCE:.0%} was expected"
        )
    return divisor


def _check(divisor: int) -> None:
    if divisor < MIN_DIVISOR:
        raise ValueError(f"divisor is {divisor}: {MIN_DIVISOR} or more was expected")


class UartReceiver(wiring.Component):
    """Bytes from a pin. A bit takes `divisor` cycles and is sampled once, in its middle.

    rx         the pin
    received   a byte for one cycle, after the middle of its stop bit; `error` where the stop bit is low

    A low that is gone in the middle of the start bit was a glitch. After a framing error (a break, for instance) the
    line has to be high before a new start bit counts. Two clocks may differ by about 4 % at large divisors.
    """

    def __init__(self, divisor: int) -> None:
        _check(divisor)
        self.divisor = divisor
        super().__init__({"rx": In(1), "received": Out(stream.Signature(RECEIVED, always_ready=True))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.pin = pin = SynchronisedPin(idle=1)
        line, received = pin.value, self.received
        # A one above the byte moves down with it, and stands at the lowest place when the stop bit is due.
        shift, count = Signal(9, reset_less=True), Signal(range(self.divisor), reset_less=True)
        middle, full = Signal(), Signal()
        m.d.comb += [
            pin.pin.eq(self.rx),
            # The edge was seen up to a cycle late.
            middle.eq(count == self.divisor // 2 - 1),
            full.eq(count == self.divisor - 1),
            # One shift later than the byte was whole, so that it comes from flip-flops, as does its stop bit.
            received.payload.byte.eq(shift[:8]),
            received.payload.error.eq(~shift[8]),
        ]
        m.d.sync += [count.eq(count + 1), received.valid.eq(0)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += count.eq(0)
                with m.If(~line):
                    m.next = "START"
            with m.State("START"):
                with m.If(middle):
                    m.d.sync += [count.eq(0), shift.eq(1 << 8)]
                    m.next = "BITS"
                    with m.If(line):
                        m.next = "IDLE"
            with m.State("BITS"):
                with m.If(full):
                    m.d.sync += [count.eq(0), shift.eq(Cat(shift[1:], line))]
                    with m.If(shift[0]):
                        m.d.sync += received.valid.eq(1)
                        # The next start bit may begin before this stop bit is over.
                        m.next = "BREAK"
                        with m.If(line):
                            m.next = "IDLE"
            with m.State("BREAK"):
                with m.If(line):
                    m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a pin, `divisor` cycles a bit.

    sent   a byte, bit by bit as they go
    tx     the line, from a flip-flop; high when idle and in reset
    """

    def __init__(self, divisor: int) -> None:
        _check(divisor)
        self.divisor = divisor
        super().__init__({"sent": In(SENT), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count, full = Signal(range(self.divisor), reset_less=True), Signal()
        # A cycle ahead, so that it comes from a flip-flop.
        m.d.sync += full.eq(count == self.divisor - 2)
        with m.If(full):
            m.d.sync += count.eq(0)
        with m.Else():
            m.d.sync += count.eq(count + 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [count.eq(0), self.tx.eq(~self.sent.valid)]
                with m.If(self.sent.valid):
                    m.next = "BITS"
            with m.State("BITS"):
                with m.If(full):
                    m.d.comb += self.sent.take.eq(1)
                    m.d.sync += self.tx.eq(self.sent.bit)
                    with m.If(self.sent.last):
                        m.next = "LAST"
            with m.State("LAST"):
                with m.If(full):
                    m.d.sync += self.tx.eq(1)
                    m.next = "STOP"
            with m.State("STOP"):
                with m.If(full):
                    m.next = "IDLE"
        return m
