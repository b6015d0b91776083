# SPDX-License-Identifier: BSD-2-Clause
"""The device's end of the link, byte by byte in front of the stand-in device; expected bytes come from zlib."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from link_peer import (
    CLOSED,
    DAMAGED,
    FLAG,
    OK,
    SEQUENCE,
    SKIP,
    VERSION,
    Answer,
    answers,
    content,
    escape,
    frame,
    read,
    wait,
    write,
)
from standin import CLEAR, FIFO, IDENTITY, IDENTITY_WORD, LEVEL, SCRATCH, TIMER, StandIn

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
        """One cycle; whether there is something to send. The wire takes a byte in 8 cycles out of GAP."""
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
        asked = [*write(FIFO, words), *read(LEVEL), *SKIP, *read(FIFO, 6), *write(SCRATCH, [7]), *read(SCRATCH)]
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


def test_a_request_is_carried_out_once_however_often_it_comes() -> None:
    async def script(link: Bench) -> None:
        await link.ask(7)
        request = [*write(FIFO, [1, 2, 3]), *read(LEVEL), *read(FIFO)]
        first = await link.ask(8, request)
        assert first == Answer(8, OK, 0, (3, 1))
        for _ in range(3):
            assert await link.ask(8, request) == first
        assert await link.ask(8, read(LEVEL)) == first, "the tag decides, not what is asked"
        assert await link.ask(10, read(LEVEL)) == Answer(10, SEQUENCE, 0, (8,))
        assert await link.ask(7, read(LEVEL)) == Answer(7, SEQUENCE, 0, (8,))
        await link.put(frame([9, *SKIP])[:-4] + b"\x00" + FLAG)
        assert await link.get() == [Answer(0, DAMAGED, 0, ())]
        assert await link.ask(8, request) == first, "it stays through other answers"
        assert await link.ask(9, read(LEVEL)) == Answer(9, OK, 0, (2,))
        assert await link.ask(9) == Answer(9, OK, 0, (VERSION,)), "no operations is SYNC, whatever the tag"
        assert await link.ask(9, read(FIFO)) == Answer(9, OK, 0, (VERSION,)), "what was answered then"
        assert await link.ask(9 + 1, read(FIFO)) == Answer(10, OK, 0, (2,))

    run(script)


def test_a_device_out_of_reset_is_closed_until_sync() -> None:
    async def script(link: Bench) -> None:
        for tag in (0, 1, 0xFFFF):
            assert await link.ask(tag, write(SCRATCH, [9])) == Answer(tag, CLOSED, 0, ())
        assert await link.ask(0) == Answer(0, OK, 0, (VERSION,))
        assert await link.ask(1, read(SCRATCH)) == Answer(1, OK, 0, (0,))

    run(script)


LONG_FRAME = content([6, *write(SCRATCH, [9] * 125, count=125)])  # 129 words with its CRC


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (escape(content([6, *write(SCRATCH, [9])]))[:-1] + b"\x00", ()),
        (escape(content([6, *write(SCRATCH, [9])])), (4,)),
        (escape(content([6, *write(SCRATCH, [9])])) + b"\x7d", ()),
        (escape(content([6, *write(SCRATCH, [9])])) + b"\x00", ()),
        (escape(content([])), ()),
        (escape(content([6])[:2]), ()),
        (escape(LONG_FRAME), ()),
        (escape(content([6, *SKIP * 300])), ()),
        (b"\x00", ()),
        (b"\x7d", ()),
    ],
    ids=["crc", "framing error", "escape and flag", "odd", "no tag", "one word", "129 words", "303 words", "a byte",
         "an escape"],
)  # fmt: skip
def test_a_damaged_frame_has_no_effect(text: bytes, wrong: tuple[int, ...]) -> None:
    async def script(link: Bench) -> None:
        await link.ask(4)
        kept = await link.ask(5, write(SCRATCH, [3]) + read(IDENTITY))
        await link.put(FLAG + text + FLAG, [place + 1 for place in wrong])
        assert await link.get() == [Answer(0, DAMAGED, 0, ())]
        assert (link.sound, link.damaged) == (2, 1)
        assert await link.ask(5, SKIP) == kept, "what was answered before is whole"
        assert await link.ask(6, read(SCRATCH) + read(CLEAR)) == Answer(6, OK, 0, (3, 3))

    run(script)


def test_every_flipped_bit_is_seen() -> None:
    async def script(link: Bench) -> None:
        await link.ask(0)
        sound = frame([1, *write(SCRATCH, [0xA5A5])])
        for bit in range(8, 8 * (len(sound) - 1)):
            flipped = bytearray(sound)
            flipped[bit // 8] ^= 1 << bit % 8
            await link.put(bytes(flipped) + FLAG)
            for seen in await link.get(300):
                assert seen == Answer(0, DAMAGED, 0, ()), f"bit {bit}"
        assert await link.ask(1, read(SCRATCH)) == Answer(1, OK, 0, (0,))

    run(script)


def test_what_is_no_frame_is_not_answered() -> None:
    async def script(link: Bench) -> None:
        await link.put(bytes(range(0x7D)) * 2, [3])
        await link.put(FLAG * 5)
        await link.put(b"\x7e", [0])  # in a frame now, and a flag that is none
        assert await link.get() == []
        await link.put(FLAG)
        assert await link.get() == [Answer(0, DAMAGED, 0, ())]
        assert link.damaged == 1
        await link.put(b"\x7e", [0])  # looked for, and not found
        await link.put(escape(content([3])) + FLAG)
        assert await link.get() == []
        assert await link.ask(4) == Answer(4, OK, 0, (VERSION,))

    run(script)


def test_one_flag_ends_a_frame_and_begins_the_next() -> None:
    async def script(link: Bench) -> None:
        await link.put(FLAG + b"\x01\x02" + frame([4]))
        assert await link.get() == [Answer(0, DAMAGED, 0, ())], "the second came while the first was answered"
        # To who missed a head, the flag at the tail is a beginning.
        await link.put(escape(content([4])) + FLAG)
        assert await link.get() == []
        await link.put(escape(content([4])) + FLAG)
        assert await link.get() == [Answer(4, OK, 0, (VERSION,))]

    run(script)


@pytest.mark.parametrize("cut", [1, 2, 5, 8])
def test_a_frame_whose_head_came_while_busy_is_not_taken(cut: int) -> None:
    async def script(link: Bench) -> None:
        await link.ask(1)
        second = frame([3, *write(SCRATCH, [2])])
        await link.put(frame([2, *SKIP]))
        await link.put(second[:cut])
        while await link.cycle():
            pass
        await link.get(100)
        await link.put(second[cut:])
        assert await link.get() == []
        assert await link.ask(3, read(SCRATCH)) == Answer(3, OK, 0, (0,))

    run(script)


def test_a_wait_ends_with_the_interrupt() -> None:
    async def script(link: Bench) -> None:
        await link.ask(0)
        assert await link.ask(1, write(TIMER, [9000]) + wait(3) + read(IDENTITY), 13000) == Answer(
            1, OK, 1, (1, IDENTITY_WORD)
        )
        assert await link.ask(2, wait(0) + read(IDENTITY)) == Answer(2, OK, 1, (1, IDENTITY_WORD))
        assert await link.ask(3, write(CLEAR, [0]) + SKIP) == Answer(3, OK, 0, ())
        assert await link.ask(4, write(SCRATCH, [5]) + wait(0) + write(SCRATCH, [6])) == Answer(4, OK, 0, (0,))
        assert await link.ask(5, read(SCRATCH)) == Answer(5, OK, 0, (5,))

    run(script)


@pytest.mark.parametrize("units", [1, 2, 5])
def test_a_wait_in_vain_takes_its_units_and_no_more(units: int) -> None:
    async def script(link: Bench) -> None:
        await link.ask(0)
        await link.put(frame([1, *wait(0)]))
        start = link.cycles
        while not await link.cycle():
            pass
        shortest = link.cycles - start
        await link.get()
        await link.put(frame([2, *wait(units), *write(SCRATCH, [1])]))
        start = link.cycles
        while not await link.cycle():
            pass
        assert 0 <= link.cycles - start - shortest - units * 4096 <= GAP
        assert await link.get() == [Answer(2, OK, 0, (0,))]
        assert await link.ask(3, read(SCRATCH)) == Answer(3, OK, 0, (0,))

    run(script)


def test_operations_that_a_host_should_not_send_end_the_request() -> None:
    async def script(link: Bench) -> None:
        await link.ask(0)
        assert await link.ask(1, write(FIFO, [1, 2], count=9)) == Answer(1, OK, 0, ())
        assert await link.ask(2, read(LEVEL) + read(FIFO, 2)) == Answer(2, OK, 0, (2, 1, 2))
        seen = await link.ask(3, read(IDENTITY, 124) + read(LEVEL, 2) + write(SCRATCH, [1]), LONG)
        assert seen == Answer(3, OK, 0, (*[IDENTITY_WORD] * 124, 0))
        assert (await link.ask(3, SKIP)) == seen
        seen = await link.ask(4, read(IDENTITY, 125) + wait(0) + write(SCRATCH, [1]), LONG)
        assert seen == Answer(4, OK, 0, (IDENTITY_WORD,) * 125)
        assert await link.ask(5, read(SCRATCH)) == Answer(5, OK, 0, (0,))

    run(script)


@pytest.mark.parametrize("seed", range(3))
def test_random_sessions(seed: int) -> None:
    """Requests of any length, some sent twice, some damaged on the way: what a list and a word would answer."""

    async def script(link: Bench) -> None:
        rng = random.Random(seed)
        tag = rng.randrange(1 << 16)
        await link.ask(tag)
        fifo: list[int] = []
        scratch = 0
        for _ in range(12):
            tag = (tag + 1) & 0xFFFF
            operations: list[int] = []
            expected: list[int] = []
            for _ in range(rng.randrange(1, 8)):
                kind = rng.randrange(5)
                if kind == 0:
                    words = [rng.choice((0x7E7E, 0x7D7D, rng.randrange(1 << 16))) for _ in range(rng.randrange(1, 14))]
                    fifo += words
                    operations += write(FIFO, words)
                elif kind == 1 and fifo:
                    count = rng.randrange(1, min(len(fifo), 14) + 1)
                    expected += fifo[:count]
                    del fifo[:count]
                    operations += read(FIFO, count)
                elif kind == 2:
                    scratch = rng.randrange(1 << 16)
                    operations += write(SCRATCH, [scratch])
                elif kind == 3:
                    expected.append(scratch)
                    operations += read(SCRATCH)
                else:
                    expected.append(len(fifo))
                    operations += read(LEVEL)
            request = frame([tag, *operations])
            if rng.random() < 0.4:
                at = rng.randrange(1, len(request) - 1)
                await link.put(request[:at] + bytes([request[at] ^ 1 << rng.randrange(8)]) + request[at + 1 :] + FLAG)
                assert all(seen.code == DAMAGED for seen in await link.get())
            for _ in range(rng.choice((1, 1, 2))):
                await link.put(request)
                assert await link.get(LONG) == [Answer(tag, OK, 0, tuple(expected))]

    run(script)
