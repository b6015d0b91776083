# SPDX-License-Identifier: BSD-2-Clause
"""From a board and a configuration to a bitstream and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from liquid_accel.boards import dfu, flow
from liquid_accel.boards.board import Board, BoardTop
from liquid_accel.boards.pll import MHZ, PllSettings
from liquid_accel.boards.report import Report
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.link import DEFAULT_BAUD

Say = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What is to be built: the board, the machine on it, its clock, the UART's rate, and how many placements."""

    board: Board
    config: LiquidConfig
    settings: PllSettings
    seeds: int = 1
    baud: int = DEFAULT_BAUD


def build(request: Request, folder: Path, say: Say = lambda text: None) -> Report:
    """Synthesise, pack, place with each seed, and write the bitstream of the best placement into `folder`.

    The bitstream is `board.bitstream`, or `board.missing_timing` where the clock was not reached; where the design does
    not fit, it is neither placed nor written. Raises `tools.ToolError`, and ValueError where the clock cannot be
    divided to the UART's rate.
    """
    board, part, settings = request.board, request.board.part, request.settings
    clock_mhz = settings.output_hz / MHZ
    versions = flow.tool_versions(part)
    top = BoardTop(board, request.config, settings, request.baud)
    folder.mkdir(parents=True, exist_ok=True)
    # Whatever happens next, no bitstream of another design stays under this name.
    for name in (board.bitstream, board.missing_timing):
        (folder / name).unlink(missing_ok=True)
    say(f"{board.title}: synthesising")
    elaborate(top, board, folder)
    flow.synthesise(part, folder, clock_mhz)
    report = Report(board, request.config, clock_mhz, flow.pack(part, folder), versions)
    if not report.fits:
        return report
    say(f"{board.title}: placing and routing, {request.seeds} seed{'s' * (request.seeds > 1)}; this takes minutes")
    report = report.with_placements(flow.place_all(part, folder, clock_mhz, range(1, request.seeds + 1)))
    name = board.bitstream if report.meets_clock else board.missing_timing
    packed = f"packed.{part.family.suffix}"
    flow.bitstream(part, folder, report.placements[0].seed if report.best is None else report.best.seed, packed)
    data = (folder / packed).read_bytes()
    (folder / packed).unlink()
    (folder / name).write_bytes(dfu.with_suffix(data) if board.loader.suffix == "dfu" else data)
    return report.with_bitstream(name)


def elaborate(top: BoardTop, board: Board, folder: Path) -> None:
    """Write top.il and the file of pins, which both come from the platform."""
    plan = board.platform().prepare(top, "top", emit_src=False)
    for name in ("top.il", f"top.{board.part.family.constraints[0]}"):
        text = plan.files[name]
        (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
