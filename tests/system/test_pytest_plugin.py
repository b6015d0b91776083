# SPDX-License-Identifier: BSD-2-Clause
"""The fixtures that users get with the package, used as they would use them."""

from typing import Any

import pytest
from simulators import need
from system.small import model, sequences

import liquid_accel
from liquid_accel.driver import Device

SMALL = liquid_accel.preset("test")


@pytest.fixture(scope="module")
def image() -> Any:
    return liquid_accel.compile(model(), config=SMALL)


def test_a_model_runs_the_same_on_the_gateware(liquid_verify: Any, image: Any) -> None:
    need("cxxrtl")
    batch = sequences(3, 4)
    result = liquid_verify(image, batch["x"], batch["dt"], batch["lengths"])
    assert result.mask.sum() == batch["lengths"].sum()


def test_one_wrong_bit_is_found(liquid_verify: Any, image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    need("cxxrtl")
    run, calls = Device.run, []

    def broken(self: Device, *arguments: Any, **options: Any) -> Any:
        result = run(self, *arguments, **options)
        if calls:  # the second of the two, which is the simulation
            result.words[1, 0, 2] ^= 1
        calls.append(1)
        return result

    monkeypatch.setattr(Device, "run", broken)
    with pytest.raises(AssertionError, match=r"1 of \d+ words differ; the first: sequence 1, frame 0, output word 2"):
        liquid_verify(image, sequences(2, 3)["x"])


@pytest.mark.liquid(SMALL)
def test_a_device_streams(liquid_device: Any, image: Any) -> None:
    need("cxxrtl")
    liquid_device.load(image)
    assert liquid_device.step(sequences(1, 1)["x"][0, 0], 1.0).shape == (3,)
