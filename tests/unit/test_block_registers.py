# SPDX-License-Identifier: BSD-2-Clause
"""The register block, with a core that the test plays."""

import random
from itertools import product
from typing import Any

from blocks import simulate

from liquid_accel.rtl import registers
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.csr import RegisterBlock
from liquid_accel.rtl.isa import ISA_VERSION, Space
from liquid_accel.sim.golden.memory import windows

CLOCK_KHZ = 0x1_86A7


class Registers:
    """A register block with a core that the test plays."""

    def __init__(self) -> None:
        self.config = preset("test")
        self.block = RegisterBlock(self.config, clock_khz=CLOCK_KHZ)
        self.written: list[tuple[int, int, int]] = []  # space, address, word
        self.answers = 0
        self.ctx: Any = None

    async def cycle(self) -> int | None:
        """A clock cycle; the response taken in it, if there was one. Counts responses, notes writes to memories."""
        ctx, block = self.ctx, self.block
        if ctx.get(block.host_write):
            written = (block.host_space, block.host_address, block.host_write_data)
            self.written.append(tuple(ctx.get(value) for value in written))
        taken = ctx.get(block.response.valid) and ctx.get(block.response.ready)
        answer = ctx.get(block.response.payload) if taken else None
        self.answers += taken
        await ctx.tick()
        return answer

    async def access(self, address: int, data: int | None = None, stall: int = 0) -> tuple[int, int]:
        """One request; (response, cycles from the request to the response). The response is not taken for `stall`."""
        ctx, block = self.ctx, self.block
        ctx.set(block.response.ready, 0)
        ctx.set(block.request.valid, 1)
        ctx.set(block.request.payload, {"write": data is not None, "address": address, "data": data or 0})
        while not ctx.get(block.request.ready):
            await self.cycle()
        await self.cycle()
        ctx.set(block.request.valid, 0)
        latency = 1
        while not ctx.get(block.response.valid):
            await self.cycle()
            latency += 1
            assert latency < 20, f"address {address:#x} does not answer"
        word = ctx.get(block.response.payload)
        for _ in range(stall):
            await self.cycle()
            assert ctx.get(block.response.valid)
            assert ctx.get(block.response.payload) == word
        ctx.set(block.response.ready, 1)
        assert await self.cycle() == word
        return word, latency

    async def read(self, name: str) -> int:
        return (await self.access(registers.address(name)))[0]

    async def write(self, name: str, word: int) -> None:
        assert (await self.access(registers.address(name), word))[0] == 0

    def run(self, script: Any) -> None:
        async def bench(ctx: Any) -> None:
            self.ctx = ctx
            ctx.set(self.block.idle, 1)
            ctx.set(self.block.host_read_data, 0x5A5A)
            await script(self, ctx)

        simulate(self.block, bench)


def test_every_address_answers_each_request_exactly_once() -> None:
    rng = random.Random(1)
    known = {register.address: register for register in registers.REGISTERS}

    async def script(bench: Registers, ctx: Any) -> None:
        ctx.set(bench.block.frames.ready, 1)
        for count, (address, write) in enumerate(product(range(256), (False, True)), 1):
            data = rng.getrandbits(16) if write else None
            word, latency = await bench.access(address, data, stall=rng.choice((0, 0, 3)))
            if write or address not in known or known[address].access == registers.Access.WRITE:
                assert word == 0, hex(address)
            if write or known.get(address) is not registers.BY_NAME["MEM_DATA"]:
                assert latency == 1, hex(address)
            assert bench.answers == count
            for _ in range(rng.choice((0, 6))):
                assert await bench.cycle() is None

    Registers().run(script)


def test_registers_without_a_gap_answer_in_order() -> None:
    """With a request and a readiness for responses in every cycle, both sides move in every other cycle."""

    async def script(bench: Registers, ctx: Any) -> None:
        block, found = bench.block, []
        ctx.set(block.response.ready, 1)
        ctx.set(block.request.valid, 1)
        names = ["ID", "VERSION", "CONFIG_HASH_LOW", "CONFIG_HASH_HIGH"] * 4
        for name in names:
            ctx.set(block.request.payload, {"write": 0, "address": registers.address(name), "data": 0})
            assert not ctx.get(block.request.ready)
            found.append(await bench.cycle())
            assert ctx.get(block.request.ready)
            assert await bench.cycle() is None
        ctx.set(block.request.valid, 0)
        found.append(await bench.cycle())
        one = [registers.PRODUCT_ID, ISA_VERSION, bench.config.config_hash & 0xFFFF, bench.config.config_hash >> 16]
        assert found == [None, *one * 4]

    Registers().run(script)


def test_what_may_only_be_read_ignores_writes_and_the_others_keep_their_bits() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        ctx.set(bench.block.in_room, 200)
        ctx.set(bench.block.out_level, 7)
        mark = (1 << bench.config.fifo_words.bit_length()) - 1
        bits = {"CONTROL": 1, "OUT_MARK": mark, "IRQ_ENABLE": 7, "MEM_SPACE": 0x0F0F, "MEM_ADDRESS": 0xFFFF}
        only_read = [r.name for r in registers.REGISTERS if r.access == registers.Access.READ and r.name != "OUT_DATA"]
        before = {name: await bench.read(name) for name in only_read}
        assert (before["IN_ROOM"], before["OUT_LEVEL"]) == (200, 7)
        for name in only_read:
            await bench.write(name, 0xFFFF)
        for word in (0xFFFF, 0x5555, 0xAAAA, 0):
            for name, mask in bits.items():
                value = word & ~registers.mask("CONTROL", "ABORT") if name == "CONTROL" else word
                await bench.write(name, value)
                assert await bench.read(name) == value & mask, name
        assert {name: await bench.read(name) for name in only_read} == before

    Registers().run(script)


def test_errors_stay_until_abort_which_also_clears_run() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        block = bench.block
        status = {name: registers.mask("STATUS", name) for name, _, _ in registers.BY_NAME["STATUS"].fields}
        assert await bench.read("STATUS") == status["IDLE"]
        ctx.set(block.frames.ready, 1)
        await bench.write("IN_DATA", 1)
        ctx.set(block.results.valid, 1)
        ctx.set(block.results.payload, 0x1234)
        assert await bench.read("OUT_DATA") == 0x1234
        assert await bench.read("STATUS") == status["IDLE"], "no error so far"
        ctx.set(block.frames.ready, 0)
        await bench.write("IN_DATA", 2)
        assert await bench.read("STATUS") == status["IDLE"] | status["IN_OVERFLOW"]
        ctx.set(block.results.valid, 0)
        assert await bench.read("OUT_DATA") == 0
        assert await bench.read("STATUS") == status["IDLE"] | status["IN_OVERFLOW"] | status["OUT_UNDERFLOW"]
        await bench.access(0xFF)
        ctx.set(block.idle, 0)
        address = await bench.read("MEM_ADDRESS")
        await bench.write("MEM_DATA", 3)
        assert await bench.read("MEM_DATA") == 0
        assert await bench.read("MEM_ADDRESS") == address
        assert not bench.written, "a memory was written while a frame was under way"
        assert await bench.read("STATUS") == sum(status.values()) - status["IDLE"] - status["ILLEGAL"]
        ctx.set(block.illegal, 1)
        await bench.write("CONTROL", registers.mask("CONTROL", "RUN"))
        assert await bench.read("STATUS") & status["ILLEGAL"]
        ctx.set(block.illegal, 0)
        await bench.write("CONTROL", registers.mask("CONTROL", "RUN") | registers.mask("CONTROL", "ABORT"))
        assert await bench.read("STATUS") == 0
        assert await bench.read("CONTROL") == 0

    Registers().run(script)


def test_memory_accesses_move_the_address_on_and_carry() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        await bench.write("MEM_SPACE", int(Space.C) | 0x300)
        await bench.write("MEM_ADDRESS", 0xFFFE)
        for word in (11, 22, 33):
            await bench.write("MEM_DATA", word)
        assert await bench.read("MEM_ADDRESS") == 1
        assert await bench.read("MEM_SPACE") == int(Space.C) | 0x400
        assert await bench.read("MEM_DATA") == 0
        assert await bench.read("MEM_ADDRESS") == 2
        assert not bench.written, "a word past the end was written"
        await bench.write("MEM_SPACE", int(Space.C))
        await bench.write("MEM_ADDRESS", 5)
        for word in (11, 22, 33):
            await bench.write("MEM_DATA", word)
        assert bench.written == [(Space.C, 5, 11), (Space.C, 6, 22), (Space.C, 7, 33)]
        assert await bench.read("MEM_DATA") == 0x5A5A
        assert await bench.read("MEM_ADDRESS") == 9

    Registers().run(script)


def test_what_does_not_exist_reads_0_writes_nothing_and_sets_bad_address_alone() -> None:
    """Memories as the golden model has them, and numbers of spaces and registers that are not given to any."""
    status = registers.mask("STATUS", "IDLE")
    bad = status | registers.mask("STATUS", "BAD_ADDRESS")
    last = {int(space): window.words - 1 for space, window in windows(preset("test")).items()}
    places = [
        (space, at, space in last and at <= last[space])
        for space in range(16)
        for at in {0, 0xFFFFF, last.get(space, 0), last.get(space, 0) + 1, *(1 << k for k in range(20))}
    ]
    absent = sorted(set(range(256)) - {register.address for register in registers.REGISTERS})

    async def script(bench: Registers, ctx: Any) -> None:
        ctx.set(bench.block.frames.ready, 1)
        assert await bench.read("STATUS") == status
        for space, at, there in places:
            for data in (None, 77):
                await bench.write("MEM_SPACE", space | at >> 16 << 8)
                await bench.write("MEM_ADDRESS", at & 0xFFFF)
                bench.written.clear()
                word, _ = await bench.access(registers.address("MEM_DATA"), data)
                assert word == (0x5A5A if there and data is None else 0)
                assert bench.written == ([(space, at, 77)] if there and data is not None else [])
                assert await bench.read("STATUS") == (status if there else bad)
                assert bench.ctx.get(bench.block.error) == (not there)
                assert await bench.read("MEM_ADDRESS") == (at + 1) & 0xFFFF
                await bench.write("CONTROL", registers.mask("CONTROL", "ABORT"))
        for address, data in product(absent, (None, 0xFFFF)):
            assert await bench.read("STATUS") == status
            assert (await bench.access(address, data))[0] == 0
            assert await bench.read("STATUS") == bad
            assert bench.ctx.get(bench.block.error)
            await bench.write("CONTROL", registers.mask("CONTROL", "ABORT"))
        for register in registers.REGISTERS:
            if register.name not in ("OUT_DATA", "MEM_DATA", "CONTROL"):
                await bench.access(register.address)
                await bench.access(register.address, 0)
        assert await bench.read("STATUS") == status, "registers that exist"

    Registers().run(script)


def test_the_clock_is_what_the_board_says() -> None:
    async def script(bench: Registers, ctx: Any) -> None:
        assert await bench.read("CLOCK_KHZ_LOW") | await bench.read("CLOCK_KHZ_HIGH") << 16 == CLOCK_KHZ

    Registers().run(script)


def test_the_interrupt_is_what_was_asked_for() -> None:
    enabled = {name: registers.mask("IRQ_ENABLE", name) for name in ("OUT_READY", "STARVED", "ERROR")}

    async def script(bench: Registers, ctx: Any) -> None:
        block = bench.block
        for enable, level, mark, starved, illegal in product(range(8), (0, 1, 4, 5), (0, 1, 5), (0, 1), (0, 1)):
            await bench.write("OUT_MARK", mark)
            await bench.write("IRQ_ENABLE", enable)
            for name, value in (("out_level", level), ("starved", starved), ("illegal", illegal)):
                ctx.set(getattr(block, name), value)
            high = bool(enable & enabled["OUT_READY"] and level >= max(mark, 1))
            high |= bool(enable & enabled["STARVED"] and starved) or bool(enable & enabled["ERROR"] and illegal)
            assert ctx.get(block.interrupt) == high

    Registers().run(script)
