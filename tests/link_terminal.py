# SPDX-License-Identifier: BSD-2-Clause
"""The twin of a device behind a pseudo-terminal, in a thread: to a program, a board on a serial port."""

import contextlib
import os
import select
import threading
import tty

from link_twin import LinkTwin


class Terminal:
    """`with Terminal(twin) as name:` serves the twin on the pseudo-terminal `name`.

    `faults` meet what is said in either direction, but for their delays; `cut_after`: the device vanishes with its
    terminal after so many frames.
    """

    def __init__(self, twin: LinkTwin, faults=None, cut_after: int | None = None):
        self.twin = twin
        self.faults = faults or (lambda frame: [(0.0, frame)])
        self.cut_after = cut_after
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.name = os.ttyname(slave)
        # Held open, or the master reads an error between one host and the next.
        self._slave = slave
        self._stop_read, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> str:
        self._thread.start()
        return self.name

    def __exit__(self, *_: object) -> None:
        os.write(self._stop, b"x")
        self._thread.join()
        for handle in (self._stop, self._stop_read, self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(handle)

    def _serve(self) -> None:
        frames = 0
        while True:
            ready = select.select([self._master, self._stop_read], [], [])[0]
            if self._stop_read in ready:
                return
            for _, said in self.faults(os.read(self._master, 4096)):
                for value in said:
                    answer = self.twin.byte(value)
                    if answer is None:
                        continue
                    frames += 1
                    if frames == self.cut_after:
                        os.close(self._slave)
                        os.close(self._master)
                        return
                    for _, piece in self.faults(answer[1]):
                        os.write(self._master, piece)
