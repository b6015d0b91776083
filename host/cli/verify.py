# SPDX-License-Identifier: BSD-2-Clause
"""`liquid verify`: the golden model against a device, word for word, to the end."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from liquid_accel.cli.common import Subparsers, add_json, print_json, progress_bar, show, subcommand, table
from liquid_accel.cli.run import SIMULATED, add_target, check_other

EXAMPLE = "  liquid verify model.liquid TEST.npz --on sim"
KINDS = {
    "steps": "steps: size, error norm, decision", "states": "state words", "outputs": "output words",
    "status": "status words", "cycles": "cycles", "rhs_evals": "right-hand sides", "steps_accepted": "accepted steps",
    "steps_rejected": "rejected steps", "mac_cycles": "product cycles", "saturations": "saturations",
    "macs_skipped": "products skipped", "time_lag": "times lost to a budget", "error_estimate": "error estimates",
}  # fmt: skip


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    text = "compare the golden model with a device, word for word"
    parser = subcommand(subparsers, "verify", run, text, EXAMPLE)
    parser.add_argument("image", metavar="IMAGE.liquid", help="made by `liquid compile`")
    parser.add_argument("data", metavar="DATA.npz", help="arrays x, and optionally lengths and dt")
    add_target(parser, SIMULATED, "sim")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run both, compare, print; 1 where any word differs."""
    from liquid_accel import data
    from liquid_accel.driver.compare import compare
    from liquid_accel.driver.figures import figures
    from liquid_accel.driver.parallel import run_on
    from liquid_accel.image import Image

    check_other(arguments.on, boards=True)
    image = Image.load(arguments.image)
    batch = data.load(arguments.data, image.default_dt)
    with progress_bar("golden model") as progress:
        golden = run_on("golden", image, batch, states=True, trace=True, progress=progress).result
    with progress_bar(f"running on {arguments.on}") as progress:
        timed = run_on(arguments.on, image, batch, states=True, trace=True, progress=progress, jobs=arguments.jobs)
    found = compare(golden, timed.result)
    if arguments.json:
        report = {
            "mismatches": found.mismatches, "compared": found.compared, "by_kind": found.by_kind,
            "first": None if found.first is None else asdict(found.first), "on": arguments.on,
        }  # fmt: skip
        print_json(report | figures(image, batch, timed.result, timed.clock_mhz))
    else:
        frames = int(batch.lengths.sum())
        show(f"{arguments.image}: golden model against {arguments.on}, {len(batch.x):,} sequences, {frames:,} frames")
        if found.mismatches:
            rows = [(KINDS[name], f"{count:,}") for name, count in found.by_kind.items()]
            show(table("words that differ", ("", "count"), rows), f"first: {found.first}")
        show(f"{found.mismatches:,} of {found.compared:,} words differ")
    return 1 if found.mismatches else 0
