# SPDX-License-Identifier: BSD-2-Clause
"""The whole 8-lane accelerator on the smallest part, with column skipping and without: cells after packing."""

import pytest

from liquid_accel.boards import synth_check

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


def test_a_board_has_room_for_its_machine() -> None:
    assert MACHINES["plain"].fits
    assert not MACHINES["skipping"].fits  # where it does again, it is to be placed, and the documents say so


def test_a_cell_past_its_bound_is_named() -> None:
    plain = MACHINES["plain"]
    cells = plain.bounds | {"ICESTORM_RAM": plain.bounds["ICESTORM_RAM"] + 1}
    fault = "block RAM without column skipping: 29 used, at most 28 were expected"
    assert synth_check.over(cells, plain) == [fault]
