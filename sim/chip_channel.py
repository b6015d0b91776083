# SPDX-License-Identifier: BSD-2-Clause
"""A simulated chip's UART as a channel of bytes (host/driver/channel.py), with a clock that counts the chip's cycles.

Nobody waits on the wall for a time-out: where the chip has nothing to say, the seconds of a time-out are its cycles,
and those in which it rests cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from liquid_accel.rtl.link import FLAG
from liquid_accel.sim.chip import BYTE_BITS, SimulatedChip

Faults = Callable[[bytes], list[tuple[float, bytes]]]


def no_faults(data: bytes) -> list[tuple[float, bytes]]:
    """A wire that carries what it is given, at once."""
    return [(0.0, data)]


class ChipChannel:
    """Bytes to and from `chip`, whose clock runs at `clock_hz` while the host waits in `read`, and at no other time.

    `faults` says what becomes of bytes that either side sent: pieces, each with the seconds that it comes late. The
    host's are handed to it as it writes them, the chip's by frame (up to the flag that ends it).
    """

    name = "chip"
    advice = "the simulation"

    def __init__(self, chip: SimulatedChip, clock_hz: float, faults: Faults = no_faults) -> None:
        self.chip, self.clock_hz, self.faults = chip, clock_hz, faults
        self.seconds_a_byte = BYTE_BITS * chip.divisor / clock_hz
        self._to_chip: list[tuple[int, bytes]] = []  # (cycle, bytes), by cycle
        self._to_host: list[tuple[int, bytes]] = []
        self._frame = bytearray()  # from the chip, not ended
        self.frames_to_chip = self.frames_to_host = 0

    def clock(self) -> float:
        """Seconds since the simulation began."""
        return self.chip.cycles / self.clock_hz

    def write(self, data: bytes) -> None:
        """See `Channel.write`. The bytes are on their way; the clock stands still."""
        self.frames_to_chip += 1
        self._to_chip = self._later(self._to_chip, data)

    def read(self, limit: int, timeout_s: float) -> bytes:
        """See `Channel.read`."""
        # Upwards: who waits for what is left of a time-out, less than a cycle, must not find the clock standing still.
        end = self.chip.cycles + math.ceil(timeout_s * self.clock_hz)
        while True:
            now = self.chip.cycles
            if self._to_host and self._to_host[0][0] <= now:
                _, data = self._to_host.pop(0)
                if len(data) > limit:
                    self._to_host.insert(0, (now, data[limit:]))
                return data[:limit]
            if now >= end:
                return b""
            due = b""
            while self._to_chip and self._to_chip[0][0] <= now:
                due += self._to_chip.pop(0)[1]
            until = min([end, *(at for at, _ in self._to_chip[:1]), *(at for at, _ in self._to_host[:1])])
            self._hear(self.chip.exchange(due, max(until - now, 1)))

    def close(self) -> None:
        """See `Channel.close`. The chip goes on."""

    def reopen(self) -> None:
        """See `Channel.reopen`."""
        self._to_host.clear()

    def _hear(self, data: bytes) -> None:
        """Take bytes from the chip, and hand them on by frames: an answer has a flag at either end."""
        for byte in data:
            self._frame.append(byte)
            if byte == FLAG and len(self._frame) > 1:
                self.frames_to_host += 1
                self._to_host = self._later(self._to_host, bytes(self._frame))
                self._frame.clear()

    def _later(self, waiting: list[tuple[int, bytes]], data: bytes) -> list[tuple[int, bytes]]:
        """What waits on a wire, in its order, once `data` is on it as well."""
        now = self.chip.cycles
        pieces = [(now + round(delay * self.clock_hz), piece) for delay, piece in self.faults(data) if piece]
        return sorted([*waiting, *pieces], key=lambda entry: entry[0])
