# SPDX-License-Identifier: BSD-2-Clause
"""The compiled simulation with a window: what some of its signals are in every cycle."""

from __future__ import annotations

import ctypes
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import Words
from liquid_accel.sim.bus import accelerator
from liquid_accel.sim.cxxrtl import FUNCTIONS, CxxrtlTransport
from liquid_accel.sim.cxxrtl_build import build, open_library
from liquid_accel.sim.elaborate import run_yosys, to_rtlil

LOOP = Path(__file__).with_name("trace_loop.cpp")
SIGNALS: tuple[str, ...] = tuple(re.findall(r"^  X\(([\w.]+), ", LOOP.read_text(), re.M))

Rows = npt.NDArray[np.uint32]
_WORDS = np.ctypeslib.ndpointer(np.uint32, ndim=1, flags="C_CONTIGUOUS")
_FUNCTIONS = FUNCTIONS | {
    "trace_keep": (None, [ctypes.c_void_p, ctypes.c_int]),
    "trace_size": (ctypes.c_size_t, [ctypes.c_void_p]),
    "trace_take": (None, [ctypes.c_void_p, _WORDS]),
}


def traced_rtlil(component: Any) -> str:
    """The RTLIL text of an accelerator, flat, with SIGNALS as outputs; its top module is called `liquid`."""
    wires = " ".join(f"w:{name}" for name in SIGNALS)
    # An output that is one already stays as it is.
    script = f"read_rtlil device.il\nflatten\nselect {wires}\nexpose\nselect -clear\nwrite_rtlil traced.il"
    with tempfile.TemporaryDirectory(prefix="liquid-yosys-") as name:
        folder = Path(name)
        (folder / "device.il").write_text(to_rtlil(component, "liquid"))
        run_yosys(script, folder)
        return (folder / "traced.il").read_text()


class TracedTransport(CxxrtlTransport):
    """A `CxxrtlTransport` that hands the signals of every cycle to `watch`, as rows (cycles, SIGNALS).

    `watch` is called after every burst and wait, until it returns False: from then on it costs nothing.
    """

    def __init__(
        self, config: LiquidConfig, watch: Callable[[Rows], bool], progress: Callable[[str], None] | None = None
    ) -> None:
        self._watch = watch
        super(CxxrtlTransport, self).__init__(1_000_000, wait_step=10_000)
        text = traced_rtlil(accelerator(config))
        self._begin(open_library(build(text, progress, str(LOOP)), _FUNCTIONS))
        self._library.trace_keep(self._handle, True)

    def _write(self, address: int, words: Words) -> int:
        answered = super()._write(address, words)
        self._take()
        return answered

    def _read(self, address: int, words: Words) -> int:
        answered = super()._read(address, words)
        self._take()
        return answered

    def _advance(self, limit: int) -> bool:
        high = super()._advance(limit)
        self._take()
        return high

    def _take(self) -> None:
        words = np.zeros(self._library.trace_size(self._handle), np.uint32)
        self._library.trace_take(self._handle, words)
        if words.size:
            self._library.trace_keep(self._handle, self._watch(words.reshape(-1, len(SIGNALS))))
