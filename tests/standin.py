# SPDX-License-Identifier: BSD-2-Clause
"""A small device behind the accelerator's bus, to test transports without the accelerator.

| address | on write                                   | on read                                   |
|---------|--------------------------------------------|-------------------------------------------|
| 0       | nothing                                    | IDENTITY                                  |
| 1       | sets the scratch word                      | the scratch word                          |
| 2       | pushes into a FIFO, waits while it is full | pops the FIFO, waits while it is empty    |
| 3       | nothing                                    | words in the FIFO                         |
| 4       | interrupt after that many cycles           | cycles left                               |
| 5       | lowers the interrupt                       | requests taken, modulo 65536              |
| 6       | adds data * data to the lanes, turning     | exclusive or over the lanes               |

`work` adds that many multiply-accumulate lanes which run in every cycle, to give a simulator something to do.
"""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

IDENTITY, SCRATCH, FIFO, LEVEL, TIMER, CLEAR, LANES = range(7)
IDENTITY_WORD = 0x4C51
REQUEST = data.StructLayout({"write": 1, "address": 8, "data": 16})


class StandIn(wiring.Component):
    """The device of the table above. Answers one cycle after a request; the answer waits in a register until taken."""

    def __init__(self, depth: int = 16, work: int = 0):
        self.depth = depth
        self.work = work
        super().__init__(
            {
                "request": In(stream.Signature(REQUEST)),
                "response": Out(stream.Signature(16)),
                "interrupt": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=16, depth=self.depth)
        ask, answer = self.request.payload, self.response
        scratch, timer, taken = Signal(16), Signal(16), Signal(16)
        pushes = ask.write & (ask.address == FIFO)
        pops = ~ask.write & (ask.address == FIFO)
        held = (pushes & ~fifo.w_rdy) | (pops & ~fifo.r_rdy)
        m.d.comb += self.request.ready.eq((~answer.valid | answer.ready) & ~held)
        fire = self.request.valid & self.request.ready
        m.d.comb += [fifo.w_data.eq(ask.data), fifo.w_en.eq(fire & pushes), fifo.r_en.eq(fire & pops)]
        lanes_word = self._lanes(m, fire & ask.write & (ask.address == LANES), ask.data)

        with m.If(timer != 0):
            m.d.sync += timer.eq(timer - 1)
            with m.If(timer == 1):
                m.d.sync += self.interrupt.eq(1)
        with m.If(answer.ready):
            m.d.sync += answer.valid.eq(0)
        with m.If(fire):
            m.d.sync += [answer.valid.eq(1), taken.eq(taken + 1)]
            with m.Switch(ask.address):
                words = {
                    IDENTITY: IDENTITY_WORD,
                    SCRATCH: scratch,
                    FIFO: fifo.r_data,
                    LEVEL: fifo.level,
                    TIMER: timer,
                    CLEAR: taken,
                    LANES: lanes_word,
                }
                for address, word in words.items():
                    with m.Case(address):
                        m.d.sync += answer.payload.eq(word)
                with m.Default():
                    m.d.sync += answer.payload.eq(0)
            with m.If(ask.write):
                with m.Switch(ask.address):
                    with m.Case(SCRATCH):
                        m.d.sync += scratch.eq(ask.data)
                    with m.Case(TIMER):
                        m.d.sync += timer.eq(ask.data)
                    with m.Case(CLEAR):
                        m.d.sync += self.interrupt.eq(0)
        return m

    def _lanes(self, m: Module, fire: Signal, word: Signal) -> Signal:
        """Add `work` lanes acc += w * x over a memory that is read in every cycle, each with a barrel shifter."""
        total = Signal(16)
        counter = Signal(8)
        m.d.sync += counter.eq(counter + 1)
        outs = []
        for i in range(self.work):
            memory = Memory(shape=16, depth=256, init=[(k * 2654435761 + i * 40503) >> 8 & 0xFFFF for k in range(256)])
            m.submodules[f"memory{i}"] = memory
            read, write = memory.read_port(), memory.write_port()
            product, acc, shifted = Signal(signed(24)), Signal(signed(32)), Signal(signed(16))
            m.d.comb += [
                read.addr.eq(counter + i),
                read.en.eq(1),
                write.addr.eq(counter),
                write.data.eq(word + i),
                write.en.eq(fire),
            ]
            m.d.sync += [
                product.eq(read.data[:8].as_signed() * read.data.as_signed()),
                acc.eq(acc + product),
                shifted.eq((acc >> counter[:4])[:16].as_signed()),
            ]
            outs.append(shifted)
        for value in outs:
            folded = Signal(16)
            m.d.comb += folded.eq(total ^ Cat(value))
            total = folded
        return total
