# SPDX-License-Identifier: BSD-2-Clause
"""`make synth-check`: the whole 8-lane accelerator on the smallest part, with and without column skipping: cells and
clock against bounds."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_accel.boards import tools
from liquid_accel.boards.bare_ice40 import BareTop
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.reset import SynchronisedReset

AVAILABLE = {"ICESTORM_LC": 5280, "ICESTORM_DSP": 8, "ICESTORM_RAM": 30, "ICESTORM_SPRAM": 4}
NAMES = {"ICESTORM_LC": "logic cells", "ICESTORM_DSP": "DSP", "ICESTORM_RAM": "block RAM", "ICESTORM_SPRAM": "SPRAM"}
CLOCK_MHZ = 12.0


@dataclass(frozen=True)
class Machine:
    """A machine, and the cells that a change may not exceed without moving the bound in the same commit and saying
    why."""

    name: str
    config: LiquidConfig
    bounds: dict[str, int]


MACHINES = {
    "plain": Machine(
        "without column skipping",
        preset("up5k"),
        AVAILABLE | {"ICESTORM_LC": 4600, "ICESTORM_RAM": 28},
    ),
    # With kept sums, lists and three block RAMs more it takes what the part has.
    "skipping": Machine("with column skipping", preset("up5k-skip"), AVAILABLE),
}


def over(cells: dict[str, int], machine: Machine) -> list[str]:
    """Cells that are past their bound, in a sentence each."""
    return [
        f"{NAMES[name]} {machine.name}: {cells[name]} used, at most {bound} were expected"
        for name, bound in machine.bounds.items()
        if cells[name] > bound
    ]


def measure(machine: Machine, folder: Path, seeds: int) -> list[tools.Report]:
    """Synthesise and place with each seed, two at a time; the reports. Raises ToolError."""
    print(f"synthesising for iCE40UP5K, {machine.name}", file=sys.stderr)
    tools.synthesise(SynchronisedReset(BareTop(machine.config)), folder, CLOCK_MHZ)
    print(f"placing with {seeds} seeds", file=sys.stderr)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda seed: tools.place(folder, 2 * CLOCK_MHZ, seed), range(1, seeds + 1)))


def figures(machine: Machine, reports: list[tools.Report]) -> dict[str, Any]:
    """The best of some placements against the machine's bounds; what is exceeded is in `faults`, a sentence each."""
    best = max(reports, key=lambda report: report.clock_mhz or 0.0)
    clock = best.clock_mhz or 0.0
    faults = over(best.cells, machine)
    if clock < CLOCK_MHZ:
        faults.append(f"clock {machine.name}: {clock:.1f} MHz reached, at least {CLOCK_MHZ:g} were expected")
    return {
        "cells": best.cells,
        "bounds": machine.bounds,
        "clock_mhz": round(clock, 2),
        "clocks_by_seed_mhz": {r.seed: round(r.clock_mhz or 0.0, 2) for r in reports},
        "faults": faults,
    }


def table(machine: Machine, found: dict[str, Any]) -> str:
    """The figures of one machine, to read."""
    lines = [f"iCE40UP5K, 8 lanes, accelerator with its register bus, {machine.name}", ""]
    lines.append(f"  {'':12} {'used':>6} {'bound':>6} {'part has':>9}")
    for name, bound in machine.bounds.items():
        lines.append(f"  {NAMES[name]:12} {found['cells'][name]:6,} {bound:6,} {AVAILABLE[name]:9,}")
    by_seed = found["clocks_by_seed_mhz"]
    seeds = ", ".join(f"{clock:.1f}" for clock in by_seed.values())
    lines += ["", f"  clock        {found['clock_mhz']:6.1f} MHz, best of {len(by_seed)} seeds ({seeds}); "
              f"at least {CLOCK_MHZ:g} asked", ""]  # fmt: skip
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Synthesise, place with each seed, print both tables or JSON; 1 if a bound is exceeded or the clock is missed."""
    parser = argparse.ArgumentParser(prog="synth_check", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="placements to try; the best is kept (default 2)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    parser.add_argument("--folder", type=Path, default=Path("build/synth"), help="where netlist and reports go")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}: 1 or more was expected")
    found: dict[str, dict[str, Any]] = {}
    try:
        for name, machine in MACHINES.items():
            found[name] = figures(machine, measure(machine, options.folder / name, options.seeds))
    except tools.ToolError as error:
        print(f"synth-check: {error}", file=sys.stderr)
        return 1
    faults = [fault for part in found.values() for fault in part["faults"]]
    if options.json:
        asked = {"part": "iCE40UP5K", "asked_mhz": CLOCK_MHZ, "tools": tools.versions(), "ok": not faults}
        print(json.dumps({**asked, "machines": found}, indent=2))
    else:
        print("\n".join(table(MACHINES[name], part) for name, part in found.items()))
    for fault in faults:
        print(f"exceeded: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
