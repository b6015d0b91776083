# SPDX-License-Identifier: BSD-2-Clause
"""`make synth-check`: the whole 8-lane accelerator on the smallest part, cells and clock against bounds."""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from liquid_accel.boards import tools
from liquid_accel.boards.bare_ice40 import BareTop
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.reset import SynchronisedReset

# What a change may not exceed without moving the bound in the same commit and saying why. The part has 5,280, 8, 30 and
# 4.
BOUNDS = {"ICESTORM_LC": 4600, "ICESTORM_DSP": 8, "ICESTORM_RAM": 28, "ICESTORM_SPRAM": 4}
AVAILABLE = {"ICESTORM_LC": 5280, "ICESTORM_DSP": 8, "ICESTORM_RAM": 30, "ICESTORM_SPRAM": 4}
NAMES = {"ICESTORM_LC": "logic cells", "ICESTORM_DSP": "DSP", "ICESTORM_RAM": "block RAM", "ICESTORM_SPRAM": "SPRAM"}
CLOCK_MHZ = 12.0


def over(cells: dict[str, int]) -> list[str]:
    """Cells that are past their bound, in a sentence each."""
    return [
        f"{NAMES[name]}: {cells[name]} used, at most {bound} were expected"
        for name, bound in BOUNDS.items()
        if cells[name] > bound
    ]


def main(arguments: list[str] | None = None) -> int:
    """Synthesise, place with each seed, print the table or JSON; 1 if a bound is exceeded or the clock is missed."""
    parser = argparse.ArgumentParser(prog="synth_check", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="placements to try; the best is kept (default 2)")
    parser.add_argument("--json", action="store_true", help="figures as JSON on stdout")
    parser.add_argument("--folder", type=Path, default=Path("build/synth"), help="where netlist and reports go")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}: 1 or more was expected")
    print("synthesising for iCE40UP5K", file=sys.stderr)
    try:
        tools.synthesise(SynchronisedReset(BareTop(preset("up5k"))), options.folder, CLOCK_MHZ)
        print(f"placing with {options.seeds} seeds", file=sys.stderr)
        with ThreadPoolExecutor(2) as pool:
            reports = list(
                pool.map(lambda seed: tools.place(options.folder, 2 * CLOCK_MHZ, seed), range(1, options.seeds + 1))
            )
    except tools.ToolError as error:
        print(f"synth-check: {error}", file=sys.stderr)
        return 1
    best = max(reports, key=lambda report: report.clock_mhz or 0.0)
    clock = best.clock_mhz or 0.0
    faults = over(best.cells)
    if clock < CLOCK_MHZ:
        faults.append(f"clock: {clock:.1f} MHz reached, at least {CLOCK_MHZ:g} were expected")
    if options.json:
        figures = {
            "part": "iCE40UP5K",
            "cells": best.cells,
            "bounds": BOUNDS,
            "clock_mhz": round(clock, 2),
            "asked_mhz": CLOCK_MHZ,
            "clocks_by_seed_mhz": {r.seed: round(r.clock_mhz or 0.0, 2) for r in reports},
            "tools": tools.versions(),
            "ok": not faults,
        }
        print(json.dumps(figures, indent=2))
    else:
        print("iCE40UP5K, 8 lanes, accelerator with its register bus\n")
        print(f"  {'':12} {'used':>6} {'bound':>6} {'part has':>9}")
        for name, bound in BOUNDS.items():
            print(f"  {NAMES[name]:12} {best.cells[name]:6,} {bound:6,} {AVAILABLE[name]:9,}")
        clocks = ", ".join(f"{r.clock_mhz:.1f}" for r in reports)
        print(
            f"\n  clock        {clock:6.1f} MHz, best of {len(reports)} seeds ({clocks}); at least {CLOCK_MHZ:g} asked"
        )
    for fault in faults:
        print(f"exceeded: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
