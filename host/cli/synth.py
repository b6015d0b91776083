# SPDX-License-Identifier: BSD-2-Clause
"""`liquid synth`: a board's bitstream, and what clock, cells and latency come of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liquid_accel.cli.common import (
    Subparsers,
    add_json,
    note,
    positive_float,
    positive_int,
    print_json,
    show,
    subcommand,
    table,
)  # fmt: skip
from liquid_accel.errors import UserError
from liquid_accel.files import write_whole
from liquid_accel.rtl.config import LANES, PRESETS, LiquidConfig, preset
from liquid_accel.rtl.link import DEFAULT_BAUD

if TYPE_CHECKING:
    from liquid_accel.boards.board import Board
    from liquid_accel.boards.report import Report
    from liquid_accel.image import Image

EXAMPLE = """  liquid synth icebreaker
  liquid synth ulx3s model.liquid --seeds 4
  liquid synth icebreaker model.safetensors --data CAL.npz -o build/mine
  liquid synth --list"""
FOLDER = Path("build/synth")


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "synth", run, "build a board's bitstream and say what clock it reaches", EXAMPLE)
    parser.add_argument("board", metavar="BOARD", nargs="?", help="its name; --list names them")
    parser.add_argument(
        "model", metavar="IMAGE.liquid|MODEL.safetensors", nargs="?",
        help="build the machine that this image was compiled for, or compile this checkpoint for the board's machine; "
             "prints a frame's latency",
    )  # fmt: skip
    parser.add_argument("--data", metavar="CAL.npz", help="calibrates a MODEL.safetensors, as in `liquid compile`")
    parser.add_argument("--list", action="store_true", help="name the boards and end")
    parser.add_argument(
        "--seeds", type=positive_int, default=1, metavar="N", help="placements, of which the best is kept (default: 1)"
    )
    parser.add_argument("--clock-mhz", type=positive_float, metavar="F", help="clock to ask for (default: the board's)")
    parser.add_argument("--preset", choices=tuple(PRESETS), help="the machine (default: the board's)")
    parser.add_argument("--lanes", type=int, metavar="N", help=f"its lanes, one of {', '.join(map(str, LANES))}")
    parser.add_argument("--baud", type=positive_int, metavar="B", help="rate of the UART (default: 1000000)")
    parser.add_argument("-o", "--output", metavar="FOLDER", help=f"default: {FOLDER}/BOARD")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Build, write report.json, print; 1 where the clock is missed or the part is too small."""
    boards = board_list()
    if arguments.list:
        return _list(boards, arguments.json)
    board = find(boards, arguments.board)
    config, image = _machine(arguments, board)
    folder = Path(arguments.output) if arguments.output else FOLDER / board.name
    from liquid_accel.boards.build import Request, build
    from liquid_accel.boards.pll import PllError
    from liquid_accel.boards.tools import ToolError
    from liquid_accel.driver.errors import DeviceError

    try:
        settings = board.settings(arguments.clock_mhz or board.clock_mhz)
    except PllError as error:
        raise UserError(f"--clock-mhz: {error}") from None
    request = Request(board, config, settings, arguments.seeds, arguments.baud or DEFAULT_BAUD)
    try:
        report = build(request, folder, note)
    except ValueError as error:
        raise UserError(f"--baud or --clock-mhz: {error}") from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror}); expected a folder") from None
    except ToolError as error:
        raise DeviceError(f"{board.name}: {error}") from None
    found = report.as_dict() | latency(image, report)
    text = json.dumps(found, indent=2, allow_nan=False) + "\n"
    write_whole(folder / "report.json", lambda path: path.write_text(text))
    if arguments.json:
        print_json(found | {"folder": str(folder)})
    else:
        show(*tables(report, found, folder))
    for fault in report.faults():
        note(f"liquid synth: {fault}")
    return 1 if report.faults() else 0


def board_list() -> dict[str, Board]:
    try:
        from liquid_accel.boards.catalogue import BOARDS
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; expected `pip install 'liquid-accel[synth]'` first") from None
    return BOARDS


def find(boards: dict[str, Board], name: str | None) -> Board:
    """A board by its name; `UserError` names them all."""
    if name is None or name not in boards:
        what = "BOARD is missing" if name is None else f"BOARD is '{name}'"
        raise UserError(f"{what}; expected one of {', '.join(boards)}")
    return boards[name]


def _list(boards: dict[str, Board], as_json: bool) -> int:
    """Name the boards."""
    if as_json:
        found = [
            {"name": b.name, "title": b.title, "part": b.part.name, "clock_mhz": b.clock_mhz, "lanes": b.config().lanes}
            for b in boards.values()
        ]
        print_json({"boards": found})
    else:
        rows = [(b.name, b.part.name, f"{b.clock_mhz:g} MHz", b.config().lanes) for b in boards.values()]
        show(table("boards", ("name", "part", "clock asked", "lanes"), rows, left=2))
    return 0


def _machine(arguments: argparse.Namespace, board: Board) -> tuple[LiquidConfig, Image | None]:
    """The configuration to build, and the image to say a latency of. Raises `UserError`."""
    config = _config(arguments, board)
    path = arguments.model
    if arguments.data is not None and (path is None or path.endswith(".liquid")):
        raise UserError("--data calibrates a checkpoint; expected MODEL.safetensors as well")
    if path is None:
        return config, None
    if not path.endswith(".liquid"):
        return _compiled(path, arguments.data, config)
    from liquid_accel.image import Image

    image = Image.load(path)
    if (arguments.preset or arguments.lanes) and image.config != config:
        flag = "--preset" if arguments.preset else "--lanes"
        raise UserError(f"{flag}: {path} was compiled for another machine; expected an image alone, or no image")
    return image.config, image


def _compiled(path: str, calibration: str | None, config: LiquidConfig) -> tuple[LiquidConfig, Image]:
    """A checkpoint compiled for the machine, with the compiler's default options."""
    from liquid_accel import data
    from liquid_accel.cli.compile import load_model
    from liquid_accel.compiler import compile

    batch = None if calibration is None else data.load(calibration)
    model = load_model(path, batch)
    image = compile(model, calibration=batch, config=config)
    for warning in image.warnings:
        note(f"note: {warning}")
    return image.config, image


def _config(arguments: argparse.Namespace, board: Board) -> LiquidConfig:
    """The board's machine, or the preset asked for, with the lanes asked for."""
    name = arguments.preset or board.preset
    changes = dict(board.changes) if name == board.preset else {}
    if arguments.lanes is not None:
        changes["lanes"] = arguments.lanes
    try:
        return preset(name, **changes)
    except ValueError as error:
        flag = f"--lanes {arguments.lanes}" if str(error).startswith("lanes") else f"--preset {name}"
        raise UserError(f"{flag}: {error}") from None


def latency(image: Image | None, report: Report) -> dict[str, Any]:
    """A frame's predicted cycles, and the time that they take at the clock asked for and at the one reached."""
    if image is None:
        return {}
    cycles = image.predicted_cycles(0, 1000) / 1000
    reached = cycles / report.clock_mhz if report.clock_mhz else None
    return {
        "predicted_cycles_per_frame": cycles, "predicted_exact": image.cycles.exact,
        "latency_us": cycles / report.asked_mhz, "latency_at_reached_clock_us": reached,
    }  # fmt: skip


def tables(report: Report, found: dict[str, Any], folder: Path) -> list[Any]:
    """The report for people."""
    board, config = report.board, report.config
    rows = [
        ("machine", f"{config.lanes} lanes, configuration {found['config_hash']}"),
        ("clock asked", f"{report.asked_mhz:g} MHz"),
    ]
    if report.placements:
        seeds = ", ".join(f"{placement.clock_mhz:.1f}" for placement in report.placements)
        rows.append(("clock reached", f"{report.clock_mhz:.1f} MHz, best of {len(report.placements)} ({seeds})"))
    rows.append(("multiply-accumulates", f"{report.macs_per_second / 1e6:,.0f} million a second at the clock asked"))
    if "latency_us" in found:
        kind = "exact" if found["predicted_exact"] else "a mean over the calibration data"
        rows.append(("cycles a frame", f"{found['predicted_cycles_per_frame']:,.0f}, {kind}"))
        rows.append(("latency a frame", f"{found['latency_us']:,.1f} µs at the clock asked"))
    if found.get("latency_at_reached_clock_us"):
        rows.append(("", f"{found['latency_at_reached_clock_us']:,.1f} µs at the clock reached"))
    rows.append(("bitstream", str(folder / report.bitstream) if report.bitstream else "none, it does not fit"))
    cells = [
        (name, f"{usage.used:,}", f"{usage.available:,}", f"{100 * usage.used / usage.available:.0f} %")
        for name, usage in report.named_usage.items()
        if usage.available
    ]
    shown: list[Any] = [
        table(f"{board.title}, {board.part.name}", ("", ""), rows),
        table("cells", ("", "used", "of", ""), cells),
    ]
    if report.best and report.best.path:
        path = [
            (span.block, span.cells, f"{span.logic_ns:.1f}", f"{span.routing_ns:.1f}") for span in report.best.path
        ]
        shown.append(table("worst path by block", ("block", "cells", "logic ns", "wires ns"), path))
    if board.part.family.note:
        shown.append(f"note: {board.part.family.note}")
    if report.placements and not report.meets_clock:
        shown.append(f"note: {report.bitstream} was written, and misses its timing: it may not work")
    return shown
