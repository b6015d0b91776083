# SPDX-License-Identifier: BSD-2-Clause
"""A transport over the link (docs/link.md): operations packed into requests, waits cut to what a request can wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.channel import Channel
from liquid_accel.driver.link_codec import WORD_BYTES
from liquid_accel.driver.link_requests import Prepared, Request, pack, prepare
from liquid_accel.driver.link_session import LinkSession, Patience, Statistics
from liquid_accel.rtl import registers
from liquid_accel.rtl.link import WAIT_LIMIT, WAIT_UNIT
from liquid_accel.rtl.transport import Operation, Read, Transport, TransportError, Wait, Words, Write

ASSUMED_KHZ = 12_000  # where the device does not know its clock: that of the slowest board


class LinkTransport(Transport):
    """A device behind `channel`, which this closes. Not for several threads at once.

    `clock` counts seconds; `first_tag` is that of the first session (default: random). `clock_khz` is the device's
    clock, 0 where it does not know. Raises `TransportError` where no device answers. From the call on that finds the
    device lost, every one raises `DeviceLost` until `reopen`.
    """

    def __init__(
        self,
        channel: Channel,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
        first_tag: int | None = None,
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._session = LinkSession(channel, patience or Patience(), clock)
        self._most_units = WAIT_LIMIT
        self._closed = False
        self.clock_khz = 0
        try:
            self._begin(first_tag)
        except BaseException:
            self.close()
            raise

    @property
    def statistics(self) -> Statistics:
        """What the wire cost so far, over all sessions."""
        return self._session.statistics

    def write(self, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """See `Transport.write`."""
        self.transact([Write(address, words)])

    def read(self, address: int, count: int) -> Words:
        """See `Transport.read`."""
        return self.transact([Read(address, count)])[0]

    def wait(self, timeout_s: float) -> bool:
        """See `Transport.wait`."""
        return bool(self.transact([Wait(timeout_s)])[0][0])

    def transact(self, operations: Sequence[Operation]) -> list[Words]:
        """See `Transport.transact`. A wait takes a request for every WAIT_LIMIT units that it lasts."""
        prepared = [prepare(operation) for operation in operations]
        if self._closed:
            raise TransportError(f"{self._channel.name} cannot be used any more: it is closed")
        parts: list[list[bytes]] = [[] for _ in prepared]
        deadlines: dict[int, float] = {}
        position, finished = (0, 0), len(prepared)
        while position[0] < finished:
            request = pack(prepared, position, lambda index: self._units(index, prepared, deadlines))
            position = request.next
            if not request.pieces:
                continue
            failed = self._deal(request, self._ask(request), parts)
            if failed is not None:
                position = failed, 0
                if self._clock() >= deadlines[failed]:
                    finished = failed + 1
                    parts[failed].append(bytes(WORD_BYTES))
                    break
        return [np.frombuffer(b"".join(part), "<u2").astype(np.uint16) for part in parts[:finished]]

    def reopen(self) -> None:
        """Open the channel again and begin a new session, whatever became of the last one.

        What the device holds is to be taken for lost: nothing says whether it was reset. Raises `TransportError` where
        no device answers; the transport stays lost then, and may be reopened later.
        """
        if self._closed:
            raise TransportError(f"{self._channel.name} cannot be used any more: it is closed")
        self._session.lost = "it was opened again, and no device has answered since"
        self._channel.reopen()
        self._begin(None)

    def close(self) -> None:
        """See `Transport.close`."""
        self._closed = True
        self._channel.close()

    # ---- Inside ------------------------------------------------------------------------------------------------

    def _begin(self, first_tag: int | None) -> None:
        self._session.begin(first_tag)
        low, high = self.transact([Read(registers.address(f"CLOCK_KHZ_{half}")) for half in ("LOW", "HIGH")])
        self.clock_khz = int(low[0]) | int(high[0]) << 16

    @property
    def _clock_hz(self) -> float:
        return 1e3 * (self.clock_khz or ASSUMED_KHZ)

    def _units(self, index: int, prepared: Sequence[Prepared], deadlines: dict[int, float]) -> int:
        """Units that the wait `index` lasts in the next request; its time begins with its first one."""
        now = self._clock()
        deadline = deadlines.setdefault(index, now + (prepared[index].timeout_s or 0.0))
        left = max(deadline - now, 0.0) * self._clock_hz
        return int(min(self._most_units, -(-left // WAIT_UNIT)))

    def _ask(self, request: Request) -> bytes:
        timeouts = self.statistics.timeouts
        answer = self._session.ask(
            request.operations, request.wait_units * WAIT_UNIT / self._clock_hz, request.answers
        )
        if request.wait_units:
            # A simulated device waits much longer than its clock says: it is asked for shorter waits, so that its
            # answer comes before it is asked again.
            late = self.statistics.timeouts > timeouts
            most = self._most_units
            self._most_units = max(1, most // 2) if late else min(WAIT_LIMIT, most + 1 + most // 16)
        return answer

    def _deal(self, request: Request, answer: bytes, parts: list[list[bytes]]) -> int | None:
        """Give every operation its words; returns the wait that ended without the interrupt, if one did.

        Raises `TransportError` where the answer is not of the length that the operations have.
        """
        at = 0
        failed = None
        for piece in request.pieces:
            part = answer[at : at + WORD_BYTES * piece.answers]
            at += WORD_BYTES * piece.answers
            if piece.is_wait and part == bytes(WORD_BYTES):
                failed = piece.index
                break
            parts[piece.index].append(part)
        if at != len(answer):
            found, expected = len(answer) // WORD_BYTES, at // WORD_BYTES
            raise TransportError(f"{self._channel.name}: the device answered {found} words; expected {expected}")
        return failed
