# SPDX-License-Identifier: BSD-2-Clause
"""The whole accelerator under cocotb: a small compiled model over the bus, word for word the golden model's."""

from pathlib import Path

import pytest
from cases import case, machine
from runner import run_cocotb
from simulators import need

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.core import Core

SOLVERS = ("fused", "bs32")
ABORTS = {"fused": "12", "bs32": "3"}  # a frame of the latter takes long


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_word_over_the_bus(simulator: str, lanes: int, solver: str, tmp_path: Path) -> None:
    config = machine(lanes)
    environment = case(tmp_path, config, solver, seed=3) | {"MACHINE_ABORTS": ABORTS[solver]}
    run_cocotb(Accelerator(config), "cocotb_accelerator", simulator, environment=environment)


@pytest.mark.parametrize("solver", SOLVERS)
def test_core_streams(simulator: str, lanes: int, solver: str, tmp_path: Path) -> None:
    config = machine(lanes)
    environment = case(tmp_path, config, solver, seed=4)
    run_cocotb(Core(config), "cocotb_core", simulator, environment=environment)


@pytest.mark.parametrize("seed", [1])
def test_no_word_is_lost_where_a_frame_takes_half_of_the_output(seed: int, tmp_path: Path) -> None:
    # With 4 lanes and 20 outputs a frame's words are as many as a frame may have with this FIFO.
    need("verilator")
    config = machine(4)
    environment = case(tmp_path, config, "bs32", seed, classes=20, untraced=0)
    run_cocotb(Core(config), "cocotb_bursts", "verilator", environment=environment)
