# SPDX-License-Identifier: BSD-2-Clause
"""Where devices are looked for, and what served ones announce."""

import json
import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import pytest

from liquid_accel.cli import main
from liquid_accel.driver import discover
from liquid_accel.driver.addresses import Address, is_hardware, parse
from liquid_accel.driver.announce import announce, announced, runtime_folder
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import preset


@pytest.fixture(autouse=True)
def runtime(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "liquid-accel"


@pytest.fixture
def terminal():
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


# ---- Announcements -----------------------------------------------------------------------------------------------


def test_a_device_is_announced_as_long_as_it_is_served(runtime, terminal):
    with announce(terminal, image="a.liquid", config_hash=0x89ABCDEF, lanes=8) as made:
        assert made.target == f"uart:{terminal}"
        (file,) = runtime.glob("*.json")
        assert json.loads(file.read_text()) == {
            "pid": os.getpid(), "pty": terminal, "image": "a.liquid", "config_hash": 0x89ABCDEF, "lanes": 8,
            "started": made.started,
        }  # fmt: skip
        assert announced() == [made]
        assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    assert announced() == []
    assert list(runtime.iterdir()) == []


def test_one_whose_process_died_is_dropped_and_removed(runtime, terminal):
    code = (
        "import os, sys; from liquid_accel.driver.announce import announce\n"
        "with announce(sys.argv[1], image='a', config_hash=1, lanes=8): os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, terminal]).returncode == 9
    assert len(list(runtime.glob("*.json"))) == 1
    assert announced() == []
    assert list(runtime.glob("*.json")) == []


def test_one_whose_terminal_is_gone_is_dropped():
    with announce("/dev/pts/99999", image="a", config_hash=1, lanes=8):
        assert announced() == []


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{\"pid\": 1}", "\x00\xff"])
def test_files_that_announce_nothing_are_dropped(runtime, text):
    runtime_folder()
    (runtime / "1-0.json").write_text(text)
    assert announced() == []


def test_a_folder_that_cannot_be_written_costs_the_announcement_alone(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "file"))
    with announce("/dev/pts/0", image="a", config_hash=1, lanes=8):
        assert announced() == []


# ---- Places ------------------------------------------------------------------------------------------------------


def port(device, vid=None, pid=None, location=None, **texts):
    names = dict.fromkeys(("manufacturer", "product", "description")) | texts
    return SimpleNamespace(device=device, vid=vid, pid=pid, location=location, **names)


def test_serial_ports_of_known_boards_are_told_from_others():
    found = discover.serial_places([
        port("/dev/ttyS0", description="n/a"),
        port("/dev/ttyUSB0", 0x0403, 0x6010, "1-1.4:1.0", manufacturer="SIPEED", product="JTAG Debugger"),
        port("/dev/ttyUSB1", 0x0403, 0x6010, "1-1.4:1.1", manufacturer="SIPEED", product="JTAG Debugger"),
        port("/dev/ttyUSB2", 0x0403, 0x6015, "1-2"),
        port("/dev/ttyACM0", 0x2341, 0x0043, "1-3:1.0", product="Arduino Uno"),
        port("COM7", 0x0403, 0x6014),
    ])  # fmt: skip
    assert [(p.target, p.likely) for p in found] == [
        ("uart:/dev/ttyS0", False), ("uart:/dev/ttyUSB0", False), ("uart:/dev/ttyUSB1", True),
        ("uart:/dev/ttyUSB2", True), ("uart:/dev/ttyACM0", False), ("uart:COM7", True),
    ]  # fmt: skip
    assert "not its UART" in found[1].text
    assert found[4].text == "Arduino Uno"


def test_spi_and_mapped_registers_are_listed(monkeypatch, tmp_path):
    monkeypatch.setattr(discover, "_ports", list)
    devices, classes = tmp_path / "dev", tmp_path / "uio"
    devices.mkdir()
    for name in ("spidev0.0", "uio0", "uio1", "null"):
        (devices / name).touch()
    (classes / "uio1").mkdir(parents=True)
    (classes / "uio1" / "name").write_text("Liquid-accelerator\n")
    assert [(p.target, p.likely) for p in discover.places(devices, classes)] == [
        (f"spi:{devices}/spidev0.0", False), (f"mmio:{devices}/uio0", False), (f"mmio:{devices}/uio1", True),
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "lanes"), [("up5k", 8), ("up5k", 4), ("ecp5", 16), ("test", 4)])
def test_a_preset_is_known_by_its_hash(name, lanes):
    assert discover.known(preset(name, lanes=lanes).config_hash) == (name, lanes)


def test_another_configuration_is_not_known():
    assert discover.known(preset("up5k", weight_words=1024).config_hash) is None


def test_a_place_that_does_not_answer_says_why(monkeypatch, tmp_path, capsys):
    file = tmp_path / "registers"
    file.write_bytes(bytes(1024))
    listed = [
        discover.Place("uart:/dev/ttyNone", "a", True),
        discover.Place(f"mmio:{file}", "b", False),
        discover.Place("spi:/dev/spidev99.0", "c", False),
    ]
    monkeypatch.setattr(discover, "places", lambda: listed)
    monkeypatch.setitem(sys.modules, "spidev", None)
    assert main(["devices", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["devices"]
    assert [one["answers"] for one in found] == [False, None, None]
    assert main(["devices", "--probe", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["devices"]
    assert [one["answers"] for one in found] == [False, False, False]
    for one, words in zip(found, ("does not exist", "no accelerator answers: ID is 0x0000", "package spidev")):
        assert words in one["error"]
        assert one["config_hash"] is None
    assert main(["devices", "--no-probe"]) == 0
    assert capsys.readouterr().out.count("not asked") == 3


def test_where_nothing_is_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(discover, "places", list)
    assert main(["devices"]) == 0
    assert "no serial port" in capsys.readouterr().out


# ---- Targets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("uart:/dev/ttyUSB0", Address("uart", "/dev/ttyUSB0", 1_000_000)),
        ("uart:COM3@115200", Address("uart", "COM3", 115_200)),
        ("uart:/dev/serial/by-id/usb-a@b-if01@9600", Address("uart", "/dev/serial/by-id/usb-a@b-if01", 9600)),
        ("spi:/dev/spidev0.1", Address("spi", "/dev/spidev0.1", 1_000_000)),
        ("spi:1.0@250000", Address("spi", "1.0", 250_000)),
        ("mmio:/dev/uio0", Address("mmio", "/dev/uio0", 0)),
        ("mmio:/dev/mem@0x40000000", Address("mmio", "/dev/mem", 0x4000_0000)),
    ],
)
def test_targets_of_hardware(target, expected):
    assert is_hardware(target)
    assert parse(target) == expected


@pytest.mark.parametrize("target", ["uart:", "uart:@9600", "spi:", "mmio:@4", "uart:a@", "uart:a@-1", "mmio:a@3"])
def test_bad_targets_of_hardware(target):
    with pytest.raises(UserError, match="expected"):
        parse(target)


@pytest.mark.parametrize("target", ["golden", "sim", "uart", "spi", "usb:1"])
def test_what_is_no_hardware(target):
    assert not is_hardware(target)
