# SPDX-License-Identifier: BSD-2-Clause
"""The register block: decodes the bus by the register table, and drives the core."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from . import registers
from .config import LiquidConfig
from .function_unit import SEGMENTS
from .isa import FINISH_HALF_BITS, ISA_VERSION, ISSUE_BITS, Space
from .memory import HOST_ADDRESS, HOST_READ_CYCLES, PART
from .transport import ADDRESS_BITS, WORD_BITS

REQUEST = data.StructLayout({"write": 1, "address": ADDRESS_BITS, "data": WORD_BITS})


def host_words(config: LiquidConfig) -> dict[Space, int]:
    """Words of each memory as the host sees them, unused ones of padded rows included (docs/isa.md): powers of two."""
    issue, finish = (1 << (bits // PART - 1).bit_length() for bits in (ISSUE_BITS, FINISH_HALF_BITS))
    return {
        Space.ISSUE: config.program_words * issue,
        Space.FINISH: config.program_words * finish,
        Space.WEIGHT: config.weight_words * config.weight_part_words,
        Space.VECTOR: config.vector_rows * config.lanes,
        Space.A: config.add_elements,
        Space.B: config.base_elements,
        Space.C: config.gate_elements,
        Space.S: config.scalar_elements,
        Space.TABLE: config.tables * SEGMENTS,
    }


class RegisterBlock(wiring.Component):
    """One request, one response, in order; a response comes one cycle after its request was taken, of a memory's word
    three cycles. A request is taken in its second cycle at the earliest: one in two cycles.

    Every address answers: one without a register, and a word that no memory has, reads 0, ignores writes and is told
    by STATUS. `request.ready` waits for the response before it to be taken. `near` is high in the cycle in which a
    request is taken, among others, and comes from a register. `clock_khz` is what CLOCK_KHZ reads as. `error` is high
    while STATUS shows one.
    """

    def __init__(self, config: LiquidConfig, clock_khz: int = 0) -> None:
        self.config, self.clock_khz = config, clock_khz
        level = range(config.fifo_words + 1)
        super().__init__(
            {
                "request": In(stream.Signature(REQUEST)),
                "response": Out(stream.Signature(16)),
                "interrupt": Out(1),
                "error": Out(1),
                "frames": Out(stream.Signature(16)),
                "results": In(stream.Signature(16)),
                "run": Out(1),
                "abort": Out(1),
                "idle": In(1),
                "starved": In(1),
                "illegal": In(1),
                "in_room": In(level),
                "out_level": In(level),
                "near": Out(1),
                "host_space": Out(4),
                "host_address": Out(HOST_ADDRESS),
                "host_write": Out(1),
                "host_write_data": Out(16),
                "host_read_data": In(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request = self.request.payload
        valid, answer = Signal(), Signal(16)
        waiting = Signal(range(HOST_READ_CYCLES + 1))  # cycles until the memory's word is there
        take, write, read = Signal(), Signal(), Signal()
        # Whoever asks may decide it late in a cycle: a request is taken in the next, in which it still stands. An abort
        # resets the whole core: it comes from a register too, in a cycle that takes nothing.
        seen, abort = Signal(), Signal()
        m.d.sync += seen.eq(self.request.valid & ~take)
        m.d.comb += [
            self.request.ready.eq(seen & ~valid & (waiting == 0)),
            take.eq(self.request.ready),
            write.eq(take & request.write),
            read.eq(take & ~request.write),
            self.response.valid.eq(valid),
            self.response.payload.eq(answer),
        ]

        # A request stands in the cycle before it is taken: what it is for is decoded in that.
        named = {name: Signal(name=f"at_{name.lower()}") for name in ("MEM_DATA", "IN_DATA", "OUT_DATA", "CONTROL")}
        m.d.sync += [at.eq(request.address == registers.address(name)) for name, at in named.items()]

        def field(register: str, name: str) -> Value:
            low, bits = registers.field_low(register, name), registers.mask(register, name).bit_count()
            return request.data[low : low + bits]

        run, mark, enable = Signal(), Signal(len(self.out_level)), Signal(3)
        overflow, underflow, busy, bad = Signal(), Signal(), Signal(), Signal()
        space, address = Signal(4), Signal(HOST_ADDRESS)
        errors = Cat(self.illegal, overflow, underflow, busy, bad)
        # Whether a memory has a word at that address, each of them being a power of two long: as they stood a cycle
        # earlier, since no request is taken right after what moves them.
        inside = Signal()
        m.d.sync += inside.eq(0)
        with m.Switch(space):
            for kind, words in host_words(self.config).items():
                with m.Case(kind):
                    m.d.sync += inside.eq(address[exact_log2(words) :] == 0)
        m.d.comb += [
            self.error.eq(errors.any()),
            self.near.eq(seen | (waiting != 0)),
            self.run.eq(run),
            self.abort.eq(abort),
            self.host_space.eq(space),
            self.host_address.eq(address),
            self.host_write_data.eq(request.data),
            self.host_write.eq(write & named["MEM_DATA"] & self.idle & inside),
            self.frames.valid.eq(write & named["IN_DATA"]),
            self.frames.payload.eq(request.data),
            self.results.ready.eq(read & named["OUT_DATA"]),
            self.interrupt.eq(
                (enable & Cat((self.out_level >= mark) & (self.out_level != 0), self.starved, self.error)).any()
            ),
        ]
        m.d.sync += abort.eq(write & named["CONTROL"] & field("CONTROL", "ABORT"))
        values: dict[str, Value] = {
            "ID": Const(registers.PRODUCT_ID, 16),
            "VERSION": Const(ISA_VERSION, 16),
            "CONFIG_HASH_LOW": Const(self.config.config_hash & 0xFFFF, 16),
            "CONFIG_HASH_HIGH": Const(self.config.config_hash >> 16, 16),
            "CLOCK_KHZ_LOW": Const(self.clock_khz & 0xFFFF, 16),
            "CLOCK_KHZ_HIGH": Const(self.clock_khz >> 16, 16),
            "CONTROL": run,
            "STATUS": Cat(self.idle, errors),
            "IN_ROOM": self.in_room,
            "OUT_LEVEL": self.out_level,
            "OUT_MARK": mark,
            "IRQ_ENABLE": enable,
            "MEM_SPACE": Cat(space, Const(0, 4), address[16:]),
            "MEM_ADDRESS": address[:16],
            "OUT_DATA": Mux(self.results.valid, self.results.payload, 0),
        }

        with m.If(self.response.ready):
            m.d.sync += valid.eq(0)
        with m.If(waiting != 0):
            m.d.sync += waiting.eq(waiting - 1)
            with m.If(waiting == 1):
                m.d.sync += [valid.eq(1), answer.eq(self.host_read_data), address.eq(address + 1)]
        with m.If(take):
            m.d.sync += [valid.eq(1), answer.eq(0)]
        with m.If(read):
            with m.Switch(request.address):
                for name, value in values.items():
                    with m.Case(registers.address(name)):
                        m.d.sync += answer.eq(value)
                with m.Case(registers.address("MEM_DATA")):
                    with m.If(self.idle & inside):
                        m.d.sync += [valid.eq(0), waiting.eq(HOST_READ_CYCLES)]
        with m.If(named["MEM_DATA"] & take):
            with m.If(~self.idle):
                m.d.sync += busy.eq(1)
            with m.Else():
                with m.If(~inside):
                    m.d.sync += bad.eq(1)
                with m.If(request.write | ~inside):
                    m.d.sync += address.eq(address + 1)
        with m.If(take):
            with m.Switch(request.address):
                with m.Case(*(register.address for register in registers.REGISTERS)):
                    pass
                with m.Default():
                    m.d.sync += bad.eq(1)
        with m.If(self.results.ready & ~self.results.valid):
            m.d.sync += underflow.eq(1)
        with m.If(self.frames.valid & ~self.frames.ready):
            m.d.sync += overflow.eq(1)
        with m.If(write):
            with m.Switch(request.address):
                with m.Case(registers.address("CONTROL")):
                    m.d.sync += run.eq(field("CONTROL", "RUN"))
                with m.Case(registers.address("OUT_MARK")):
                    m.d.sync += mark.eq(request.data)
                with m.Case(registers.address("IRQ_ENABLE")):
                    m.d.sync += enable.eq(request.data)
                with m.Case(registers.address("MEM_SPACE")):
                    m.d.sync += [space.eq(field("MEM_SPACE", "SPACE")), address[16:].eq(field("MEM_SPACE", "HIGH"))]
                with m.Case(registers.address("MEM_ADDRESS")):
                    m.d.sync += address[:16].eq(request.data)
        with m.If(self.abort):
            m.d.sync += [run.eq(0), overflow.eq(0), underflow.eq(0), busy.eq(0), bad.eq(0)]
        return m
