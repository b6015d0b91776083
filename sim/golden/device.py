# SPDX-License-Identifier: BSD-2-Clause
"""A golden machine with FIFOs: frames in, words out, computed in batches as late as can be."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Control, Flag, Op, Space
from liquid_accel.rtl.registers import mask
from liquid_accel.sim.golden.errors import IllegalInstruction
from liquid_accel.sim.golden.machine import GoldenMachine
from liquid_accel.sim.golden.memory import Words

# Larger batches are no faster, once their arrays leave the cache.
_BATCH = 512
_EMPTY: Words = np.zeros(0, np.uint16)


class Device:
    """State behind the registers. What it is asked about results, it computes first all whole frames it holds."""

    def __init__(self, config: LiquidConfig, sequential: bool) -> None:
        self._machine = GoldenMachine(config)
        self._sequential = sequential
        self._in: list[Words] = []
        self._out: list[Words] = []
        self._errors = 0
        self.running = False

    # ---- Memories

    def store(self, space: Space | None, addresses: npt.NDArray[np.int64], words: Words) -> None:
        """Write memory words at host addresses, in order; those that no memory has are reported and lost."""
        self._compute()
        inside = self._inside(space, addresses)
        if space is not None:
            self._machine.store(space, addresses[inside], words[inside])

    def fetch(self, space: Space | None, addresses: npt.NDArray[np.int64]) -> Words:
        """Read memory words; those that no memory has are reported and read 0."""
        self._compute()
        inside = self._inside(space, addresses)
        words = np.zeros(len(addresses), np.uint16)
        if space is not None:
            words[inside] = self._machine.fetch(space, addresses[inside])
        return words

    def _inside(self, space: Space | None, addresses: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of the addresses the memory has."""
        size = 0 if space is None else self._machine.shared.windows[space].words
        inside: npt.NDArray[np.bool_] = addresses < size
        if not inside.all():
            self.report("BAD_ADDRESS")
        return inside

    # ---- Control and streams

    def control(self, run: bool, abort: bool) -> None:
        """Write the register CONTROL."""
        if abort:
            self._in, self._out, self._errors, self.running = [], [], 0, False
            return
        self._compute()  # as a machine that is ahead of its host, even when it is being stopped
        if run and not self.running:
            self._machine.start()
        self.running = run

    def feed(self, words: Words) -> None:
        """Words to the input FIFO."""
        self._in.append(words.copy())

    def report(self, name: str) -> None:
        """Set an error bit of the register STATUS, after those of what has been written so far."""
        self._compute()
        self._errors |= mask("STATUS", name)

    def errors(self) -> int:
        """Error bits of the register STATUS."""
        self._compute()
        return self._errors

    def level(self) -> int:
        """Words that wait in the output FIFO."""
        self._compute()
        return sum(len(w) for w in self._out)

    def take(self, count: int) -> Words:
        """The next `count` words of the output FIFO; missing ones are 0 and set OUT_UNDERFLOW."""
        self._compute()
        held = np.concatenate(self._out) if self._out else _EMPTY
        self._out = [held[count:]] if len(held) > count else []
        words = np.zeros(count, np.uint16)
        words[: len(held)] = held[:count]
        if len(held) < count:
            self._errors |= mask("STATUS", "OUT_UNDERFLOW")
        return words

    def starved(self) -> bool:
        """Whether the input FIFO holds no whole frame, none being under way."""
        self._compute()
        return sum(len(w) for w in self._in) < (self._frame_words() or 1)

    def _frame_words(self) -> int | None:
        """Words of a frame; None if the program does not begin with one."""
        try:
            first = self._machine.shared.instruction(0)
        except IllegalInstruction:
            return None
        return first.imm if first.op == Op.CONTROL and first.control == Control.FRAME else None

    # ---- Computing

    def _compute(self) -> None:
        """Run all whole frames that wait."""
        if not self.running or self._errors & mask("STATUS", "ILLEGAL"):
            return
        if not self._in and self._frame_words() is not None:
            return
        try:
            width = self._machine.frame_words
            words = np.concatenate([*self._in, _EMPTY])
            count = len(words) // width
            self._in = [words[count * width :]] if count * width < len(words) else []
            if count:
                self._run(words[: count * width].reshape(count, width))
        except IllegalInstruction:
            self._errors |= mask("STATUS", "ILLEGAL")

    def _run(self, frames: Words) -> None:
        first = np.flatnonzero(frames[:, 0] & int(Flag.FIRST))
        cuts = [0, *(int(k) for k in first if k > 0), len(frames)]
        sequences = [frames[a:b] for a, b in pairwise(cuts)]
        if self._sequential:
            self._run_one(frames)
            return
        for at in range(0, len(sequences), _BATCH):
            part = sequences[at : at + _BATCH]
            machine = self._machine.fan_out(len(part))
            try:
                outputs = machine.run(part)
            except IllegalInstruction:
                # What was pushed before it depends on the order of the frames.
                self._run_one(np.concatenate(sequences[at:]))
                return
            self._machine.adopt(machine, len(part) - 1)
            self._out += [words for sequence in outputs for words in sequence if len(words)]

    def _run_one(self, frames: Words) -> None:
        """Frame after frame on the one machine; raises IllegalInstruction with the words before it in the FIFO."""
        try:
            self._machine.run([frames])
        finally:
            self._out += [words for words in self._machine.outputs()[0] if len(words)]
