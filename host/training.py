# SPDX-License-Identifier: BSD-2-Clause
"""Training of a classifier around liquid and other cells: seeded, on one core, with a progress bar on stderr.

A network trained with one solver at one step learns that solver rather than the equation, so every batch draws
the number of steps a frame; noise, an offset a sequence, random crops and, where wanted, a random tempo keep it
from learning the recordings by heart. `Recipe` holds the settings; their defaults were chosen for the ltc by
cross-validation on the 270 training utterances of Japanese Vowels, and hold for every cell.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from liquid_accel.architecture import CELLS, MAX_HIDDEN_SIZE, Architecture
from liquid_accel.checkpoint import Checkpoint, Features
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.fitting import Recipe, Report, augment, bar, fit, one_thread
from liquid_accel.stability import explicit

if TYPE_CHECKING:
    from liquid_accel.models.network import CellClassifier

__all__ = [
    "CELLS", "MAX_HIDDEN_SIZE", "Architecture", "Recipe", "Report", "augment", "check", "check_skipping",
    "check_stiffness", "feature_statistics", "one_thread", "time_unit", "torch_installed", "train_checkpoint",
]  # fmt: skip

SKIPPING = ("ltc", "ctrnn", "gru", "lstm")  # cells whose recurrent product is one of columns by the state


def train_checkpoint(
    train: Dataset,
    *,
    seed: int = 0,
    epochs: int | None = None,
    validation: Dataset | None = None,
    progress: bool | Report = True,
    recipe: Recipe | None = None,
    **shape: Any,
) -> Checkpoint:
    """Train a network on class labels, one a sequence; return the checkpoint. `shape` are fields of `Architecture`.

    `validation` decides nothing: its accuracy (float reference, 4 steps) is recorded under "training".
    `progress` True shows a bar on stderr; a function is called with (epoch, epochs, loss). The same seed
    gives the same weights on the same machine and torch. Where `train` holds dt, its median becomes the checkpoint's
    unit of time.
    """
    architecture = Architecture(**shape)
    labels = check(train, epochs)
    recipe = recipe or Recipe()
    if not 0 <= seed < 2**63:
        raise UserError(f"seed is {seed}; expected 0 to 2**63 - 1")
    check_skipping(recipe, architecture)
    check_stiffness(recipe, architecture)
    epochs = recipe.epochs if epochs is None else epochs
    features = feature_statistics(train)
    unit = time_unit(train)
    classes = max(int(labels.max()) + 1, 2)
    with one_thread(seed) as torch, bar(progress, epochs) as report:
        model = build(architecture, train.x.shape[2], classes, recipe)
        inputs = torch.from_numpy(features.normalise(train.x).astype(np.float32))
        spacing = torch.from_numpy((train.dt / (unit or 1.0)).astype(np.float32))
        lengths = torch.from_numpy(train.lengths.astype(np.int64))
        fit(model, inputs, lengths, spacing, torch.from_numpy(labels), recipe, epochs, report)
    size = architecture.hidden_size
    record = {"seed": seed, "sequences": len(labels), "hidden_size": size, "torch": str(torch.__version__)}
    record |= recipe.record() | {"epochs": epochs}
    record |= {name: value for name, value in architecture.changes().items() if name not in ("form", "hidden_size")}
    checkpoint = model.to_checkpoint(features, time_unit_s=unit, training=record)
    if validation is None:
        return checkpoint
    from liquid_accel.evaluate import accuracy

    return model.to_checkpoint(
        features, time_unit_s=unit, training={**record, "validation_accuracy": accuracy(checkpoint, validation)}
    )


def build(architecture: Architecture, in_features: int, classes: int, recipe: Recipe) -> "CellClassifier":
    """The untrained torch model; the network that ships is a `LiquidClassifier`."""
    from liquid_accel.models import CellClassifier, LiquidClassifier

    size = architecture.hidden_size
    if architecture.plain and not recipe.skip_threshold:
        return LiquidClassifier(in_features, size, classes, form=architecture.form, dropout=recipe.dropout)
    return CellClassifier(
        in_features, size, classes, cell=architecture.cell, depth=architecture.depth,
        projection=architecture.projection, mean=architecture.mean, dropout=recipe.dropout,
        skip_threshold=recipe.skip_threshold, **architecture.cell_options(),
    )  # fmt: skip


def check(train: Dataset, epochs: int | None) -> npt.NDArray[np.int64]:
    """The class labels, once every argument has been found sound; raises `UserError`."""
    if epochs is not None and epochs < 1:
        raise UserError(f"epochs is {epochs}; expected at least 1")
    if train.labels is None:
        held = "missing" if train.y is None else f"{train.y.dtype} of shape {train.y.shape}"
        raise UserError(f"{train.name}: y is {held}; training needs whole class labels, one a sequence")
    if train.labels.min() < 0:
        raise UserError(f"{train.name}: y holds {train.labels.min()}; expected class labels of at least 0")
    count = len(train.labels)
    if train.labels.max() >= max(count, 2):  # a class costs a row of weights, whether or not it occurs
        raise UserError(
            f"{train.name}: y holds {train.labels.max()}; expected class labels from 0 up, no more classes than the "
            f"{count} sequences"
        )
    if not torch_installed():
        raise UserError("torch is not installed; training needs it: pip install 'liquid-accel[train]'")
    return train.labels


def torch_installed() -> bool:
    """Whether torch can be imported, without importing it."""
    return find_spec("torch") is not None


def check_skipping(recipe: Recipe, architecture: Architecture) -> None:
    """Raises `UserError` for a threshold that is none, or a cell that has no columns to skip."""
    threshold, cell = recipe.skip_threshold, architecture.cell
    if not 0 <= threshold < np.inf:
        raise UserError(f"skip threshold is {threshold}; expected a number of at least 0")
    if threshold and cell not in SKIPPING:
        raise UserError(f"skip threshold is {threshold}, but cell '{cell}' skips nothing; expected 0, or a cell of "
                        f"{', '.join(SKIPPING)}")  # fmt: skip


def check_stiffness(recipe: Recipe, architecture: Architecture) -> None:
    """Raises `UserError` for bounds of time constants that exclude each other, or a solver that fits no such cell."""
    for name, value in (("tau floor", recipe.tau_floor), ("tau ceiling", recipe.tau_ceiling or 1.0)):
        if not 0 < value < np.inf:
            raise UserError(f"{name} is {value}; expected a number above 0")
    if recipe.tau_ceiling and recipe.tau_ceiling <= recipe.tau_floor:
        raise UserError(f"tau ceiling is {recipe.tau_ceiling:g}; expected more than the floor, {recipe.tau_floor:g}")
    if recipe.tau_ceiling and architecture.cell not in ("ltc", "ctrnn"):
        raise UserError(f"tau ceiling is {recipe.tau_ceiling:g}, but cell '{architecture.cell}' has no time constants; "
                        "expected a cell of ltc, ctrnn")  # fmt: skip
    if not recipe.for_solver:
        return
    explicit(recipe.for_solver)
    if recipe.for_steps < 1:
        raise UserError(f"steps a frame are {recipe.for_steps}; expected at least 1")
    if architecture.cell not in ("ltc", "ctrnn", "node"):
        raise UserError(f"solver '{recipe.for_solver}' is to be trained for, but cell '{architecture.cell}' has none; "
                        "expected a cell of ltc, ctrnn, node")  # fmt: skip


def feature_statistics(data: Dataset) -> Features:
    """Mean, standard deviation (1 for a constant feature) and range of each feature over all frames."""
    frames = data.x[data.mask].astype(np.float64)
    scale = frames.std(0)
    scale = np.where(scale > 1e-6 * np.maximum(np.abs(frames).max(0), 1e-30), scale, 1.0)
    ranges = tuple((float(low), float(high)) for low, high in zip(frames.min(0), frames.max(0), strict=True))
    return Features(tuple(frames.mean(0).tolist()), tuple(scale.tolist()), ranges)


def time_unit(data: Dataset) -> float | None:
    """The median spacing of frames in seconds, or None where the data hold none: then a frame is the unit."""
    positive = data.dt[data.mask & (data.dt > 0)]
    if not data.dt_given:
        return None
    return float(np.median(positive)) if positive.size else 1.0
