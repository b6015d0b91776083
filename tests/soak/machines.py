# SPDX-License-Identifier: BSD-2-Clause
"""The machines that are compared with the golden model: configurations, and how memories are read."""

import ctypes
import random
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LANES, LiquidConfig, preset
from liquid_accel.sim.bus import SimulatedTransport
from liquid_accel.sim.cxxrtl import FUNCTIONS, CxxrtlTransport
from liquid_accel.sim.cxxrtl_build import build, open_library
from liquid_accel.sim.elaborate import to_rtlil

VENDORS = ("portable", "pipelined")


@dataclass(frozen=True)
class Soaked:
    """A configuration, the vendor whose blocks' latencies it has, and its share of the programs."""

    config: LiquidConfig
    vendor: str = "portable"
    share: int = 1

    def __str__(self) -> str:
        c = self.config
        return (
            f"{c.lanes} lanes, Q{15 - c.state_frac_bits}.{c.state_frac_bits}, {c.kept_elements} kept, "
            f"V {c.vector_rows}, W {c.weight_words}, A {c.add_elements}, B {c.base_elements}, C {c.gate_elements}, "
            f"{c.tables} tables, "
            f"FIFOs {c.fifo_words}, {self.vendor}"
        )

    def record(self) -> dict[str, Any]:
        return {"config": asdict(self.config), "vendor": self.vendor}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Soaked":
        return cls(LiquidConfig(**record["config"]), record["vendor"])


# A cycle of many lanes takes long to simulate: the shares are about those of time.
MACHINES = {
    "4": Soaked(preset("test", fifo_words=1024), share=6),
    "8": Soaked(preset("test", lanes=8, fifo_words=1024, state_frac_bits=10), share=3),
    "16": Soaked(preset("test", lanes=16, fifo_words=1024), share=2),
    "32": Soaked(preset("test", lanes=32, fifo_words=1024)),
    "plain": Soaked(preset("test", kept_elements=0, fifo_words=1024), share=8),
    "pipelined": Soaked(
        preset("test", fifo_words=1024, program_words=256, kept_elements=256, tables=8), "pipelined", share=5
    ),
    # FIFOs that a few frames fill, and memories whose ends are near.
    "small": Soaked(
        preset("test", fifo_words=64, kept_elements=64, vector_rows=16, weight_words=256, state_frac_bits=14, tables=2),
        share=5,
    ),
}


def drawn(seed: int, count: int) -> dict[str, Soaked]:
    """`count` machines with any sizes that a configuration may have."""
    rng = random.Random(seed)

    def power(low: int, high: int) -> int:
        return 1 << rng.randint(low.bit_length() - 1, high.bit_length() - 1)

    made = {}
    for at in range(count):
        lanes = rng.choice((*LANES, 4, 4, 8))
        kept = rng.choice((0, power(4 * lanes, 64 * lanes)))
        config = LiquidConfig(
            lanes=lanes, state_frac_bits=rng.randint(8, 14), kept_elements=kept,
            vector_rows=power(max(4, kept // lanes), 256), weight_words=power(16, 2048), program_words=256,
            add_elements=power(4 * lanes, 128 * lanes), base_elements=power(4 * lanes, 128 * lanes),
            gate_elements=power(4 * lanes, 128 * lanes), tables=power(2, 8),
            fifo_words=power(max(64, 16 * lanes), 4096),
        )  # fmt: skip
        made[f"drawn {at}"] = Soaked(config, rng.choice(VENDORS))
    return made


@cache
def _library(machine: Soaked) -> ctypes.CDLL:
    device = Accelerator(machine.config, machine.vendor)
    return open_library(build(to_rtlil(device, "liquid"), None), FUNCTIONS)


class Machine(CxxrtlTransport):
    """A simulation of its own of a machine, from reset on; a burst is given up after `patience` cycles."""

    def __init__(self, machine: Soaked, patience: int = 20_000) -> None:
        SimulatedTransport.__init__(self, patience, wait_step=50_000)
        self._begin(_library(machine))
