# SPDX-License-Identifier: BSD-2-Clause
"""The machine with memories that are read in two cycles, as on ECP5 and Gowin, on the compiled simulation: the words,
cycles and memories of random programs are those of the golden model, which knows one machine."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from program_generator import case
from program_runner import run
from simulators import need
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.driver import Device
from liquid_accel.driver.compare import compare
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.golden import GoldenTransport

CONFIGS = {
    "4 lanes": preset("test", lanes=4, fifo_words=1024),
    "16 lanes": preset("test", lanes=16, fifo_words=1024),
    "no kept sums": preset("test", kept_elements=0, fifo_words=1024),
}
SEEDS = 12


@pytest.fixture(scope="module", params=CONFIGS)
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[LiquidConfig, CxxrtlTransport]]:
    need("cxxrtl")
    config = CONFIGS[request.param]
    with CxxrtlTransport(config, device=Accelerator(config, "pipelined")) as transport:
        yield config, transport


@pytest.mark.parametrize("seed", range(1000, 1000 + SEEDS))
def test_random_programs(machine: tuple[LiquidConfig, CxxrtlTransport], seed: int) -> None:
    config, transport = machine
    made = case(config, seed)
    assert run(made, transport) == made.expected


@pytest.mark.parametrize("solver", ["fused", "bs32", "beuler"])
def test_networks(machine: tuple[LiquidConfig, CxxrtlTransport], solver: str) -> None:
    """Loops, jumps back and forth, and the step controller, over several frames and sequences."""
    config, transport = machine
    data = toy_data(3, features=5, sequences=3, frames=5, dt=np.random.default_rng(3).uniform(0, 3, (3, 5)))
    image = liquid_accel.compile(toy_model(3, features=5, size=13), calibration=data, config=config, solver=solver)

    def results(target: Any) -> Any:
        device = Device(target)
        device.load(image)
        return device.run(data, states=True, trace=True)

    found = compare(results(GoldenTransport(config)), results(transport))
    assert found.mismatches == 0, str(found.first)
