# SPDX-License-Identifier: BSD-2-Clause
"""The driver over the link, to a device's twin behind a wire that damages, loses and repeats: no word is ever wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from link_twin import Faults, LinkTwin, TwinChannel
from system.small import model
from watch import DT, FRAMES, Watch, known_outputs

import liquid_accel
from liquid_accel.driver import Device, DeviceGone
from liquid_accel.driver.link import LinkTransport
from liquid_accel.rtl.config import preset
from liquid_accel.sim.golden import GoldenTransport


@pytest.fixture(scope="module")
def image():
    return liquid_accel.compile(model(), config=preset("test"), solver="fused", steps=1)


@pytest.fixture(scope="module")
def golden(image):
    with known_outputs(image) as outputs:
        yield outputs


def reset(twin, image):
    """What a loss of power does to a chip."""
    twin.bus = GoldenTransport(image.config)
    twin.reset()


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.sampled_from([0.0, 0.02, 0.1]),
    resets=st.lists(st.integers(1, 40), max_size=3),
)
def test_faults_and_resets_at_any_request_give_no_wrong_word(image, golden, seed, rate, resets):
    twin = LinkTwin(GoldenTransport(image.config))
    channel = TwinChannel(twin, Faults(seed, rate))
    device = Device(LinkTransport(channel, clock=channel.clock))
    watch = Watch(device, image, golden)
    inner, left = channel.write, list(resets)

    def write(data):
        if left:
            left[0] -= 1
            if not left[0]:
                left.pop(0)
                reset(twin, image)
        inner(data)

    channel.write = write
    watch.session()
    watch.session()
    left.clear()
    watch.step(10)
    if len(watch.errors) <= len(resets):  # else the wire was too bad at some point, and may be again
        channel.faults = lambda frame: [(0.0, frame)]
        watch.calm()
    if not resets and not rate:
        assert watch.errors == []


def test_a_device_that_is_unplugged_and_plugged_in_again(image, golden):
    twin = LinkTwin(GoldenTransport(image.config))
    channel = TwinChannel(twin)
    with Device(LinkTransport(channel, clock=channel.clock)) as device:
        device.load(image)
        for k in range(2):
            np.testing.assert_array_equal(device.step(FRAMES[k], DT[k]), golden([0, 1])[k])
        channel.plugged = False
        reset(twin, image)
        with pytest.raises(DeviceGone, match="the device was lost: .* the streamed sequence is lost after 2 frames"):
            device.step(FRAMES[2], DT[2])
        for _ in range(2):
            with pytest.raises(DeviceGone, match="cannot be reached: twin is not there"):
                device.step(FRAMES[2], DT[2])
        channel.plugged = True
        np.testing.assert_array_equal(device.step(FRAMES[2], DT[2]), golden([2])[0])
        assert device.restarts == 1


def test_a_step_is_one_request(image):
    twin = LinkTwin(GoldenTransport(image.config))
    channel = TwinChannel(twin)
    with Device(LinkTransport(channel, clock=channel.clock)) as device:
        device.load(image)
        device.step(FRAMES[0])
        before = twin.frames["carried out"]
        for k in range(5):
            device.step(FRAMES[k])
        assert twin.frames["carried out"] == before + 5
