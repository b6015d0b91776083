# SPDX-License-Identifier: BSD-2-Clause
"""Commands against a device on a serial port: the golden model behind the link, on a pseudo-terminal."""

import json

import numpy as np
import pytest
from link_terminal import Terminal
from link_twin import Faults, LinkTwin
from system.small import files

import liquid_accel
from liquid_accel.cli import main
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.addresses import open_transport
from liquid_accel.driver.announce import announce
from liquid_accel.driver.link_session import Patience
from liquid_accel.image import Image
from liquid_accel.rtl.isa import ISA_VERSION
from liquid_accel.rtl.registers import address
from liquid_accel.rtl.transport import TransportError
from liquid_accel.sim.golden import GoldenTransport

CLOCK_KHZ = 30_000


class Board(GoldenTransport):
    """The golden model on a board, which knows its clock."""

    def read(self, register, count):
        words = super().read(register, count)
        if register == address("CLOCK_KHZ_LOW"):
            words[:] = CLOCK_KHZ
        return words


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uart")
    model, data = files(folder)
    assert main(["compile", str(model), "--data", str(data), "--solver", "bs32", "--preset", "test",
                 "-o", str(folder / "model.liquid")]) == 0  # fmt: skip
    return folder


@pytest.fixture
def twin(folder):
    return LinkTwin(Board(Image.load(folder / "model.liquid").config))


def arguments(folder, command: str, port: str, *more: str) -> list[str]:
    return [command, str(folder / "model.liquid"), str(folder / "data.npz"), "--on", f"uart:{port}", *more]


def test_a_run_on_a_port_is_a_run_on_the_golden_model(folder, twin, capsys):
    with Terminal(twin) as port:
        assert main(arguments(folder, "run", port, "--states", "--json", "-o", str(folder / "uart.npz"))) == 0
    found = json.loads(capsys.readouterr().out)
    golden = ["run", str(folder / "model.liquid"), str(folder / "data.npz"), "--states", "--json"]
    assert main([*golden, "-o", str(folder / "golden.npz")]) == 0
    expected = json.loads(capsys.readouterr().out)
    with np.load(folder / "uart.npz") as one, np.load(folder / "golden.npz") as other:
        assert set(one.files) == set(other.files)
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    # The board's own clock, where the golden model has none.
    assert (found["clock_mhz"], expected["clock_mhz"]) == (30.0, 12.0)
    assert found["latency_us"] == pytest.approx(expected["latency_us"] * 12 / 30)
    assert {k: v for k, v in found.items() if k not in ("clock_mhz", "latency_us")} == {
        k: v for k, v in expected.items() if k not in ("clock_mhz", "latency_us")
    }


def test_a_clock_that_is_given_is_taken(folder, twin, capsys):
    with Terminal(twin) as port:
        assert main(arguments(folder, "run", port, "--json", "--clock-mhz", "48")) == 0
    assert json.loads(capsys.readouterr().out)["clock_mhz"] == 48.0


def test_verify_over_a_port_with_faults_finds_no_difference(folder, twin, capsys):
    faults = Faults(5, 0.02)
    with Terminal(twin, faults) as port:
        assert main(arguments(folder, "verify", port, "--json")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mismatches"] == 0
    assert found["compared"] > 0
    assert found["clock_mhz"] == 30.0


def test_a_board_that_is_unplugged_is_one_sentence(folder, twin, capsys):
    with Terminal(twin, cut_after=30) as port:
        assert main(arguments(folder, "run", port)) == 1
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 1
    assert "gone" in text


def test_a_board_of_another_configuration_is_refused(folder, capsys):
    twin = LinkTwin(GoldenTransport(liquid_accel.preset("up5k")))
    with Terminal(twin) as port:
        assert main(arguments(folder, "run", port)) == 2
    assert "it was compiled for configuration" in capsys.readouterr().err


def test_a_port_behind_which_nobody_answers_says_what_to_look_at(twin):
    with Terminal(twin, lambda said: []) as port:
        with pytest.raises(TransportError, match=r"to any of 2 tries; check the port, the bit rate \(115200\)"):
            open_transport(f"uart:{port}@115200", Patience(answer_s=0.01, tries=2))


def test_after_a_reset_the_next_frame_is_right_or_declared_lost(folder, twin):
    image = Image.load(folder / "model.liquid")
    frames = np.load(folder / "data.npz")["x"][0]
    with liquid_accel.open("golden", config=image.config) as golden:
        golden.load(image)
        expected = [golden.step(frame, dt=1.0) for frame in frames[:4]]
    with Terminal(twin) as port, Device(open_transport(f"uart:{port}")) as device:
        device.load(image)
        for frame, right in zip(frames[:3], expected):
            np.testing.assert_array_equal(device.step(frame, dt=1.0), right)
        twin.bus = Board(image.config)
        twin.reset()
        with pytest.raises(DeviceError, match="was reset"):
            device.step(frames[3], dt=1.0)
        # The sequence is lost; a new one begins, and is right.
        for frame, right in zip(frames[:4], expected):
            np.testing.assert_array_equal(device.step(frame, dt=1.0), right)
        assert device.restarts == 1


def test_devices_lists_a_served_one_with_its_configuration(folder, twin, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    image = Image.load(folder / "model.liquid")
    hash_, lanes = image.config.config_hash, image.config.lanes
    with Terminal(twin) as port, announce(port, image="model.liquid", config_hash=hash_, lanes=lanes):
        assert main(["devices", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["devices"][0]
        assert main(["devices"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert main(["devices", "--no-probe", "--json"]) == 0
        unasked = json.loads(capsys.readouterr().out)["devices"][0]
    assert found == {
        "target": f"uart:{port}", "text": "served, model.liquid", "answers": True, "error": None, "config_hash": hash_,
        "preset": "test", "lanes": lanes, "isa_version": ISA_VERSION, "clock_mhz": 30.0,
    }  # fmt: skip
    assert f"uart:{port}" in text
    assert "30 MHz" in text
    assert unasked["answers"] is None
