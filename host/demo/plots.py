# SPDX-License-Identifier: BSD-2-Clause
"""The report's pictures of one utterance: its states and time constants, and the steps that the controller chose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from liquid_accel.demo import style
from liquid_accel.demo.run import Outcome, SolverOutcome
from liquid_accel.driver.result import Result
from liquid_accel.sim import reference
from liquid_accel.sim.reference import SolverSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

LINES = 5  # neurons drawn one by one


def adaptive(outcome: Outcome) -> SolverOutcome:
    """The outcome of the adaptive solver."""
    return next(solver for solver in outcome.solvers if solver.name == "bs32")


def change(outcome: Outcome, row: int) -> Floats:
    """Rms over the features of the input's change into each frame (T,), in standard deviations; the first from 0."""
    x = outcome.model.features.normalise(outcome.batch.x[row, : outcome.batch.lengths[row]])
    result: Floats = np.sqrt(np.mean(np.diff(x, axis=0, prepend=np.zeros((1, x.shape[1]))) ** 2, axis=1))
    return result


def correlations(outcome: Outcome, rows: npt.NDArray[np.intp], result: Result) -> Floats:
    """Per utterance, that of the right-hand sides of its frames with the input's change, the first frame left out."""
    found = np.full(len(rows), np.nan)
    for at, row in enumerate(rows):
        evals = result.rhs_evals[at, 1 : result.lengths[at]].astype(float)
        if evals.std() > 0:
            found[at] = np.corrcoef(evals, change(outcome, int(row))[1:])[0, 1]
    return found


def quarters(outcome: Outcome, rows: npt.NDArray[np.intp], result: Result) -> tuple[float, float]:
    """Mean right-hand sides of the frames whose input changes least and most, a quarter each; first frames left out."""
    changes = np.concatenate([change(outcome, int(row))[1:] for row in rows])
    evals = np.concatenate([result.rhs_evals[at, 1 : result.lengths[at]] for at in range(len(rows))])
    low, high = np.quantile(changes, [0.25, 0.75])
    return float(evals[changes <= low].mean()), float(evals[changes >= high].mean())


def utterance(result: Result, correlation: Floats) -> int:
    """The utterance to show: among the longer half the one in which work follows the voice most closely."""
    long = result.lengths >= np.median(result.lengths)
    return int(np.argmax(np.where(long & ~np.isnan(correlation), correlation, -2.0)))


@style.drawn
def states_figure(outcome: Outcome, row: int) -> Figure:
    """Inputs, states of all neurons, and states and time constants of a few, over the frames of an utterance."""
    solver = adaptive(outcome)
    batch = outcome.batch.subset(slice(row, row + 1))
    frames = int(batch.lengths[0])
    exact = reference.run(outcome.model, batch, SolverSettings("rk4", 16), weights=solver.image.dequantised())
    taus = exact.taus[0, :frames]
    assert solver.golden.h is not None  # the demo asks for states
    states = solver.golden.h[row, :frames]
    order = np.argsort(taus.mean(0))
    figure, axes = style.figure(4, 1, height=8.6, sharex=True, height_ratios=[1.0, 1.7, 1.3, 1.3])
    _input_map(figure, axes[0], outcome, row)
    limit = float(np.abs(states).max())
    image = axes[1].imshow(
        states[:, order].T, aspect="auto", cmap="PuOr", vmin=-limit, vmax=limit, extent=(0, frames, states.shape[1], 0),
        interpolation="nearest",
    )  # fmt: skip
    figure.colorbar(image, ax=axes[1], label="state h", pad=0.015)
    axes[1].set_ylabel("neuron, fast to slow")
    # Spread over the range of time constants; each colour is one neuron in both panels.
    shown = order[np.linspace(0, len(order) - 1, LINES).astype(int)]
    time = np.arange(frames + 1)
    for colour, neuron in zip(style.LINES, shown, strict=False):
        axes[2].plot(time, np.append(0.0, states[:, neuron]), color=colour, marker="o", markersize=2.5)
        axes[3].step(time, np.append(taus[:, neuron], taus[-1, neuron]), where="post", color=colour)
    axes[2].axhline(0, color=style.GREY, linewidth=0.6)
    axes[2].set_ylabel("state h of five\nneurons")
    axes[3].set_yscale("log")
    style.plain_log(axes[3].yaxis, [scale * digit for scale in (0.01, 0.1, 1, 10) for digit in (1, 2, 5)])
    style.whole_numbers(axes[3].xaxis)
    axes[3].set_ylabel("time constant τ of\nthe same, frames")
    axes[3].set_xlabel("time, frames")
    axes[3].set_xlim(0, frames)
    for axis in axes[2:]:
        style.blank_colorbar(figure, axis)
    return figure


def _input_map(figure: Figure, axis: Axes, outcome: Outcome, row: int) -> None:
    frames = int(outcome.batch.lengths[row])
    x = outcome.model.features.normalise(outcome.batch.x[row, :frames])
    image = axis.imshow(
        x.T, aspect="auto", cmap="PuOr", vmin=-3, vmax=3, extent=(0, frames, x.shape[1] + 0.5, 0.5),
        interpolation="nearest",
    )  # fmt: skip
    figure.colorbar(image, ax=axis, label="input, sd", pad=0.015, extend="both")
    axis.set_ylabel("cepstrum\ncoefficient")
    axis.set_yticks([1, x.shape[1] // 2, x.shape[1]])


@style.drawn
def steps_figure(outcome: Outcome, row: int, result: Result, at: int) -> Figure:
    """The voice, how much it changes from frame to frame, and each step that the controller took.

    The utterance is `row` of the test set and `at` of `result`.
    """
    frames = int(result.lengths[at])
    figure, axes = style.figure(4, 1, height=7.6, sharex=True, height_ratios=[1.0, 1.0, 1.6, 1.0])
    _input_map(figure, axes[0], outcome, row)
    edges = np.arange(frames + 1)
    axes[1].stairs(change(outcome, row), edges, fill=True, color=style.SKY)
    axes[1].set_ylabel("change of the\ninput, rms sd")
    taken = step_segments(result.steps, at)
    good = taken["accepted"]
    middle = (taken["start"] + taken["end"]) / 2
    axes[2].hlines(
        taken["size"][good], taken["start"][good], taken["end"][good], color=style.BLUE, linewidth=2.4, label="accepted"
    )
    axes[2].plot(
        middle[~good],
        taken["size"][~good],
        "x",
        color=style.VERMILION,
        markersize=5,
        label="rejected, tried again shorter",
    )
    axes[2].set_yscale("log", base=2)
    axes[2].set_ylim(0.8 * taken["size"].min(), 1.9)
    style.plain_log(axes[2].yaxis, [2.0**-k for k in range(12)])
    axes[2].set_ylabel("step size,\nframes")
    axes[2].legend(loc="upper right", ncols=2)
    axes[3].stairs(result.rhs_evals[at, :frames], edges, fill=True, color=style.GREEN)
    axes[3].set_ylabel("right-hand\nsides")
    style.whole_numbers(axes[3].yaxis, 5)
    axes[3].set_xlabel("time, frames")
    axes[3].set_xlim(0, frames)
    style.whole_numbers(axes[3].xaxis)
    for axis in axes[1:]:
        style.blank_colorbar(figure, axis)
        for edge in edges:
            axis.axvline(edge, color=style.GREY, linewidth=0.3, zorder=0)
    return figure


def step_segments(steps: Any, row: int) -> Any:
    """Where each step of a sequence lies in time: `start`, `end`, `size`, `accepted`."""
    mine = steps[steps["sequence"] == row]
    segments = np.zeros(len(mine), [("start", float), ("end", float), ("size", float), ("accepted", bool)])
    frame, now = -1, 0.0
    for index, step in enumerate(mine):
        if step["frame"] != frame:
            frame, now = int(step["frame"]), float(step["frame"])
        end = now + float(step["size"])
        segments[index] = (now, end, step["size"], step["accepted"])
        now = end if step["accepted"] else now
    return segments
