# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark of the host: its transports answer as devices do, and a frame takes the trips that it says."""

import json

import numpy as np
import pytest
from system.small import INPUTS, model

from liquid_accel import compiler
from liquid_accel.bench import overhead
from liquid_accel.bench.link_loop import LinkLoop
from liquid_accel.bench.loopback import LoopBack
from liquid_accel.cli import main
from liquid_accel.driver import Device
from liquid_accel.driver.link import LinkTransport
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.transport import Transport


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(overhead, "QUICK_FRAMES", 40)
    monkeypatch.setattr(overhead, "QUICK_REPEATS", 1)


def test_what_answers_at_once_answers_as_a_device_does():
    image = compiler.compile(model(), config=preset("test"))
    bus = LoopBack(image)
    assert isinstance(bus, Transport)
    for transport in (bus, LinkTransport(LinkLoop(bus))):
        with Device(transport) as device:
            device.load(image)  # which reads back what it wrote
            x = np.zeros((2, 9, INPUTS))
            assert not device.run(x).words.any()
            assert not device.run(x).cycles.any()
            assert len(list(device.stream(x[0]))) == 9
            for _ in range(3):
                assert not device.step(x[0, 0]).any()
            assert device.restarts == 0


def test_a_step_takes_one_trip_and_others_fewer(small):
    rows = overhead.rows(preset("up5k"), True)
    assert {(row["transport"], row["way"].partition(",")[0]) for row in rows} == {
        (transport, way) for transport in ("loop-back", "link") for way in ("step", "stream", "run")
    }
    for row in rows:
        assert row["frames_per_second"] == pytest.approx(1e6 / row["us_per_frame"])
        assert row["trips_per_frame"] == 1 if row["way"].startswith("step") else row["trips_per_frame"] < 0.75


def test_it_is_measured_alone(small, capsys):
    assert main(["bench", "--only", "host", "--quick", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["host"]) == 8
    assert "accelerator" not in found
    assert main(["bench", "--only", "host", "--quick"]) == 0
    shown = capsys.readouterr().out
    assert "The host's part of a frame" in shown
    assert "What the design is held to" not in shown
    assert main(["bench", "--only", "host", "--plot", "x"]) == 2
    assert "there is nothing to draw" in capsys.readouterr().err
