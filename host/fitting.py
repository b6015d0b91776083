# SPDX-License-Identifier: BSD-2-Clause
"""How the weights of a classifier are found: the recipe, the loop over batches, augmentation, seeds and the bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from liquid_accel.stability import explicit, real_limit

if TYPE_CHECKING:
    import torch

    from liquid_accel.models.network import CellClassifier

# Of a method's limit: what is penalised comes close to it from above, and is not held there.
MARGIN = 0.8
Report = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Recipe:
    """Settings of a training run. `noise` and `offset` are in standard deviations of a feature; a crop keeps at
    least 1 - `crop` of a sequence; dt is multiplied by exp(`tempo` * normal), one draw a sequence.

    `stiffness` times mean(max(0, log(`tau_floor` / tau)) ** 2), tau in units of the frame spacing, joins the loss: a
    time constant far below a frame buys no accuracy and costs an explicit or adaptive solver many steps.
    `tau_ceiling` above 0 bounds them from above in the same way. With `for_solver`, an explicit method, `for_steps` a
    frame, `step_penalty` times mean(max(0, log(dt |lambda| / (steps * limit))) ** 2) joins the loss, |lambda| a bound
    of the Jacobian's eigenvalues (`Cell.fastest`) and the limit `MARGIN` times that of the method's stability on the
    real axis (`host/stability.py`), so that the network becomes no stiffer than those steps can take.
    `skip_threshold` above 0 trains ltc, ctrnn, gru and lstm with columns skipped as a machine with it does.
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
    skip_threshold: float = 0.0
    tau_ceiling: float = 0.0
    for_solver: str = ""
    for_steps: int = 1
    step_penalty: float = 1.0

    def record(self) -> dict[str, object]:
        """The settings as a checkpoint keeps them: those below "unfolds" only where they are at work."""
        found = asdict(self) | {"unfolds": list(self.unfolds)}
        silent = [] if self.skip_threshold else ["skip_threshold"]
        silent += [] if self.tau_ceiling else ["tau_ceiling"]
        silent += [] if self.for_solver else ["for_solver", "for_steps", "step_penalty"]
        return {name: value for name, value in found.items() if name not in silent}


def fit(
    model: "CellClassifier",
    inputs: "torch.Tensor",
    lengths: "torch.Tensor",
    spacing: "torch.Tensor",
    labels: "torch.Tensor",
    recipe: Recipe,
    epochs: int,
    report: Report,
) -> None:
    """Train `model` in place on `inputs` (N, T, F), `lengths` (N,), `spacing` (N, T) and class `labels` (N,)."""
    import torch
    from torch.nn import functional

    from liquid_accel.models.classifier import LiquidClassifier

    decayed, others = model.decayed()
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0},
    ]  # fmt: skip
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    batches = -(-len(labels) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=max(batches * epochs, 2), pct_start=0.1
    )
    longest = MARGIN * recipe.for_steps * real_limit(explicit(recipe.for_solver)) if recipe.for_solver else 0.0
    # Its time constants follow from the inputs alone and are computed anew: the shipped weights depend on that order.
    model.keep_time_constants(not isinstance(model, LiquidClassifier) or bool(recipe.for_solver))
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(labels)), recipe.batch_size):
            x, frames, dt = augment(inputs[rows], lengths[rows], spacing[rows], recipe)
            model.set_steps(recipe.unfolds[int(torch.randint(len(recipe.unfolds), ()))])
            logits = model(x, frames, dt)
            loss = functional.cross_entropy(logits, labels[rows], label_smoothing=recipe.label_smoothing)
            taus = model.time_constants(x) if isinstance(model, LiquidClassifier) else model.kept_time_constants()
            if recipe.stiffness > 0 and taus is not None:
                shortfall = torch.relu(np.log(recipe.tau_floor) - torch.log(taus))
                loss = loss + recipe.stiffness * (shortfall**2).mean()
            if recipe.tau_ceiling and taus is not None:
                excess = torch.relu(torch.log(taus) - np.log(recipe.tau_ceiling))
                loss = loss + recipe.stiffness * (excess**2).mean()
            if recipe.for_solver:
                loss = loss + recipe.step_penalty * too_stiff(model, float(dt.max()), longest)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        report(epoch + 1, epochs, total / len(labels))
    model.keep_time_constants(False)
    model.eval()


def too_stiff(model: "CellClassifier", dt: float, longest: float) -> "torch.Tensor":
    """mean(max(0, log(dt |lambda| / longest)) ** 2) over all cells, for the call before."""
    import torch

    bounds = [bound for cell in model.cells() if (bound := cell.fastest()) is not None]
    excess = torch.cat([torch.relu(torch.log(bound * dt / longest)).flatten() for bound in bounds])
    return (excess**2).mean()


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
def bar(progress: bool | Report, total: int) -> Iterator[Report]:
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
