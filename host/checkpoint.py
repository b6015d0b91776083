# SPDX-License-Identifier: BSD-2-Clause
"""A trained model on disk: `.safetensors` with a JSON description; needs neither torch nor pickles.

The metadata key "liquid" holds the description. The tensors are float32 and named after their layer, <name>.weight for
one; `layers.py` says which there are. A stack is linear layers, cells one on top of the other, a mean or none,
linear layers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel import description, stack
from liquid_accel.description import CHECKPOINT_VERSION, Features, Task
from liquid_accel.errors import UserError
from liquid_accel.files import write_whole
from liquid_accel.layers import Cfc, Ctrnn, Gru, Layer, Linear, Lstm, Ltc, Mean, Node, Synaptic
from liquid_accel.stack import Tensors

__all__ = [
    "CHECKPOINT_VERSION", "Cfc", "Checkpoint", "Ctrnn", "Features", "Gru", "Layer", "Linear", "Lstm", "Ltc", "Mean",
    "Node", "Synaptic", "Task", "load", "save",
]  # fmt: skip

METADATA_KEY = "liquid"


@dataclass(frozen=True)
class Checkpoint:
    """A model: what it does, layer by layer, and its weights.

    `time_unit_s` is the unit of time constants in seconds, or None where time is counted in frames;
    `default_dt` is the spacing of frames, in that unit, for data without `dt`. `training` records how the weights came
    about and carries no meaning.
    """

    layers: tuple[Layer, ...]
    tensors: Tensors
    features: Features
    task: Task
    time_unit_s: float | None = None
    default_dt: float = 1.0
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stack.check_layers(self.layers, self.tensors, self.in_features, self.task.classes, "checkpoint")

    @property
    def in_features(self) -> int:
        """Features a frame that the model takes."""
        return len(self.features.mean)

    @property
    def out_features(self) -> int:
        """Width of the model's output: classes, or values of a regression."""
        return self.layer_widths()[-1]

    def layer_widths(self) -> tuple[int, ...]:
        """Width of the input, then of each layer's output."""
        return stack.widths(self.layers, self.tensors, self.in_features)

    def model_dt(self, dt: npt.NDArray[np.float64], given: bool) -> npt.NDArray[np.float64]:
        """`dt` of a data set in the model's unit: seconds over the unit, or as it is where that is frames.

        Where the data held no dt (`given` false) it is `default_dt` wherever something was filled in, whatever that is;
        and to the last bit what the same spacing gives that a file holds.
        """
        unit = 1.0 if self.time_unit_s is None else self.time_unit_s
        return (dt if given else np.where(dt > 0, self.default_dt * unit, 0.0)) / unit


def save(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write `path` whole or not at all. Raises `UserError`."""
    from safetensors.numpy import save as to_bytes

    text = json.dumps(description.encode(checkpoint), separators=(",", ":"), allow_nan=False)
    tensors = {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in checkpoint.tensors.items()}
    blob = to_bytes(tensors, metadata={METADATA_KEY: text})
    write_whole(Path(path), lambda temporary: temporary.write_bytes(blob))


def load(path: str | Path) -> Checkpoint:
    """Read and check a checkpoint. Raises `UserError` for anything that is not a whole and sound one."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; expected a .safetensors checkpoint")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; expected a .safetensors checkpoint")
    text, tensors = _read(path)
    return description.decode(text, tensors, str(path))


def _read(path: Path) -> tuple[str, Tensors]:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if METADATA_KEY not in metadata:
                raise UserError(f"{path}: holds no metadata '{METADATA_KEY}'; expected a checkpoint of `liquid train`")
            names = list(file.keys())
            tensors = {name: np.asarray(file.get_tensor(name)) for name in names}
    except UserError:
        raise
    except Exception as error:  # SafetensorError, and whatever numpy says of a type that it does not know
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: not a .safetensors file, or a truncated one ({reason})") from None
    for name, tensor in tensors.items():
        if tensor.dtype != np.float32:
            raise UserError(f"{path}: tensor '{name}' has type {tensor.dtype}; expected float32")
    return metadata[METADATA_KEY], tensors
