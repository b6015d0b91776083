# SPDX-License-Identifier: BSD-2-Clause
"""What a driver asks of the wire to a device, be it a simulation or a board. A table: it imports nothing of ours.

The device answers on one bus: a request is (write, address, data), and every request, read or write, gets exactly one
response word, in order. A transport turns that into bursts at one register address.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

ADDRESS_BITS = 8
WORD_BITS = 16

Words = npt.NDArray[np.uint16]


class TransportError(Exception):
    """The device did not answer, or what was asked of the transport cannot be carried on its bus."""


@runtime_checkable
class Transport(Protocol):
    """Bursts of 16-bit words at one register address, and the interrupt line.

    Calls are synchronous: when `write` returns, the device has answered every word. Errors: `TransportError`.
    """

    def write(self, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """Write every word, in order, to the same register `address`."""
        ...

    def read(self, address: int, count: int) -> Words:
        """Read the register `address` `count` times; returns the words in order."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Return True once the interrupt line is high, False when `timeout_s` seconds (wall clock) have passed.

        A simulation advances its clock meanwhile, by a bounded number of cycles a call: it may return False before the
        time is out, having got that much further, so that a caller with a deadline of its own calls again.
        """
        ...

    def close(self) -> None:
        """Give the device back. A second call does nothing; any other call after it raises `TransportError`."""
        ...


def as_words(words: npt.NDArray[np.generic] | Sequence[int]) -> Words:
    """Return `words` as a contiguous uint16 array.

    Signed 16-bit arrays are taken as their two's complement; all else must lie in 0 ... 65535 (`TransportError`).
    """
    array = np.asarray(words)
    if array.ndim != 1:
        raise TransportError(f"a burst has one dimension, this one has shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, np.uint16)
    if array.dtype == np.int16:
        return np.ascontiguousarray(array).view(np.uint16)
    if array.dtype.kind not in "iu":
        raise TransportError(f"a burst holds integers, this one {array.dtype}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= 1 << WORD_BITS:
        raise TransportError(f"a word lies in 0 ... {(1 << WORD_BITS) - 1}, this burst has {low} ... {high}")
    return np.ascontiguousarray(array, dtype=np.uint16)


def check_burst(address: int, count: int) -> None:
    """Raise `TransportError` unless `address` is a register address and `count` a length."""
    if not 0 <= address < 1 << ADDRESS_BITS:
        raise TransportError(f"a register address lies in 0 ... {(1 << ADDRESS_BITS) - 1}, not {address}")
    if count < 0:
        raise TransportError(f"a burst cannot have {count} words")
