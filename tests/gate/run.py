# SPDX-License-Identifier: BSD-2-Clause
"""`make gate-level`: the netlists of the accelerator on iCE40 and ECP5, cell by cell, against the golden model.

    python tests/gate/run.py [--tries 5] [--seed 1]

Each machine is synthesised by the flow of boards/ and simulated in Icarus with models of the vendor's cells; programs
are loaded over the bus, and every answer, of steps, outputs, states, status and counters, has to be the golden model's.
Then a cell of each kind is broken, and the same comparison has to find it. Many a cell does nothing in so short a
program (the upper bits of a counter), so that up to --tries cells of a kind are broken, until one is found.
build/gate.json has the figures. Exit status 1 where an answer differs, or where no broken cell of a kind is found.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from mutants import FAULTS, mutant  # noqa: E402
from netlist import GateLevelError, Netlist, cells, compiled, simulate, synthesise  # noqa: E402
from program import Program, program  # noqa: E402

from liquid_accel.rtl.config import preset  # noqa: E402

RESULT = Path("build/gate.json")
# The machines of the boards, and the smallest ones, which have kept sums.
MACHINES = (("up5k", "ice40"), ("ecp5", "ecp5"), ("test", "ice40"), ("test", "ecp5"))


def programs(name: str) -> dict[str, Program]:
    """Programs for a preset: adaptive with a rejected step, and the fused solver; columns skipped, where it can."""
    config = preset(name)
    chosen = {"bs32": program(config), "fused": program(config, "fused", frames=4, steps=2)}
    if config.column_skip:
        skipping = {"rtol": 1e-2, "atol": 1e-2, "delta_threshold": 0.125}
        chosen["etd21, columns skipped"] = program(config, "etd21", frames=4, **skipping)
    return chosen


def break_cells(netlist: Netlist, kind: str, chosen: Program, seeds: range, folder: Path) -> list[dict[str, Any]]:
    """Break one cell of a kind after the other, until one is found; what became of each."""
    broken: list[dict[str, Any]] = []
    for seed in seeds:
        one = mutant(netlist.text, netlist.vendor, kind, seed)
        try:
            outcome = simulate(compiled(netlist, one.text), chosen, folder, to_the_end=False)
            found, end = bool(outcome.mismatches(chosen)), outcome.end
        except GateLevelError as error:
            found, end = True, str(error)
        broken.append({"vendor": netlist.vendor, "kind": kind, "cell": one.cell, "found": found})
        print(f"  {kind} {one.cell}, {one.fault}: {'found' if found else 'does not show'}; {end}", flush=True)
        if found:
            break
    return broken


def main() -> int:
    """Synthesise, simulate, compare, break, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=5, help="cells of a kind that are broken at most (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="of the choice of cells that are broken (default: 1)")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    broken: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="liquid-gate-") as name:
        folder = Path(name)
        for machine, vendor in MACHINES:
            netlist = synthesise(preset(machine), vendor)
            found = cells(netlist.text)
            counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(found.items()))
            print(f"{machine} on {vendor}: {counts}", flush=True)
            for title, chosen in programs(machine).items():
                start = time.perf_counter()
                outcome = simulate(compiled(netlist), chosen, folder)
                seconds = time.perf_counter() - start
                wrong = outcome.mismatches(chosen)
                rows.append(
                    {"machine": machine, "vendor": vendor, "cells": found, "program": title,
                     "answers": len(chosen.answers), "mismatches": len(wrong), **chosen.totals}
                )  # fmt: skip
                print(f"  {title}: {len(chosen.answers):,} answers, {len(wrong)} differ from the golden model's; "
                      f"{chosen.totals['accepted']} steps accepted, {chosen.totals['rejected']} rejected, "
                      f"{chosen.totals['cycles']:,} cycles of frames, {chosen.totals['skipped']:,} columns skipped; "
                      f"{outcome.end}; {seconds:.0f} s", flush=True)  # fmt: skip
                for line in wrong[:3]:
                    print(f"    {line}")
            if machine == "test":
                continue
            seeds, chosen = range(options.seed, options.seed + options.tries), program(preset(machine))
            for kind in FAULTS[vendor]:
                broken += break_cells(netlist, kind, chosen, seeds, folder)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"runs": rows, "broken": broken}, indent=2) + "\n")
    differ = sum(row["mismatches"] for row in rows)
    kinds = {(one["vendor"], one["kind"]) for one in broken}
    found_kinds = {(one["vendor"], one["kind"]) for one in broken if one["found"]}
    answers = sum(row["answers"] for row in rows)
    print(f"{answers:,} answers of {len(rows)} programs on {len(MACHINES)} netlists, {differ} differ; "
          f"{len(broken)} cells broken, of {len(found_kinds)} of {len(kinds)} kinds one is found")  # fmt: skip
    return 1 if differ or kinds - found_kinds else 0


if __name__ == "__main__":
    sys.exit(main())
