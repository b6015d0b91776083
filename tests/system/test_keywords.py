# SPDX-License-Identifier: BSD-2-Clause
"""The spoken keywords: 29,004 parameters in two stacked layers, on the machine that fits the smallest board."""

import numpy as np
import pytest
from simulators import need

from liquid_accel import checkpoint, data
from liquid_accel.compiler import compile
from liquid_accel.data import Dataset
from liquid_accel.driver.compare import compare
from liquid_accel.driver.parallel import run_on
from liquid_accel.evaluate import accuracy
from liquid_accel.image import Image
from liquid_accel.rtl.config import preset
from liquid_accel.shipped import shipped

ASKED_MS, CLOCK_MHZ = 1.0, 24.0


@pytest.fixture(scope="module")
def clips() -> Dataset:
    return data.load(shipped("data", "keywords_test.npz"))


@pytest.fixture(scope="module")
def image() -> Image:
    """Compiled as a user would: for the preset of the smallest boards, formats from the checkpoint's ranges."""
    return compile(shipped("checkpoints", "keywords.safetensors"), config=preset("up5k"))


def test_the_checkpoint_is_the_network_that_is_spoken_of() -> None:
    model = checkpoint.load(shipped("checkpoints", "keywords.safetensors"))
    shapes = {name: tensor.shape for name, tensor in model.tensors.items()}
    assert sum(tensor.size for tensor in model.tensors.values()) == 29_004
    assert [s for n, s in shapes.items() if n.endswith("recurrent_weight")] == [(64, 64)] * 2
    assert (64, 40) in shapes.values()  # projection
    assert (12, 128) in shapes.values()  # the read-out sees both layers


def test_a_frame_takes_less_than_a_millisecond_at_the_clock_asked_of_the_board(image: Image) -> None:
    assert image.cycles.exact
    assert image.predicted_cycles(0, 1) / (CLOCK_MHZ * 1e3) <= ASKED_MS


def test_golden_and_gateware_say_the_same_words(image: Image, clips: Dataset) -> None:
    need("cxxrtl")
    some = clips.subset(np.arange(0, len(clips.x), 220))
    golden = run_on("golden", image, some, states=True, trace=True).result
    device = run_on("sim", image, some, states=True, trace=True, jobs=1).result
    found = compare(golden, device)
    assert found.compared > 0
    assert found.mismatches == 0, str(found.first)
    assert int(golden.cycles.sum()) == image.predicted_cycles(len(some.x), int(some.lengths.sum()) - len(some.x))


def test_the_quantised_network_hears_what_the_float_one_hears(image: Image, clips: Dataset) -> None:
    some = clips.subset(np.arange(0, len(clips.x), 3))
    run = run_on("golden", image, some).result
    labels = some.labels
    assert labels is not None
    quantised = float((run.label == labels).mean())
    model = checkpoint.load(shipped("checkpoints", "keywords.safetensors"))
    # A clip of 294 is 0.34 points; four of them between float and 8 bits are well within what rounding does.
    assert abs(quantised - accuracy(model, some)) <= 4 / len(some.x)
    assert quantised > 0.75
