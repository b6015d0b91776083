# SPDX-License-Identifier: BSD-2-Clause
"""The registers: one table, from which the decoder, the driver's accessors, the documentation and C headers come.

The bus has 8 address bits and 16 data bits; each request is answered by exactly one response, in order. Values that
take two registers have the low half first.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

PRODUCT_ID = 0x4C51  # "LQ"


class Access(enum.Enum):
    """What the host may do with a register."""

    READ = "read"
    WRITE = "write"
    READ_WRITE = "read-write"


@dataclass(frozen=True)
class Register:
    """One register: its address, access, fields (name, lowest bit, width) and meaning."""

    name: str
    address: int
    access: Access
    text: str
    fields: tuple[tuple[str, int, int], ...] = ()

    def mask(self, name: str) -> int:
        """The bits of a field."""
        for field, low, width in self.fields:
            if field == name:
                return (1 << width) - 1 << low
        raise KeyError(f"register {self.name} has no field {name}")


_R, _W, _RW = Access.READ, Access.WRITE, Access.READ_WRITE

_RUN = (
    "RUN starts the program at 0 and keeps frames coming; cleared, the frame under way is finished. "
    "ABORT (reads as 0) ends everything at once: FIFOs empty, errors cleared, RUN cleared"
)
_STATUS = (
    "IDLE: no frame under way. Errors stay until ABORT. ILLEGAL: an instruction that does not exist; the program has "
    "stopped. IN_OVERFLOW: a word was written to a full input FIFO and lost. OUT_UNDERFLOW: an empty output FIFO was "
    "read. MEM_BUSY: MEM_DATA was used while a frame was under way; nothing was transferred. BAD_ADDRESS: a register "
    "that does not exist, or a word past the end of a memory, was read (as 0) or written (without effect)"
)
_INTERRUPTS = (
    "interrupts. OUT_READY: OUT_LEVEL >= OUT_MARK. STARVED: no frame is under way and the input FIFO holds no whole "
    "frame. ERROR: an error bit of STATUS is set"
)
_STATUS_FIELDS = (
    ("IDLE", 0, 1), ("ILLEGAL", 1, 1), ("IN_OVERFLOW", 2, 1), ("OUT_UNDERFLOW", 3, 1), ("MEM_BUSY", 4, 1),
    ("BAD_ADDRESS", 5, 1),
)  # fmt: skip

REGISTERS: tuple[Register, ...] = (
    Register("ID", 0x00, _R, f"product, 0x{PRODUCT_ID:04x}"),
    Register("VERSION", 0x01, _R, "version of the instruction set"),
    Register("CONFIG_HASH_LOW", 0x02, _R, "configuration hash"),
    Register("CONFIG_HASH_HIGH", 0x03, _R, "configuration hash"),
    Register("CLOCK_KHZ_LOW", 0x04, _R, "the device's clock in kHz; 0 where it does not know"),
    Register("CLOCK_KHZ_HIGH", 0x05, _R, "the device's clock in kHz"),
    Register("CONTROL", 0x08, _RW, _RUN, (("RUN", 0, 1), ("ABORT", 1, 1))),
    Register("STATUS", 0x09, _R, _STATUS, _STATUS_FIELDS),
    Register("IN_ROOM", 0x0A, _R, "words that the input FIFO takes now"),
    Register("OUT_LEVEL", 0x0B, _R, "words that wait in the output FIFO"),
    Register("OUT_MARK", 0x0C, _RW, "level of the output FIFO at which OUT_READY comes; 0 counts as 1"),
    Register("IRQ_ENABLE", 0x0D, _RW, _INTERRUPTS, (("OUT_READY", 0, 1), ("STARVED", 1, 1), ("ERROR", 2, 1))),
    Register("MEM_SPACE", 0x10, _RW, "memory behind MEM_DATA, upper address bits", (("SPACE", 0, 4), ("HIGH", 8, 4))),
    Register("MEM_ADDRESS", 0x11, _RW, "lower address bits; an access to MEM_DATA adds 1, carrying into HIGH"),
    Register("MEM_DATA", 0x12, _RW, "the word at that address; only while no frame is under way"),
    Register("IN_DATA", 0x14, _W, "a word to the input FIFO"),
    Register("OUT_DATA", 0x15, _R, "a word from the output FIFO"),
)

BY_NAME: dict[str, Register] = {r.name: r for r in REGISTERS}


def address(name: str) -> int:
    """Address of a register by name."""
    return BY_NAME[name].address


def mask(name: str, field: str) -> int:
    """Bits of a register's field."""
    return BY_NAME[name].mask(field)


def field_low(name: str, field: str) -> int:
    """Lowest bit of a register's field."""
    bits = mask(name, field)
    return (bits & -bits).bit_length() - 1


assert len({r.address for r in REGISTERS}) == len(REGISTERS) == len(BY_NAME)
