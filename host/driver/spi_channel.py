# SPDX-License-Identifier: BSD-2-Clause
"""An SPI bus of Linux as a channel: mode 0, bytes both ways at once, 0x7E where there is nothing to say."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from liquid_accel.driver.channel import ChannelError
from liquid_accel.rtl.link import FLAG

DEFAULT_HZ = 1_000_000  # below an eighth of the slowest board's 12 MHz
TRANSFER_BYTES = 2048  # spidev's buffer holds 4096 where nobody has changed it
POLL_BYTES = 16  # clocked out at a time while an answer is expected: about its shortest frame
DEVICE = re.compile(r"(?:/dev/spidev)?(\d+)\.(\d+)")

_IDLE = bytes([FLAG])


def parse_device(text: str) -> tuple[int, int] | None:
    """Bus and chip select of "/dev/spidev0.1" or "0.1"; None where it is neither."""
    found = DEVICE.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


class SpiChannel:
    """The SPI peripheral `device` ("/dev/spidev0.0") at `hz`; `open_port` makes the port, by default spidev's.

    Raises `ChannelError` where the package spidev is missing, or the device cannot be opened or used.
    """

    def __init__(self, device: str, hz: int = DEFAULT_HZ, open_port: Callable[[], Any] | None = None) -> None:
        self.name = f"spi:{device}"
        self.advice = f"the wires, the clock ({hz} Hz; at most an eighth of the device's), and that it is configured"
        self.seconds_a_byte = 8 / hz
        self._device, self._hz = device, hz
        self._open_port = open_port or _spidev
        self._port: Any = None
        self._arrived = bytearray()
        self._inside = False  # the last byte that was read is not a flag
        self.reopen()

    def write(self, data: bytes) -> None:
        """See `Channel.write`. What the device says meanwhile is kept for `read`."""
        for at in range(0, len(data), TRANSFER_BYTES):
            self._arrived += self._transfer(data[at : at + TRANSFER_BYTES])

    def read(self, limit: int, timeout_s: float) -> bytes:
        """See `Channel.read`. Of flags that idle, only one that ends a frame is of use."""
        deadline = time.monotonic() + timeout_s
        polled = False
        while not self._arrived.strip(_IDLE) and not (self._inside and self._arrived):
            self._arrived.clear()
            if polled and time.monotonic() >= deadline:
                return b""
            self._arrived += self._transfer(_IDLE * POLL_BYTES)
            polled = True
        data = bytes(self._arrived[:limit])
        del self._arrived[:limit]
        self._inside = data[-1] != FLAG
        return data

    def close(self) -> None:
        """See `Channel.close`."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def reopen(self) -> None:
        """See `Channel.reopen`."""
        self.close()
        self._arrived.clear()
        self._inside = False
        place = parse_device(self._device)
        if place is None:
            raise ChannelError(f"{self.name} is no SPI device; expected /dev/spidevBUS.CHIP")
        port = self._open_port()
        try:
            port.open(*place)
            port.max_speed_hz = self._hz
            port.mode = 0
        except OSError as error:
            raise ChannelError(f"{self.name} cannot be opened: {error.strerror or error}") from None
        self._port = port

    def _transfer(self, data: bytes) -> bytes:
        if self._port is None:
            raise ChannelError(f"{self.name} is closed")
        try:
            return bytes(self._port.xfer2(list(data)))
        except OSError as error:
            raise ChannelError(f"{self.name}: the bus fails ({error.strerror or error})") from None


def _spidev() -> Any:
    try:
        import spidev
    except ImportError:
        raise ChannelError("SPI needs the package spidev (Linux only): pip install spidev") from None
    return spidev.SpiDev()
