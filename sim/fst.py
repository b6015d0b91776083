# SPDX-License-Identifier: BSD-2-Clause
"""Writes waveforms as FST, the compressed format of GTKWave, which Surfer reads as well.

A file is a row of blocks, each a type, a length and contents: a header, the geometry (bits of each variable), the
hierarchy (scopes and names), and blocks of value changes. The format is that of GTKWave's fstapi; written here are its
block types 0, 3, 4 and 8, compressed with zlib.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO

HEADER, GEOMETRY, HIERARCHY, CHANGES = 0, 3, 4, 8
HEADER_BYTES = 329
SCOPE, UP_SCOPE, MODULE, IMPLICIT_DIRECTION = 254, 255, 0, 0
VARIABLE_LENGTH = 0xFFFFFFFF
# A block of changes is written when it holds about so many bytes.
BLOCK_BYTES = 8 << 20

Value = int | float | str | None


class Kind(Enum):
    """What a variable holds, and its number in the hierarchy."""

    WIRE = 16
    INTEGER = 1
    REAL = 3
    TEXT = 21


@dataclass
class Variable:
    """One variable: its kind, its bits (of wires and integers), its value so far, and its changes in this block."""

    kind: Kind
    width: int
    value: Value = None
    changes: bytearray = field(default_factory=bytearray)
    last: int = 0  # index of the time of its last change


def _varint(number: int) -> bytes:
    """LEB128, unsigned."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _signed_varint(number: int) -> bytes:
    """LEB128, signed."""
    out = bytearray()
    while not -64 <= number < 64:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number & 0x7F)
    return bytes(out)


def _packed(data: bytes) -> bytes:
    """Compressed, or as it is where that is not shorter."""
    small = zlib.compress(data, 4)
    return small if len(small) < len(data) else data


class FstWriter:
    """A file under way: scopes and variables first, then changes in the order of time, then `close`.

    `timescale` is the exponent of a time unit in seconds, -12 for picoseconds. Memory: about BLOCK_BYTES. Times may not
    fall; a value that is not a change may be written again. Integers are taken modulo 2**width; None is x, NaN or "".
    """

    def __init__(self, file: BinaryIO, timescale: int = -12, writer: str = "liquid-accel") -> None:
        self._file, self._timescale, self._writer = file, timescale, writer
        self._hierarchy = bytearray()
        self._variables: list[Variable] = []
        self._scopes = self._blocks = self._bytes = 0
        self._times: list[int] = []
        self._begin: int | None = None
        self._end = 0
        self._frame: bytes | None = None  # values at the beginning of the block under way
        file.write(bytes([HEADER]) + bytes(HEADER_BYTES))

    # ---- Names ---------------------------------------------------------------------------------------------------

    def scope(self, name: str) -> None:
        """Begin a scope within the one under way."""
        self._scopes += 1
        self._hierarchy += bytes([SCOPE, MODULE]) + name.encode() + b"\0\0"

    def up(self) -> None:
        """End a scope."""
        self._hierarchy.append(UP_SCOPE)

    def variable(self, name: str, kind: Kind, width: int = 0) -> int:
        """A variable in the scope under way; its number, for `change`."""
        bits = {Kind.REAL: 8, Kind.TEXT: 0}.get(kind, width)
        self._hierarchy += bytes([kind.value, IMPLICIT_DIRECTION]) + name.encode() + b"\0" + _varint(bits) + b"\0"
        self._variables.append(Variable(kind, width))
        return len(self._variables) - 1

    # ---- Values --------------------------------------------------------------------------------------------------

    def time(self, now: int) -> None:
        """Changes that follow are of this time."""
        if self._times and now == self._times[-1]:
            return
        if self._bytes > BLOCK_BYTES:
            self._flush()
        self._times.append(now)

    def change(self, number: int, value: Value) -> None:
        """A variable's value from the time under way on."""
        variable = self._variables[number]
        at = len(self._times) - 1
        before = len(variable.changes)
        delta, variable.last = at - variable.last, at
        changes = variable.changes
        if variable.kind == Kind.TEXT:
            # Readers do not agree on what other characters are.
            text = str(value or "").encode("ascii", "backslashreplace")
            changes += _varint(delta << 1) + _varint(len(text)) + text
        elif variable.kind == Kind.REAL:
            changes += _varint(delta << 1 | 1) + struct.pack("<d", math.nan if value is None else value)
        elif value is None:
            changes += _varint(delta << 4 | 1) if variable.width == 1 else (
                _varint(delta << 1 | 1) + b"x" * variable.width
            )  # fmt: skip
        elif variable.width == 1:
            changes += _varint(delta << 2 | (int(value) & 1) << 1)
        else:
            size = (variable.width + 7) // 8
            word = (int(value) & (1 << variable.width) - 1) << 8 * size - variable.width
            changes += _varint(delta << 1) + word.to_bytes(size, "big")
        variable.value = value
        self._bytes += len(changes) - before

    def close(self) -> None:
        """Write what is left; the file is complete then."""
        if not self._blocks and not self._times:
            self.time(0)  # a file without a block of changes is none to some readers
        if self._times:
            self._flush()
        widths = b"".join(_varint(self._geometry(variable)) for variable in self._variables)
        body = _packed(widths)
        self._block(GEOMETRY, struct.pack(">QQ", len(widths), len(self._variables)) + body)
        names = gzip.compress(bytes(self._hierarchy), mtime=0)
        self._block(HIERARCHY, struct.pack(">Q", len(self._hierarchy)) + names)
        self._file.seek(0)
        self._file.write(self._header())

    # ---- Blocks --------------------------------------------------------------------------------------------------

    @staticmethod
    def _geometry(variable: Variable) -> int:
        """Bits of a variable as the geometry has them."""
        return {Kind.REAL: 0, Kind.TEXT: VARIABLE_LENGTH}.get(variable.kind, variable.width)

    def _header(self) -> bytes:
        count = len(self._variables)
        numbers = struct.pack(">QQ", self._begin or 0, self._end) + struct.pack("<d", math.e)
        numbers += struct.pack(">QQQQQ", BLOCK_BYTES, self._scopes, count, count, self._blocks)
        texts = struct.pack(">b128s119s", self._timescale, self._writer.encode(), b"")
        # A file of Verilog's kind, whose time begins at 0.
        return struct.pack(">BQ", HEADER, HEADER_BYTES) + numbers + texts + struct.pack(">Bq", 0, 0)

    def _block(self, kind: int, body: bytes) -> None:
        self._file.write(struct.pack(">BQ", kind, len(body) + 8) + body)

    @staticmethod
    def _bits(variable: Variable, value: Value) -> bytes:
        """A value as the frame of a block has it: a character a bit, eight bytes of a real, nothing of a text."""
        if variable.kind == Kind.TEXT:
            return b""
        if variable.kind == Kind.REAL:
            return struct.pack("<d", math.nan if value is None else value)
        if value is None:
            return b"x" * variable.width
        return format(int(value) & (1 << variable.width) - 1, f"0{variable.width}b").encode()

    def _flush(self) -> None:
        """A block of changes: values at its beginning, a chain of changes for each variable, their places, times."""
        begin, self._end = self._times[0], self._times[-1]
        self._begin = begin if self._begin is None else self._begin
        frame = self._values([None] * len(self._variables)) if self._frame is None else self._frame
        packed_frame = _packed(frame)
        count = _varint(len(self._variables))
        # Places count from the letter of the compression, Z for zlib.
        chains, index, needed, skipped, previous = bytearray(b"Z"), bytearray(), 0, 0, 0
        for variable in self._variables:
            if not variable.changes:
                skipped += 1
                continue
            if skipped:
                index += _varint(skipped << 1)
                skipped = 0
            index += _signed_varint((len(chains) - previous) << 1 | 1)
            previous = len(chains)
            data, needed = bytes(variable.changes), needed + len(variable.changes)
            small = zlib.compress(data, 4) if len(data) > 32 else data
            chains += _varint(len(data)) + small if len(small) < len(data) else b"\0" + data
            variable.changes, variable.last = bytearray(), 0
        if skipped:
            index += _varint(skipped << 1)
        steps = b"".join(_varint(b - a) for a, b in zip([0, *self._times], self._times))
        times = _packed(steps)
        body = struct.pack(">QQQ", begin, self._end, needed)
        body += _varint(len(frame)) + _varint(len(packed_frame)) + count + packed_frame
        body += count + bytes(chains) + bytes(index) + struct.pack(">Q", len(index))
        body += times + struct.pack(">QQQ", len(steps), len(times), len(self._times))
        self._block(CHANGES, body)
        self._blocks += 1
        self._bytes = 0
        self._times = []
        self._frame = self._values([variable.value for variable in self._variables])

    def _values(self, values: list[Value]) -> bytes:
        return b"".join(self._bits(variable, value) for variable, value in zip(self._variables, values))
