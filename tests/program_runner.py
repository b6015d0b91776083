# SPDX-License-Identifier: BSD-2-Clause
"""Runs a random program (tests/program_generator.py) on a device behind a transport, the way that its host behaves."""

import random
from collections import Counter
from typing import Any

import kept_dump
from program_generator import Case, Traffic

from liquid_accel.rtl.isa import Space
from liquid_accel.rtl.registers import address, mask
from liquid_accel.rtl.transport import TransportError

RUN, ABORT = (mask("CONTROL", name) for name in ("RUN", "ABORT"))
IDLE, ILLEGAL = (mask("STATUS", name) for name in ("IDLE", "ILLEGAL"))
READY, STARVED, ERROR = (mask("IRQ_ENABLE", name) for name in ("OUT_READY", "STARVED", "ERROR"))
PATIENCE_S = 10.0


class Host:
    """A host of one device. `held` says what stands in memories that programs cannot write, so that it is written once;
    `seen` counts what happened on the streams, by name. A frame is given up after `waits` calls of the transport's
    wait."""

    def __init__(self, transport: Any, waits: int = 1) -> None:
        self.transport, self.waits = transport, waits
        self.held: dict[Space, bytes] = {}
        self.seen: Counter[str] = Counter()

    def write(self, name: str, *words: int) -> None:
        self.transport.write(address(name), list(words))

    def read(self, name: str, count: int = 1) -> list[int]:
        return [int(word) for word in self.transport.read(address(name), count)]

    def store(self, space: Space, words: Any) -> None:
        self.write("MEM_SPACE", space)
        self.write("MEM_ADDRESS", 0)
        self.transport.write(address("MEM_DATA"), words)

    def fetch(self, space: Space, count: int) -> list[int]:
        self.write("MEM_SPACE", space)
        self.write("MEM_ADDRESS", 0)
        return self.read("MEM_DATA", count)

    def load(self, case: Case) -> None:
        for space, words in case.sections.items():
            if space in (Space.WEIGHT, Space.TABLE):
                if self.held.get(space) == words.tobytes():
                    continue
                self.held[space] = words.tobytes()
            self.store(space, words)

    def wait(self) -> None:
        assert any(self.transport.wait(PATIENCE_S) for _ in range(self.waits)), "the frame does not end"

    # ---- Frames

    def calm(self, frames: list[list[int]]) -> list[int]:
        """Frame after frame."""
        self.write("IRQ_ENABLE", STARVED | ERROR)
        self.write("CONTROL", RUN)
        found: list[int] = []
        for words in frames:
            self.write("IN_DATA", *words)
            self.wait()
            found += self.read("OUT_DATA", self.read("OUT_LEVEL")[0])
        self.seen["frame by frame"] += 1
        return found

    def busy(self, frames: list[list[int]], traffic: Traffic, fifo_words: int) -> list[int]:
        """Frames in pieces or several at a time, answers read late or early, RUN cleared and set again."""
        draw, found = random.Random(traffic.seed), list[int]()
        words = [word for frame in frames for word in frame]
        width, sent, stops = len(frames[0]), 0, 3 if traffic.kind == "stop" else 0
        full = traffic.kind == "full"
        # A record waits where less than half of the FIFO is free: a host that waits for more waits for ever.
        most = fifo_words // 2 - 3
        self.write("OUT_MARK", most if full else draw.randrange(1, min(40, most)))
        self.write("IRQ_ENABLE", STARVED | ERROR | READY)
        self.write("CONTROL", RUN)
        while True:
            room = self.read("IN_ROOM")[0]
            if sent < len(words):
                piece = draw.randint(1, 2 * width) if traffic.kind in ("pieces", "stop") else len(words)
                part = words[sent : sent + min(room, piece)]
                if part:
                    self.write("IN_DATA", *part)
                    sent += len(part)
                    self.seen["input full"] += self.read("IN_ROOM") == [0]
                    inside = sent % width
                    self.seen["input starved in a header"] += 0 < inside < 5
                    self.seen["input starved in the inputs"] += inside > 4
                self.read("ID", draw.randint(1, 200))  # time goes by
                if stops and draw.random() < 0.5:
                    stops -= 1
                    self.stop()
            if full or sent == len(words):
                self.wait()
            # In this order: where no frame waits none begins, and what is idle then pushes no more.
            waiting = fifo_words - self.read("IN_ROOM")[0] >= width
            idle, level = self.read("STATUS")[0] & IDLE, self.read("OUT_LEVEL")[0]
            self.seen["output read in a frame"] += bool(level and not idle)
            if full and level:
                if idle:
                    self.seen["a frame waits for room"] += waiting
                else:
                    self.seen["a record or ROOM waits for room"] += self.stands(level)
                level = draw.randint(1, level)
            if level:
                found += self.read("OUT_DATA", level)
            elif sent == len(words) and idle and not waiting:
                return found

    def stands(self, level: int) -> bool:
        """Whether the device pushes nothing in a time in which any program would."""
        for _ in range(5):
            self.read("ID", 4000)
            if self.read("OUT_LEVEL") != [level] or self.read("STATUS")[0] & IDLE:
                return False
        return True

    def stop(self) -> None:
        """Clear RUN; the frame under way is finished, and the machine is idle until RUN is set again."""
        idle = self.read("STATUS")[0] & IDLE
        self.write("CONTROL", 0)
        self.seen["stopped between frames" if idle else "stopped in a frame"] += 1
        self.seen["stopped"] += 1
        for _ in range(1000):
            if self.read("STATUS")[0] & IDLE and self.read("CONTROL") == [0]:
                break
            self.read("ID", 100)
        self.write("CONTROL", RUN)

    # ---- What comes after

    def kept(self, case: Case) -> list[list[int]]:
        """The kept sums and operands, by a program of its own. ABORT leaves memories as they are."""
        self.write("CONTROL", ABORT)
        for space, words in case.dump.items():
            self.store(space, words)
        self.write("MEM_SPACE", Space.S)
        self.write("MEM_ADDRESS", 0)
        self.write("MEM_DATA", *kept_dump.scalars())
        self.write("CONTROL", RUN)
        self.write("IRQ_ENABLE", STARVED | ERROR)
        found = []
        for (words, space), wanted in zip(kept_dump.frames(case.config), case.kept):
            self.write("IN_DATA", *words)
            self.wait()
            answer = self.read("OUT_DATA", self.read("OUT_LEVEL")[0])
            found.append([*answer, *self.fetch(space, len(wanted) - len(answer))])
        return found

    def illegal(self, words: list[int]) -> None:
        """A program that ends at an instruction that does not exist."""
        self.write("CONTROL", ABORT)
        self.store(Space.ISSUE, words)
        self.write("CONTROL", RUN)
        self.write("IRQ_ENABLE", ERROR)
        self.write("IN_DATA", 1, 0, 0, 0, 0)
        self.wait()
        assert self.read("STATUS") == [ILLEGAL], "STATUS after an instruction that does not exist"
        self.write("CONTROL", ABORT)
        assert self.read("STATUS") == [IDLE], "STATUS after ABORT"
        self.seen["stopped by an instruction that does not exist"] += 1

    def run(self, case: Case) -> list[list[int]]:
        """Load everything, and run the frames; the words of each."""
        self.write("CONTROL", ABORT)
        self.load(case)
        if case.traffic.kind == "calm":
            words = self.calm(case.frames)
        else:
            words = self.busy(case.frames, case.traffic, case.config.fifo_words)
            self.seen[case.traffic.kind] += 1
        assert self.read("STATUS") == [IDLE], "STATUS after the frames"
        for space, wanted in case.memories.items():
            assert self.fetch(space, len(wanted)) == wanted, space.name
        if case.kept:
            kept = self.kept(case)
            for name, found, wanted in zip(("M high", "M low", *["X"] * len(kept)), kept, case.kept):
                assert found == wanted, name
        if case.illegal:
            self.illegal(case.illegal)
        frames, at = [], 0
        for wanted in case.expected[:-1]:
            frames.append(words[at : at + len(wanted)])
            at += len(wanted)
        return [*frames, words[at:]]


def run(case: Case, transport: Any) -> list[list[int]]:
    """Load everything, and run the frames; the words of each. Raises AssertionError where other things differ."""
    return Host(transport).run(case)


def differs(case: Case, transport: Any, host: Host | None = None) -> str | None:
    """What is first found to be other than the golden model has it; None where all is equal."""
    try:
        found = (host or Host(transport)).run(case)
    except (AssertionError, TransportError) as error:
        return str(error).splitlines()[0] or "a wait without end"
    for frame, (words, wanted) in enumerate(zip(found, case.expected)):
        for at, (word, expected) in enumerate(zip(words, wanted)):
            if word != expected:
                return f"frame {frame}, word {at}: 0x{word:04x}, and not 0x{expected:04x}"
        if len(words) != len(wanted):
            return f"frame {frame} has {len(words)} words, and not {len(wanted)}"
    return None
