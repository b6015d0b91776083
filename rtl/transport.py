# SPDX-License-Identifier: BSD-2-Clause
"""What a driver asks of the wire to a device, be it a simulation or a board. A table: it imports nothing of ours.

The device answers on one bus: a request is (write, address, data), and every request, read or write, gets exactly one
response word, in order. A transport turns that into bursts at one register address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

ADDRESS_BITS = 8
WORD_BITS = 16

Words = npt.NDArray[np.uint16]


class TransportError(Exception):
    """The device did not answer, or what was asked of the transport cannot be carried on its bus."""


class DeviceLost(TransportError):
    """The device was reset or unplugged, it fell silent, or another host spoke to it: its memories and states are lost.

    Nothing more is carried out until the transport is opened again (`reopen`, where it has one) and the image loaded.
    """


@dataclass(frozen=True, eq=False)
class Write:
    """Write every word, in order, to the same register."""

    address: int
    words: npt.NDArray[np.generic] | Sequence[int]


@dataclass(frozen=True)
class Read:
    """Read a register `count` times."""

    address: int
    count: int = 1


@dataclass(frozen=True)
class Wait:
    """Wait until the interrupt line is high, `timeout_s` seconds at most. Where it is not high then, the operations
    behind it in the same transaction are not carried out."""

    timeout_s: float


Operation = Write | Read | Wait


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

    def transact(self, operations: Sequence[Operation]) -> list[Words]:
        """Carry out several operations, in order, in as few trips over the wire as they take.

        Returns what each gave: no words for a write, those read, and for a wait one word, 1 where the interrupt is
        high. A wait that ends with 0 is the last of the list, shorter then than `operations`.
        """
        ...

    def close(self) -> None:
        """Give the device back. A second call does nothing; any other call after it raises `TransportError`."""
        ...


class Transactions:
    """`Transport.transact` for a transport on which an operation costs no trip: one call after the other."""

    def transact(self: Transport, operations: Sequence[Operation]) -> list[Words]:
        """See `Transport.transact`."""
        answers: list[Words] = []
        for operation in operations:
            if isinstance(operation, Write):
                self.write(operation.address, operation.words)
                answers.append(np.zeros(0, np.uint16))
            elif isinstance(operation, Read):
                answers.append(self.read(operation.address, operation.count))
            else:
                answers.append(np.array([self.wait(operation.timeout_s)], np.uint16))
                if not answers[-1][0]:
                    break
        return answers


def as_words(words: npt.NDArray[np.generic] | Sequence[int]) -> Words:
    """Return `words` as a contiguous uint16 array.

    Signed 16-bit arrays are taken as their two's complement; all else must lie in 0 ... 65535 (`TransportError`).
    """
    array = np.asarray(words)
    if array.ndim != 1:
        raise TransportError(f"a burst has one dimension, this one has shape {array.shape}")
    if array.size == 0:
        return np.zeros(0, np.uint16)
    if array.dtype == np.uint16:
        return np.ascontiguousarray(array)
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
