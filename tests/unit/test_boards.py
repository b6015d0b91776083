# SPDX-License-Identifier: BSD-2-Clause
"""Boards: every pin of the chip is constrained to the board's own, and every design elaborates for its platform."""

import json
import re
import struct
import zlib
from collections import Counter
from pathlib import Path

import pytest

from liquid_accel.boards import build, dfu, flow
from liquid_accel.boards.board import Board, BoardTop
from liquid_accel.boards.catalogue import BOARDS
from liquid_accel.boards.family import ecp5_part
from liquid_accel.boards.tools import digest, once
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.reset import SynchronisedReset

# The boards' pins in the order clock, rx, tx, activity, error, interrupt, from their own documents (board files name
# them), read a second time rather than taken from the platforms.
PINS = {
    "icebreaker": "35 6 9 37 11 4",
    "upduino3": "20 15 14 39 41 28",
    "ulx3s": "G2 M1 L4 B2 H3 B11",
    "ulx3s-85f": "G2 M1 L4 B2 H3 B11",
    "orangecrab": "A9 N17 M18 M3 K4 B10",
    "orangecrab-85f": "A9 N17 M18 M3 K4 B10",
    "tang-nano-9k": "52 18 17 10 16 25",
    "tang-nano-20k": "4 70 69 15 20 73",
}
IDLE = {
    "icebreaker": "", "upduino3": "40 16", "ulx3s": "L2 C2 C1 D2 D1 E2 E1", "ulx3s-85f": "L2 C2 C1 D2 D1 E2 E1",
    "orangecrab": "J3", "orangecrab-85f": "J3", "tang-nano-9k": "11 13 14 15", "tang-nano-20k": "16 17 18 19",
}  # fmt: skip
LINE = {
    "pcf": re.compile(r"^set_io (\S+) (\S+)$", re.MULTILINE),
    "lpf": re.compile(r'^LOCATE COMP "(\S+)" SITE "(\S+)";$', re.MULTILINE),
    "cst": re.compile(r'^IO_LOC "(\S+)" (\S+);$', re.MULTILINE),
}
PRIMITIVES = {"ice40": "SB_PLL40_", "ecp5": "EHXPLLL", "gowin": "rPLL"}


@pytest.fixture(scope="module", params=list(BOARDS))
def board(request: pytest.FixtureRequest) -> Board:
    return BOARDS[request.param]


@pytest.fixture(scope="module")
def elaborated(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(board.name)
    build.elaborate(BoardTop(board, board.config(), board.settings(board.clock_mhz)), board, folder)
    return folder


def test_every_pin_of_the_chip_is_where_the_board_has_it(board: Board, elaborated: Path) -> None:
    suffix = board.part.family.constraints[0]
    pins = LINE[suffix].findall((elaborated / f"top.{suffix}").read_text())
    assert len({pin for _, pin in pins}) == len(pins)
    # Requested in this order, so listed in it.
    assert " ".join(pin for _, pin in pins) == f"{PINS[board.name]} {IDLE[board.name]}".strip()
    ports = re.findall(r"^  wire width 1 (?:input|output|inout) \d+ +\\(\S+)$", top_module(elaborated), re.MULTILINE)
    assert sorted(ports) == sorted(name for name, _ in pins)


def top_module(folder: Path) -> str:
    found = re.search(r"^module \\top$.*?^end$", (folder / "top.il").read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def test_the_clock_comes_from_the_pll_that_the_family_has(board: Board, elaborated: Path) -> None:
    text = (elaborated / "top.il").read_text()
    assert re.search(rf"cell \\{PRIMITIVES[board.part.family.name]}", text)
    assert "module \\top.power_on_reset\n" in text
    settings = board.settings(board.clock_mhz)
    assert abs(settings.output_hz - board.clock_mhz * 1e6) <= 0.01 * board.clock_mhz * 1e6


def test_pins_that_keep_still_are_off_and_the_flash_is_not_selected() -> None:
    assert dict(BOARDS["upduino3"].idle) == {pin: 0 for pin, _ in BOARDS["upduino3"].idle}
    # Not asserted is high on a pin that is active low.
    (select,) = (r for r in BOARDS["upduino3"].platform().resources.values() if r.name == "flash_select")
    assert select.ios[0].invert


def test_names_are_unique_and_spelled_for_a_shell() -> None:
    assert all(name == board.name and re.fullmatch(r"[a-z0-9-]+", name) for name, board in BOARDS.items())
    assert len({board.title for board in BOARDS.values()}) == len(BOARDS)
    for board in BOARDS.values():
        assert board.bitstream != board.missing_timing


def test_a_clock_that_the_uart_cannot_divide_is_refused() -> None:
    board = BOARDS["icebreaker"]
    with pytest.raises(ValueError, match=r"baud is 5.5e\+06"):
        BoardTop(board, preset("test"), board.settings(25), baud=5_500_000)


def test_the_suffix_of_a_bootloader_file_is_that_of_the_dfu_standard() -> None:
    data = bytes(range(200))
    file = dfu.with_suffix(data)
    assert file[:200] == data
    # Table B.1 of DFU 1.1, from the file's end: CRC, length, "DFU" backwards, version, vendor, product, release.
    assert struct.unpack("<HHHH", file[200:208]) == (0xFFFF, 0x5AF0, 0x1209, 0x0100)
    assert file[208:212] == b"UFD\x10"
    # The CRC register after all of the file's bytes before it, without the last inversion.
    assert struct.unpack("<I", file[212:])[0] == zlib.crc32(file[:212]) ^ 0xFFFFFFFF


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tang-nano-20k", "ulx3s"])
def test_a_small_machine_becomes_multipliers_and_block_memories_of_the_part(name: str, tmp_path: Path) -> None:
    """One machine a family but the iCE40, whose whole machine tests/system/test_synth.py synthesises."""
    part = BOARDS[name].part
    flow.write_design(SynchronisedReset(Accelerator(preset("test"), vendor=part.family.vendor)), tmp_path)
    flow.synthesise(part, tmp_path, 50)
    cells = json.loads((tmp_path / "top.json").read_text())["modules"]["top"]["cells"].values()
    count = Counter(cell["type"] for cell in cells)
    multiplier, memories = {
        "gowin": ("MULT18X18", ("SDPB", "SDPX9B", "DPB", "DPX9B", "SP", "SPX9")), "ecp5": ("MULT18X18D", ("DP16KD",)),
    }[part.family.name]  # fmt: skip
    assert count[multiplier] >= preset("test").lanes
    assert any(count[memory] for memory in memories)


def test_stages_are_not_repeated_and_are_repeated_where_something_changed(tmp_path: Path) -> None:
    done: list[int] = []

    def work() -> None:
        done.append(1)
        (tmp_path / "out").write_text("x")

    assert once(tmp_path, "stage", digest("a", "b"), ["out"], work)
    assert not once(tmp_path, "stage", digest("a", "b"), ["out"], work)
    assert once(tmp_path, "stage", digest("ab", ""), ["out"], work)  # another cut of the same text
    (tmp_path / "out").unlink()
    assert once(tmp_path, "stage", digest("ab", ""), ["out"], work)
    assert len(done) == 3


def test_work_that_fails_is_done_again(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError

    (tmp_path / "out").write_text("old")
    with pytest.raises(RuntimeError):
        once(tmp_path, "stage", "key", ["out"], fail)
    assert once(tmp_path, "stage", "key", ["out"], lambda: None)


def test_parts_tell_nextpnr_their_size_and_grade() -> None:
    assert ecp5_part("85", "CSFBGA285", 8).arguments == ("--85k", "--package", "CSFBGA285", "--speed", "8")
