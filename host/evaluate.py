# SPDX-License-Identifier: BSD-2-Clause
"""Accuracy of a checkpoint, over several seeds, and the choice of a seed without the test set."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.training import train_checkpoint

EVALUATION_STEPS = 4


def accuracy(
    checkpoint: Checkpoint, data: Dataset, solver: str | None = None, steps: int = EVALUATION_STEPS
) -> float:
    """Fraction of the sequences that the float reference classifies rightly, 0 to 1.

    `solver` None is "fused", or "rk4" for a network with a node layer.
    """
    from liquid_accel.sim import reference

    if data.labels is None:
        raise UserError(f"{data.name}: y is no class label a sequence; accuracy needs whole labels, one a sequence")
    solver = solver or reference.default_solver(checkpoint)
    return reference.run(checkpoint, data, solver, steps=steps).accuracy(data.labels)


def split(data: Dataset, fraction: float = 0.2, seed: int = 0) -> tuple[Dataset, Dataset]:
    """(training part, validation part), the second with `fraction` of each class, drawn by `seed`."""
    if data.labels is None:
        raise UserError(f"{data.name}: y is no class label a sequence; a split by class needs them")
    draw = np.random.default_rng(seed)
    held: list[npt.NDArray[np.intp]] = []
    for label in np.unique(data.labels):
        rows = draw.permutation(np.flatnonzero(data.labels == label))
        if rows.size < 2:
            raise UserError(f"{data.name}: y holds {label} once; expected each class twice or more, to hold some back")
        held.append(rows[: max(1, round(fraction * rows.size))])
    validation = np.sort(np.concatenate(held))
    return data.subset(np.setdiff1d(np.arange(len(data.x)), validation)), data.subset(validation)


def seed_study(
    train: Dataset,
    test: Dataset,
    seeds: int = 5,
    **options: Any,
) -> dict[str, Any]:
    """Train with seeds 0 .. `seeds` - 1 on all of `train`; accuracy of each on `test`, mean and standard deviation.

    `options` are those of `train_checkpoint`, in the functions below too.
    Keys: `accuracies` (a number a seed), `accuracy_mean`, `accuracy_sd` (of a sample, 0 for one seed), `seeds`,
    `solver`, `steps`. `study_table` prints it.
    """
    from liquid_accel.sim import reference

    if seeds < 1:
        raise UserError(f"seeds is {seeds}; expected at least 1")
    results = []
    for seed in range(seeds):
        checkpoint = train_checkpoint(train, seed=seed, **options)
        results.append(accuracy(checkpoint, test))
    return {
        "seeds": list(range(seeds)),
        "accuracies": results,
        "accuracy_mean": float(np.mean(results)),
        "accuracy_sd": float(np.std(results, ddof=1)) if seeds > 1 else 0.0,
        "solver": reference.default_solver(checkpoint),
        "steps": EVALUATION_STEPS,
    }


def study_table(study: dict[str, Any]) -> str:
    """The figures of `seed_study`, a line a seed, then mean and standard deviation, in per cent."""
    pairs = zip(study["seeds"], study["accuracies"], strict=True)
    lines = [f"seed {seed}: {100 * value:6.2f} %" for seed, value in pairs]
    lines.append(f"mean:   {100 * study['accuracy_mean']:6.2f} %   sd {100 * study['accuracy_sd']:.2f}")
    return "\n".join(lines)


def select_seed(
    train: Dataset,
    seeds: int = 5,
    **options: Any,
) -> tuple[int, list[float]]:
    """The seed whose network, trained on four fifths of `train`, does best on the last fifth; and all accuracies.

    Among equals the one with the lowest cross-entropy wins. The test set has no part in it.
    """
    if seeds < 1:
        raise UserError(f"seeds is {seeds}; expected at least 1")
    part, validation = split(train)
    ranks: list[tuple[float, float, int]] = []
    for seed in range(seeds):
        checkpoint = train_checkpoint(part, seed=seed, **options)
        right, loss = _figures(checkpoint, validation)
        ranks.append((-right, loss, seed))
    return min(ranks)[2], [-rank[0] for rank in ranks]


def train_selected(train: Dataset, seeds: int = 5, **options: Any) -> Checkpoint:
    """Choose a seed as `select_seed` does, then train with it on all of `train`; the choice goes on record.

    The shipped checkpoint was made by `train_selected(train)`.
    """
    seed, accuracies = select_seed(train, seeds, **options)
    checkpoint = train_checkpoint(train, seed=seed, **options)
    chosen = {"seed_chosen_on": "a fifth of the training sequences, held back", "held_back_accuracies": accuracies}
    return replace(checkpoint, training={**checkpoint.training, **chosen})


def _figures(checkpoint: Checkpoint, data: Dataset) -> tuple[float, float]:
    """(accuracy, mean cross-entropy) of the float reference on labelled sequences."""
    from liquid_accel.sim import reference

    assert data.labels is not None  # what `split` returns is labelled
    run = reference.run(checkpoint, data, reference.default_solver(checkpoint), steps=EVALUATION_STEPS)
    logits = run.final - run.final.max(1, keepdims=True)
    likelihood = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return run.accuracy(data.labels), -float(likelihood[np.arange(len(likelihood)), data.labels].mean())
