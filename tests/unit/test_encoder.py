# SPDX-License-Identifier: BSD-2-Clause
"""Frames one at a time: the words that the same frame has in a batch, and the same refusals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from system.small import INPUTS, model

import liquid_accel
from liquid_accel import data
from liquid_accel.driver.encoder import Encoder
from liquid_accel.driver.frames import POOL_FRAMES, encode
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import preset

VALUES = st.one_of(
    st.floats(-20, 20), st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(-1000, 1000)
)


@pytest.fixture(scope="module")
def image():
    return liquid_accel.compile(model(), config=preset("test"), solver="fused")


@settings(max_examples=300, deadline=None)
@given(
    x=st.lists(VALUES, min_size=INPUTS, max_size=INPUTS),
    kind=st.sampled_from(["list", "float64", "float32", "float16"]),
    dt=st.one_of(st.none(), st.floats(0, 3), st.integers(0, 3), st.floats(0, 1e-7)),
    number=st.one_of(st.integers(1, 9), st.integers(POOL_FRAMES - 2, POOL_FRAMES + 2)),
    trace=st.booleans(),
)
def test_a_frame_has_the_words_that_it_has_in_a_batch(image, x, kind, dt, number, trace):
    with np.errstate(over="ignore"):
        frame = x if kind == "list" else np.array(x, kind)
    if not np.isfinite(frame).all():
        return
    arrays = {"x": np.asarray(frame)[None]} | ({} if dt is None else {"dt": np.asarray(dt)})
    batch = data.from_arrays(arrays, image.default_dt)
    expected = encode(image, batch.x[0], batch.dt[0], np.array([number]), trace=trace)
    words, saturated = Encoder(image).frame(frame, dt, number, trace)
    assert words.tolist() == expected.words[0].tolist()
    assert saturated == expected.saturated[0]


@pytest.mark.parametrize(
    ("frame", "dt", "words"),
    [
        ([1, 2], None, r"x has 2 features a frame; expected 3"),
        (np.zeros((2, 3)), None, r"its shape is \(2, 3\); expected \(3,\), one frame"),
        (["a", "b", "c"], None, "x has type <U1; expected real numbers"),
        ([1, 2, np.nan], None, r"x\[0, 0, 2\] is nan .* expected finite numbers"),
        ([1, 2, 1e300], None, r"x \(as float32\)\[0, 0, 2\] is inf"),
        ([1, 2, 3], -0.5, "dt of sequence 0, frame 0 is -0.5; expected finite and >= 0"),
        ([1, 2, 3], np.inf, "dt of sequence 0, frame 0 is inf"),
        ([1, 2, 3], "soon", "dt has type"),
        ([1, 2, 3], [1.0, 2.0], "dt has shape"),
        ([1, 2, 3], 1e9, "dt is 1e.09 frames; expected at most"),
    ],
)
def test_what_is_not_a_frame_is_refused(image, frame, dt, words):
    with pytest.raises(UserError, match=f"^frame: {words}"):
        Encoder(image).frame(frame, dt, 1, False)


def test_other_forms_of_one_frame_are_taken(image):
    encoder = Encoder(image)
    plain = encoder.frame([1.0, 2.0, 3.0], 1.0, 1, False)[0].tolist()
    for frame in (np.array([[1.0, 2.0, 3.0]]), np.array([[[1.0, 2.0, 3.0]]]), (1, 2, 3), np.array([1, 2, 3], np.int8)):
        assert encoder.frame(frame, np.array([1.0]), 1, False)[0].tolist() == plain
