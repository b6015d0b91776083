# SPDX-License-Identifier: BSD-2-Clause
"""The whole 8-lane accelerator on the smallest part, with column skipping and without: cells after packing."""

from pathlib import Path

import pytest

from liquid_accel.boards import flow, synth_check
from liquid_accel.boards.board import BoardTop
from liquid_accel.boards.build import elaborate
from liquid_accel.boards.catalogue import BOARDS
from liquid_accel.boards.report import Report

MACHINES = synth_check.MACHINES


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> synth_check.Machine:
    return MACHINES[request.param]


@pytest.fixture(scope="module")
def cells(machine: synth_check.Machine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    return synth_check.synthesise(machine, tmp_path_factory.mktemp("synth"))


def test_the_accelerator_is_within_its_cell_bounds(machine: synth_check.Machine, cells: dict[str, int]) -> None:
    assert synth_check.over(cells, machine) == []
    # Eight lanes in eight DSPs, the weights in all four SPRAMs: the bounds are not met by leaving something out.
    assert cells["ICESTORM_DSP"] == 8
    assert cells["ICESTORM_SPRAM"] == 4


def test_the_whole_chip_fits_the_smallest_board(tmp_path: Path) -> None:
    """With link, PLL, reset and lamps; what is over is named."""
    board = BOARDS["icebreaker"]
    settings = board.settings(board.clock_mhz)
    elaborate(BoardTop(board, board.config(), settings), board, tmp_path)
    flow.synthesise(board.part, tmp_path, board.clock_mhz)
    report = Report(board, board.config(), board.clock_mhz, flow.pack(board.part, tmp_path), {})
    assert report.excess == {}
    assert report.named_usage["DSP"].used == 8


def test_a_cell_past_its_bound_is_named() -> None:
    plain = MACHINES["plain"]
    cells = plain.bounds | {"ICESTORM_RAM": plain.bounds["ICESTORM_RAM"] + 1}
    fault = "block RAM without column skipping: 29 used, at most 28 were expected"
    assert synth_check.over(cells, plain) == [fault]
