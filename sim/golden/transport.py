# SPDX-License-Identifier: BSD-2-Clause
"""The golden model behind the registers of a chip: a `Transport` that a driver cannot tell from one with deep FIFOs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import ISA_VERSION, Space
from liquid_accel.rtl.registers import PRODUCT_ID, REGISTERS, address, mask
from liquid_accel.rtl.transport import Transactions, TransportError, Words, as_words, check_burst
from liquid_accel.sim.golden.device import Device

_WORD = (1 << 16) - 1
_ADDRESS_MASK = (mask("MEM_SPACE", "HIGH") >> 8 << 16) | _WORD


class GoldenTransport(Transactions):
    """A device of `config` that computes whole batches in NumPy, when the host waits or asks for results.

    Sequences, cut at frames with the FIRST flag, run as one batch: right for programs in which FIRST resets whatever
    a sequence reads. `sequential` runs frame after frame on one machine instead, for any program.
    Raises `TransportError` for misuse, `GoldenError` for a program that breaks a promise of the compiler.
    """

    def __init__(self, config: LiquidConfig, sequential: bool = False) -> None:
        self._device = Device(config, sequential)
        self._closed = False
        self._space = self._address = 0
        self._mark = self._enable = 0
        self._constants = {
            address("ID"): PRODUCT_ID,
            address("VERSION"): ISA_VERSION,
            address("CONFIG_HASH_LOW"): config.config_hash & _WORD,
            address("CONFIG_HASH_HIGH"): config.config_hash >> 16,
            address("IN_ROOM"): _WORD,
        }

    def write(self, address: int, words: npt.NDArray[np.generic] | Sequence[int]) -> None:
        """Write every word, in order, to the same register; read-only registers ignore it, absent ones report it."""
        burst = as_words(words)
        self._check(address, burst.size)
        if not burst.size:
            return
        if address == _MEM_DATA:
            self._device.store(_SPACES.get(self._space), self._advance(burst.size), burst)
        elif address == _IN_DATA:
            self._device.feed(burst)
        elif address == _CONTROL:
            for word in burst:
                self._device.control(bool(word & _RUN), bool(word & _ABORT))
        elif address == _MEM_SPACE:
            self._space = int(burst[-1]) & mask("MEM_SPACE", "SPACE")
            self._address = self._address & _WORD | (int(burst[-1]) & mask("MEM_SPACE", "HIGH")) << 8
        elif address == _MEM_ADDRESS:
            self._address = self._address & ~_WORD | int(burst[-1])
        elif address == _OUT_MARK:
            self._mark = int(burst[-1])
        elif address == _IRQ_ENABLE:
            self._enable = int(burst[-1]) & (_OUT_READY | _STARVED | _ERROR)
        elif address not in _KNOWN:
            self._device.report("BAD_ADDRESS")

    def read(self, address: int, count: int) -> Words:
        """Read the register `count` times; write-only registers read 0, absent ones report it too."""
        self._check(address, count)
        if count and address == _MEM_DATA:
            return self._device.fetch(_SPACES.get(self._space), self._advance(count))
        if count and address == _OUT_DATA:
            return self._device.take(count)
        if count and address not in _KNOWN:
            self._device.report("BAD_ADDRESS")
        return np.full(count, self._register(address) if count else 0, np.uint16)

    def wait(self, timeout_s: float) -> bool:
        """Compute what has been written; return whether an enabled interrupt is high. Time is no use to it."""
        self._check(0, 0)
        level = self._device.level()
        pending = _OUT_READY * (level >= max(self._mark, 1))
        pending |= _STARVED * self._device.starved()
        pending |= _ERROR * bool(self._device.errors())
        return bool(pending & self._enable)

    def close(self) -> None:
        """Give the device back; a second call does nothing."""
        self._closed = True

    def __enter__(self) -> GoldenTransport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, address: int, count: int) -> None:
        if self._closed:
            raise TransportError("the golden model cannot be used any more: it is closed")
        check_burst(address, count)

    def _register(self, address: int) -> int:
        if address == _CONTROL:
            return _RUN * self._device.running
        if address == _STATUS:
            # Nothing is ever under way: a frame is computed at once, or has not begun.
            return mask("STATUS", "IDLE") | self._device.errors()
        if address == _OUT_LEVEL:
            return min(self._device.level(), _WORD)
        if address == _MEM_SPACE:
            return self._space | self._address >> 16 << 8
        return {
            **self._constants,
            _OUT_MARK: self._mark,
            _IRQ_ENABLE: self._enable,
            _MEM_ADDRESS: self._address & _WORD,
        }.get(address, 0)

    def _advance(self, count: int) -> npt.NDArray[np.int64]:
        """Addresses of the next `count` accesses, which this moves on."""
        at = (self._address + np.arange(count)) & _ADDRESS_MASK
        self._address = (self._address + count) & _ADDRESS_MASK
        return at


_KNOWN = {register.address for register in REGISTERS}
_SPACES = {int(space): space for space in Space}
_CONTROL, _STATUS, _OUT_LEVEL = address("CONTROL"), address("STATUS"), address("OUT_LEVEL")
_OUT_MARK, _IRQ_ENABLE = address("OUT_MARK"), address("IRQ_ENABLE")
_MEM_SPACE, _MEM_ADDRESS, _MEM_DATA = address("MEM_SPACE"), address("MEM_ADDRESS"), address("MEM_DATA")
_IN_DATA, _OUT_DATA = address("IN_DATA"), address("OUT_DATA")
_RUN, _ABORT = mask("CONTROL", "RUN"), mask("CONTROL", "ABORT")
_OUT_READY, _STARVED, _ERROR = (mask("IRQ_ENABLE", name) for name in ("OUT_READY", "STARVED", "ERROR"))
