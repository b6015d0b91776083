# SPDX-License-Identifier: BSD-2-Clause
"""The output stream, word by word, and the arrays that come of it: counters, skipped products, and frames cut short."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from liquid_accel.driver.decode import COUNTERS, Decoder
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.result import collect
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import LAG_WORDS, TRAILER_WORDS, Status

OUTPUT = [0xB004, 1, 0xFFFE, 3, 0]
STEP = [0xA001, 5, 6, 0]
LAG = [0xC000, 0x0000, 0x0018, 0x1000, 0x0001]  # 1.5 * 2**20 ticks, a norm of 69632
TRAILER = [0xD010, 0x0001, 0x0002, 7, 8, 9, 0x0003, 0x0004, 11, 0x0005, 0x0006]
COUNTS = (0x010, 0x20001, 7, 8, 9, 0x40003, 11, 4 * 0x60005)
STATES = [0xB004, 9, 9, 9, 9]


def decoder(frames: int, traced: bool = False) -> Decoder:
    image: Any = SimpleNamespace(
        config=preset("test"),
        output_words=4,
        outputs=3,
        state_words=4,
        state_size=3,
        output_frac_bits=0,
        state_frac_bits=12,
        machine_unit=0.25,
    )
    return Decoder(image, frames, traced)


def feed(into: Decoder, words: list[int], portion: int = 1000) -> None:
    for at in range(0, len(words), portion):
        into.feed(np.array(words[at : at + portion], np.uint16))


def test_the_sections_have_the_lengths_of_the_tables() -> None:
    assert (len(LAG), len(TRAILER), len(COUNTS)) == (LAG_WORDS, TRAILER_WORDS, len(COUNTERS))


@pytest.mark.parametrize("portion", [1, 3, 1000])
def test_lags_and_trailers_come_in_portions_of_any_size(portion: int) -> None:
    plain = decoder(2)
    feed(plain, [*OUTPUT, *TRAILER, *LAG, *OUTPUT, *TRAILER], portion)
    assert plain.complete
    assert plain.counters == [COUNTS] * 2
    assert plain.lags == {1: (0x180000, 0x11000)}
    traced = decoder(1, traced=True)
    feed(traced, [*STEP, *LAG, *OUTPUT, *TRAILER, *STATES], portion)
    assert traced.complete
    assert (traced.lags, traced.steps) == ({0: (0x180000, 0x11000)}, [(0, 1, 5, 6)])


@pytest.mark.parametrize(
    ("words", "at"),
    [([*LAG, *LAG], 5), ([*LAG, *STEP], 5), ([*OUTPUT, *LAG], 5), ([*OUTPUT, *TRAILER, *STATES, *LAG], 21)],
)
def test_a_lag_out_of_place_is_an_error(words: list[int], at: int) -> None:
    with pytest.raises(DeviceError, match=f"word {at} is"):
        feed(decoder(1, traced=True), words)


def test_what_was_not_reached_is_time_and_an_error_and_0_of_whole_frames() -> None:
    plain = decoder(2)
    feed(plain, [*OUTPUT, *TRAILER, *LAG, *OUTPUT, *TRAILER])
    inputs = np.zeros(2, np.int64)
    result = collect(plain.image, plain, np.array([2], np.int32), 3, inputs, steps=False)
    assert result.time_lag.tolist() == [[0, 1.5 * 0.25, 0]]
    np.testing.assert_allclose(result.error_estimate, [[0, np.sqrt(69632 / 256 / 3), 0]], rtol=1e-15)
    assert result.macs_skipped.tolist() == [[4 * 0x60005] * 2 + [0]]
    assert result.totals()["macs_skipped"] == 8 * 0x60005
    arrays = result.arrays()
    assert {*COUNTERS, "time_lag", "error_estimate", "y", "label", "lengths"} <= arrays.keys()
    assert arrays["status"].tolist() == [[int(Status.BUDGET)] * 2 + [0]]
