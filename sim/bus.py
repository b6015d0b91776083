# SPDX-License-Identifier: BSD-2-Clause
"""What the simulated transports share: the device behind them, checks of each call, and the way they fail."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import Transactions, TransportError, Words, as_words, check_burst

RESET_CYCLES = 16
WAIT_CYCLES = 1_000_000  # the most that one call of wait() advances


def accelerator(config: LiquidConfig | None, device: Any = None) -> Any:
    """Return the component to simulate: `device` where one is given, else the accelerator of `config`."""
    if device is not None:
        return device
    if config is None:
        raise TransportError("a simulation needs a configuration or a component")
    from liquid_accel.rtl.accelerator import Accelerator

    return Accelerator(config)


class SimulatedTransport(Transactions, ABC):
    """A `Transport` into a simulation. A subclass moves words and advances the clock; all else stands here.

    `patience` is the number of cycles without any handshake after which a burst is given up. A burst that was given up
    leaves requests under way, so that the transport refuses all further calls.
    """

    def __init__(self, patience: int, wait_step: int) -> None:
        self._patience = patience
        self._wait_step = wait_step
        self._refusal: str | None = None

    @property
    @abstractmethod
    def cycles(self) -> int:
        """Clock cycles simulated so far, those in reset included; for benchmarks only."""

    @abstractmethod
    def _write(self, address: int, words: Words) -> int:
        """Write `words`; return how many were answered."""

    @abstractmethod
    def _read(self, address: int, words: Words) -> int:
        """Fill `words`; return how many were answered."""

    @abstractmethod
    def _advance(self, limit: int) -> bool:
        """Advance until the interrupt is high, `limit` cycles at most; return whether it is high."""

    @abstractmethod
    def _release(self) -> None:
        """Give back what the simulation holds."""

    def write(self, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """Write every word, in order, to the register `address`. Raises `TransportError`."""
        burst = as_words(words)
        self._check(address, burst.size)
        self._expect(self._write(address, burst), burst.size, "write to", address)

    def read(self, address: int, count: int) -> Words:
        """Read the register `address` `count` times. Raises `TransportError`."""
        self._check(address, count)
        words: Words = np.zeros(count, np.uint16)
        self._expect(self._read(address, words), count, "read of", address)
        return words

    def wait(self, timeout_s: float) -> bool:
        """Advance the clock until the interrupt is high, for `timeout_s` seconds or WAIT_CYCLES at most."""
        self._check(0, 0)
        deadline = time.monotonic() + timeout_s
        for _ in range(max(1, WAIT_CYCLES // self._wait_step)):
            if self._advance(self._wait_step):
                return True
            if time.monotonic() >= deadline:
                break
        return False

    def close(self) -> None:
        """End the simulation; a second call does nothing."""
        if self._refusal != "it is closed":
            self._refusal = "it is closed"
            self._release()

    def __enter__(self) -> "SimulatedTransport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, address: int, count: int) -> None:
        if self._refusal is not None:
            raise TransportError(f"the simulation cannot be used any more: {self._refusal}")
        check_burst(address, count)

    def _expect(self, answered: int, count: int, what: str, address: int) -> None:
        if answered < count:
            self._refusal = (
                f"{what} register 0x{address:02x} stopped after {answered} of {count} words: "
                f"nothing moved for {self._patience} cycles"
            )
            raise TransportError(self._refusal)
