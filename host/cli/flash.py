# SPDX-License-Identifier: BSD-2-Clause
"""`liquid flash`: a bitstream onto a board, with openFPGALoader."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from liquid_accel.cli.common import Subparsers, note, subcommand
from liquid_accel.cli.synth import FOLDER, board_list, find
from liquid_accel.errors import UserError

if TYPE_CHECKING:
    from liquid_accel.boards.board import Board

EXAMPLE = """  liquid flash icebreaker          # what `liquid synth icebreaker` wrote
  liquid flash ulx3s --sram"""
LOADER = "openFPGALoader"
INSTALL = "apt install openfpgaloader, brew install openfpgaloader, or https://trabucayre.github.io/openFPGALoader"
# What openFPGALoader says where nothing is plugged in, or nothing that it may open.
ABSENT = ("device not found", "no dfu compatible device", "cable not found", "no device found", "failed to claim cable")
DENIED = ("permission", "access denied", "libusb_error_access", "error code -3", "insufficient permissions")


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "flash", run, "write a board's bitstream with openFPGALoader", EXAMPLE)
    parser.add_argument("board", metavar="BOARD", help="its name; `liquid synth --list` names them")
    parser.add_argument("--bitstream", metavar="FILE", help=f"default: what `liquid synth BOARD` wrote in {FOLDER}")
    parser.add_argument("--sram", action="store_true", help="until power is off, instead of in the board's flash")


def run(arguments: argparse.Namespace) -> int:
    """Find the bitstream and the loader, call it, say what came of it."""
    from liquid_accel.driver.errors import DeviceError

    board = find(board_list(), arguments.board)
    options = _options(board, arguments.sram)
    path = Path(arguments.bitstream) if arguments.bitstream else built(board)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file; expected a bitstream, made by `liquid synth {board.name}`")
    loader = shutil.which(LOADER)
    if loader is None:
        raise DeviceError(f"{LOADER} is not installed, or not on PATH: {INSTALL}")
    command = [loader, "--board", board.loader.board, *options, str(path)]
    note(" ".join([LOADER, *command[1:]]))
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except OSError as error:
        raise DeviceError(f"{loader} cannot be run ({error.strerror}): {INSTALL}") from None
    if done.returncode:
        raise DeviceError(explain(board, done.stdout))
    where = "configuration memory, until power is off" if arguments.sram else "flash"
    note(f"{board.title}: {path.name} is in its {where}")
    return 0


def _options(board: Board, sram: bool) -> tuple[str, ...]:
    """Arguments for the way that was asked for; `UserError` where the board has none."""
    options = board.loader.sram if sram else board.loader.flash
    if options is None:
        raise UserError(f"--sram: {board.title} can only be written to its flash; expected no --sram")
    return options


def built(board: Board) -> Path:
    """The bitstream that `liquid synth` wrote. Raises `UserError` where none meets its timing."""
    folder = FOLDER / board.name
    path = folder / board.bitstream
    if not path.is_file() and (folder / board.missing_timing).is_file():
        raise UserError(
            f"{folder / board.missing_timing} misses its timing and may not work; expected one that meets it, or this "
            "one by name with --bitstream"
        )
    if not path.is_file():
        raise UserError(f"{path}: no bitstream was built; expected `liquid synth {board.name}` first")
    return path


def explain(board: Board, text: str) -> str:
    """One sentence for what openFPGALoader printed as it failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lower = text.lower()
    if any(words in lower for words in DENIED) and not any(words in lower for words in ABSENT):
        return f"{board.title}: its USB device may not be opened; {LOADER} comes with udev rules that allow it"
    if any(words in lower for words in ABSENT):
        return f"{board.title}: no board was found on USB; plug it in{board.loader.hint}"
    said = f", its last words were: {lines[-1]}" if lines else ""
    return f"{board.title}: {LOADER} failed{said}"
