# SPDX-License-Identifier: BSD-2-Clause
"""The command `liquid`: train, compile, inspect, run and verify liquid networks, one module a subcommand.

Exit status: 0, 1 where a check or the device failed, 2 for bad usage or bad input, with one sentence on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from liquid_accel.cli import (
    bench,
    clib,
    compile,
    demo,
    devices,
    export,
    flash,
    inspect,
    run,
    serve,
    synth,
    train,
    verify,
    verilog,
)
from liquid_accel.cli.common import Parser
from liquid_accel.errors import UserError
from liquid_accel.version import PACKAGE_VERSION

COMMANDS = (demo, train, compile, inspect, run, verify, bench, verilog, synth, flash, serve, devices, clib, export)
EXAMPLE = """the path from a data set to the machine:
  liquid train TRAIN.npz --cell ltc -o model.safetensors
  liquid compile model.safetensors --data TRAIN.npz --solver bs32 -o model.liquid
  liquid inspect model.liquid
  liquid verify model.liquid TEST.npz
  liquid run model.liquid TEST.npz --on sim -o out.npz"""


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from liquid_accel.image import IMAGE_FORMAT
        from liquid_accel.rtl.isa import ISA_VERSION

        print(f"liquid-accel {PACKAGE_VERSION}, instruction set {ISA_VERSION}, image format {IMAGE_FORMAT}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="liquid", description="Run liquid neural networks on an open accelerator: trained, compiled, verified.",
        epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print the versions of package, instruction set and image format"
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = build_parser()
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.prog = f"liquid {arguments.command}"
        parser.error(f"unknown arguments: {' '.join(unknown)}")
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except UserError as error:
        print(f"liquid {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"liquid {arguments.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe went away; Python would complain once more while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        from liquid_accel.driver.errors import DeviceError

        if not isinstance(error, DeviceError):
            raise
        print(f"liquid {arguments.command}: {error}", file=sys.stderr)
        return 1
    return status
