# SPDX-License-Identifier: BSD-2-Clause
"""The function unit under cocotb: the compiler's tables over the host port, then random elements in every mode."""

import pytest
from runner import run_cocotb

from liquid_accel.rtl.function_unit import FunctionUnit

TABLES = 8
STATE_FRAC_BITS = 12


@pytest.mark.parametrize("seed", [1, 2])
def test_every_mode_against_the_golden_model(simulator: str, seed: int) -> None:
    print(f"seed {seed}")
    unit = FunctionUnit(TABLES, STATE_FRAC_BITS)
    environment = {"FUNCTION_SEED": str(seed), "FUNCTION_STATE_FRAC_BITS": str(STATE_FRAC_BITS)}
    run_cocotb(unit, "cocotb_function_unit", simulator, environment=environment, seed=seed)
