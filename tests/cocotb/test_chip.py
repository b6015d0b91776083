# SPDX-License-Identifier: BSD-2-Clause
"""The chip's UART against one that was written elsewhere."""

import pytest
from runner import run_cocotb
from standin import StandIn

from liquid_accel.rtl.chip import Chip
from liquid_accel.rtl.config import preset


@pytest.mark.parametrize("divisor", [4, 5])
def test_chip(simulator: str, divisor: int) -> None:
    chip = Chip(preset("test"), clock_hz=0, divisor=divisor, device=StandIn(16))
    run_cocotb(chip, "cocotb_chip", simulator, environment={"CHIP_DIVISOR": str(divisor)})
