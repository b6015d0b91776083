# SPDX-License-Identifier: BSD-2-Clause
"""`liquid bench`: liquid networks, gated ones on the same array, and libraries on a processor, side by side."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from liquid_accel.cli.common import (
    Subparsers,
    add_json,
    check_output,
    note,
    positive_float,
    positive_int,
    print_json,
    show,
    subcommand,
    table,
)
from liquid_accel.errors import UserError

EXAMPLE = """  liquid bench --quick
  liquid bench --only host
  liquid bench --only training
  liquid bench --plot build/bench
  liquid bench --write docs/performance.md    # how that page is made"""

WIDTH = 118  # of the tables
SECTIONS = ("host", "training")


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    from liquid_accel.cli.compile import add_machine

    text = "measure accuracy, cycles and multiplications beside gated networks and other libraries"
    parser = subcommand(subparsers, "bench", run, text, EXAMPLE)
    add_machine(parser, default="up5k-skip")
    parser.add_argument(
        "--quick", action="store_true", help="a few settings, some utterances, short training: no figures to cite"
    )
    parser.add_argument(
        "--only", choices=SECTIONS,
        help="measure this alone; host: frames a second with nothing behind the driver; training: a step beside ncps",
    )
    parser.add_argument(
        "--seeds", type=positive_int, default=1, metavar="N", help="seeds of each network of the front (default: 1)"
    )
    parser.add_argument(
        "--clock-mhz", type=positive_float, default=12.0, metavar="F", help="clock for its latencies (default: 12)"
    )
    parser.add_argument("--plot", metavar="DIR", help="draw work against precision, and accuracy against products")
    parser.add_argument("--write", metavar="PAGE.md", help="write the tables as a page, its pictures beside it")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, draw, write."""
    from liquid_accel.bench import page
    from liquid_accel.bench.report import reports
    from liquid_accel.bench.run import run_bench, run_host, run_training
    from liquid_accel.cli.compile import machine

    config = machine(arguments)
    for option in ("write", "plot"):
        if arguments.only and getattr(arguments, option) is not None:
            raise UserError(f"--{option}: there is nothing to draw of --only {arguments.only}; expected one of the two")
    written = None if arguments.write is None else check_output(arguments.write, "the page")
    folder = None if arguments.plot is None else _folder(Path(arguments.plot))
    if arguments.only:
        found = run_training(arguments.quick) if arguments.only == "training" else run_host(config, arguments.quick)
    else:
        found = run_bench(config, arguments.clock_mhz, arguments.seeds, arguments.quick)
    if folder is not None:
        for path in page.draw(found, folder, "", ".png").values():
            note(f"picture: {path}")
    if written is not None:
        page.write(found, written)
        note(f"page: {written}")
    if arguments.json:
        print_json(found)
        return 0
    for report in reports(found):
        shown = table(report.title, report.columns, report.rows, report.left)
        show(shown, textwrap.fill(report.text, WIDTH), "", width=WIDTH)
    return 0


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made ({error.strerror}); expected a folder") from None
    return path
