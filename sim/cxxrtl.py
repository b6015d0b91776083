# SPDX-License-Identifier: BSD-2-Clause
"""The device compiled to machine code: RTLIL, then C++ (CXXRTL), then a shared library called through ctypes."""

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import TransportError, Words
from liquid_accel.sim.bus import RESET_CYCLES, SimulatedTransport, accelerator
from liquid_accel.sim.cxxrtl_build import SimulatorBuildError, build, compiler, open_library
from liquid_accel.sim.elaborate import to_rtlil

__all__ = ["CxxrtlTransport", "SimulatorBuildError", "compiler"]

_WORDS = np.ctypeslib.ndpointer(np.uint16, ndim=1, flags="C_CONTIGUOUS")
_HANDLE, _U8, _U64, _SIZE = ctypes.c_void_p, ctypes.c_uint8, ctypes.c_uint64, ctypes.c_size_t
# name: (result, arguments) of the functions in cxxrtl_loop.cpp
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "liquid_new": (_HANDLE, []),
    "liquid_free": (None, [_HANDLE]),
    "liquid_reset": (None, [_HANDLE, _U64]),
    "liquid_write": (_SIZE, [_HANDLE, _U8, _WORDS, _SIZE, _U64]),
    "liquid_read": (_SIZE, [_HANDLE, _U8, _WORDS, _SIZE, _U64]),
    "liquid_wait": (ctypes.c_int, [_HANDLE, _U64]),
    "liquid_cycles": (_U64, [_HANDLE]),
}


class CxxrtlTransport(SimulatedTransport):
    """A `Transport` to `Accelerator(config)`, or to `device`, another component with the same three ports.

    Elaborating takes a second or two; the first use of a design compiles it as well (some 10 s), and the result is
    cached by its contents. `progress` is told, in a sentence, when a build begins. Raises `SimulatorBuildError` where
    there is no C++ compiler (`compiler()` tells beforehand) or a tool fails.
    """

    def __init__(
        self,
        config: LiquidConfig | None = None,
        *,
        device: Any = None,
        patience: int = 1_000_000,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(patience, wait_step=50_000)
        self._begin(open_library(build(to_rtlil(accelerator(config, device), "liquid"), progress), FUNCTIONS))

    def _begin(self, library: ctypes.CDLL, prepare: Callable[[ctypes.c_void_p], None] | None = None) -> None:
        """A new simulation out of a `library`; `prepare` may set inputs before it is reset."""
        self._library = library
        handle = library.liquid_new()
        if not handle:
            raise TransportError("there is not enough memory for the simulation")
        self._handle = _HANDLE(handle)
        if prepare is not None:
            prepare(self._handle)
        library.liquid_reset(self._handle, RESET_CYCLES)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far, those in reset included."""
        self._check(0, 0)
        return int(self._library.liquid_cycles(self._handle))

    def _write(self, address: int, words: Words) -> int:
        return int(self._library.liquid_write(self._handle, address, words, words.size, self._patience))

    def _read(self, address: int, words: Words) -> int:
        return int(self._library.liquid_read(self._handle, address, words, words.size, self._patience))

    def _advance(self, limit: int) -> bool:
        return bool(self._library.liquid_wait(self._handle, limit))

    def _release(self) -> None:
        self._library.liquid_free(self._handle)
