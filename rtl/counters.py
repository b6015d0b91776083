# SPDX-License-Identifier: BSD-2-Clause
"""Performance counters of a frame, its status, and the words that report them."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import LONG_COUNTER, NORM_BITS, SHORT_COUNTER
from .isa import MARK_DONE, MARK_STEP, STEP_RECORD_WORDS, TRAILER_WORDS, Status


class Counters(wiring.Component):
    """Counts from frame_start to frame_done; then sends the trailer, and after a judged step its record where the
    frame is traced.

    Each counter holds at its largest value. Sending a record takes STEP_RECORD_WORDS cycles or more (it waits for
    `record_room`), in which cycles are not counted: tracing changes no figure. `busy` is high while words are sent,
    `sent` in the last such cycle.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "frame_start": In(1),
                "frame_done": In(1),
                "rhs": In(1),
                "mac": In(1),
                "accepted": In(1),
                "rejected": In(1),
                "limited": In(1),
                "halted": In(1),
                "clamped": In(1),
                "record": In(1),
                "record_room": In(1),
                "record_flags": In(4),
                "step": In(16),
                "norm": In(NORM_BITS),
                "push": Out(1),
                "word": Out(16),
                "sent": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        counting, recording, sending = Signal(), Signal(), Signal()
        cycles, macs = Signal(LONG_COUNTER), Signal(LONG_COUNTER)
        rhs, accepted, rejected, clamps = (Signal(SHORT_COUNTER) for _ in range(4))
        status = Signal(Status)

        def count(counter: Signal, event: Value) -> None:
            with m.If(self.frame_start):
                m.d.sync += counter.eq(0)
            with m.Elif(event & ~counter.all()):
                m.d.sync += counter.eq(counter + 1)

        with m.If(self.frame_start):
            # The first cycle of the frame is this one.
            m.d.sync += cycles.eq(1)
        with m.Elif(counting & ~recording & ~cycles.all()):
            m.d.sync += cycles.eq(cycles + 1)
        for counter, event in (
            (macs, self.mac),
            (rhs, self.rhs),
            (accepted, self.accepted),
            (rejected, self.rejected),
            (clamps, self.clamped),
        ):
            count(counter, event)
        with m.If(self.frame_start):
            m.d.sync += [counting.eq(1), status.eq(0)]
        with m.Else():
            m.d.sync += status.eq(
                status
                | Mux(self.clamped, Status.SATURATED, 0)
                | Mux(self.limited, Status.STEP_LIMIT, 0)
                | Mux(self.halted, Status.EARLY_HALT, 0)
            )
        with m.If(self.frame_done):
            m.d.sync += [counting.eq(0), sending.eq(1)]

        at = Signal(range(TRAILER_WORDS))
        trailer: list[Value] = [
            Cat(status, Const(0, 12 - len(status)), Const(MARK_DONE >> 12, 4)),
            cycles[:16], cycles[16:], rhs, accepted, rejected, macs[:16], macs[16:], clamps,
        ]  # fmt: skip
        record: list[Value] = [
            Cat(self.record_flags, Const(0, 8), Const(MARK_STEP >> 12, 4)),
            self.step, self.norm[:16], self.norm[16:],
        ]  # fmt: skip
        assert len(trailer) == TRAILER_WORDS and len(record) == STEP_RECORD_WORDS
        with m.If(self.record):
            m.d.sync += recording.eq(1)
        for active, words in ((sending, trailer), (recording, record)):
            with m.If(active):
                with m.Switch(at):
                    for index, word in enumerate(words):
                        with m.Case(index):
                            m.d.comb += self.word.eq(word)
                m.d.comb += self.push.eq(sending | (at != 0) | self.record_room)
                with m.If(self.push):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == len(words) - 1):
                        m.d.comb += self.sent.eq(1)
                        m.d.sync += [at.eq(0), active.eq(0)]
        return m
