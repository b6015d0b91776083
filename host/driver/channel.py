# SPDX-License-Identifier: BSD-2-Clause
"""What the link asks of a wire: bytes out, bytes in, and an end that can be opened again."""

from __future__ import annotations

from typing import Protocol

from liquid_accel.rtl.transport import TransportError


class ChannelError(TransportError):
    """The wire cannot be used: it does not exist, belongs to another program, or was unplugged. One sentence."""


class Channel(Protocol):
    """Bytes in both directions, open from its construction on. Errors: `ChannelError`.

    `name` is how a user writes it, `advice` what to look at where nothing answers, `seconds_a_byte` how long a byte
    takes on the wire.
    """

    name: str
    advice: str
    seconds_a_byte: float

    def write(self, data: bytes) -> None:
        """Send every byte, or fail within a bounded time."""
        ...

    def read(self, limit: int, timeout_s: float) -> bytes:
        """What has arrived, `limit` bytes at most; waits up to `timeout_s` seconds where nothing has. b"": nothing."""
        ...

    def close(self) -> None:
        """Give the wire back; a second call does nothing."""
        ...

    def reopen(self) -> None:
        """Close, and open again; what had arrived and was not read is gone."""
        ...
