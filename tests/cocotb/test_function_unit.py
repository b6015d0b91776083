# SPDX-License-Identifier: BSD-2-Clause
"""The function unit under cocotb: the compiler's tables over the host port, random elements, every input."""

import pytest
from runner import run_cocotb
from simulators import need

from liquid_accel.rtl.function_unit import FunctionUnit
from liquid_accel.rtl.memory import read_cycles

TABLES = 8
STATE_FRAC_BITS = 12


def latencies(unit: FunctionUnit) -> dict[str, str]:
    """Cycles from an element to its function, and from the host's index to its word."""
    return {"FUNCTION_LATENCY": str(unit.latency), "FUNCTION_READ": str(1 + read_cycles(unit.vendor))}


@pytest.mark.parametrize("seed", [1, 2])
def test_every_mode_against_the_golden_model(simulator: str, seed: int) -> None:
    print(f"seed {seed}")
    unit = FunctionUnit(TABLES, STATE_FRAC_BITS)
    environment = {"FUNCTION_SEED": str(seed), "FUNCTION_STATE_FRAC_BITS": str(STATE_FRAC_BITS)} | latencies(unit)
    run_cocotb(unit, "cocotb_function_unit", simulator, environment=environment, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "rate"])
def test_all_65536_inputs_against_the_golden_model(name: str) -> None:
    need("verilator")  # the slower simulator would take minutes
    unit = FunctionUnit(TABLES, STATE_FRAC_BITS)
    environment = {"FUNCTION_SWEPT": name, "FUNCTION_STATE_FRAC_BITS": str(STATE_FRAC_BITS)} | latencies(unit)
    run_cocotb(unit, "cocotb_function_unit", "verilator", environment=environment)
