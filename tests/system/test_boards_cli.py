# SPDX-License-Identifier: BSD-2-Clause
"""`liquid synth` and `liquid flash`: exit statuses, files, and one sentence for what is wrong. Nothing is placed."""

import json
import sys
from pathlib import Path

import pytest

from liquid_accel.boards import build, flow
from liquid_accel.boards.catalogue import BOARDS
from liquid_accel.boards.timing import Placement, Span, Usage
from liquid_accel.boards.tools import ToolError
from liquid_accel.cli import main


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Stand-ins for the tools: what the parts hold, and the clocks that placement will reach by seed."""
    found: dict[str, object] = {"usage": {"ICESTORM_LC": Usage(4900, 5280)}, "clocks": [30.0]}

    def place_all(part: object, folder: Path, clock_mhz: float, seeds: range) -> list[Placement]:
        clocks = found["clocks"]
        assert isinstance(clocks, list)
        return [Placement(seed, {"clk": clocks[seed - 1]}, {}, (Span("core", 1, 2, 3),)) for seed in seeds]

    def bitstream(part: object, folder: Path, seed: int, name: str) -> None:
        (folder / name).write_text(f"seed {seed}")

    monkeypatch.setattr(flow, "synthesise", lambda *_: None)
    monkeypatch.setattr(flow, "pack", lambda *_: found["usage"])
    monkeypatch.setattr(flow, "place_all", place_all)
    monkeypatch.setattr(flow, "bitstream", bitstream)
    return found


def test_synth_writes_the_bitstream_of_the_best_seed_and_a_report(
    tools: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tools["clocks"] = [24.5, 31.0, 29.0]
    assert main(["synth", "icebreaker", "--seeds", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    folder = tmp_path / "build" / "synth" / "icebreaker"
    assert (folder / "icebreaker.bin").read_text() == "seed 2"
    written = json.loads((folder / "report.json").read_text())
    assert written == {name: value for name, value in printed.items() if name != "folder"}
    assert written["clock_mhz"] == 31.0
    assert written["meets_clock"]


def test_synth_writes_what_misses_its_timing_under_a_name_that_says_so(
    tools: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    assert main(["synth", "icebreaker", "-o", str(folder)]) == 0
    assert (folder / "icebreaker.bin").is_file()
    tools["clocks"] = [20.0]
    assert main(["synth", "icebreaker", "-o", str(folder)]) == 1
    # What was there before is of another design.
    assert not (folder / "icebreaker.bin").exists()
    assert (folder / "icebreaker.missing-timing.bin").is_file()
    assert "the clock of 24 MHz is missed by 4.0 MHz" in capsys.readouterr().err


def test_synth_stops_where_the_part_is_too_small(
    tools: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tools["usage"] = {"ICESTORM_LC": Usage(6280, 5280)}
    tools["clocks"] = []  # placement would fail
    assert main(["synth", "icebreaker", "-o", str(tmp_path)]) == 1
    assert "1,000 more logic cells are needed than iCE40UP5K-SG48 has" in capsys.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text())["fits"] is False


def test_synth_says_what_a_tool_said_last(
    tools: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise ToolError("ERROR: no such device")

    monkeypatch.setattr(flow, "synthesise", fail)
    assert main(["synth", "icebreaker"]) == 1
    assert capsys.readouterr().err.endswith("liquid synth: icebreaker: ERROR: no such device\n")


def test_synth_lists_the_boards(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["synth", "--list", "--json"]) == 0
    assert [board["name"] for board in json.loads(capsys.readouterr().out)["boards"]] == list(BOARDS)
    assert main(["synth", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in BOARDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synth"], "BOARD is missing; expected one of icebreaker, upduino3"),
        (["synth", "arty"], "BOARD is 'arty'; expected one of icebreaker, upduino3"),
        (["synth", "icebreaker", "--clock-mhz", "5"], "--clock-mhz: clock is 5 MHz; expected 16 to 275"),
        (["synth", "icebreaker", "--lanes", "5"], "--lanes 5: lanes is 5"),
        (["synth", "icebreaker", "--baud", "12000000"], "--baud or --clock-mhz: baud is 1.2e+07"),
        (["synth", "icebreaker", "--data", "CAL.npz"], "--data calibrates a checkpoint; expected MODEL.safetensors"),
        (["synth", "icebreaker", "missing.liquid"], "missing.liquid"),
        (["synth", "icebreaker", "missing.safetensors"], "missing.safetensors"),
        (["flash", "arty"], "BOARD is 'arty'; expected one of"),
        (["flash", "icebreaker"], "no bitstream was built; expected `liquid synth icebreaker` first"),
        (["flash", "icebreaker", "--bitstream", "x.bin"], "x.bin: there is no such file"),
        (["flash", "icebreaker", "--sram"], "--sram: iCEBreaker can only be written to its flash"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_synth_of_an_output_that_is_a_file_is_bad_input(
    tools: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["synth", "icebreaker", "-o", str(tmp_path / "file")]) == 2
    assert "expected a folder" in capsys.readouterr().err


# ---- flash -------------------------------------------------------------------------------------------------------


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called openFPGALoader, alone on PATH: it writes its arguments down and does what the files say."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "openFPGALoader"
    program.write_text(
        f"#!{sys.executable}\nimport sys, pathlib\nhere = pathlib.Path({str(folder)!r})\n"
        "(here / 'arguments').write_text('\\n'.join(sys.argv[1:]))\n"
        "said = here / 'said'\nprint(said.read_text() if said.exists() else 'done', file=sys.stderr)\n"
        "sys.exit(said.exists())\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def bitstream(name: str) -> Path:
    path = Path("build/synth") / name / BOARDS[name].bitstream
    path.parent.mkdir(parents=True)
    path.write_bytes(b"bits")
    return path


@pytest.mark.parametrize(
    ("name", "sram", "arguments"),
    [
        ("icebreaker", False, ["--board", "ice40_generic", "--write-flash"]),
        ("upduino3", False, ["--board", "ice40_generic", "--cable", "ft232", "--write-flash"]),
        ("ulx3s-85f", False, ["--board", "ulx3s", "--write-flash"]),
        ("ulx3s", True, ["--board", "ulx3s", "--write-sram"]),
        ("orangecrab", False, ["--board", "orangeCrab"]),
        ("tang-nano-9k", False, ["--board", "tangnano9k", "--write-flash"]),
        ("tang-nano-20k", True, ["--board", "tangnano20k", "--write-sram"]),
    ],
)
def test_flash_calls_openfpgaloader_with_the_boards_name(
    loader: Path, name: str, sram: bool, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = bitstream(name)
    assert main(["flash", name, *(["--sram"] if sram else [])]) == 0
    assert (loader / "arguments").read_text().split("\n") == [*arguments, str(path)]
    assert BOARDS[name].title in capsys.readouterr().err


# What openFPGALoader 1.1.1 prints, with the board away.
@pytest.mark.parametrize(
    ("name", "said", "message"),
    [
        ("icebreaker", "unable to open ftdi device: -3 (device not found)\nError: Failed to claim cable",
         "iCEBreaker: no board was found on USB; plug it in"),
        ("ulx3s", "unable to open ftdi device: -3 (device not found)\nJTAG init failed with: unable to open device",
         "ULX3S 25F: no board was found on USB; plug it in"),
        ("orangecrab", "Open device 1209:5af0 Not found\nDFU init failed with: No DFU compatible device found",
         "no board was found on USB; plug it in, holding its button"),
        ("ulx3s", "unable to open ftdi device: -4 (usb_open() failed: Permission denied)",
         "its USB device may not be opened"),
        ("ulx3s", "Parse file FAIL\nError: unknown bitstream", "its last words were: Error: unknown bitstream"),
    ],
)  # fmt: skip
def test_flash_says_in_one_sentence_why_it_failed(
    loader: Path, name: str, said: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bitstream(name)
    (loader / "said").write_text(said)
    assert main(["flash", name]) == 1
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_flash_without_openfpgaloader_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bitstream("icebreaker")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["flash", "icebreaker"]) == 1
    assert "openFPGALoader is not installed, or not on PATH: apt install openfpgaloader" in capsys.readouterr().err


def test_flash_takes_what_misses_its_timing_by_name_only(loader: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("build/synth/icebreaker") / BOARDS["icebreaker"].missing_timing
    path.parent.mkdir(parents=True)
    path.write_bytes(b"bits")
    assert main(["flash", "icebreaker"]) == 2
    assert "misses its timing" in capsys.readouterr().err
    assert main(["flash", "icebreaker", "--bitstream", str(path)]) == 0


def test_a_bootloaders_file_has_its_suffix(tools: dict[str, object], tmp_path: Path) -> None:
    tools["usage"], tools["clocks"] = {}, [200.0]
    board = BOARDS["orangecrab"]
    report = build.build(build.Request(board, board.config(), board.settings(100)), tmp_path)
    assert report.bitstream == "orangecrab.dfu"
    assert (tmp_path / "orangecrab.dfu").read_bytes().startswith(b"seed 1")
    assert (tmp_path / "orangecrab.dfu").read_bytes()[-8:-4] == b"UFD\x10"
