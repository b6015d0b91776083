# SPDX-License-Identifier: BSD-2-Clause
"""nextpnr's report read, and what it comes to in sentences; the sample has the form of nextpnr 0.11's."""

from dataclasses import replace
from typing import Any

import pytest

from liquid_accel.boards import record
from liquid_accel.boards.catalogue import BOARDS
from liquid_accel.boards.report import Report
from liquid_accel.boards.timing import OUTSIDE, Placement, Span, Usage, block_of, blocks, read_placement

RTLIL = r"""
module \top
module \top.power_on_reset
module \top.chip
module \top.chip.link
module \top.chip.accelerator
module \top.chip.accelerator.core
module \top.chip.accelerator.core.elements
module \top.chip.accelerator.core.elements.gate
module \top.chip.accelerator.core.sequencer
"""


def step(kind: str, delay: float, cell: str) -> dict[str, Any]:
    return {"type": kind, "delay": delay, "from": {"cell": "", "port": "O"}, "to": {"cell": cell, "port": "I0"}}


GATE = "chip.accelerator.core.elements.gate.z_SB_LUT4_O"
SEQUENCER = "chip.accelerator.core.sequencer.run_SB_DFF_Q"
REPORT = {
    "fmax": {"clk": {"achieved": 31.256, "constraint": 24.0}, "slow": {"achieved": 50.0, "constraint": 24.0}},
    "utilization": {"ICESTORM_LC": {"used": 4900, "available": 5280}},
    "critical_paths": [
        # Longer, but it leaves the clock.
        {"from": "posedge clk", "to": "<async>", "path": [step("clk-to-q", 99.0, GATE)]},
        {"from": "posedge slow", "to": "posedge slow", "path": [step("clk-to-q", 1.0, GATE)]},
        {
            "from": "posedge clk",
            "to": "posedge clk",
            "path": [
                step("clk-to-q", 1.5, GATE), step("routing", 2.0, GATE + "_1"), step("logic", 1.25, GATE + "_1"),
                step("routing", 4.0, SEQUENCER), step("setup", 0.5, SEQUENCER),
            ],
        },
    ],
}  # fmt: skip


def test_the_worst_path_is_told_in_blocks_with_cells_and_wires_apart() -> None:
    placed = read_placement(3, REPORT, RTLIL)
    assert placed.seed == 3
    assert placed.clocks_mhz == {"clk": 31.26, "slow": 50.0}
    assert placed.clock_mhz == 31.26
    assert placed.usage == {"ICESTORM_LC": Usage(4900, 5280)}
    assert placed.path == (Span("core.elements.gate", 2.75, 2.0, 2), Span("core.sequencer", 0.5, 4.0, 1))


@pytest.mark.parametrize(
    ("cell", "block"),
    [
        (GATE, "core.elements.gate"),
        ("chip.accelerator.core.elements.gateway_SB_DFF", "core.elements"),  # a name that begins like a block's
        ("chip.link.state_SB_DFFE_Q", "link"),
        ("chip.accelerator.core.idle_LUT4_Z.abc", "core"),
        ("power_on_reset.count_SB_DFF", "power_on_reset"),
        ("$PACKER_VCC", OUTSIDE),
    ],
)
def test_a_cell_belongs_to_the_innermost_block_of_its_name(cell: str, block: str) -> None:
    assert block_of(cell, blocks(RTLIL)) == block


def test_a_report_without_paths_has_none() -> None:
    placed = read_placement(1, {"fmax": {}, "utilization": {}, "critical_paths": []}, RTLIL)
    assert placed.path == ()
    assert placed.clock_mhz == 0


def report(**usage: Usage) -> Report:
    board = BOARDS["icebreaker"]
    return Report(board, board.config(), 24.0, usage, {"yosys": "1"})


def placement(seed: int, clock: float) -> Placement:
    return Placement(seed, {"clk": clock}, {}, (Span("core", 1.0, 2.0, 3),))


def test_the_best_seed_is_kept() -> None:
    found = report().with_placements([placement(1, 23.0), placement(2, 25.5), placement(3, 24.9)])
    assert found.best is not None
    assert found.best.seed == 2
    assert found.meets_clock
    assert found.faults() == []
    assert found.as_dict()["clock_by_seed_mhz"] == {"1": 23.0, "2": 25.5, "3": 24.9}


def test_a_missed_clock_says_by_how_much() -> None:
    found = report().with_placements([placement(1, 20.5)])
    assert found.faults() == ["icebreaker: the clock of 24 MHz is missed by 3.5 MHz; 20.5 MHz was reached"]
    assert found.macs_per_second == 8 * 24e6


def test_what_does_not_fit_is_named_and_counted() -> None:
    found = report(ICESTORM_LC=Usage(5281, 5280), ICESTORM_RAM=Usage(30, 30), SB_IO=Usage(41, 39))
    assert not found.fits
    assert found.faults() == [
        "icebreaker: 1 more logic cells are needed than iCE40UP5K-SG48 has",
        "icebreaker: 2 more SB_IO are needed than iCE40UP5K-SG48 has",
    ]


def test_the_record_is_a_table_in_the_page_and_nothing_else_changes() -> None:
    found = report(ICESTORM_LC=Usage(4900, 5280), ICESTORM_DSP=Usage(8, 8), ICESTORM_RAM=Usage(28, 30))
    entry = found.with_placements([placement(1, 23.0), placement(2, 25.5)]).as_dict()
    page = f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n"
    once = record.with_table(page, record.table({"icebreaker": entry}))
    assert once == record.with_table(once, record.table({"icebreaker": entry}))
    assert once.startswith(f"before\n{record.BEGIN}\n|")
    assert once.endswith(f"{record.END}\nafter\n")
    assert "old" not in once
    assert (
        "| icebreaker | 8 | 24 MHz | **25.5 MHz** (23.0, 25.5) | 4,900 of 5,280 logic cells | 8 of 8 DSP "
        "| 28 of 30 block RAM | `core` |"
    ) in once


def test_a_page_without_marks_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        record.with_table("page", [])


def test_a_note_of_the_family_goes_with_the_figures() -> None:
    board = BOARDS["tang-nano-20k"]
    found = replace(report(), board=board).as_dict()
    assert found["note"].startswith("an upper bound")
