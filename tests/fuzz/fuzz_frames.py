# SPDX-License-Identifier: BSD-2-Clause
"""Coverage-guided fuzzing of what takes a device's output stream apart: any words, in portions of any size, give
frames, the same ones in whatever portions they came, or a `DeviceError`.

Run by tests/fuzz/run.py; arguments are libFuzzer's. An input: number of frames, portions, then the words.
"""

import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import atheris
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["liquid_accel.driver.decode", "liquid_accel.driver.result"]):
    from liquid_accel.driver.decode import Decoder
    from liquid_accel.driver.errors import DeviceError
    from liquid_accel.driver.result import collect

from fuzz.limits import bounded

from liquid_accel.rtl.config import preset

IMAGE: Any = SimpleNamespace(
    config=preset("test"), outputs=3, output_words=4, state_size=3, state_words=4, output_frac_bits=12,
    state_frac_bits=12, machine_unit=0.25,
)  # fmt: skip
Words = np.ndarray[Any, np.dtype[np.uint16]]


def decode(words: Words, frames: int, traced: bool, portion: int) -> tuple[str, Decoder]:
    """What a decoder says of words that come so many at a time, and the decoder."""
    decoder = Decoder(IMAGE, frames, traced)
    try:
        for at in range(0, len(words), portion):
            decoder.feed(words[at : at + portion])
    except DeviceError as error:
        return str(error), decoder
    return "", decoder


def same(one: Decoder, other: Decoder) -> bool:
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(Decoder) if f.name[0] != "_")


def one(data: bytes) -> None:
    head, body = data[:2].ljust(2, b"\0"), data[2:]
    frames, traced, portion = head[0] & 7, bool(head[0] & 8), head[1] % 31 + 1
    words = np.frombuffer(body[: len(body) & ~1], "<u2").astype(np.uint16)
    said, decoder = decode(words, frames, traced, portion)
    again, whole = decode(words, frames, traced, max(1, len(words)))
    if said != again or not (said or same(decoder, whole)):
        raise AssertionError(f"in portions: {said or decoder}, at once: {again or whole}")
    if not 0 <= decoder.done <= frames:
        raise AssertionError("more frames than were sent")
    if decoder.complete and frames and not said:
        collect(IMAGE, decoder, np.array([frames]), frames, np.zeros(frames, np.int64), steps=traced)


if __name__ == "__main__":
    atheris.Setup(sys.argv, bounded(one))
    atheris.Fuzz()
