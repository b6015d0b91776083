# SPDX-License-Identifier: BSD-2-Clause
"""The whole 8-lane accelerator fits the smallest part: cells after packing, against their bounds."""

from pathlib import Path

import pytest

from liquid_accel.boards import synth_check, tools
from liquid_accel.boards.bare_ice40 import BareTop
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.reset import SynchronisedReset


@pytest.fixture(scope="module")
def netlist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth")
    tools.synthesise(SynchronisedReset(BareTop(preset("up5k"))), folder)
    return folder


def test_the_accelerator_is_within_its_cell_bounds(netlist: Path) -> None:
    report = tools.pack(netlist)
    assert synth_check.over(report.cells) == []
    # Eight lanes in eight DSPs, the weights in all four SPRAMs: the bounds are not met by leaving something out.
    assert report.cells["ICESTORM_DSP"] == 8
    assert report.cells["ICESTORM_SPRAM"] == 4


def test_a_cell_past_its_bound_is_named() -> None:
    cells = dict(synth_check.BOUNDS, ICESTORM_RAM=synth_check.BOUNDS["ICESTORM_RAM"] + 1)
    assert synth_check.over(cells) == ["block RAM: 29 used, at most 28 were expected"]
