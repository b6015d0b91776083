# SPDX-License-Identifier: BSD-2-Clause
"""A transport with nothing behind it: it answers at once, and every frame with the same words, as a device would."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from liquid_accel.image import Image
from liquid_accel.rtl import isa, registers
from liquid_accel.rtl.transport import Operation, Read, Transactions, Wait, Words, Write, as_words

_SPACE_BITS = registers.mask("MEM_SPACE", "SPACE")


class LoopBack(Transactions):
    """Registers, memories that hold what is written, and a stream of answers; no network. `trips` counts transactions.

    For measuring what a host costs: it takes no time of its own that a device would not take either.
    """

    def __init__(self, image: Image) -> None:
        config = image.config
        self._frame_in = isa.HEADER_WORDS + image.inputs
        self._answer = np.zeros(1 + image.output_words + isa.TRAILER_WORDS, np.uint16)
        self._answer[0] = isa.MARK_VECTOR | image.output_words
        self._answer[1 + image.output_words] = isa.MARK_DONE
        self._many = np.tile(self._answer, 2 + 0xFFFF // self._answer.size)
        self._values = {
            "ID": registers.PRODUCT_ID, "VERSION": isa.ISA_VERSION, "CONFIG_HASH_LOW": config.config_hash & 0xFFFF,
            "CONFIG_HASH_HIGH": config.config_hash >> 16, "STATUS": registers.mask("STATUS", "IDLE"),
            "CONTROL": registers.mask("CONTROL", "RUN"), "IN_ROOM": config.fifo_words,
        }  # fmt: skip
        self._registers = {registers.address(name): value for name, value in self._values.items()}
        self._memories: dict[int, Words] = {}
        self._space = self._at = 0
        self._in = self._out = 0  # words of frames written; words of answers read
        self.trips = 0

    @property
    def _level(self) -> int:
        return self._in // self._frame_in * self._answer.size - self._out

    def write(self, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """Take words; those of the input FIFO are counted, those of a memory kept."""
        if address == _IN_DATA:
            self._in += len(words)
        elif address == _MEM_DATA:
            memory = self._memories.setdefault(self._space, np.zeros(_LARGEST, np.uint16))
            memory[self._at : self._at + len(words)] = as_words(words)
            self._at += len(words)
        elif address == _MEM_SPACE:
            self._space = int(words[0]) & _SPACE_BITS
        elif address == _MEM_ADDRESS:
            self._at = int(words[0])
        elif address == _CONTROL:
            self._in = self._out = 0

    def read(self, address: int, count: int) -> Words:
        """Words of answers, of a memory, of a register."""
        if address == _OUT_DATA:
            start = self._out % self._answer.size
            self._out += count
            return self._many[start : start + count]
        if address == _MEM_DATA:
            self._at += count
            return self._memories[self._space][self._at - count : self._at]
        level = min(self._level, 0xFFFF) if address == _OUT_LEVEL else self._registers.get(address, 0)
        return np.full(count, level, np.uint16)

    def wait(self, timeout_s: float) -> bool:
        """Everything that was asked for is there already."""
        return True

    def transact(self, operations: Sequence[Operation]) -> list[Words]:
        """See `Transport.transact`."""
        self.trips += 1
        answers: list[Words] = []
        for operation in operations:
            if isinstance(operation, Write):
                self.write(operation.address, operation.words)
                answers.append(_NONE)
            elif isinstance(operation, Read):
                answers.append(self.read(operation.address, operation.count))
            elif isinstance(operation, Wait):
                answers.append(_ONE)
        return answers

    def close(self) -> None:
        """Nothing is held."""


_NONE: Words = np.zeros(0, np.uint16)
_ONE: Words = np.ones(1, np.uint16)
_IN_DATA, _OUT_DATA, _OUT_LEVEL = (registers.address(name) for name in ("IN_DATA", "OUT_DATA", "OUT_LEVEL"))
_MEM_SPACE, _MEM_ADDRESS, _MEM_DATA = (registers.address(f"MEM_{name}") for name in ("SPACE", "ADDRESS", "DATA"))
_LARGEST = 1 << 20  # words of a memory
_CONTROL = registers.address("CONTROL")
