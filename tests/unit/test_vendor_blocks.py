# SPDX-License-Identifier: BSD-2-Clause
"""The ECP5 and Gowin blocks behind the portable interfaces: the portable version's tests, on models of the cells.

What is simulated is the Verilog that yosys writes, with the models of tests/vendor_models.py.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import runner
from cases import case, machine
from simulators import need
from vendor_models import MODELS

from liquid_accel.rtl import vendor_ecp5, vendor_gowin
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.function_unit import FunctionUnit
from liquid_accel.rtl.mac import MacArray
from liquid_accel.rtl.memory import Ram, SinglePortRam, read_cycles
from liquid_accel.rtl.multiplier import Multiplier
from liquid_accel.sim.elaborate import run_yosys, to_rtlil, to_verilog

VENDORS = ("portable", "pipelined", "ecp5", "gowin")
BLOCKS = {"ecp5": ("MULT18X18D", "DP16KD"), "gowin": ("MULT18X18", "SDPB")}
SEED = 5


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The harness on Icarus, with the models of the cells added to the Verilog of a component."""
    need("icarus")

    def verilog(component: Any, name: str) -> str:
        text = to_verilog(component, name)
        return "\n".join(model for cell, model in MODELS.items() if re.search(rf"\b{cell}\b", text)) + text

    monkeypatch.setattr(runner, "to_verilog", verilog)

    def run(component: Any, module: str, **environment: str) -> None:
        runner.run_cocotb(component, module, "icarus", environment=environment)

    return run


@pytest.mark.parametrize("vendor", VENDORS)
def test_lanes(simulate: Any, vendor: str) -> None:
    array = MacArray(4, vendor=vendor)
    simulate(array, "cocotb_mac_array", MAC_SEED=str(SEED), MAC_LATENCY=str(array.latency))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("first", [0, 3])  # rows in the first cycle
@pytest.mark.parametrize(("width", "rows"), [(17, 12), (11, 8), (9, 8)])
def test_multiplier(simulate: Any, vendor: str, first: int, width: int, rows: int) -> None:
    sizes = {"MULTIPLIER_WIDTH": str(width), "MULTIPLIER_ROWS": str(rows), "MULTIPLIER_SEED": str(SEED)}
    simulate(Multiplier(width, rows, vendor, first), "cocotb_pipelined_multiplier", **sizes)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("depth", "parts"), [(64, 1), (64, 3), (512, 2), (1024, 2), (2048, 2), (4096, 1), (16384, 1)])
def test_memory(simulate: Any, vendor: str, depth: int, parts: int) -> None:
    """Every geometry that a block is divided by: 32, 16, 8, 4 and 1 bit, and half of a block unused."""
    ram = Ram(depth, parts, vendor=vendor, registered=True)
    assert ram.latency == read_cycles(vendor)
    sizes = {"MEMORY_DEPTH": str(depth), "MEMORY_PARTS": str(parts), "MEMORY_LATENCY": str(ram.latency)}
    simulate(ram, "cocotb_memory", MEMORY_SEED=str(SEED), **sizes)


@pytest.mark.parametrize("vendor", BLOCKS)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_memory_deeper_than_a_block_is_refused(vendor: str, parts: int) -> None:
    with pytest.raises(ValueError, match="at most 16384"):
        to_rtlil(SinglePortRam(32768, parts, vendor))


@pytest.mark.parametrize("vendor", VENDORS[1:])
def test_function_unit(simulate: Any, vendor: str) -> None:
    unit = FunctionUnit(8, 12, vendor)
    cycles = {"FUNCTION_LATENCY": str(unit.latency), "FUNCTION_READ": str(1 + read_cycles(vendor))}
    simulate(unit, "cocotb_function_unit", FUNCTION_SEED=str(SEED), FUNCTION_STATE_FRAC_BITS="12", **cycles)


@pytest.mark.parametrize("vendor", BLOCKS)
def test_the_whole_machine(simulate: Any, lanes: int, tmp_path: Path, vendor: str) -> None:
    config = machine(lanes)
    environment = case(tmp_path, config, "fused", SEED) | {"MACHINE_ABORTS": "12"}
    simulate(Accelerator(config, vendor), "cocotb_accelerator", **environment)


# ---- After synthesis -----------------------------------------------------------------------------------------

SYNTHESIS = {"ecp5": "synth_ecp5", "gowin": "synth_gowin -family gw2a"}


def cells(tmp_path: Path, component: Any, vendor: str, kind: str) -> list[dict[str, Any]]:
    """Cells of that kind after synthesis, the others being none of `BLOCKS`."""
    (tmp_path / "top.il").write_text(to_rtlil(component, "top"))
    run_yosys(f"read_rtlil top.il\n{SYNTHESIS[vendor]} -top top -json top.json", tmp_path)
    netlist = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]
    found = list(netlist["cells"].values())
    assert not {cell["type"] for cell in found} & set(BLOCKS[vendor]) - {kind}
    return [cell for cell in found if cell["type"] == kind]


def plain(value: Any) -> Any:
    """A parameter as a number or text, out of Amaranth's constants or yosys's JSON."""
    value = getattr(value, "value", value)
    if isinstance(value, str) and value and not value.strip("01"):
        return int(value, 2)  # not of text: yosys sets a space behind text of digits
    return value.strip() if isinstance(value, str) else value


@pytest.mark.parametrize("vendor", BLOCKS)
def test_synthesis_leaves_the_registers_of_a_multiplier_in_it(tmp_path: Path, vendor: str) -> None:
    wanted = {"ecp5": vendor_ecp5, "gowin": vendor_gowin}[vendor].MULTIPLIER_PARAMETERS
    found = cells(tmp_path, Multiplier(17, 12, vendor), vendor, BLOCKS[vendor][0])
    assert len(found) == 1
    for cell in found:
        parameters = {name: plain(value) for name, value in cell["parameters"].items()}
        assert parameters.items() >= {name: plain(value) for name, value in wanted.items()}.items()
        pins = cell["connections"]
        clock, enable = ("CLK0", "CE0") if vendor == "ecp5" else ("CLK", "CE")
        assert isinstance(pins[clock][0], int)
        # synth_gowin drives constants by a cell of their own.
        assert pins[enable] == ["1"] or vendor == "gowin"


@pytest.mark.parametrize("vendor", BLOCKS)
@pytest.mark.parametrize(("depth", "parts", "count"), [(256, 16, 8), (1024, 1, 1), (4096, 8, 32)])
def test_synthesis_leaves_the_registers_of_a_memory_in_it(
    tmp_path: Path, vendor: str, depth: int, parts: int, count: int
) -> None:
    wanted = {"ecp5": vendor_ecp5, "gowin": vendor_gowin}[vendor].MEMORY_PARAMETERS
    found = cells(tmp_path, Ram(depth, parts, vendor=vendor, registered=True), vendor, BLOCKS[vendor][1])
    assert len(found) == count
    for cell in found:
        parameters = {name: plain(value) for name, value in cell["parameters"].items()}
        assert parameters.items() >= {name: plain(value) for name, value in wanted.items()}.items()
