# SPDX-License-Identifier: BSD-2-Clause
"""`make verify-report`: docs/verification.md from what the other commands of verification left in build/."""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent / "soak"))

from coverage_report import markdown

PAGE, BUILD = Path("docs/verification.md"), Path("build")
HEAD = """# Verification

What was tried on the gateware, how much of it, and what came of it. This page is written by `make verify-report` from
the records that the commands below leave in `build/`; a section whose record is missing says so.
[testing.md](testing.md) says how each works.
"""
NOT_COVERED = """
## What is not covered

- **Proofs.** The sequencer is proved under the assumption that an issue word stands until the next is fetched, the step
  controller under the one that orders come as the sequencer gives them. That every frame ends within a bound, and that
  no memory of the core is read while it is written, rests on the hazards that the golden model checks in every program,
  and is not proved. The invariant of column skipping is tested, by random programs and networks, and not proved.
- **Links.** The engine of the link, UART and SPI are simulated against peers and under faults, and not proved.
- **Coverage** of the host's and the golden model's lines is not measured.
- **Netlists** are simulated without delays, clock networks, pins and the link, before placement, and not for Gowin.
- **Mutants** that survive are listed above: no check finds them, and there is no proof that none could.
- **Boards.** None was attached.
"""


def record(name: str) -> dict[str, Any] | None:
    path = BUILD / name
    return json.loads(path.read_text()) if path.is_file() else None


def proofs(found: dict[str, Any] | None) -> list[str]:
    lines = ["", "## Proofs: `make prove`", ""]
    if found is None:
        return [*lines, "No record."]
    lines += [
        "yosys' sby with z3. Each proof was made again with faults put into its block, until it failed.", "",
        "| block | what is proved | how | holds | fault that it found |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in found["proofs"]:
        fault = f"number {row['faults_tried']}" if row["fault_found"] else "**none**"
        holds = "yes" if row["holds"] else "**no**"
        lines.append(f"| `{row['block']}` | {row['claim']} | {row['method']} | {holds} | {fault} |")
    return lines


def mutants(found: dict[str, Any] | None) -> list[str]:
    lines = ["", "## Mutants: `make mutate`", ""]
    if found is None:
        return [*lines, "No record."]
    lines += [
        f"yosys `mutate`, seed {found['seed']}: {found['killed']} of {found['mutants']} faults were found "
        f"({100 * found['share']:.1f} %; 95 % were asked for), by {found['programs']} random programs, random traffic "
        f"on the bus, and networks. {len(found['equivalent'])} more mutants were proved to be no faults: in no state "
        "does the machine do anything else with them (tests/mutation/equivalence.py).", "",
        "| part | found | of |", "|---|---|---|",
        *(f"| {part} | {killed} | {made} |" for part, (killed, made) in found["by_part"].items()),
    ]  # fmt: skip
    if found["survivors"]:
        lines += ["", "Not found:", "", *(f"- `{survivor}`" for survivor in found["survivors"])]
    return lines


def coverage(found: dict[str, Any] | None) -> list[str]:
    lines = ["", "## Lines, arms and toggles: `make coverage`", ""]
    if found is None:
        return [*lines, "No record."]
    lines += [
        f"The gateware's Verilog under Verilator, which counts: {found['programs']} random programs, "
        f"{found['networks']} networks, traffic on the bus"
        f"{' and programs that fill the counters' if found['long'] else ''}; {found['cycles']:,} cycles, "
        f"{len(found['wrong'])} mismatches. A line is a block or the case of a switch, a branch an arm of a condition "
        "(every `If` of the source is one), a toggle one bit going one way.", "",
        "| kind | reached | of | |", "|---|---|---|---|",
        *(f"| {kind} | {row['reached']:,} | {row['points']:,} | {100 * row['share']:.2f} % |"
          for kind, row in found["kinds"].items()),
    ]  # fmt: skip
    if found["holes"]:
        lines += ["", "Not reached (bits and directions of a signal together):", ""]
        lines += [f"- `{hole}`" for hole in found["holes"]]
    return lines


def soak(found: dict[str, Any] | None) -> list[str]:
    lines = ["", "## Random programs and networks: `make soak`", ""]
    if found is None:
        return [*lines, "No record."]
    lines += [
        f"Seed {found['seed']}: {found['programs']:,} programs and {found['networks']:,} networks, "
        f"{found['cycles']:,} cycles, **{found['mismatches']} mismatches**, in {found['seconds']} s, on:", "",
        *(f"- {text}" for text in found["machines"].values()),
    ]  # fmt: skip
    return lines + ["", "### Functional coverage", "", *markdown(found["coverage"])] * ("coverage" in found)


def netlists(found: dict[str, Any] | None) -> list[str]:
    lines = ["", "## Netlists: `make gate-level`", ""]
    if found is None:
        return [*lines, "No record."]
    kinds = {(one["vendor"], one["kind"]) for one in found["broken"]}
    seen = {(one["vendor"], one["kind"]) for one in found["broken"] if one["found"]}
    lines += [
        "What synthesis makes of the accelerator, with models of the vendors' cells, in Icarus Verilog. Every answer "
        "on the bus is compared with the golden model's: steps, outputs, states, status and counters.", "",
        "| machine | for | program | answers | differ | steps accepted | rejected | cycles of frames |",
        "|---|---|---|---|---|---|---|---|",
        *(f"| {row['machine']} | {row['vendor']} | {row['program']} | {row['answers']:,} | {row['mismatches']} "
          f"| {row['accepted']} | {row['rejected']} | {row['cycles']:,} |" for row in found["runs"]),
        "", f"Of {len(kinds)} kinds of cells one was broken until it was found, at most some times: {len(seen)} were.",
    ]  # fmt: skip
    return lines


def main() -> int:
    sections = [proofs(record("proofs.json")), mutants(record("mutation.json")), soak(record("soak.json"))]
    sections.append(coverage(record("coverage.json")))
    sections.append(netlists(record("gate.json")))
    PAGE.write_text(HEAD + "\n".join(line for section in sections for line in section) + "\n" + NOT_COVERED)
    print(f"{PAGE} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
