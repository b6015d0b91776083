# SPDX-License-Identifier: BSD-2-Clause
"""The device's side of docs/link.md in Python, a wire with a clock of its own, and what can go wrong on it.

Written from the document, byte by byte, and from nothing of the host's: the two check each other.
"""

import random
import struct
import zlib
from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from liquid_accel.driver.channel import ChannelError
from liquid_accel.rtl.registers import address
from liquid_accel.rtl.transport import Transactions

OK, DAMAGED, SEQUENCE, CLOSED = range(4)
VERSION = 1


class LinkTwin:
    """A device whose register bus is `bus` (a `Transport`), with a clock of `clock_hz`."""

    def __init__(self, bus, clock_hz: float = 12e6):
        self.bus = bus
        self.clock_hz = clock_hz
        self.frames = Counter()  # sound requests by what became of them
        self.reset()

    def reset(self) -> None:
        """What a reset of the chip does to its link."""
        self.last: int | None = None
        self.kept = b""
        self._content = bytearray()
        self._escape = self._damaged = False

    def byte(self, value: int) -> tuple[float, bytes] | None:
        """Take a byte in; where a frame ends with it, the seconds until the answer begins, and the answer."""
        if value == 0x7E:
            content, damaged = bytes(self._content), self._damaged or self._escape
            self._content, self._escape, self._damaged = bytearray(), False, False
            return self._frame(content, damaged) if content or damaged else None
        if value == 0x7D:
            self._damaged |= self._escape
            self._escape = True
            return None
        self._content.append(value ^ 0x20 if self._escape else value)
        self._escape = False
        if len(self._content) > 2 * 128:
            self._damaged = True
            self._content.clear()
        return None

    def _frame(self, content: bytes, damaged: bool) -> tuple[float, bytes]:
        sound = not damaged and len(content) % 2 == 0 and 3 <= len(content) // 2 <= 128
        if not sound or zlib.crc32(content[:-4]) != struct.unpack("<I", content[-4:])[0]:
            self.frames["damaged"] += 1
            return 0.0, self._answer(0, DAMAGED, [])
        tag, *words = struct.unpack(f"<{len(content) // 2 - 2}H", content[:-4])
        if not words:
            self.frames["sync"] += 1
            self.last, self.kept = tag, self._answer(tag, OK, [VERSION])
            return 0.0, self.kept
        if self.last is None:
            self.frames["closed"] += 1
            return 0.0, self._answer(tag, CLOSED, [])
        if tag == self.last:
            self.frames["repeated"] += 1
            return 0.0, self.kept
        if tag != (self.last + 1) % 65536:
            self.frames["sequence"] += 1
            return 0.0, self._answer(tag, SEQUENCE, [self.last])
        self.frames["carried out"] += 1
        seconds, answers = self._carry_out(words)
        self.last, self.kept = tag, self._answer(tag, OK, answers)
        return seconds, self.kept

    def _carry_out(self, words: list[int]) -> tuple[float, list[int]]:
        answers: list[int] = []
        seconds, at = 1e-5, 0
        while at < len(words):
            operation = words[at]
            register, count, write = operation & 0xFF, operation >> 8 & 0x7F, operation >> 15
            at += 1
            if write:
                data = words[at : at + count]
                at += count
                if data:
                    self.bus.write(register, np.array(data, np.uint16))
            elif count:
                if len(answers) + count > 125:
                    break
                answers += self.bus.read(register, count).tolist()
            else:
                if len(answers) + 1 > 125:
                    break
                longest = register * 4096 / self.clock_hz
                high = self.bus.wait(longest)
                answers.append(int(high))
                if not high:
                    seconds += longest
                    break
        return seconds, answers

    def _answer(self, tag: int, code: int, words: list[int]) -> bytes:
        status = code | int(self.bus.wait(0.0)) << 3 | len(words) << 8
        content = struct.pack(f"<{2 + len(words)}H", tag, status, *words)
        content += struct.pack("<I", zlib.crc32(content))
        out = bytearray([0x7E])
        for value in content:
            out += bytes([0x7D, value ^ 0x20]) if value in (0x7E, 0x7D) else bytes([value])
        return bytes(out + b"\x7e")


class Faults:
    """Damages a frame in `rate` of all cases, each of `KINDS` as often as the others."""

    KINDS = ("flip", "drop", "insert", "duplicate", "truncate", "delay", "noise", "vanish")

    def __init__(self, seed: int, rate: float):
        self.random = random.Random(seed)
        self.rate = rate
        self.count: Counter[str] = Counter()

    def __call__(self, frame: bytes) -> list[tuple[float, bytes]]:
        """What comes of a frame: pieces, each with the seconds that it comes late."""
        draw = self.random
        if draw.random() >= self.rate:
            return [(0.0, frame)]
        kind = draw.choice(self.KINDS)
        self.count[kind] += 1
        at = draw.randrange(len(frame))
        if kind == "flip":
            damaged = bytearray(frame)
            for _ in range(draw.randint(1, 4)):
                damaged[draw.randrange(len(frame))] ^= 1 << draw.randrange(8)
            return [(0.0, bytes(damaged))]
        if kind == "drop":
            return [(0.0, frame[:at] + frame[at + draw.randint(1, 8) :])]
        if kind == "insert":
            return [(0.0, frame[:at] + self._bytes(draw.randint(1, 8)) + frame[at:])]
        if kind == "duplicate":
            return [(0.0, frame), (draw.choice((0.0, 1e-4, 0.5)), frame)]
        if kind == "truncate":
            return [(0.0, frame[:at])]
        if kind == "delay":
            return [(10 ** draw.uniform(-4, 0.7), frame)]
        if kind == "noise":
            return [(0.0, self._bytes(draw.randint(1, 600))), (draw.choice((0.0, 1e-3)), frame)]
        return []

    def _bytes(self, count: int) -> bytes:
        """Noise, in which flags and escapes are frequent."""
        return bytes(self.random.choice((0x7E, 0x7D, self.random.randrange(256))) for _ in range(count))


class TwinChannel:
    """A wire to a `LinkTwin`, with a clock that runs only while the host waits: seconds of time-outs pass in no time.

    What arrives while the device works or answers is ignored. `faults` meet frames of either direction.
    """

    name = "twin"
    advice = "the twin"

    def __init__(self, twin: LinkTwin, faults: Faults | None = None, baud: float = 1e6):
        self.twin = twin
        self.faults = faults or (lambda frame: [(0.0, frame)])
        self.seconds_a_byte = 10 / baud
        self.now = 0.0
        self.plugged = True
        self.closed = False
        self._free = self._busy = self._sent = 0.0
        self._incoming: deque[tuple[float, bytes]] = deque()
        self.split = random.Random(0)

    def clock(self) -> float:
        return self.now

    def write(self, data: bytes) -> None:
        self._check()
        for delay, piece in self.faults(data):
            at = max(self._free, self.now) + delay
            for value in piece:
                at += self.seconds_a_byte
                if at < self._busy:
                    continue
                answer = self.twin.byte(value)
                if answer is not None:
                    self._send(at + answer[0], answer[1])
            self._free = at

    def read(self, limit: int, timeout_s: float) -> bytes:
        self._check()
        if not self._incoming or self._incoming[0][0] > self.now + timeout_s:
            self.now += timeout_s
            return b""
        at, data = self._incoming.popleft()
        self.now = max(self.now, at)
        if len(data) > 1 and self.split.random() < 0.2:
            limit = min(limit, self.split.randrange(1, len(data)))
        if len(data) > limit:
            self._incoming.appendleft((at, data[limit:]))
        return data[:limit]

    def close(self) -> None:
        self.closed = True

    def reopen(self) -> None:
        if not self.plugged:
            raise ChannelError("twin is not there")
        self.closed = False
        self._incoming.clear()

    def _send(self, start: float, answer: bytes) -> None:
        self._busy = start + len(answer) * self.seconds_a_byte
        for delay, piece in self.faults(answer):
            self._sent = max(self._sent, start) + delay + len(piece) * self.seconds_a_byte
            if piece:
                self._incoming.append((self._sent, piece))

    def _check(self) -> None:
        if not self.plugged or self.closed:
            raise ChannelError("twin: the device is gone")


class EchoBus(Transactions):
    """Registers without an accelerator: the n-th word from OUT_DATA is n * 40503 + the n-th to IN_DATA, so that
    a word lost or repeated changes all that follow; MEM_DATA counts MEM_ADDRESS up, any other register keeps a word.

    The interrupt is high while OUT_MARK words wait and `waits` waits since the last write have ended without it.
    `log` holds every access to the bus in order, but for waits.
    """

    def __init__(self, waits: int = 0, clock_khz: int = 0):
        self.waits = waits
        self.log: list[tuple[str, int, tuple[int, ...]]] = []
        self.memory = [0] * 65536
        self.registers = [0] * 256
        self.registers[address("CLOCK_KHZ_LOW")], self.registers[address("CLOCK_KHZ_HIGH")] = (
            clock_khz & 0xFFFF, clock_khz >> 16
        )  # fmt: skip
        self.fifo: deque[int] = deque()
        self.pushed = 0
        self.waited = 0

    def write(self, register: int, words: Sequence[int]) -> None:
        words = [int(word) for word in words]
        self.log.append(("write", register, tuple(words)))
        for word in words:
            if register == address("IN_DATA"):
                self.fifo.append((self.pushed * 40503 + word) & 0xFFFF)
                self.pushed += 1
                self.waited = 0
            elif register == address("MEM_DATA"):
                self.memory[self._step()] = word
            else:
                self.registers[register] = word

    def read(self, register: int, count: int) -> np.ndarray:
        if register == address("OUT_DATA"):
            words = [self.fifo.popleft() if self.fifo else 0xDEAD for _ in range(count)]
        elif register == address("MEM_DATA"):
            words = [self.memory[self._step()] for _ in range(count)]
        else:
            words = [self.registers[register]] * count
        self.log.append(("read", register, tuple(words)))
        return np.array(words, np.uint16)

    def wait(self, timeout_s: float) -> bool:
        high = len(self.fifo) >= max(1, self.registers[address("OUT_MARK")])
        if high and timeout_s > 0 and self.waited < self.waits:
            self.waited += 1
            return False
        return high and self.waited >= self.waits

    def close(self) -> None:
        pass

    def _step(self) -> int:
        at = self.registers[address("MEM_ADDRESS")]
        self.registers[address("MEM_ADDRESS")] = (at + 1) & 0xFFFF
        return at
