# SPDX-License-Identifier: BSD-2-Clause
"""Training of a liquid classifier: seeded, on one core, with a progress bar on stderr.

A network trained with one solver at one step learns that solver rather than the equation, so every batch draws
the number of fused unfolds a frame; noise, an offset a sequence, random crops and, where wanted, a random tempo
keep it from learning the recordings by heart. `Recipe` holds the settings; their defaults were chosen by
cross-validation on the 270 training utterances of Japanese Vowels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint, Features
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError

if TYPE_CHECKING:
    import torch

    from liquid_accel.models.classifier import LiquidClassifier

CELLS = ("ltc",)
PLANNED_CELLS = ("ltc-synaptic", "cfc", "ctrnn", "node", "gru", "lstm")
MAX_HIDDEN_SIZE = 4096  # far beyond any machine's weights; the recurrent matrix then takes 64 MB
Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run. `noise` and `offset` are in standard deviations of a feature; a crop keeps at
    least 1 - `crop` of a sequence; dt is multiplied by exp(`tempo` * normal), one draw a sequence.

    `stiffness` times mean(max(0, log(`tau_floor` / tau)) ** 2), tau in units of the frame spacing, joins the loss: a
    time constant far below a frame buys no accuracy and costs an explicit or adaptive solver many steps.
    """

    epochs: int = 300
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    dropout: float = 0.3
    noise: float = 0.5
    offset: float = 0.3
    crop: float = 0.5
    tempo: float = 0.0
    label_smoothing: float = 0.0
    stiffness: float = 1.0
    tau_floor: float = 0.5
    unfolds: tuple[int, ...] = (1, 2, 4)


def train_checkpoint(
    train: Dataset,
    *,
    cell: str = "ltc",
    form: str = "input",
    hidden_size: int = 64,
    seed: int = 0,
    epochs: int | None = None,
    validation: Dataset | None = None,
    progress: bool | Report = True,
    recipe: Recipe | None = None,
) -> Checkpoint:
    """Train Linear + tanh, LTC, mean, Linear on class labels, one a sequence; return the checkpoint.

    `validation` decides nothing: its accuracy (float reference, 4 fused steps) is recorded under "training".
    `progress` True shows a bar on stderr; a function is called with (epoch, epochs, loss). The same seed
    gives the same weights on the same machine and torch. Where `train` holds dt, its median becomes the checkpoint's
    unit of time.
    """
    labels = check(train, cell, form, hidden_size, epochs)
    if not 0 <= seed < 2**63:
        raise UserError(f"seed is {seed}; expected 0 to 2**63 - 1")
    recipe = recipe or Recipe()
    epochs = recipe.epochs if epochs is None else epochs
    features = feature_statistics(train)
    unit = time_unit(train)
    classes = max(int(labels.max()) + 1, 2)

    from liquid_accel.models.classifier import LiquidClassifier

    with one_thread(seed) as torch, _bar(progress, epochs) as report:
        model = LiquidClassifier(train.x.shape[2], hidden_size, classes, form=form, dropout=recipe.dropout)
        inputs = torch.from_numpy(features.normalise(train.x).astype(np.float32))
        spacing = torch.from_numpy((train.dt / (unit or 1.0)).astype(np.float32))
        lengths = torch.from_numpy(train.lengths.astype(np.int64))
        _fit(model, inputs, lengths, spacing, torch.from_numpy(labels), recipe, epochs, report)
    record = {"seed": seed, "sequences": len(labels), "hidden_size": hidden_size, "torch": str(torch.__version__)}
    record |= asdict(recipe) | {"epochs": epochs, "unfolds": list(recipe.unfolds)}
    checkpoint = model.to_checkpoint(features, time_unit_s=unit, training=record)
    if validation is None:
        return checkpoint
    from liquid_accel.evaluate import accuracy

    return model.to_checkpoint(
        features, time_unit_s=unit, training={**record, "validation_accuracy": accuracy(checkpoint, validation)}
    )


def check(train: Dataset, cell: str, form: str, hidden_size: int, epochs: int | None) -> npt.NDArray[np.int64]:
    """The class labels, once every argument has been found sound; raises `UserError`."""
    if cell not in CELLS:
        known = "is not available yet" if cell in PLANNED_CELLS else "is unknown"
        raise UserError(f"cell '{cell}' {known}; available: {', '.join(CELLS)}")
    if form not in ("input", "literal"):
        raise UserError(f"form is '{form}'; expected input or literal")
    if not 1 <= hidden_size <= MAX_HIDDEN_SIZE:
        raise UserError(f"hidden size is {hidden_size}; expected 1 to {MAX_HIDDEN_SIZE}")
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
    try:
        import torch  # noqa: F401
    except ImportError:
        raise UserError("torch is not installed; training needs it: pip install 'liquid-accel[train]'") from None
    return train.labels


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


def _fit(
    model: "LiquidClassifier",
    inputs: "torch.Tensor",
    lengths: "torch.Tensor",
    spacing: "torch.Tensor",
    labels: "torch.Tensor",
    recipe: Recipe,
    epochs: int,
    report: Report,
) -> None:
    import torch
    from torch.nn import functional

    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    batches = -(-len(labels) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=max(batches * epochs, 2), pct_start=0.1
    )
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(labels)), recipe.batch_size):
            x, frames, dt = augment(inputs[rows], lengths[rows], spacing[rows], recipe)
            model.ltc.steps = recipe.unfolds[int(torch.randint(len(recipe.unfolds), ()))]
            logits = model(x, frames, dt)
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=recipe.label_smoothing)
            if recipe.stiffness > 0:
                shortfall = torch.relu(np.log(recipe.tau_floor) - torch.log(model.time_constants(x)))
                loss = loss + recipe.stiffness * (shortfall**2).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        report(epoch + 1, epochs, total / len(labels))
    model.eval()


def augment(
    x: "torch.Tensor", lengths: "torch.Tensor", dt: "torch.Tensor", recipe: Recipe
) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    """A random crop of each sequence, noise and an offset on its features, a random tempo of its time."""
    import torch

    batch, _, features = x.shape
    kept = torch.ceil(lengths * (1.0 - recipe.crop * torch.rand(batch))).long().clamp(min=1)
    start = torch.floor(torch.rand(batch) * (lengths - kept + 1)).long()
    index = (start[:, None] + torch.arange(int(kept.max()))[None, :]).clamp(max=x.shape[1] - 1)
    x = x.gather(1, index[..., None].expand(-1, -1, features))
    x = x + recipe.noise * torch.randn_like(x) + recipe.offset * torch.randn(batch, 1, features)
    return x, kept, dt.gather(1, index) * torch.exp(recipe.tempo * torch.randn(batch, 1))


@contextmanager
def one_thread(seed: int) -> Iterator[Any]:
    """Seed torch and keep it on one core, so that a run repeats; put both back afterwards."""
    import torch

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    try:
        yield torch
    finally:
        torch.set_num_threads(threads)
        torch.random.set_rng_state(state)


@contextmanager
def _bar(progress: bool | Report, total: int) -> Iterator[Report]:
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda epoch, epochs, loss: None
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("training"), BarColumn(), TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("loss {task.fields[loss]:.4f}"), TimeRemainingColumn(),
        )  # fmt: skip
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("training", total=total, loss=float("nan"))
            yield lambda epoch, epochs, loss: bar.update(task, completed=epoch, loss=loss)
