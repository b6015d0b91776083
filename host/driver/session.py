# SPDX-License-Identifier: BSD-2-Clause
"""Registers, memories and FIFOs of a device over a transport: what keeps both FIFOs busy and never waits for ever."""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.decode import Decoder
from liquid_accel.driver.errors import DeviceError
from liquid_accel.rtl import isa, registers
from liquid_accel.rtl.transport import Transport, TransportError

Words = npt.NDArray[np.uint16]
PATIENCE_S = 60.0
WAIT_S = 1.0
BURST = 64  # words; what has become free since a burst is worth another one only if it is as much as this
ERRORS = {
    "ILLEGAL": "an instruction that does not exist",
    "IN_OVERFLOW": "its input FIFO ran over",
    "OUT_UNDERFLOW": "its empty output FIFO was read",
    "MEM_BUSY": "a memory was used while a frame was under way",
    "BAD_ADDRESS": "a register or a memory's word that does not exist was used",
}


class Session:
    """A device behind `transport`; where no frame is taken or finished for `patience_s` seconds it counts as stuck."""

    def __init__(self, transport: Transport, patience_s: float = PATIENCE_S) -> None:
        self._transport = transport
        self.patience_s = patience_s

    # ---- Registers and memories --------------------------------------------------------------------------------

    def read(self, name: str) -> int:
        """Read a register."""
        return int(self.read_burst(name, 1)[0])

    def write(self, name: str, value: int) -> None:
        """Write a register."""
        self.write_burst(name, np.array([value], np.uint16))

    def read_burst(self, name: str, count: int) -> Words:
        """Read a register `count` times. Raises `DeviceError`."""
        try:
            words = self._transport.read(registers.address(name), count)
        except TransportError as error:
            raise DeviceError(f"the device does not answer: {error}") from error
        if len(words) != count:
            raise DeviceError(f"the device answered {len(words)} of {count} reads of {name}")
        return words

    def write_burst(self, name: str, words: Words) -> None:
        """Write every word to the same register. Raises `DeviceError`."""
        try:
            self._transport.write(registers.address(name), words)
        except TransportError as error:
            raise DeviceError(f"the device does not answer: {error}") from error

    def write_memory(self, space: isa.Space, words: Words, address: int = 0) -> None:
        """Write a memory from `address` on."""
        self._point(space, address)
        self.write_burst("MEM_DATA", words)

    def read_memory(self, space: isa.Space, count: int, address: int = 0) -> Words:
        """Read a memory from `address` on."""
        self._point(space, address)
        return self.read_burst("MEM_DATA", count)

    def _point(self, space: isa.Space, address: int) -> None:
        high = registers.field_low("MEM_SPACE", "HIGH")
        self.write("MEM_SPACE", int(space) << registers.field_low("MEM_SPACE", "SPACE") | (address >> 16) << high)
        self.write("MEM_ADDRESS", address & 0xFFFF)

    def wait(self, seconds: float) -> bool:
        """Wait for the interrupt."""
        try:
            return self._transport.wait(seconds)
        except TransportError as error:
            raise DeviceError(f"the device does not answer: {error}") from error

    # ---- The program -------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """End everything at once, and wait until the device is idle."""
        self.write("CONTROL", registers.mask("CONTROL", "ABORT"))
        deadline = time.monotonic() + self.patience_s
        while not self.read("STATUS") & registers.mask("STATUS", "IDLE"):
            if time.monotonic() > deadline:
                raise DeviceError(f"the device is not idle {self.patience_s:g} s after an abort")

    def start(self) -> None:
        """Start the program; it waits for its first frame."""
        self.write("CONTROL", registers.mask("CONTROL", "RUN"))

    def check(self) -> None:
        """Raise `DeviceError` where the device reports an error."""
        status = self.read("STATUS")
        found = [text for name, text in ERRORS.items() if status & registers.mask("STATUS", name)]
        if found:
            raise DeviceError(f"the device reports an error: {'; '.join(found)} (STATUS 0x{status:04x})")

    def _fill(self, words: Words) -> int:
        """Send as many of `words` as fit, in bursts while they are long; returns how many."""
        sent = 0
        while sent < words.size:
            burst = min(self.read("IN_ROOM"), words.size - sent)
            if burst:
                self.write_burst("IN_DATA", words[sent : sent + burst])
            sent += burst
            if burst < BURST:
                break
        return sent

    def exchange(
        self, words: Words, decoder: Decoder, fifo_words: int, progress: Callable[[int], None] | None = None
    ) -> None:
        """Send `words` and feed what comes back to `decoder` until it is complete.

        Sends whatever fits, then sleeps until a good part of the output FIFO is full or the device starves.
        `progress` is told the number of finished frames. Raises `DeviceError`.
        """
        ready, starved, error = (registers.mask("IRQ_ENABLE", f) for f in ("OUT_READY", "STARVED", "ERROR"))
        sent, said = 0, -1
        settings: tuple[int, int] | None = None
        deadline = time.monotonic() + self.patience_s
        while not decoder.complete:
            moved = self._fill(words[sent:])
            sent += moved
            # A quarter of the FIFO leaves the device room to go on while the host wakes up.
            mark = max(1, min(fifo_words // 4, decoder.least_words_left))
            wanted = mark, ready | error | (starved if sent < words.size else 0)
            if wanted != settings:
                self.write("OUT_MARK", wanted[0])
                self.write("IRQ_ENABLE", wanted[1])
                settings = wanted
            woken = self.wait(min(WAIT_S, max(0.0, deadline - time.monotonic())))
            level = self.read("OUT_LEVEL")
            if level:
                decoder.feed(self.read_burst("OUT_DATA", level))
            if not woken or not level:
                self.check()
            if decoder.done != said and progress:
                progress(decoder.done)
            # Step records are no progress: a solver that never gets anywhere sends them without end.
            if moved or decoder.done != said:
                deadline = time.monotonic() + self.patience_s
            elif time.monotonic() > deadline:
                raise DeviceError(
                    f"the device is stuck: no frame was taken or finished for {self.patience_s:g} s, {decoder.done} of "
                    f"{decoder.frames} are done (STATUS 0x{self.read('STATUS'):04x})"
                )
            said = decoder.done
        self.check()
