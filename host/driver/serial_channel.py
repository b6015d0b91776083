# SPDX-License-Identifier: BSD-2-Clause
"""A serial port as a channel: boards on USB, and pseudo-terminals."""

from __future__ import annotations

import contextlib
import os
import select
from pathlib import Path
from typing import Any

from liquid_accel.driver.channel import ChannelError
from liquid_accel.rtl.link import DEFAULT_BAUD

BITS_A_BYTE = 10  # with start and stop bit
WRITE_TIMEOUT_S = 5.0
READ_BYTES = 4096


class SerialChannel:
    """The serial port `port` (a name of the operating system) at `baud` bit/s, 8N1, for this program alone where the
    system can do that. Raises `ChannelError` where it cannot be opened, and when it is unplugged."""

    def __init__(self, port: str, baud: int = DEFAULT_BAUD) -> None:
        self.name = f"uart:{port}"
        self.advice = f"the port, the bit rate ({baud}), and that the board is configured"
        self.seconds_a_byte = BITS_A_BYTE / baud
        self._port, self._baud = port, baud
        self._serial: Any = None
        self.reopen()

    def write(self, data: bytes) -> None:
        """See `Channel.write`."""
        try:
            self._open().write(data)
        except OSError as error:  # pyserial's exceptions are of this kind
            raise self._gone(error) from None

    def read(self, limit: int, timeout_s: float) -> bytes:
        """See `Channel.read`."""
        port = self._open()
        try:
            if os.name == "posix":
                # Whatever is there at once, however the driver cuts it.
                if not select.select([port.fileno()], [], [], timeout_s)[0]:
                    return b""
                data: bytes = port.read(limit)
                return data
            port.timeout = timeout_s
            first: bytes = port.read(1)
            return first + port.read(min(limit - 1, port.in_waiting)) if first else b""
        except OSError as error:
            raise self._gone(error) from None

    def close(self) -> None:
        """See `Channel.close`."""
        if self._serial is not None:
            with contextlib.suppress(OSError):
                self._serial.close()
            self._serial = None

    def reopen(self) -> None:
        """See `Channel.reopen`."""
        import serial

        self.close()
        try:
            # Time-out 0: reads take what is there.
            port = serial.Serial(self._port, self._baud, timeout=0, write_timeout=WRITE_TIMEOUT_S, exclusive=True)
        except (OSError, ValueError) as error:
            raise ChannelError(f"{self.name} cannot be opened: {self._why(error)}") from None
        # Converters hold a short answer back for up to 16 ms, unless they are told not to.
        with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError):
            port.set_low_latency_mode(True)
        self._serial = port
        # What stands in the system's buffer was said to somebody else.
        while self.read(READ_BYTES, 0.0):
            pass

    def _open(self) -> Any:
        if self._serial is None:
            raise ChannelError(f"{self.name} is closed")
        return self._serial

    def _why(self, error: Exception) -> str:
        if os.name == "posix" and not Path(self._port).exists():
            return "it does not exist; `liquid devices` lists what is there"
        if "exclusively lock" in str(error):
            return "another program uses it"
        if isinstance(error, PermissionError) or "Permission denied" in str(error):
            return "you may not use it; expected membership of the group that owns it (often dialout)"
        return str(getattr(error, "strerror", None) or error)

    def _gone(self, error: OSError) -> ChannelError:
        return ChannelError(f"{self.name}: the device is gone ({error.strerror or error}); was it unplugged?")
