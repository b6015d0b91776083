# SPDX-License-Identifier: BSD-2-Clause
"""The device's end of the link (docs/link.md): receive, check, carry out, answer."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .csr import REQUEST
from .framing import Deframer, Framer, SerialCrc
from .link import (
    CRC_RESIDUE,
    CRC_WORDS,
    LINK_VERSION,
    OPERATION_FIELDS,
    REQUEST_WORDS,
    RESPONSE_WORDS,
    WAIT_UNIT,
    Code,
)  # fmt: skip
from .one_hot import OneHot
from .transport import ADDRESS_BITS, WORD_BITS
from .uart import RECEIVED, SENT

HALF = 128  # words of the buffer's lower half, for a request; the upper holds what the last one was answered
MOST = REQUEST_WORDS + 1 + CRC_WORDS
# Operations of a frame, counted from -3, as tag and CRC count for nothing.
LENGTH_INIT = -(MOST - REQUEST_WORDS) & 0xFF
# The place before the first: in the lower half the tag, in the upper one that of the request before.
BEFORE = HALF - 1
assert MOST <= HALF and RESPONSE_WORDS <= BEFORE
OPERATION = data.StructLayout(dict(OPERATION_FIELDS))
COUNT_BITS = OPERATION["count"].width
WAIT_BITS = exact_log2(WAIT_UNIT) - COUNT_BITS  # of a unit's cycles that the operation's counter does not count


# Words of a response, in order.
TAG, STATUS, WORDS, CRC_LOW, CRC_HIGH = range(5)


class LinkEngine(wiring.Component):
    """One request at a time: its frame is received whole, checked, carried out on the register bus, answered.

    received           bytes of the wire, at least 32 cycles apart
    sent               to the wire; the next byte is there within 40 cycles until the frame is over
    request, response  the register bus; interrupt, its level
    sound, damaged     for a cycle where a frame has ended

    All words pass through one shift register, a bit a cycle, which saves multiplexers: tags are compared, and the CRC
    made, as the bits go by. Words wait in one memory of 256 x 16 bits, requests in its lower half, what is answered in
    the upper one. A word written takes about 5 cycles, a word read 20. What a write answers is dropped.

    Vendor "ecp5" keeps the words in look-up tables, whose output comes 5 ns sooner than that of a block RAM.
    """

    def __init__(self, vendor: str = "portable") -> None:
        self.vendor = vendor
        super().__init__(
            {
                "received": In(stream.Signature(RECEIVED, always_ready=True)),
                "sent": Out(SENT),
                "request": Out(stream.Signature(REQUEST)),
                "response": In(stream.Signature(WORD_BITS)),
                "interrupt": In(1),
                "sound": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        style = {"ram_style": "distributed"} if self.vendor == "ecp5" else {}
        m.submodules.buffer = buffer = memory.Memory(shape=WORD_BITS, depth=2 * HALF, init=[], attrs=style)
        m.submodules.deframer = deframer = Deframer()
        m.submodules.framer = framer = Framer()
        m.submodules.crc = crc = SerialCrc()
        wiring.connect(m, wiring.flipped(self.received), deframer.received)
        wiring.connect(m, framer.sent, wiring.flipped(self.sent))
        read, write = buffer.read_port(), buffer.write_port()
        states = OneHot(
            m,
            "RECEIVE", "CHECK_LOW", "CHECK_HIGH", "CHECKED", "LAST", "TAG", "COMPARE", "DECIDE", "ADOPT", "STORE",
            "NEXT", "OPERATION", "BEGIN", "DATA", "ROOM", "ASK", "ANSWER", "PUT", "WAIT", "VALUE", "PUT_VALUE",
            "REPLY", "FLAG", "PICK", "GATHER", "SEND", "END",
        )  # fmt: skip

        # The shift register, and the number of its shifts, which comes back to 0 after each word.
        word, bit, shift, load, back = Signal(WORD_BITS, reset_less=True), Signal(), Signal(), Signal(), Signal()
        index, high_byte = Signal(3, reset_less=True), Signal(reset_less=True)
        last_shift = Signal()
        place_in_word = Cat(index, high_byte)
        with m.If(shift):
            m.d.sync += word.eq(Cat(word[1:], bit))
        with m.Elif(load):
            m.d.sync += word.eq(read.data)
        with m.If(back):
            m.d.sync += index.eq(0)
        with m.Elif(shift | framer.extra):
            m.d.sync += index.eq(index + 1)
        with m.If(back):
            m.d.sync += high_byte.eq(0)
        with m.Elif(shift & (index == 7)):
            m.d.sync += high_byte.eq(~high_byte)
        m.d.comb += [
            last_shift.eq((index == 7) & high_byte),
            deframer.taken.eq(index == 7),
            framer.index.eq(index),
            framer.byte.eq(word[:8]),
        ]

        # Where in the buffer, and how much.
        place, answers = Signal(range(HALF), reset_less=True), Signal(range(HALF), reset_less=True)
        length, too_long = Signal(8, reset_less=True), Signal(reset_less=True)
        begin, forward, put, at_end = Signal(), Signal(), Signal(), Signal()
        full = Signal(reset_less=True)
        word_received = Signal()
        with m.If(back):
            m.d.sync += place.eq(BEFORE)
        with m.Elif(forward):
            m.d.sync += place.eq(place + 1)
        with m.If(begin):
            m.d.sync += length.eq(LENGTH_INIT)
        with m.Elif(word_received & ~full):
            m.d.sync += length.eq(length + 1)
        with m.If(begin):
            m.d.sync += too_long.eq(0)
        with m.Elif(word_received & full):
            m.d.sync += too_long.eq(1)
        with m.If(states.active("ADOPT")):
            m.d.sync += answers.eq(BEFORE)
        with m.Elif(put):
            m.d.sync += answers.eq(answers + 1)
        m.d.sync += full.eq(length == REQUEST_WORDS)
        item = Signal(5, init=1)
        m.d.comb += [
            read.addr.eq(Cat(place, ~item[TAG] | states.active("CHECK_HIGH"))),
            write.addr.eq(Mux(states.active("RECEIVE"), place, Cat(answers, Const(1, 1)))),
            write.data.eq(word),
            write.en.eq(put | (word_received & ~full)),
            at_end.eq(place == length[: len(place)]),
        ]

        # The new tag against that of the request before, as both go by.
        opened = Signal()
        same, following, carry = Signal(reset_less=True), Signal(reset_less=True), Signal(reset_less=True)

        operation = data.View(OPERATION, word)
        address, count = Signal(ADDRESS_BITS, reset_less=True), Signal(COUNT_BITS, reset_less=True)
        writes = Signal(reset_less=True)
        load_operation = states.active("OPERATION")
        count_down, address_down = Signal(), Signal()
        none_left, one_left = Signal(), Signal()
        # As the adder's other operand is the choice between counting and loading, both fit a logic cell of an iCE40.
        with m.If(load_operation | count_down):
            m.d.sync += count.eq(Mux(count_down, count + count_down.replicate(len(count)), operation.count))
        with m.If(load_operation | address_down):
            m.d.sync += address.eq(Mux(address_down, address + address_down.replicate(len(address)), operation.address))
        with m.If(load_operation):
            m.d.sync += writes.eq(operation.write)
        m.d.comb += [
            self.request.payload.address.eq(address),
            self.request.payload.write.eq(writes),
            self.request.payload.data.eq(word),
            one_left.eq((count[1:] == 0) & count[0]),
            none_left.eq((count[1:] == 0) & ~count[0]),
        ]
        timer = Signal(WAIT_BITS, reset_less=True)
        high = Signal(reset_less=True)  # the interrupt, as a wait ended or an answer begins
        code = Signal(Code, reset_less=True)
        sync_frame = Signal()
        m.d.comb += sync_frame.eq(length == 0)
        counted = Mux(code == Code.OK, answers, code == Code.SEQUENCE)
        status = Cat(code, Const(0, 1), high, Const(0, 4), counted, Const(0, 1))

        m.d.sync += timer.eq(0)
        with states.at("RECEIVE"):
            m.d.comb += [
                deframer.listen.eq(1),
                shift.eq(deframer.valid),
                bit.eq(deframer.bit),
                crc.enable.eq(deframer.valid),
                forward.eq(word_received),
                back.eq(deframer.flag),
                begin.eq(deframer.flag & ~deframer.filled),
            ]
            m.d.sync += [word_received.eq(deframer.valid & last_shift), item.eq(1 << TAG)]
            m.d.sync += [same.eq(1), code.eq(Code.DAMAGED)]
            with m.If(deframer.flag & deframer.filled):
                states.go("REPLY")
                with m.If(~deframer.damaged & (place_in_word == 0) & ~length[-1] & ~too_long):
                    states.go("CHECK_LOW")
                with m.Else():
                    m.d.comb += self.damaged.eq(1)

        for half, following_state in enumerate(("CHECK_HIGH", "CHECKED")):
            with states.at(("CHECK_LOW", "CHECK_HIGH")[half]):
                residue = Const(CRC_RESIDUE >> WORD_BITS * half & 0xFFFF, WORD_BITS).bit_select(place_in_word, 1)
                m.d.comb += [shift.eq(1), crc.enable.eq(1), crc.drain.eq(1)]
                m.d.sync += same.eq(same & (crc.out ^ residue))
                with m.If(last_shift):
                    states.go(following_state)
        with states.at("CHECKED"):
            m.d.comb += [load.eq(1), self.sound.eq(same), self.damaged.eq(~same)]
            states.go("REPLY")
            with m.If(same):
                states.go("LAST")
        with states.at("LAST"):
            m.d.comb += [shift.eq(1), crc.enable.eq(1), crc.drain.eq(1)]
            with m.If(last_shift):
                states.go("TAG")
        with states.at("TAG"):
            m.d.comb += [load.eq(1), forward.eq(1)]
            m.d.sync += [following.eq(1), carry.eq(1)]
            states.go("COMPARE")
        with states.at("COMPARE"):
            m.d.comb += [shift.eq(1), bit.eq(word[0]), crc.enable.eq(1), crc.drain.eq(1)]
            m.d.sync += [
                same.eq(same & (word[0] == crc.middle)),
                following.eq(following & (word[0] == crc.middle ^ carry)),
                carry.eq(carry & crc.middle),
            ]
            with m.If(last_shift):
                states.go("DECIDE")
        with states.at("DECIDE"):
            m.d.sync += code.eq(Mux(opened, Mux(same, Code.OK, Code.SEQUENCE), Code.CLOSED))
            states.go("REPLY")
            with m.If(sync_frame | (opened & following)):
                states.go("ADOPT")
        with states.at("ADOPT"):
            m.d.sync += [code.eq(Code.OK), opened.eq(1)]
            states.go("STORE")
        with states.at("STORE"):
            m.d.comb += put.eq(1)
            states.go("NEXT")
            with m.If(sync_frame):
                states.go("VALUE")

        with states.at("NEXT"):
            m.d.comb += [load.eq(1), forward.eq(1)]
            states.go("OPERATION")
            with m.If(at_end):
                states.go("REPLY")
        with states.at("OPERATION"):
            states.go("BEGIN")
        with states.at("BEGIN"):
            states.go("ROOM")
            with m.If(writes):
                states.go("DATA")
                with m.If(none_left):
                    states.go("NEXT")
        with states.at("DATA"):
            m.d.comb += [load.eq(1), forward.eq(1)]
            states.go("ASK")
            with m.If(at_end):
                states.go("REPLY")
        with states.at("ROOM"):
            states.go("ASK")
            with m.If(none_left):
                states.go("WAIT")
            with m.If(answers == RESPONSE_WORDS):
                states.go("REPLY")
        with states.at("ASK"):
            m.d.comb += self.request.valid.eq(1)
            with m.If(self.request.ready):
                states.go("ANSWER")
        with states.at("ANSWER"):
            m.d.comb += [
                shift.eq(self.response.valid & ~writes),
                bit.eq(self.response.payload.bit_select(place_in_word, 1)),
                self.response.ready.eq(writes | last_shift),
            ]
            with m.If(self.response.valid & (writes | last_shift)):
                states.go("PUT")
        with states.at("PUT"):
            m.d.comb += [put.eq(~writes), count_down.eq(1)]
            states.go("ROOM")
            with m.If(writes):
                states.go("DATA")
            with m.If(one_left):
                states.go("NEXT")

        with states.at("WAIT"):
            # The operation's own counters count: the lower of them from 0 all the way round.
            m.d.comb += [count_down.eq(1), address_down.eq(one_left & timer.all())]
            m.d.sync += [timer.eq(timer + one_left), high.eq(self.interrupt)]
            with m.If(self.interrupt | (address == 0)):
                states.go("VALUE")
        with states.at("VALUE"):
            version = Const(LINK_VERSION, WORD_BITS).bit_select(place_in_word, 1)
            m.d.comb += [shift.eq(1), bit.eq(Mux(sync_frame, version, high & (place_in_word == 0)))]
            with m.If(last_shift):
                states.go("PUT_VALUE")
        with states.at("PUT_VALUE"):
            m.d.comb += put.eq(1)
            states.go("REPLY")
            with m.If(high & ~sync_frame):
                states.go("NEXT")

        with states.at("REPLY"):
            m.d.comb += back.eq(1)
            m.d.sync += high.eq(self.interrupt)
            states.go("FLAG")
        with states.at("FLAG"):
            with m.If(framer.done):
                states.go("PICK")
        with states.at("PICK"):
            m.d.comb += [load.eq(1), forward.eq(item[WORDS] | (item[STATUS] & (code == Code.OK)))]
            states.go("GATHER")
            with m.If((item[TAG] & (code != Code.DAMAGED)) | item[WORDS]):
                states.go("SEND")
            # What is answered to another tag is the one word before the first.
            with m.If(item[WORDS] & Mux(code == Code.OK, place == answers, (code != Code.SEQUENCE) | ~place[0])):
                m.d.sync += item.eq(1 << CRC_LOW)
                states.go("PICK")
        with states.at("GATHER"):
            m.d.comb += [shift.eq(1), crc.enable.eq(item[CRC_LOW] | item[CRC_HIGH]), crc.drain.eq(1)]
            m.d.comb += bit.eq(
                (item[STATUS] & status.bit_select(place_in_word, 1))
                | ((item[CRC_LOW] | item[CRC_HIGH]) & crc.out)
            )
            with m.If(last_shift):
                states.go("SEND")
        with states.at("SEND"):
            m.d.comb += [shift.eq(framer.taken), crc.enable.eq(framer.taken & ~item[CRC_LOW] & ~item[CRC_HIGH])]
            with m.If(framer.taken & last_shift):
                states.go("PICK")
                with m.If(item[CRC_HIGH]):
                    states.go("END")
                with m.If(~item[WORDS]):
                    m.d.sync += item.eq(item << 1)
        with states.at("END"):
            with m.If(framer.done):
                states.go("RECEIVE")
        states.close()
        m.d.comb += [
            crc.clear.eq(begin | states.active("REPLY")),
            crc.bit.eq(Mux(states.active("RECEIVE"), deframer.bit, word[0])),
            framer.valid.eq(states.active("FLAG", "SEND", "END")),
            framer.flag.eq(~states.active("SEND")),
        ]
        return m
