# SPDX-License-Identifier: BSD-2-Clause
"""`liquid devices`: where a device may be, what answers there, and what to pass to `--on`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from liquid_accel.cli.common import Subparsers, add_json, print_json, show, subcommand, table

if TYPE_CHECKING:
    from liquid_accel.driver.discover import Found

EXAMPLE = "  liquid devices\n  liquid run model.liquid TEST.npz --on uart:/dev/ttyUSB1"
NOTHING = (
    "no serial port, SPI device or mapped registers, and no device that `liquid serve` announces; golden, sim and "
    "pysim need none"
)


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "devices", run, "list devices and what to pass to --on", EXAMPLE)
    parser.add_argument(
        "--probe", action=argparse.BooleanOptionalAction,
        help="ask every place who is there, or none (default: served devices and the serial converters of known "
        "boards; others may belong to something that takes the question amiss)",
    )  # fmt: skip
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, ask, print."""
    from liquid_accel.driver.discover import find

    found = find(arguments.probe)
    if arguments.json:
        print_json({"devices": [_as_json(one) for one in found]})
    elif found:
        rows = [(one.place.target, one.place.text, _answer(one)) for one in found]
        show(table("devices", ("--on", "what", "answers"), rows, left=3))
    else:
        show(NOTHING)
    return 0


def _as_json(found: Found) -> dict[str, Any]:
    fields = asdict(found)
    return {"target": found.place.target, "text": found.place.text} | {k: v for k, v in fields.items() if k != "place"}


def _answer(found: Found) -> str:
    """What a place answered, for people."""
    if found.answers is None:
        return "not asked"
    if not found.answers:
        return found.error or "nothing"
    machine = f"{found.preset}, " if found.preset else ""
    lanes = f"{found.lanes} lanes, " if found.lanes else ""
    clock = f", {found.clock_mhz:g} MHz" if found.clock_mhz else ""
    return f"{machine}{lanes}configuration 0x{found.config_hash:08x}, instruction set {found.isa_version}{clock}"
