# SPDX-License-Identifier: BSD-2-Clause
"""Performance counters of a frame, its status, and the words that report them."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .formats import LONG_COUNTER, NORM_BITS, SHORT_COUNTER, TIME_WIDTH
from .isa import LAG_WORDS, MARK_DONE, MARK_LAG, MARK_STEP, STEP_RECORD_WORDS, TRAILER_WORDS, Status

STATUS_BITS = 12


class Counters(wiring.Component):
    """Counts from frame_start to frame_done; then sends the trailer, after a judged step its record where the frame is
    traced, and with `lag` the time left and the norm.

    Each counter holds at its largest value. `skip` adds skip_count, a signed number, to the skipped columns; `flag`
    sets the bits of flag_bits in the status, as `overflow` does with SATURATED. A record takes STEP_RECORD_WORDS
    cycles or more (it waits for `record_room`), in which cycles are not counted: tracing changes no figure. `sent` is
    high in the last cycle in which words are sent. Events are known late in a cycle: they are counted in the next one,
    and shown in the cycle after that.
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
                "overflow": In(1),
                "skip": In(1),
                "skip_count": In(signed(10)),
                "flag": In(1),
                "flag_bits": In(STATUS_BITS),
                "lag": In(1),
                "left": In(TIME_WIDTH),
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
        counting, recording, sending, lagging = Signal(), Signal(), Signal(), Signal()
        cycles, macs, skipped = Signal(LONG_COUNTER), Signal(LONG_COUNTER), Signal(LONG_COUNTER)
        rhs, accepted, rejected, clamps = (Signal(SHORT_COUNTER) for _ in range(4))
        status = Signal(STATUS_BITS)

        start = Signal()
        m.d.sync += start.eq(self.frame_start)

        def late(event: Value, name: str) -> Signal:
            register = Signal.like(event, name=f"late_{name}")
            m.d.sync += register.eq(event)
            return register

        def count(counter: Signal, event: Value, first: int = 0) -> None:
            # The adder's own carry says that the counter is full.
            more = Signal(len(counter) + 1)
            m.d.comb += more.eq(counter + 1)
            with m.If(start):
                m.d.sync += counter.eq(first)
            with m.Elif(event & ~more[-1]):
                m.d.sync += counter.eq(more)

        for counter, event in (
            (macs, late(self.mac, "mac")),
            (rhs, late(self.rhs, "rhs")),
            (accepted, late(self.accepted, "accepted")),
            (rejected, late(self.rejected, "rejected")),
            (clamps, late(self.clamped, "clamped")),
        ):
            count(counter, event)
        # The first cycle is that of frame_start.
        count(cycles, late(counting & ~recording, "cycle"), first=1)
        # What the columns add up to may pass the largest value: from there on it is shown in their place.
        more, full = Signal(LONG_COUNTER + 1), Signal()
        m.d.comb += more.eq(skipped + self.skip_count)
        with m.If(start):
            m.d.sync += [skipped.eq(0), full.eq(0)]
        with m.Elif(self.skip):
            m.d.sync += [skipped.eq(more), full.eq(full | (more[-1] & ~self.skip_count[-1]))]
        happened = Signal(STATUS_BITS)
        m.d.sync += happened.eq(
            Mux(self.flag, self.flag_bits, 0)
            | Mux(self.clamped | self.overflow, Status.SATURATED, 0)
            | Mux(self.limited, Status.STEP_LIMIT, 0)
            | Mux(self.halted, Status.EARLY_HALT, 0)
        )
        with m.If(self.frame_start):
            m.d.sync += counting.eq(1)
        m.d.sync += status.eq(Mux(start, 0, status | happened))
        with m.If(self.frame_done):
            m.d.sync += [counting.eq(0), sending.eq(1)]

        # One choice of words for all three: each begins with its mark and then goes through a stretch of the others.
        low, high = self.norm[:16], self.norm[16:]
        shown = skipped | full.replicate(LONG_COUNTER)
        words: list[Value] = [
            Const(0, 16), cycles[:16], cycles[16:], rhs, accepted, rejected, macs[:16], macs[16:], clamps,
            shown[:16], shown[16:], self.left[:16], self.left[16:], self.step, low, high,
        ]  # fmt: skip
        norm, step, left = len(words) - 2, len(words) - 3, len(words) - 5
        assert (TRAILER_WORDS, STEP_RECORD_WORDS, LAG_WORDS) == (left, len(words) - step + 1, 5)
        at, after = Signal(range(len(words))), Signal(range(len(words)))
        mark = Signal(16)
        # The mark goes out as the last element's clamp is on its way to the status.
        clamp = happened & Status.SATURATED
        with m.If(sending):
            m.d.comb += [mark.eq(Cat(status | clamp, Const(MARK_DONE >> 12, 4))), after.eq(at + 1)]
        with m.Elif(lagging):
            m.d.comb += [mark.eq(MARK_LAG), after.eq(Mux(at == 0, left, Mux(at == left + 1, norm, at + 1)))]
        with m.Else():
            m.d.comb += [mark.eq(MARK_STEP | self.record_flags), after.eq(Mux(at == 0, step, at + 1))]
        with m.Switch(at):
            with m.Case(0):
                m.d.comb += self.word.eq(mark)
            for index, word in enumerate(words[1:], 1):
                with m.Case(index):
                    m.d.comb += self.word.eq(word)
        with m.If(self.record):
            m.d.sync += recording.eq(1)
        with m.If(self.lag):
            m.d.sync += lagging.eq(1)
        m.d.comb += self.push.eq(sending | lagging | (recording & ((at != 0) | self.record_room)))
        with m.If(self.push):
            m.d.sync += at.eq(after)
            with m.If(at == Mux(sending, left - 1, len(words) - 1)):
                m.d.comb += self.sent.eq(1)
                m.d.sync += [at.eq(0), sending.eq(0), recording.eq(0), lagging.eq(0)]
        return m
