# SPDX-License-Identifier: BSD-2-Clause
"""`make synth-check`: the whole 8-lane accelerator on the smallest part, with and without column skipping: cells and
clock against bounds."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_accel.boards import flow, tools
from liquid_accel.boards.bare_ice40 import BareTop
from liquid_accel.boards.family import ICE40, UP5K
from liquid_accel.boards.timing import Placement, Usage
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.reset import SynchronisedReset

AVAILABLE = {"ICESTORM_LC": 5280, "ICESTORM_DSP": 8, "ICESTORM_RAM": 30, "ICESTORM_SPRAM": 4}
NAMES = ICE40.cells
CLOCK_MHZ = 12.0


@dataclass(frozen=True)
class Machine:
    """A machine, and the cells that a change may not exceed without moving the bound in the same commit and saying
    why. One that does not fit the part is counted, and not placed."""

    name: str
    config: LiquidConfig
    bounds: dict[str, int]

    @property
    def fits(self) -> bool:
        """Whether its bounds are within what the part has."""
        return all(bound <= AVAILABLE[name] for name, bound in self.bounds.items())


MACHINES = {
    "plain": Machine(
        "without column skipping",
        preset("up5k"),
        # What the link, PLL and reset of a board take beside it (390 cells, a block RAM) is left over. Multipliers of
        # two chains took 50 cells, of which FIFOs that read a standing address gave most, for a fifth more clock.
        AVAILABLE | {"ICESTORM_LC": 4820, "ICESTORM_RAM": 28},
    ),
    # With kept sums and lists it was within the part's 5,280 cells, until lanes and element pipeline got registers for
    # faster parts and a clock enable: it is some 200 cells past them now, and may not grow further.
    "skipping": Machine("with column skipping", preset("up5k-skip"), AVAILABLE | {"ICESTORM_LC": 5495}),
}


def over(cells: dict[str, int], machine: Machine) -> list[str]:
    """Cells that are past their bound, in a sentence each."""
    return [
        f"{NAMES[name]} {machine.name}: {cells[name]} used, at most {bound} were expected"
        for name, bound in machine.bounds.items()
        if cells[name] > bound
    ]


def used(usage: dict[str, Usage]) -> dict[str, int]:
    """Cells of the kinds that have bounds."""
    return {name: usage[name].used for name in AVAILABLE}


def synthesise(machine: Machine, folder: Path) -> dict[str, int]:
    """The machine's netlist in `folder`, and its cells. Raises ToolError."""
    flow.write_design(SynchronisedReset(BareTop(machine.config)), folder)
    flow.synthesise(UP5K, folder, CLOCK_MHZ)
    return used(flow.pack(UP5K, folder))


def measure(machine: Machine, folder: Path, seeds: int) -> tuple[dict[str, int], list[Placement]]:
    """Synthesise, and place with each seed, two at a time, what fits; cells and placements. Raises ToolError."""
    print(f"synthesising for iCE40UP5K, {machine.name}", file=sys.stderr)
    cells = synthesise(machine, folder)
    if not machine.fits:
        return cells, []
    print(f"placing with {seeds} seeds", file=sys.stderr)
    return cells, flow.place_all(UP5K, folder, 2 * CLOCK_MHZ, range(1, seeds + 1))


def figures(machine: Machine, cells: dict[str, int], placements: list[Placement]) -> dict[str, Any]:
    """The cells, and the best of some placements, against the machine's bounds; what is exceeded is in `faults`, a
    sentence each."""
    best = max((placement.clock_mhz for placement in placements), default=None)
    faults = over(cells, machine)
    if best is not None and best < CLOCK_MHZ:
        faults.append(f"clock {machine.name}: {best:.1f} MHz reached, at least {CLOCK_MHZ:g} were expected")
    return {
        "cells": cells,
        "bounds": machine.bounds,
        "fits": machine.fits,
        "clock_mhz": best,
        "clocks_by_seed_mhz": {placement.seed: placement.clock_mhz for placement in placements},
        "faults": faults,
    }


def table(machine: Machine, found: dict[str, Any]) -> str:
    """The figures of one machine, to read."""
    lines = [f"iCE40UP5K, 8 lanes, accelerator with its register bus, {machine.name}", ""]
    lines.append(f"  {'':12} {'used':>6} {'bound':>6} {'part has':>9}")
    for name, bound in machine.bounds.items():
        lines.append(f"  {NAMES[name]:12} {found['cells'][name]:6,} {bound:6,} {AVAILABLE[name]:9,}")
    by_seed = found["clocks_by_seed_mhz"]
    if not by_seed:
        return "\n".join([*lines, "", "  it does not fit the part, and was not placed", ""])
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
            found[name] = figures(machine, *measure(machine, options.folder / name, options.seeds))
    except tools.ToolError as error:
        print(f"synth-check: {error}", file=sys.stderr)
        return 1
    faults = [fault for part in found.values() for fault in part["faults"]]
    if options.json:
        asked = {"part": "iCE40UP5K", "asked_mhz": CLOCK_MHZ, "tools": flow.tool_versions(UP5K), "ok": not faults}
        print(json.dumps({**asked, "machines": found}, indent=2))
    else:
        print("\n".join(table(MACHINES[name], part) for name, part in found.items()))
    for fault in faults:
        print(f"exceeded: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
