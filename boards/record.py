# SPDX-License-Identifier: BSD-2-Clause
"""`make boards`: build every board with its default machine and write down what came of it: build/boards.json,
docs/boards.json, and the table in docs/boards.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liquid_accel.boards.build import Request, build
from liquid_accel.boards.catalogue import BOARDS
from liquid_accel.boards.tools import ToolError

BEGIN, END = "<!-- table: made by `make boards` -->", "<!-- end of table -->"
RECORD, PAGE, FOLDER = Path("docs/boards.json"), Path("docs/boards.md"), Path("build")


def table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The record as a table of Markdown, a line each, boards in the catalogue's order."""
    lines = [
        "| board | lanes | clock asked | reached, by seed | logic | multipliers | memories | what held the clock |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in BOARDS:
        if name in found:
            lines.append(f"| {' | '.join(row(found[name]))} |")
    return lines


def row(entry: Mapping[str, Any]) -> list[str]:
    """One board's cells of the table."""
    logic: list[str] = []
    multipliers: list[str] = []
    memories: list[str] = []
    for kind, cells in entry["cells"].items():
        text = f"{cells['used']:,} of {cells['available']:,} {kind}"
        home = memories if "RAM" in kind else multipliers if kind in ("DSP", "multipliers") else logic
        home.append(text)
    seeds = ", ".join(f"{clock:.1f}" for clock in entry["clock_by_seed_mhz"].values())
    reached = f"**{entry['clock_mhz']:.1f} MHz** ({seeds})" if seeds else "does not fit"
    blocks = [span["block"] for span in entry["worst_path"]]
    held = " → ".join(f"`{block}`" for block in blocks)
    return [
        entry["board"], str(entry["config"]["lanes"]), f"{entry['asked_mhz']:g} MHz", reached, ", ".join(logic),
        ", ".join(multipliers), ", ".join(memories), held,
    ]  # fmt: skip


def with_table(page: str, lines: list[str]) -> str:
    """The page with its table replaced. Raises ValueError where the marks are missing."""
    if BEGIN not in page or END not in page:
        raise ValueError(f"{PAGE} has no place for the table: the lines {BEGIN} and {END} were expected")
    head, _, rest = page.partition(BEGIN)
    return "\n".join([head + BEGIN, *lines, END + rest.partition(END)[2]])


def main(arguments: list[str] | None = None) -> int:
    """Build, write, name what falls short; 1 where a clock is missed, a part is too small or a tool failed."""
    parser = argparse.ArgumentParser(prog="record", description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="BOARD", help=f"default: all, {', '.join(BOARDS)}")
    parser.add_argument("--seeds", type=int, default=3, help="placements a board; the best is kept (default 3)")
    options = parser.parse_args(arguments)
    if options.seeds < 1:
        parser.error(f"--seeds is {options.seeds}: 1 or more was expected")
    unknown = [name for name in options.boards if name not in BOARDS]
    if unknown:
        parser.error(f"{unknown[0]} is unknown: one of {', '.join(BOARDS)} was expected")
    # Boards that are not built now stay as they were recorded.
    found: dict[str, Any] = json.loads(RECORD.read_text())["boards"] if RECORD.is_file() else {}
    faults: list[str] = []
    for name in options.boards or BOARDS:
        board = BOARDS[name]
        request = Request(board, board.config(), board.settings(board.clock_mhz), options.seeds)
        try:
            report = build(request, FOLDER / "synth" / name, lambda text: print(text, file=sys.stderr, flush=True))
        except ToolError as error:
            faults.append(f"{name}: {error}")
            continue
        found[name] = report.as_dict()
        faults += report.faults()
        write({"boards": {known: found[known] for known in BOARDS if known in found}})
    for fault in faults:
        print(f"boards: {fault}", file=sys.stderr)
    return 1 if faults else 0


def write(record: dict[str, Any]) -> None:
    """The record in both places, and the table of the page."""
    text = json.dumps(record, indent=2) + "\n"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "boards.json").write_text(text)
    if PAGE.is_file():
        RECORD.write_text(text)
        PAGE.write_text(with_table(PAGE.read_text(), table(record["boards"])))


if __name__ == "__main__":
    sys.exit(main())
