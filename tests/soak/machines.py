# SPDX-License-Identifier: BSD-2-Clause
"""The machines that are compared with the golden model: configurations, and how memories are read."""

from dataclasses import dataclass
from typing import Any

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.sim.cxxrtl import CxxrtlTransport


@dataclass(frozen=True)
class Soaked:
    """A configuration, and the vendor whose blocks' latencies it has: "portable" or "pipelined"."""

    config: LiquidConfig
    vendor: str = "portable"

    def __str__(self) -> str:
        c = self.config
        return f"{c.lanes} lanes, Q{15 - c.state_frac_bits}.{c.state_frac_bits}, {c.kept_elements} kept, {self.vendor}"


MACHINES = {
    "4": Soaked(preset("test", fifo_words=1024)),
    "8": Soaked(preset("test", lanes=8, fifo_words=1024, state_frac_bits=10)),
    "16": Soaked(preset("test", lanes=16, fifo_words=1024)),
    "32": Soaked(preset("test", lanes=32, fifo_words=1024)),
    "plain": Soaked(preset("test", kept_elements=0, fifo_words=1024)),
    "pipelined": Soaked(preset("test", fifo_words=1024, program_words=256, kept_elements=256, tables=8), "pipelined"),
}


def open_machine(name: str) -> Any:
    """A simulation of the machine, from reset on."""
    machine = MACHINES[name]
    return CxxrtlTransport(machine.config, device=Accelerator(machine.config, machine.vendor), patience=20_000)
