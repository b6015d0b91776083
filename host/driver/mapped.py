# SPDX-License-Identifier: BSD-2-Clause
"""Registers mapped into memory: an accelerator inside a system-on-chip, over /dev/uio* or /dev/mem."""

from __future__ import annotations

import contextlib
import mmap
import os
import stat
import time
from collections.abc import Callable, MutableSequence, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.registers import BY_NAME, address, mask
from liquid_accel.rtl.transport import (
    ADDRESS_BITS,
    WORD_BITS,
    Transactions,
    TransportError,
    Words,
    as_words,
    check_burst,
)

REGISTER_BYTES = 4
WINDOW_BYTES = REGISTER_BYTES << ADDRESS_BITS
SPIN_S = 1e-3  # polled without a pause at first: most frames take less
PAUSE_S = 2e-4

Window = MutableSequence[int] | memoryview


class MappedTransport(Transactions):
    """A device whose register n is the word n of `window`, 32 bits each; `close_window` gives that back.

    The interrupt line is not wired to the host: `wait` polls the registers that it is made of. Raises `TransportError`.
    """

    def __init__(self, window: Window, name: str = "mmio", close_window: Callable[[], None] | None = None) -> None:
        self._window: Window | None = window
        self._name = name
        self._close_window = close_window
        self._enable = self._word(_IRQ_ENABLE)
        self._mark = self._word(_OUT_MARK)

    def write(self, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """See `Transport.write`."""
        burst = as_words(words)
        check_burst(address, burst.size)
        window = self._check()
        for word in burst.tolist():
            window[address] = word
        if burst.size and address == _IRQ_ENABLE:
            self._enable = int(burst[-1])
        if burst.size and address == _OUT_MARK:
            self._mark = int(burst[-1])

    def read(self, address: int, count: int) -> Words:
        """See `Transport.read`."""
        check_burst(address, count)
        window = self._check()
        return np.fromiter((window[address] & _WORD for _ in range(count)), np.uint16, count)

    def wait(self, timeout_s: float) -> bool:
        """See `Transport.wait`."""
        start = time.monotonic()
        while not self._interrupt():
            passed = time.monotonic() - start
            if passed >= timeout_s:
                return False
            if passed > SPIN_S:
                time.sleep(min(PAUSE_S, timeout_s - passed))
        return True

    def close(self) -> None:
        """See `Transport.close`."""
        if self._window is not None and self._close_window:
            self._close_window()
        self._window = None

    def _check(self) -> Window:
        if self._window is None:
            raise TransportError(f"{self._name} cannot be used any more: it is closed")
        return self._window

    def _word(self, address: int) -> int:
        return self._check()[address] & _WORD

    def _interrupt(self) -> bool:
        """Whether an enabled interrupt is high, by the registers' own definitions (rtl/registers.py)."""
        if self._enable & _OUT_READY and self._word(_OUT_LEVEL) >= max(self._mark, 1):
            return True
        status = self._word(_STATUS)
        if self._enable & _ERROR and status & _ERRORS:
            return True
        if not self._enable & _STARVED or not status & _IDLE:
            return False
        # A running program that is idle with a whole frame in its FIFO takes it within a few cycles. So one that is
        # idle still, with the same room, holds none.
        room = self._word(_IN_ROOM)
        return bool(self._word(_STATUS) & _IDLE) and self._word(_IN_ROOM) == room


def map_registers(file: str, offset: int = 0) -> MappedTransport:
    """The transport over the registers at `offset` (bytes, a multiple of 4) of `file`. Raises `TransportError`."""
    name = f"mmio:{file}"
    if offset < 0 or offset % REGISTER_BYTES:
        raise TransportError(f"{name}: the offset is {offset}; expected a multiple of {REGISTER_BYTES}, 0 or more")
    page = offset - offset % mmap.ALLOCATIONGRANULARITY
    inside = offset - page
    try:
        handle = os.open(file, os.O_RDWR | getattr(os, "O_SYNC", 0))
        try:
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode) and found.st_size < offset + WINDOW_BYTES:
                raise TransportError(
                    f"{name}: it holds {found.st_size} bytes; expected at least {offset + WINDOW_BYTES}: "
                    f"{1 << ADDRESS_BITS} registers from {offset} on"
                )
            memory = mmap.mmap(handle, inside + WINDOW_BYTES, offset=page)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        why = "it does not exist" if not Path(file).exists() else getattr(error, "strerror", None) or str(error)
        raise TransportError(f"{name} cannot be mapped: {why}") from None
    window = memoryview(memory)[inside : inside + WINDOW_BYTES].cast("I")

    def close() -> None:
        window.release()
        with contextlib.suppress(BufferError):
            memory.close()

    return MappedTransport(window, name, close)


_WORD = (1 << WORD_BITS) - 1
_STATUS, _IN_ROOM, _OUT_LEVEL = address("STATUS"), address("IN_ROOM"), address("OUT_LEVEL")
_OUT_MARK, _IRQ_ENABLE = address("OUT_MARK"), address("IRQ_ENABLE")
_OUT_READY, _STARVED, _ERROR = (mask("IRQ_ENABLE", name) for name in ("OUT_READY", "STARVED", "ERROR"))
_IDLE = mask("STATUS", "IDLE")
_ERRORS = sum(mask("STATUS", field) for field, _, _ in BY_NAME["STATUS"].fields) & ~_IDLE
