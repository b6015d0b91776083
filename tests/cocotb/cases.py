# SPDX-License-Identifier: BSD-2-Clause
"""A compiled random network, frames for it, and what the golden model answers: handed to a simulation as a file."""

from pathlib import Path

import numpy as np
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.compiler import predict
from liquid_accel.compiler.backend import data_dt
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.isa import Flag

FIFO_WORDS = 64
SEQUENCES, FRAMES = 4, 4


def machine(lanes: int) -> LiquidConfig:
    """A small machine with FIFOs so short that both of them fill up."""
    return preset("test", lanes=lanes, fifo_words=FIFO_WORDS)


def case(
    folder: Path, config: LiquidConfig, solver: str, seed: int, classes: int = 2, untraced: int = 2
) -> dict[str, str]:
    """Write the sections of an image, frames, and the words that they bring; returns the environment that names them.

    dt lies between 0 and 2 units, some of it exactly 0. Every sequence is traced but each one in `untraced`, from the
    first on; 0 for none.
    """
    random = np.random.default_rng(seed)
    dt = random.uniform(0.0, 2.0, (SEQUENCES, FRAMES)) * (random.random((SEQUENCES, FRAMES)) > 0.25)
    data = toy_data(seed, sequences=SEQUENCES, frames=FRAMES, dt=dt)
    model = toy_model(seed, before=(20,), size=10, classes=classes)
    image = liquid_accel.compile(model, calibration=data, config=config, solver=solver)
    spacing = data_dt(image, data)
    sequences = []
    for b, count in enumerate(data.lengths):
        frames = predict.frame_words(image, data.x[b, :count], spacing[b, :count])
        frames[:, 0] |= np.uint16(0 if untraced and b % untraced == 0 else Flag.TRACE)
        sequences.append(frames)
    expected = [words for part in predict.machine(image, SEQUENCES).run(sequences) for words in part]
    path = folder / "case.npz"
    arrays = {f"section{int(space)}": words for space, words in image.sections.items()}
    arrays["frames"] = np.concatenate(sequences)
    arrays["expected"] = np.concatenate(expected)
    arrays["counts"] = np.array([len(words) for words in expected])  # words of each frame
    np.savez(path, **arrays)
    return {"MACHINE_CASE": str(path), "MACHINE_SEED": str(seed), "MACHINE_FIFO_WORDS": str(config.fifo_words)}
