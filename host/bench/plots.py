# SPDX-License-Identifier: BSD-2-Clause
"""Pictures of the benchmark: work against precision, and accuracy against multiplications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liquid_accel.bench.front import CELLS, pareto
from liquid_accel.demo import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A solver's colour, marker and line; families share a line: adaptive ones solid, fixed ones dashed.
SOLVERS = {
    "etd21": (style.VERMILION, "o"), "bs32": (style.BLUE, "s"), "heun21": (style.SKY, "D"),
    "dopri5": (style.GREEN, "^"), "rkf45": (style.ORANGE, "v"), "fused": (style.BLACK, "o"),
    "expeuler": (style.VERMILION, "x"), "beuler": (style.PURPLE, "P"), "euler": (style.GREY, "+"),
    "heun": (style.SKY, "x"), "rk4": (style.GREEN, "x"),
}  # fmt: skip
NAMES = {"ltc": "LTC", "gru": "GRU"}
COLOURS = {"ltc": style.VERMILION, "gru": style.BLUE}
# Dense, and the two thresholds, from light to full.
FACES = {None: ("none", "dense"), 0.0625: ("#ffffff88", "skip 1/16"), 0.125: ("full", "skip 1/8")}


@style.drawn
def precision_figure(points: list[dict[str, Any]]) -> Figure:
    """Rms error of the states against right-hand sides a frame, both axes logarithmic; diverged points are left out."""
    figure, axis = style.figure(1, 1, height=5.2)
    for name, (colour, marker) in SOLVERS.items():
        own = [p for p in points if p["solver"] == name and "refused" not in p and not p["diverged"]]
        if not own:
            continue
        kind = "tolerance" if own[0]["adaptive"] else "steps"
        rhs, error = [p["rhs_per_frame"] for p in own], [p["rms_error"] for p in own]
        line = "-" if own[0]["adaptive"] else "--"
        axis.plot(rhs, error, line, color=colour, marker=marker, markersize=5, label=f"{name}, by {kind}")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    style.plain_log(axis.xaxis, [2.0**k for k in range(9)])
    axis.set_xlabel("right-hand sides a frame")
    axis.set_ylabel("rms error of the states, against the exact solution")
    axis.grid(True, which="major")
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@style.drawn
def front_figure(points: list[dict[str, Any]]) -> Figure:
    """Accuracy against all multiplications a frame; lines join what no network of the same cell beats."""
    figure, axis = style.figure(1, 1, height=5.0)
    for cell in CELLS:
        own = [p for p in points if p["cell"] == cell]
        for threshold, (face, text) in FACES.items():
            _scatter(axis, [p for p in own if p["threshold"] == threshold], cell, face, text)
        best = pareto(own)
        x, y = [p["products_per_frame"] for p in best], [100 * p["accuracy"] for p in best]
        axis.step(x, y, where="post", color=COLOURS[cell], linewidth=1.6, label=f"{NAMES[cell]}: the best of its kind")
        for p in best:
            axis.annotate(
                str(p["units"]), (p["products_per_frame"], 100 * p["accuracy"]), xytext=(-4, 4), ha="right",
                textcoords="offset points", fontsize=8, color=COLOURS[cell],
            )  # fmt: skip
    axis.set_xscale("log")
    style.plain_log(axis.xaxis, [d * 10**e for e in (2, 3, 4) for d in (1, 2, 5)])
    axis.set_xlabel("multiplications issued a frame (numbers: units)")
    axis.set_ylabel("accuracy on the test utterances, %")
    axis.grid(True)
    axis.legend(loc="lower right", fontsize=8)
    return figure


def _scatter(axis: Axes, points: list[dict[str, Any]], cell: str, face: str, text: str) -> None:
    if not points:
        return
    colour = COLOURS[cell]
    marker = "o" if cell == "ltc" else "s"
    faces = {"none": "white", "full": colour}.get(face, style.SKY if cell == "gru" else style.ORANGE)
    axis.scatter(
        [p["products_per_frame"] for p in points], [100 * p["accuracy"] for p in points], s=26, marker=marker,
        facecolors=faces, edgecolors=colour, linewidths=1.0, label=f"{NAMES[cell]}, {text}", zorder=3,
    )  # fmt: skip
