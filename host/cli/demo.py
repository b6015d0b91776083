# SPDX-License-Identifier: BSD-2-Clause
"""`liquid demo`: speech on the simulated machine, end to end, with a table and a report."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

from liquid_accel.cli.common import Subparsers, add_json, positive_int, print_json, show, subcommand
from liquid_accel.cli.run import check_other
from liquid_accel.files import check_replaceable

EXAMPLE = "  liquid demo"


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    text = "recognise speakers on the simulated machine, end to end"
    parser = subcommand(subparsers, "demo", run, text, EXAMPLE)
    parser.add_argument(
        "-o", "--output", default="build/demo", metavar="FOLDER", help="for the report (default: build/demo)"
    )
    parser.add_argument("--preset", default="up5k", help=argparse.SUPPRESS)
    parser.add_argument("--lanes", type=int, help="lanes of the machine (default: 8)", metavar="N")
    parser.add_argument(
        "--utterances", type=positive_int, metavar="N", help="only the first N test utterances (default: all)"
    )
    parser.add_argument(
        "--jobs", type=positive_int, metavar="N", help="simulated machines side by side (default: one a core)"
    )
    parser.add_argument("--on", default="sim", metavar="sim|pysim", help="what simulates the machine (default: sim)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run, print the table, write the report; 1 where a word differs."""
    from liquid_accel.cli.compile import machine
    from liquid_accel.demo.run import run_demo
    from liquid_accel.demo.tables import demo_figures, demo_table, settings

    check_other(arguments.on)
    check_replaceable(Path(arguments.output) / "report.html", "the report")
    outcome = run_demo(machine(arguments), Path(arguments.output), arguments.utterances, arguments.jobs, arguments.on)
    if arguments.json:
        print_json(demo_figures(outcome))
    else:
        show(demo_table(outcome), textwrap.fill(settings(outcome), 79), f"report: {outcome.report}")
    return 1 if any(solver.comparison.mismatches for solver in outcome.solvers) else 0
