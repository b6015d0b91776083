# SPDX-License-Identifier: BSD-2-Clause
"""A small model and data for it, quick on every target."""

from pathlib import Path

import numpy as np

from liquid_accel import checkpoint
from liquid_accel.checkpoint import Checkpoint, Features, Linear, Ltc, Mean, Task

INPUTS, CLASSES = 3, 3


def model(seed: int = 0, width: int = 6, unit: float | None = None) -> Checkpoint:
    """Linear + tanh, LTC, mean, Linear, with random weights."""
    draw = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.5, shape).astype(np.float32)

    tensors = {
        "proj.weight": matrix(width, INPUTS), "proj.bias": matrix(width),
        "ltc.recurrent_weight": matrix(width, width), "ltc.bias": matrix(width),
        "ltc.input_weight": matrix(width, width),
        "ltc.tau_weight": matrix(width, width), "ltc.tau_bias": matrix(width) + np.float32(1.0),
        "read.weight": matrix(CLASSES, width), "read.bias": matrix(CLASSES),
    }  # fmt: skip
    features = Features((0.1,) * INPUTS, (1.5,) * INPUTS, ((-4.0, 4.0),) * INPUTS)
    layers = (Linear("proj", "tanh"), Ltc("ltc"), Mean(), Linear("read"))
    return Checkpoint(layers, tensors, features, Task("classification", CLASSES), unit)


def sequences(count: int = 7, frames: int = 9, seed: int = 1) -> dict[str, np.ndarray]:
    """Arrays x, lengths and dt, with some frames of dt = 0."""
    draw = np.random.default_rng(seed)
    return {
        "x": draw.normal(0, 1, (count, frames, INPUTS)).astype(np.float32),
        "lengths": draw.integers(1, frames + 1, count),
        "dt": draw.uniform(0.0, 2.0, (count, frames)) * (draw.random((count, frames)) > 0.2),
    }


def files(folder: Path) -> tuple[Path, Path]:
    """(model.safetensors, data.npz) in a folder; the data have labels."""
    arrays = sequences()
    checkpoint.save(model(), folder / "model.safetensors")
    np.savez(folder / "data.npz", **arrays, y=np.arange(len(arrays["x"])) % CLASSES)
    return folder / "model.safetensors", folder / "data.npz"
