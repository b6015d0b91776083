# SPDX-License-Identifier: BSD-2-Clause
"""The whole chip, compiled to machine code, with the other end of its UART on its pins: bytes in, bytes out.

The chip's clock stands still between calls. Its time is counted in cycles, so that whoever waits for it may count in
cycles as well, and need not look at a clock on the wall.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.link import MIN_DIVISOR
from liquid_accel.sim.bus import RESET_CYCLES
from liquid_accel.sim.cxxrtl_build import build, open_library
from liquid_accel.sim.elaborate import to_rtlil

LOOP = "chip_loop.cpp"
CLOCK_HZ = 1_000_000  # about what is simulated in a second
BYTE_BITS = 10  # start bit, 8 data bits, stop bit
CAPACITY = 4096  # bytes that one call brings back at most

_HANDLE, _U32, _U64, _SIZE = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t
# name: (result, arguments) of the functions in chip_loop.cpp
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "chip_new": (_HANDLE, [_U32]),
    "chip_free": (None, [_HANDLE]),
    "chip_reset": (None, [_HANDLE, _U64]),
    "chip_noise": (None, [_HANDLE, _U64, _U64]),
    "chip_run": (_SIZE, [_HANDLE, ctypes.c_char_p, _SIZE, ctypes.c_char_p, _SIZE, _U64, _U64]),
    "chip_state": (_U32, [_HANDLE]),
    "chip_counts": (None, [_HANDLE, ctypes.POINTER(_U64)]),
}


@dataclass(frozen=True)
class ChipState:
    """Outputs of the chip, and what its simulation does.

    activity, error, interrupt  levels of the pins
    resting     nothing is on the wires, and the chip's state comes back every few cycles: it waits for a byte
    sending     bytes that were handed in are not on the wire yet
    """

    activity: bool
    error: bool
    interrupt: bool
    resting: bool
    sending: bool


def chip_rtlil(
    config: LiquidConfig, divisor: int = MIN_DIVISOR, clock_hz: int = CLOCK_HZ, vendor: str = "portable"
) -> str:
    """The RTLIL text of a chip with UART pins; its top module is called `liquid`.

    `clock_hz` is what the chip says that its clock is, and how long its lamps are lit.
    """
    from liquid_accel.rtl.accelerator import Accelerator
    from liquid_accel.rtl.chip import Chip

    device = Accelerator(config, vendor, clock_khz=clock_hz // 1000)
    return to_rtlil(Chip(config, clock_hz=clock_hz, divisor=divisor, vendor=vendor, device=device), "liquid")


class SimulatedChip:
    """The simulation of a chip in RTLIL text, as `chip_rtlil` makes it or with the same ports, out of reset.

    `divisor`: clock cycles of a bit on its UART. The first use of a design compiles it (some 10 s), and the result is
    cached by its contents; `progress` is told, in a sentence, when that begins. Raises
    `SimulatorBuildError` where there is no C++ compiler or a tool fails, MemoryError where the simulation does not fit.
    """

    def __init__(
        self,
        rtlil: str,
        divisor: int = MIN_DIVISOR,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self.divisor = divisor
        self._library = open_library(build(rtlil, progress, LOOP), _FUNCTIONS)
        handle = self._library.chip_new(divisor)
        if not handle:
            raise MemoryError("there is not enough memory for the simulation")
        self._handle = _HANDLE(handle)
        self._out = ctypes.create_string_buffer(CAPACITY)
        self.reset()

    def reset(self) -> None:
        """Reset the chip; what is on the wires goes on."""
        self._library.chip_reset(self._handle, RESET_CYCLES)

    def exchange(self, sent: bytes = b"", cycles: int = 0, quiet: int | None = None) -> bytes:
        """Put `sent` on the chip's rx behind what is still on its way, advance `cycles` at most; what came from tx.

        Ends sooner where something came and tx has been high for `quiet` cycles since (default: those of two bytes),
        or CAPACITY bytes came. Cycles in which the chip rests are counted without being simulated: they cost nothing.
        """
        quiet = 2 * BYTE_BITS * self.divisor if quiet is None else quiet
        count = self._library.chip_run(self._handle, sent, len(sent), self._out, CAPACITY, cycles, quiet)
        return self._out.raw[:count]

    def noise(self, probability: float, seed: int) -> None:
        """From now on each bit on either wire, start and stop bits included, is inverted with this probability."""
        self._library.chip_noise(self._handle, round(probability * 2**32), seed)

    @property
    def state(self) -> ChipState:
        """The pins, and whether the chip rests."""
        bits = self._library.chip_state(self._handle)
        return ChipState(*(bool(bits >> n & 1) for n in range(5)))

    def _counts(self) -> tuple[int, int, int]:
        counts = (_U64 * 3)()
        self._library.chip_counts(self._handle, counts)
        return counts[0], counts[1], counts[2]

    @property
    def cycles(self) -> int:
        """Clock cycles since the simulation began, those in which the chip rested included."""
        return self._counts()[0]

    @property
    def simulated_cycles(self) -> int:
        """Those of `cycles` that were simulated, not skipped."""
        cycles, skipped, _ = self._counts()
        return cycles - skipped

    @property
    def framing_errors(self) -> int:
        """Bytes from the chip whose stop bit was low."""
        return self._counts()[2]

    def close(self) -> None:
        """End the simulation; a second call does nothing."""
        if self._handle:
            self._library.chip_free(self._handle)
            self._handle = _HANDLE(None)

    def __enter__(self) -> SimulatedChip:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
