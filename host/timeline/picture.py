# SPDX-License-Identifier: BSD-2-Clause
"""A timeline as a picture: units over the cycles of a frame, and the phases below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from liquid_accel.demo import style
from liquid_accel.timeline.units import UNITS, Timeline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "products": style.BLUE, "algebra": style.SKY, "elements": style.GREEN, "function": style.ORANGE,
    "controller": style.VERMILION, "nothing": style.GREY,
}  # fmt: skip
NAME = 40
PHASE_INCHES = 0.19
WIDTH = 11.0


@style.drawn
def timeline_figure(line: Timeline, title: str) -> Figure:
    """Above, when each unit is at work and for which share of the frame; below, the phases, with the lanes' share."""
    height = 0.32 * len(UNITS) + PHASE_INCHES * len(line.phases)
    ratios = [0.32 * len(UNITS), PHASE_INCHES * len(line.phases)]
    figure, axes = style.figure(2, 1, height=height + 1.3, width=WIDTH, sharex=True, height_ratios=ratios)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    _units(axes[0], line)
    _phases(axes[1], line)
    axes[1].set_xlim(0, line.cycles)
    axes[1].set_xlabel("time from the start of the frame, cycles")
    return figure


def _units(axis: Axes, line: Timeline) -> None:
    labels = []
    for row, (name, text) in enumerate(UNITS.items()):
        axis.broken_barh(spans(line.busy[name]), (row - 0.4, 0.8), color=COLOURS[name], linewidth=0, snap=False)
        labels.append(f"{text}, {100 * line.share(name):.1f} %")
    axis.set_yticks(range(len(labels)), labels)
    axis.invert_yaxis()
    axis.tick_params(axis="y", length=0)
    axis.grid(True, axis="x")


def _phases(axis: Axes, line: Timeline) -> None:
    labels = []
    for row, phase in enumerate(line.phases):
        here = slice(phase.start, phase.start + phase.cycles)
        axis.broken_barh([(phase.start, phase.cycles)], (row - 0.4, 0.8), color="#e4e4e4", linewidth=0)
        for name in ("products", "algebra", "controller"):
            found = [(phase.start + first, length) for first, length in spans(line.busy[name][here])]
            axis.broken_barh(found, (row - 0.4, 0.8), color=COLOURS[name], linewidth=0, snap=False)
        text = f"{phase.cycles} cycles, lanes {100 * phase.lanes / phase.cycles:.0f} %"
        left = phase.start > 0.6 * line.cycles
        axis.annotate(
            text, (phase.start if left else phase.start + phase.cycles, row), xytext=(-4 if left else 4, 0),
            textcoords="offset points", ha="right" if left else "left", va="center", fontsize=7, color="#444444",
        )  # fmt: skip
        labels.append(phase.name if len(phase.name) <= NAME else phase.name[: NAME - 1] + "…")
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
    axis.grid(True, axis="x")


def spans(busy: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of true as (first, length)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], busy, [False]]).astype(np.int8)))
    return [(int(first), int(end - first)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
