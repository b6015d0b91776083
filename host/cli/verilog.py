# SPDX-License-Identifier: BSD-2-Clause
"""`liquid verilog`: the machine as Verilog, for projects of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from liquid_accel.cli.common import Subparsers, add_json, note, print_json, show, subcommand, table
from liquid_accel.cli.compile import add_machine, machine
from liquid_accel.errors import UserError

EXAMPLE = "  liquid verilog --preset up5k -o build/verilog"


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "verilog", run, "write the core and its bus wrappers as Verilog", EXAMPLE)
    add_machine(parser)
    parser.add_argument("-o", "--output", metavar="FOLDER", required=True, help="made where it is missing")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Write the files and name them."""
    config = machine(arguments)
    folder = Path(arguments.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); expected a folder") from None
    from liquid_accel.driver.errors import DeviceError
    from liquid_accel.sim.elaborate import YosysError
    from liquid_accel.sim.verilog import export_verilog

    note(f"writing Verilog for {config.lanes} lanes; yosys takes some seconds")
    try:
        written = export_verilog(config, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror}); expected a writable folder") from None
    except YosysError as error:
        raise DeviceError(f"yosys refused the design: {error}") from error
    sizes = [(str(path), path.stat().st_size) for path in written]
    if arguments.json:
        files = [{"path": path, "bytes": size} for path, size in sizes]
        print_json({"files": files, "config_hash": f"0x{config.config_hash:08x}"})
    else:
        show(table("written", ("file", "bytes"), [(path, f"{size:,}") for path, size in sizes]))
    return 0
