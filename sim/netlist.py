# SPDX-License-Identifier: BSD-2-Clause
"""A netlist of iCE40 cells as a design that can be simulated: what synthesis made, with yosys's models of the cells."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from liquid_accel.sim.elaborate import run_yosys, yosys_share

CELLS = "ice40/cells_sim.v"
# For SimulatedChip: tens of thousands of statements of a bit each, which take a compiler too long to optimise further.
FLAGS = ("-O1",)
# yosys's model forgets all words where the power goes, and the loop that does it takes yosys hours to unroll. This one
# has no power to lose; what a part does not define (the output in a cycle that writes, or in standby) is POISON here,
# so that who relies on it is found out.
SPRAM = """
module SB_SPRAM256KA (
  input [13:0] ADDRESS, input [15:0] DATAIN, input [3:0] MASKWREN,
  input WREN, CHIPSELECT, CLOCK, STANDBY, SLEEP, POWEROFF, output reg [15:0] DATAOUT
);
  localparam POISON = 16'hA55A;
  reg [15:0] mem [0:16383];
  wire on = CHIPSELECT && !STANDBY && !SLEEP && POWEROFF;
  wire [15:0] mask = {{4{MASKWREN[3]}}, {4{MASKWREN[2]}}, {4{MASKWREN[1]}}, {4{MASKWREN[0]}}};
  always @(posedge CLOCK) begin
    if (on && WREN) mem[ADDRESS] <= (mem[ADDRESS] & ~mask) | (DATAIN & mask);
    if (on) DATAOUT <= WREN ? POISON : mem[ADDRESS];
    else if (STANDBY || SLEEP || !POWEROFF) DATAOUT <= POISON;
  end
endmodule
"""
SCRIPT = """read_json netlist.json
read_verilog -overwrite -D ICE40_U cells.v
hierarchy -check -top {top}
proc
flatten
opt_clean
opt_expr
splitnets -driver
opt_clean
rename {top} liquid
write_rtlil device.il"""


def netlist_rtlil(netlist: Path, top: str = "top") -> str:
    """The RTLIL text of a netlist that `synth_ice40` wrote as JSON, its module `top` called `liquid` and flat.

    Every cell becomes yosys's model of it, but for SB_SPRAM256KA. Raises `YosysError`, and ValueError for a cell that
    has no model.
    """
    design = json.loads(netlist.read_text())
    module = design["modules"][top]
    design["modules"] = {top: module}
    used = set()
    for name, cell in list(module["cells"].items()):
        if cell["type"] == "$scopeinfo":
            del module["cells"][name]
            continue
        used.add(cell["type"])
        if cell["type"] == "SB_LUT4":
            _table_to_port(cell)
    models = (yosys_share() / CELLS).read_text()
    with tempfile.TemporaryDirectory(prefix="liquid-netlist-") as name:
        folder = Path(name)
        (folder / "netlist.json").write_text(json.dumps(design))
        (folder / "cells.v").write_text(_models(models, used))
        run_yosys(SCRIPT.format(top=top), folder)
        return (folder / "device.il").read_text()


def _table_to_port(cell: dict[str, Any]) -> None:
    """The table of a look-up table as an input: with a parameter each of thousands would be a module of its own."""
    table = cell["parameters"].pop("LUT_INIT")
    cell["connections"]["LUT_INIT"] = list(reversed(table))
    cell["port_directions"]["LUT_INIT"] = "input"


def _models(text: str, used: set[str]) -> str:
    """The models of the cells that are used, and the macros before them."""
    macros, *_ = re.split(r"^(?:\(\*.*\*\)\s*)?module ", text, maxsplit=1, flags=re.M)
    parts = [macros]
    for kind in sorted(used):
        found = re.search(rf"^module {kind} \(.*?^endmodule", text, re.M | re.S)
        if found is None:
            raise ValueError(f"cell {kind}: yosys has no model of it")
        model = SPRAM if kind == "SB_SPRAM256KA" else found[0]
        if kind == "SB_LUT4":
            model = re.sub(r"parameter \[15:0\] LUT_INIT = 0;", "", model).replace("(", "(input [15:0] LUT_INIT,", 1)
        parts.append(model)
    # Delays are no part of what is simulated.
    return re.sub(r"^\s*specify$.*?^\s*endspecify$", "", "\n".join(parts), flags=re.M | re.S)
