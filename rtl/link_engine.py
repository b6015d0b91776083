# SPDX-License-Identifier: BSD-2-Clause
"""The device's end of the link (docs/link.md): receive, check, carry out, answer."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .csr import REQUEST
from .framing import Deframer, Framer, SerialCrc
from .link import CRC_WORDS, LINK_VERSION, REQUEST_WORDS, RESPONSE_WORDS, WAIT_UNIT, Code
from .transport import WORD_BITS
from .uart import RECEIVED

HALF = 128  # words of the buffer's lower half, for a request; the upper holds what the last one was answered
MOST = REQUEST_WORDS + 1 + CRC_WORDS
assert MOST <= HALF and RESPONSE_WORDS <= HALF

# Operations a frame holds, plus 1: -2 before the first word, so that tag and CRC count as nothing.
LENGTH_INIT = -CRC_WORDS & 0xFF
LENGTH_MOST = MOST - CRC_WORDS
LENGTH_TOO_MANY = LENGTH_MOST + 1
assert LENGTH_MOST == 0b1111110  # so that one bit tells it from too many

assert WAIT_UNIT % WORD_BITS == 0 and WAIT_UNIT // WORD_BITS == 256


class Item(enum.Enum, shape=3):
    """Words of a response, in order."""

    TAG = 0
    STATUS = 1
    WORDS = 2
    CRC_LOW = 3
    CRC_HIGH = 4


class LinkEngine(wiring.Component):
    """One request at a time: its frame is received whole, checked, carried out on the register bus, answered.

    received           bytes of the wire, at least 32 cycles apart
    bytes              to the wire; where a byte is taken, the next is there within 40 cycles until the frame is over
    request, response  the register bus, interrupt its level
    sound, damaged     for a cycle where a frame has ended

    All words pass through one shift register, a bit a cycle, which saves multiplexers: tags are compared, and the CRC
    made, as the bits go by. Words wait in one memory of 256 x 16 bits, requests in its lower half, what is answered in
    the upper one. A word of a request takes about 6 cycles. What a write answers is dropped.
    """

    received: In(stream.Signature(RECEIVED, always_ready=True))
    bytes: Out(stream.Signature(8))
    request: Out(stream.Signature(REQUEST))
    response: In(stream.Signature(WORD_BITS))
    interrupt: In(1)
    sound: Out(1)
    damaged: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.buffer = buffer = memory.Memory(shape=WORD_BITS, depth=2 * HALF, init=[])
        m.submodules.deframer = deframer = Deframer()
        m.submodules.framer = framer = Framer()
        m.submodules.crc = crc = SerialCrc()
        wiring.connect(m, wiring.flipped(self.received), deframer.received)
        wiring.connect(m, framer.bytes, wiring.flipped(self.bytes))
        read, write = buffer.read_port(), buffer.write_port()

        # The shift register, and the number of its shifts, which comes back to 0 after each word.
        word, bit, shift, index = Signal(WORD_BITS), Signal(), Signal(), Signal(range(WORD_BITS))
        last_shift = Signal()
        load_buffer, load_response = Signal(), Signal()
        with m.If(shift):
            m.d.sync += word.eq(Cat(word[1:], bit))
        with m.Elif(load_response):
            m.d.sync += word.eq(self.response.payload)
        with m.Elif(load_buffer):
            m.d.sync += word.eq(read.data)
        m.d.sync += index.eq(index + shift)
        m.d.comb += last_shift.eq(index == WORD_BITS - 1)

        # Where in the buffer, and how much.
        place, length, answers = Signal(range(HALF)), Signal(8, init=LENGTH_INIT), Signal(range(HALF))
        forward, back, full, put, receiving = Signal(), Signal(), Signal(), Signal(), Signal()
        with m.If(back):
            m.d.sync += place.eq(0)
        with m.Elif(forward):
            m.d.sync += place.eq(place + 1)
        item = Signal(Item)
        m.d.comb += [
            read.addr.eq(Cat(place, item != Item.TAG)),
            write.addr.eq(Mux(receiving, place, Cat(answers, Const(1, 1)))),
            write.data.eq(word),
        ]
        with m.If(put):
            m.d.sync += answers.eq(answers + 1)

        # The tag of the request before, compared with the new one as both go round.
        last, turn, adopt = Signal(WORD_BITS), Signal(), Signal()
        opened, same, following, carry = Signal(), Signal(), Signal(), Signal()
        with m.If(turn):
            m.d.sync += last.eq(Cat(last[1:], Mux(adopt, word[0], last[0])))

        operation = Signal.like(Cat(word))
        address, count, writes = operation[:8], operation[8:15], operation[15]
        m.d.comb += [
            self.request.payload.address.eq(address),
            self.request.payload.write.eq(writes),
            self.request.payload.data.eq(word),
        ]
        timer = Signal(16)
        high = Signal()  # the interrupt, as a wait ended or an answer begins
        code = Signal(Code)

        sync_frame = Signal()
        too_short, too_long = Signal(), Signal()
        m.d.comb += [
            sync_frame.eq(length == 1),
            too_short.eq(length[7] | (length == 0)),
            too_long.eq(length == LENGTH_TOO_MANY),
            full.eq(~length[7] & length[1:7].all()),
        ]
        word_received = Signal()
        at_end = Signal()
        m.d.comb += at_end.eq(place == length[:7])
        status = Cat(code, Const(0, 1), high, Const(0, 4), Mux(code == Code.OK, answers, code == Code.SEQUENCE))
        assert len(status) == WORD_BITS - 1

        with m.FSM():
            with m.State("RECEIVE"):
                m.d.comb += [
                    receiving.eq(1),
                    deframer.listen.eq(1),
                    shift.eq(deframer.valid),
                    bit.eq(deframer.bit),
                    crc.enable.eq(deframer.valid),
                    crc.bit.eq(deframer.bit),
                    write.en.eq(word_received & ~full),
                    forward.eq(word_received),
                ]
                m.d.sync += word_received.eq(deframer.valid & last_shift)
                with m.If(word_received):
                    with m.If(full):
                        m.d.sync += length.eq(LENGTH_TOO_MANY)
                    with m.Else():
                        m.d.sync += length.eq(length + 1)
                with m.If(deframer.start):
                    m.d.comb += [crc.clear.eq(1), back.eq(1)]
                    m.d.sync += [index.eq(0), length.eq(LENGTH_INIT)]
                with m.If(deframer.stop):
                    m.d.comb += back.eq(1)
                    m.d.sync += index.eq(0)
                    with m.If(crc.sound & ~deframer.damaged & (index == 0) & ~too_short & ~too_long):
                        m.d.comb += self.sound.eq(1)
                        m.next = "TAG"
                    with m.Else():
                        m.d.comb += self.damaged.eq(1)
                        m.d.sync += code.eq(Code.DAMAGED)
                        m.next = "REPLY"

            with m.State("TAG"):
                m.next = "TAG_LOAD"
            with m.State("TAG_LOAD"):
                m.d.comb += [load_buffer.eq(1), forward.eq(1)]
                m.d.sync += [same.eq(1), following.eq(1), carry.eq(1)]
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.comb += [shift.eq(1), bit.eq(word[0]), turn.eq(1)]
                m.d.sync += [
                    same.eq(same & (word[0] == last[0])),
                    following.eq(following & (word[0] == last[0] ^ carry)),
                    carry.eq(carry & last[0]),
                ]
                with m.If(last_shift):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.sync += code.eq(Code.OK)
                m.next = "REPLY"
                with m.If(sync_frame | opened & following):
                    m.next = "ADOPT"
                with m.Elif(~opened):
                    m.d.sync += code.eq(Code.CLOSED)
                with m.Elif(~same):
                    m.d.sync += code.eq(Code.SEQUENCE)
            with m.State("ADOPT"):
                m.d.comb += [shift.eq(1), bit.eq(word[0]), turn.eq(1), adopt.eq(1)]
                m.d.sync += [opened.eq(1), answers.eq(0)]
                with m.If(last_shift):
                    m.next = "NEXT"
                    with m.If(sync_frame):
                        m.next = "VALUE"

            with m.State("NEXT"):
                with m.If(at_end):
                    m.next = "REPLY"
                with m.Else():
                    m.d.comb += [load_buffer.eq(1), forward.eq(1)]
                    m.next = "OPERATION"
            with m.State("OPERATION"):
                m.d.sync += operation.eq(word)
                m.next = "BEGIN"
            with m.State("BEGIN"):
                with m.If(writes):
                    m.next = "NEXT"
                    with m.If(count != 0):
                        m.next = "DATA"
                with m.Else():
                    m.next = "ROOM"
            with m.State("DATA"):
                m.d.comb += [load_buffer.eq(1), forward.eq(1)]
                m.next = "ASK"
                with m.If(at_end):
                    m.next = "REPLY"
            with m.State("ROOM"):
                m.next = "ASK"
                with m.If(count == 0):
                    m.next = "WAIT"
                with m.If(answers == RESPONSE_WORDS):
                    m.next = "REPLY"
            with m.State("ASK"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += [self.response.ready.eq(1), load_response.eq(1)]
                with m.If(self.response.valid):
                    m.next = "PUT"
                    with m.If(writes):
                        m.d.sync += count.eq(count - 1)
                        m.next = "DATA"
                        with m.If(count == 1):
                            m.next = "NEXT"
            with m.State("PUT"):
                m.d.comb += [put.eq(1), write.en.eq(1)]
                m.d.sync += count.eq(count - 1)
                m.next = "ROOM"
                with m.If(sync_frame | (count == 0) & ~high):
                    m.next = "REPLY"
                with m.Elif(count[1:] == 0):
                    m.next = "NEXT"

            with m.State("WAIT"):
                m.d.sync += [timer.eq(timer + last_shift), index.eq(index + 1), high.eq(self.interrupt)]
                with m.If(self.interrupt | (timer[8:] == address)):
                    m.d.sync += [timer.eq(0), index.eq(0)]
                    m.next = "VALUE"
            with m.State("VALUE"):
                version = Const(LINK_VERSION, WORD_BITS).bit_select(index, 1)
                m.d.comb += [shift.eq(1), bit.eq(Mux(sync_frame, version, high & (index == 0)))]
                with m.If(last_shift):
                    m.next = "PUT"

            with m.State("REPLY"):
                m.d.comb += [back.eq(1), crc.clear.eq(1)]
                m.d.sync += high.eq(self.interrupt)
                m.next = "FLAG"
            with m.State("FLAG"):
                m.d.comb += [framer.content.valid.eq(1), framer.content.payload.flag.eq(1)]
                with m.If(framer.content.ready):
                    m.next = "PICK"
            with m.State("PICK"):
                m.next = "GATHER"
                with m.If((item == Item.TAG) & (code != Code.DAMAGED)):
                    m.d.comb += load_buffer.eq(1)
                    m.next = "SEND"
                with m.If(item == Item.WORDS):
                    m.d.comb += forward.eq(1)
                    with m.If(code == Code.OK):
                        m.d.comb += load_buffer.eq(1)
                        m.next = "SEND"
                    with m.If(Mux(code == Code.OK, place == answers, (code != Code.SEQUENCE) | place[0])):
                        m.d.sync += item.eq(Item.CRC_LOW)
                        m.next = "PICK"
            with m.State("GATHER"):
                m.d.comb += shift.eq(1)
                with m.Switch(item):
                    with m.Case(Item.STATUS):
                        m.d.comb += bit.eq(status.bit_select(index, 1))
                    with m.Case(Item.WORDS):
                        m.d.comb += [bit.eq(last[0]), turn.eq(1)]
                    with m.Case(Item.CRC_LOW, Item.CRC_HIGH):
                        m.d.comb += [bit.eq(crc.out), crc.enable.eq(1), crc.drain.eq(1)]
                with m.If(last_shift):
                    m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += framer.content.valid.eq(1)
                with m.If(framer.content.ready):
                    m.next = "SHIFT"
            with m.State("SHIFT"):
                m.d.comb += [shift.eq(1), crc.bit.eq(word[0])]
                m.d.comb += crc.enable.eq((item != Item.CRC_LOW) & (item != Item.CRC_HIGH))
                with m.If(index[:3] == 7):
                    m.next = "SEND"
                with m.If(last_shift):
                    m.next = "PICK"
                    with m.If(item == Item.CRC_HIGH):
                        m.d.sync += item.eq(Item.TAG)
                        m.next = "END"
                    with m.Elif(item != Item.WORDS):
                        m.d.sync += item.eq(item.as_value() + 1)
            with m.State("END"):
                m.d.comb += [framer.content.valid.eq(1), framer.content.payload.flag.eq(1)]
                with m.If(framer.content.ready):
                    m.next = "RECEIVE"
        m.d.comb += framer.content.payload.byte.eq(word[:8])
        return m
