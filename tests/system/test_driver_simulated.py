# SPDX-License-Identifier: BSD-2-Clause
"""The driver's ends on the simulated machine: what is aborted in the middle of a frame leaves nothing behind."""

import numpy as np
import pytest
from simulators import need
from system.small import INPUTS, model

import liquid_accel
from liquid_accel.rtl.config import preset

COUNT = 24
FRAMES = np.random.default_rng(5).normal(0, 1, (COUNT, INPUTS)).astype(np.float32)
DT = np.random.default_rng(6).uniform(0.5, 2, COUNT)
PAIRS = list(zip(FRAMES, DT))
OPTIONS = {
    "fused": {"solver": "fused"},
    "bs32": {"solver": "bs32"},
    "etd21, skipping": {"solver": "etd21", "rtol": 0.1, "atol": 0.1, "delta_threshold": 0.1},
}


@pytest.fixture(scope="module")
def devices(lanes):
    need("cxxrtl")
    config = preset("test", lanes=lanes)
    with liquid_accel.open("golden", config=config) as golden, liquid_accel.open("sim", config=config) as simulated:
        yield config, golden, simulated


@pytest.mark.parametrize("name", OPTIONS)
def test_what_follows_an_abort_within_a_frame_is_right(devices, name):
    config, golden, device = devices
    image = liquid_accel.compile(model(), config=config, **OPTIONS[name])
    golden.load(image)
    device.load(image)
    want = golden.run(FRAMES, DT, states=True)
    for taken in range(6):
        for _, _ in zip(range(taken), device.stream(PAIRS)):  # frames behind it are under way, and aborted
            pass
        for k in range(2):
            np.testing.assert_array_equal(device.step(*PAIRS[k], trace=True), want.y[0, k])
            np.testing.assert_array_equal(device.last.state_words[0, 0], want.state_words[0, k])
            assert device.last.cycles[0, 0] == want.cycles[0, k]
    assert device.restarts == 0


@pytest.mark.parametrize("trace", [False, True])
def test_a_stream_gives_what_the_golden_model_gives(devices, trace):
    config, golden, device = devices
    image = liquid_accel.compile(model(), config=config, solver="bs32")
    golden.load(image)
    device.load(image)
    want = golden.run(FRAMES, DT, states=True, trace=True)
    for k, y in enumerate(device.stream(PAIRS, trace=trace)):
        np.testing.assert_array_equal(y, want.y[0, k])
        assert device.last.cycles[0, 0] == want.cycles[0, k]
    assert k == COUNT - 1


def test_a_pool_of_simulations_gives_what_the_golden_model_gives(devices):
    config, golden, _ = devices
    image = liquid_accel.compile(model(), config=config, solver="fused")
    golden.load(image)
    want = golden.run(np.stack([FRAMES, FRAMES[::-1]] * 3), DT)
    with liquid_accel.Pool(["sim", "sim"], config) as pool:
        pool.load(image)
        got = pool.run(np.stack([FRAMES, FRAMES[::-1]] * 3), DT)
    np.testing.assert_array_equal(got.words, want.words)
    np.testing.assert_array_equal(got.cycles, want.cycles)
