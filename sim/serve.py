# SPDX-License-Identifier: BSD-2-Clause
"""A simulated chip behind a pseudo-terminal: to a program that opens it, a board on a serial port."""

from __future__ import annotations

import contextlib
import os
import select
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from liquid_accel.sim.chip import SimulatedChip

SLICE_CYCLES = 16_384  # between looks at the terminal: some 10 ms
READ_BYTES = 4096
LOOK_S = 0.25  # how long a chip that rests sleeps where nobody writes to it
# A chip that goes on working though nobody has talked to it for PATIENCE_S gets a slice every LAZY_S.
PATIENCE_S = 5.0
LAZY_S = 0.1


@dataclass
class Traffic:
    """What has gone over the terminal: bytes, those of the chip that nobody took, and seconds in the simulation."""

    to_chip: int = 0
    to_host: int = 0
    lost: int = 0
    busy_s: float = 0.0


class PtyServer:
    """`chip` on a new pseudo-terminal, whose name is `device`; use it with `with`.

    The terminal carries every byte as it is, and stays while hosts open and close it; what a host left unread is
    thrown away where the terminal's buffer is full, as a wire would. Raises OSError where there is no terminal to have.
    """

    def __init__(self, chip: SimulatedChip) -> None:
        self.chip = chip
        self.traffic = Traffic()
        # The other end stays open, or every host that closes it would end the terminal.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.device = os.ttyname(self._slave)

    def serve(self, until: Callable[[], bool] = lambda: False) -> None:
        """Carry bytes until `until()`, which is asked every LOOK_S at least, or an exception.

        A chip that rests is not simulated, and costs nothing.
        """
        chip, traffic = self.chip, self.traffic
        talked = time.monotonic()
        while not until():
            state = chip.state
            now = time.monotonic()
            idle = LOOK_S if state.resting else LAZY_S if now - talked > PATIENCE_S else 0.0
            sent = b""
            # What the chip has not had yet stays in the terminal's buffer, which makes the host wait.
            if not state.sending and select.select([self._master], [], [], idle)[0]:
                sent = self._read()
            start = time.monotonic()
            came = chip.exchange(sent, SLICE_CYCLES)
            end = time.monotonic()
            if came:
                self._write(came)
            if came or sent:
                talked = end
            if came or sent or not state.resting:
                traffic.busy_s += end - start
            traffic.to_chip += len(sent)
            traffic.to_host += len(came)

    def _read(self) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, READ_BYTES)
        return b""

    def _write(self, data: bytes) -> None:
        written = 0
        with contextlib.suppress(BlockingIOError):
            written = os.write(self._master, data)
        self.traffic.lost += len(data) - written

    def close(self) -> None:
        """Remove the terminal; hosts that have it open see it hung up."""
        for handle in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(handle)

    def __enter__(self) -> PtyServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def linked(path: Path | None, device: str) -> Iterator[None]:
    """A symbolic link at `path` to `device` while the context lasts; None: nothing.

    A link that is there already is replaced. Raises FileExistsError where `path` is anything else, and OSError where it
    cannot be made.
    """
    if path is None:
        yield
        return
    if path.is_symlink():
        path.unlink()
    path.symlink_to(device)
    try:
        yield
    finally:
        # Another server may have taken the name meanwhile.
        with contextlib.suppress(OSError):
            if path.readlink() == Path(device):
                path.unlink()
