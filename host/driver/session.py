# SPDX-License-Identifier: BSD-2-Clause
"""Registers, memories and the program of a device, a transaction at a time; never waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.errors import DeviceError, DeviceGone
from liquid_accel.rtl import isa, registers
from liquid_accel.rtl.transport import DeviceLost, Operation, Read, Transport, TransportError, Wait, Write

Words = npt.NDArray[np.uint16]
PATIENCE_S = 60.0
WAIT_S = 1.0  # of one wait: a call that is cancelled ends after that
PART = 4096  # words of a memory in one transaction: what takes a slow wire less than a second
UNLIMITED = 0xFFFF  # IN_ROOM of a device that takes whatever is sent, the golden model
ERRORS = {
    "ILLEGAL": "an instruction that does not exist",
    "IN_OVERFLOW": "its input FIFO ran over",
    "OUT_UNDERFLOW": "its empty output FIFO was read",
    "MEM_BUSY": "a memory was used while a frame was under way",
    "BAD_ADDRESS": "a register or a word of a memory that does not exist was used",
}
_ERRORS = {registers.mask("STATUS", name): text for name, text in ERRORS.items()}
_ANY_ERROR = sum(_ERRORS)
# Reading on past an error finds the FIFO empty, so that this one says nothing beside another.
_CONSEQUENCE = registers.mask("STATUS", "OUT_UNDERFLOW")
_IDLE = registers.mask("STATUS", "IDLE")
_RUN, _ABORT = registers.mask("CONTROL", "RUN"), registers.mask("CONTROL", "ABORT")
_INTERRUPTS = registers.mask("IRQ_ENABLE", "OUT_READY") | registers.mask("IRQ_ENABLE", "ERROR")

READ_STATUS = Read(registers.address("STATUS"))
READ_CONTROL = Read(registers.address("CONTROL"))
READ_LEVEL = Read(registers.address("OUT_LEVEL"))
IN_DATA, OUT_DATA = registers.address("IN_DATA"), registers.address("OUT_DATA")


class Session:
    """A device behind `transport`; what does not move for `patience_s` seconds counts as stuck.

    `stop`, where set, and `closing` end what is under way within WAIT_S.
    """

    def __init__(self, transport: Transport, patience_s: float = PATIENCE_S) -> None:
        self._transport = transport
        self.patience_s = patience_s
        self.stop: threading.Event | None = None
        self.closing = False
        self._mark = 0  # what OUT_MARK holds; 0: not known

    def transact(self, operations: Sequence[Operation]) -> list[Words]:
        """What a transport answers, in number and lengths as asked for. Raises `DeviceError`."""
        try:
            answers = self._transport.transact(operations)
        except DeviceLost as error:
            raise DeviceGone(f"the device was lost: {error}") from error
        except TransportError as error:
            raise DeviceGone(f"the device does not answer: {error}") from error
        for operation, words in zip(operations, answers):
            wanted = operation.count if isinstance(operation, Read) else int(isinstance(operation, Wait))
            if len(words) != wanted:
                raise DeviceError(f"the device answered with {len(words)} words where {wanted} were asked for")
        if len(answers) != len(operations):
            late = 0 < len(answers) < len(operations) and isinstance(operations[len(answers) - 1], Wait)
            if not late or answers[-1][0]:
                raise DeviceError(f"the device answered {len(answers)} of {len(operations)} operations")
        return answers

    def values(self, *names: str) -> list[int]:
        """Registers, read in one transaction."""
        return [int(words[0]) for words in self.transact([Read(registers.address(name)) for name in names])]

    def interrupted(self) -> None:
        """Raise `DeviceError` where the call under way shall end."""
        if self.closing or (self.stop is not None and self.stop.is_set()):
            raise DeviceError(f"the call was {'ended: the device is being closed' if self.closing else 'cancelled'}")

    # ---- Memories ----------------------------------------------------------------------------------------------

    def write_memories(self, sections: Mapping[isa.Space, Words]) -> None:
        """Write memories, each from its address 0 on."""
        operations: list[Operation] = []
        for space, words in sections.items():
            parts = [Write(_MEM_DATA, words[at : at + PART]) for at in range(0, words.size, PART)]
            operations += [*_point(space), *parts]
        self._in_parts(operations)

    def read_memories(self, sizes: Mapping[isa.Space, int]) -> dict[isa.Space, Words]:
        """The first words of memories, and no error of the device meanwhile."""
        operations: list[Operation] = []
        for space, size in sizes.items():
            parts = [Read(_MEM_DATA, min(PART, size - at)) for at in range(0, size, PART)]
            operations += [*_point(space), *parts]
        *answers, status = self._in_parts([*operations, READ_STATUS])
        self.check(int(status[0]))
        words, at = np.concatenate(answers), 0
        held = {}
        for space, size in sizes.items():
            held[space] = words[at : at + size]
            at += size
        return held

    def _in_parts(self, operations: Sequence[Operation]) -> list[Words]:
        """Carry out operations on memories in transactions of about PART words; an address counts up by itself."""
        answers, part, size = [], list[Operation](), 0
        for operation in operations:
            part.append(operation)
            size += operation.count if isinstance(operation, Read) else len(getattr(operation, "words", ()))
            if size >= PART:
                self.interrupted()
                answers += self.transact(part)
                part, size = [], 0
        return answers + self.transact(part)

    # ---- The program -------------------------------------------------------------------------------------------

    def abort(self) -> int:
        """End everything at once, and wait until the device is idle; returns the room of its empty input FIFO."""
        self._mark = 0
        first: list[Operation] = [Write(registers.address("CONTROL"), [_ABORT])]
        deadline = time.monotonic() + self.patience_s
        while True:
            status, room = self.transact([*first, READ_STATUS, Read(registers.address("IN_ROOM"))])[-2:]
            if int(status[0]) & _IDLE:
                return int(room[0])
            first = []
            self.interrupted()
            if time.monotonic() > deadline:
                raise DeviceError(f"the device is not idle {self.patience_s:g} s after an abort")

    def start(self) -> None:
        """Start the program; it waits for its first frame. The interrupt says that words, or an error, have come."""
        enable = Write(registers.address("IRQ_ENABLE"), [_INTERRUPTS])
        self.transact([enable, Write(registers.address("CONTROL"), [_RUN])])

    def mark(self, words: int) -> tuple[Operation, ...]:
        """What has to be written for the interrupt to come when `words` wait in the output FIFO: nothing, mostly."""
        if words == self._mark:
            return ()
        self._mark = words
        return (Write(registers.address("OUT_MARK"), [words]),)

    def check(self, status: int) -> None:
        """Raise `DeviceError` where the word of STATUS reports an error."""
        found = status & _ANY_ERROR
        if found:
            causes = found & ~_CONSEQUENCE or found
            text = "; ".join(text for bit, text in _ERRORS.items() if causes & bit)
            raise DeviceError(f"the device reports an error: {text} (STATUS 0x{status:04x})")

    def waiting(self) -> tuple[int, int]:
        """STATUS and OUT_LEVEL of a device that lets wait for it. Raises `DeviceError` where it waits in vain."""
        status, control, level = (int(words[0]) for words in self.transact([READ_STATUS, READ_CONTROL, READ_LEVEL]))
        self.check(status)
        if not control & _RUN:
            raise DeviceGone("the device was reset: its program has stopped")
        return status, level


def _point(space: isa.Space) -> tuple[Write, Write]:
    word = int(space) << registers.field_low("MEM_SPACE", "SPACE")
    return Write(registers.address("MEM_SPACE"), [word]), Write(registers.address("MEM_ADDRESS"), [0])


_MEM_DATA = registers.address("MEM_DATA")
