# SPDX-License-Identifier: BSD-2-Clause
"""Opens a simulator by its name."""

import sys
from typing import Any

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import Transport

KINDS = ("sim", "pysim")


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr, flush=True)


def open_simulator(config: LiquidConfig | None, kind: str = "sim", *, device: Any = None) -> Transport:
    """Return a transport to the simulated accelerator of `config` (or to `device`, a component with the same ports).

    "sim" is the compiled simulation; where there is no C++ compiler it is Amaranth's own, with a note on stderr.
    "pysim" is always Amaranth's own. Raises ValueError for another kind, `SimulatorBuildError` where a tool fails.
    """
    if kind not in KINDS:
        raise ValueError(f"simulator {kind!r} is unknown: one of {', '.join(KINDS)} was expected")
    if kind == "sim":
        from liquid_accel.sim.cxxrtl import CxxrtlTransport, compiler

        if compiler() is not None:
            return CxxrtlTransport(config, device=device, progress=_note)
        _note("there is no C++ compiler, so that Amaranth's simulator takes over, some hundred times slower")
    from liquid_accel.sim.pysim import PysimTransport

    return PysimTransport(config, device=device)
