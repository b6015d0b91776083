# SPDX-License-Identifier: BSD-2-Clause
"""The device's end of the link, byte by byte in front of the stand-in device; expected bytes come from zlib."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from link_peer import (
    OK,
    SKIP,
    VERSION,
    Answer,
    answers,
    frame,
    read,
    write,
)  # fmt: skip
from standin import FIFO, IDENTITY, IDENTITY_WORD, LEVEL, SCRATCH, StandIn

from liquid_accel.rtl.link_engine import LinkEngine

GAP = 32  # cycles between bytes, the fewest that are promised
QUIET = 800  # cycles after which nothing more is expected
LONG = 3000  # the same where many words are read or written


class Bench:
    """An engine in front of a stand-in, in the simulator, and what it sent."""

    def __init__(self, ctx: Any, engine: LinkEngine, rng: random.Random) -> None:
        self.ctx, self.engine, self.rng = ctx, engine, rng
        self.sent = bytearray()
        self.bits: list[int] = []
        self.cycles = self.sound = self.damaged = 0

    async def cycle(self) -> bool:
        """One cycle; whether there is something to send. The wire takes a byte bit by bit and is then busy for a while."""
        e = self.engine
        self.ctx.set(e.sent.take, 2 <= self.cycles % GAP < 10 and self.ctx.get(e.sent.valid))
        _, _, valid, bit, last, take, sound, damaged = await self.ctx.tick().sample(
            e.sent.valid, e.sent.bit, e.sent.last, e.sent.take, e.sound, e.damaged
        )
        self.cycles += 1
        self.sound += sound
        self.damaged += damaged
        if take:
            self.bits.append(bit)
            assert last == (len(self.bits) == 8)
            if last:
                self.sent.append(sum(bit << at for at, bit in enumerate(self.bits)))
                self.bits.clear()
        return bool(valid)

    async def put(self, text: bytes, wrong: Sequence[int] = ()) -> None:
        """Bytes to the engine, those at the places `wrong` with a framing error."""
        e = self.engine
        for place, byte in enumerate(text):
            self.ctx.set(e.received.valid, 1)
            self.ctx.set(e.received.payload.byte, byte)
            self.ctx.set(e.received.payload.error, place in wrong)
            await self.cycle()
            self.ctx.set(e.received.valid, 0)
            self.ctx.set(e.received.payload.byte, self.rng.randrange(256))
            for _ in range(GAP - 1):
                await self.cycle()

    async def get(self, patience: int = QUIET) -> list[Answer]:
        """What is answered until the engine has been silent for `patience` cycles."""
        quiet = 0
        while quiet < patience:
            quiet = 0 if await self.cycle() else quiet + 1
        text, self.sent = bytes(self.sent), bytearray()
        return answers(text)

    async def ask(self, tag: int, operations: Sequence[int] = (), patience: int = QUIET) -> Answer:
        """A request; its one answer."""
        await self.put(frame([tag, *operations]))
        (only,) = await self.get(patience)
        return only


def run(script: Callable[[Bench], Any], depth: int = 256) -> None:
    top = Module()
    top.submodules.engine = engine = LinkEngine()
    top.submodules.device = device = StandIn(depth)
    wiring.connect(top, engine.request, device.request)
    wiring.connect(top, device.response, engine.response)
    top.d.comb += engine.interrupt.eq(device.interrupt)

    async def bench(ctx: Any) -> None:
        await script(Bench(ctx, engine, random.Random(1)))

    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_a_session_opens_and_carries_out_what_it_is_asked() -> None:
    async def script(link: Bench) -> None:
        assert await link.ask(0x1234) == Answer(0x1234, OK, 0, (VERSION,))
        assert await link.ask(0x1235, read(IDENTITY)) == Answer(0x1235, OK, 0, (IDENTITY_WORD,))
        words = [0x7E7E, 0x7D7D, 0x007E, 0x5E7D, 0, 0xFFFF]
        asked = [*write(FIFO, words), *read(LEVEL), *SKIP, *read(FIFO, len(words)), *write(SCRATCH, [7]), *read(SCRATCH)]
        assert await link.ask(0x1236, asked) == Answer(0x1236, OK, 0, (len(words), *words, 7))
        assert await link.ask(0x1237, SKIP) == Answer(0x1237, OK, 0, ())
        assert (link.sound, link.damaged) == (4, 0)

    run(script)


def test_the_longest_request_and_the_longest_answer() -> None:
    async def script(link: Bench) -> None:
        words = [random.Random(2).randrange(1 << 16) for _ in range(124)]
        await link.ask(0xFFFE)
        assert await link.ask(0xFFFF, write(FIFO, words), LONG) == Answer(0xFFFF, OK, 0, ())
        assert await link.ask(0, read(LEVEL) + read(FIFO, 124), LONG) == Answer(0, OK, 0, (124, *words))
        reads = [*read(IDENTITY)] * 125
        assert await link.ask(1, reads, LONG) == Answer(1, OK, 0, (IDENTITY_WORD,) * 125)

    run(script)
