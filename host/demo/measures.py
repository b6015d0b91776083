# SPDX-License-Identifier: BSD-2-Clause
"""The report's pictures of quality: work against precision, error of the function unit, and who was taken for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from liquid_accel.compiler import tables
from liquid_accel.demo import style
from liquid_accel.demo.precision import FINE, Curve
from liquid_accel.demo.run import Outcome, SolverOutcome
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.sim.golden import arithmetic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT = 2e-2  # rms error of the states that the adaptive solver is held to
CURVES = {
    "bs32": ("bs32 on the machine (golden), by tolerance", style.BLUE, "o", "{:g}"),
    "rk4": ("fixed RK4 in float64, by steps a frame", style.VERMILION, "s", "{:.0f}"),
    "fused": ("fused step on the machine (golden), by steps a frame", style.GREEN, "^", "{:.0f}"),
}
TOO_LARGE = 0.5


def precision_figure(found: list[Curve]) -> Figure:
    """Rms error of the states against right-hand sides a frame, both axes logarithmic."""
    figure, axis = style.figure(1, 1, height=4.6)
    for curve in found:
        label, colour, marker, form = CURVES[curve.name]
        points = [p for p in zip(curve.rhs, curve.error, curve.settings) if np.isfinite(p[1]) and p[1] < TOO_LARGE]
        axis.plot(
            [p[0] for p in points], [p[1] for p in points], color=colour, marker=marker, label=label, markersize=5
        )
        for rhs, error, setting in points:
            axis.annotate(
                form.format(setting), (rhs, error), xytext=(6, 3), textcoords="offset points", fontsize=8, color=colour
            )
    axis.axhline(LIMIT, color=style.GREY, linewidth=0.9, linestyle="--")
    axis.annotate(
        f"limit {LIMIT:g}", (1, LIMIT), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
        ha="right", fontsize=8, color="#555555",
    )  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    style.plain_log(axis.xaxis)
    axis.set_xlabel("right-hand sides a frame")
    axis.set_ylabel(f"rms error of the states\nagainst RK4 with {FINE} steps")
    axis.legend(loc="upper right")
    axis.grid(True)
    return figure


def function_figure(config: LiquidConfig) -> Figure:
    """Error of the function unit over all 65,536 inputs: three functions in LSB of Q3.12, 1/tau in per cent."""
    functions: list[tuple[str, tables.Table, Callable[[np.ndarray], np.ndarray]]] = [
        ("tanh", tables.tanh_table(12, 12), np.tanh),
        ("sigmoid", tables.sigmoid_table(12, 12), lambda x: 0.5 * (1 + np.tanh(0.5 * x))),
        ("softplus", tables.softplus_table(12), lambda x: np.logaddexp(0, x)),
    ]
    words = tables.ALL_INPUTS
    x = words / 4096
    figure, axes = style.figure(2, 2, height=4.6, sharex=True)
    flat = axes.ravel()
    for axis, colour, (name, table, exact) in zip(flat, style.LINES, functions, strict=False):
        got = _unit(table, words) / 4096
        error = (got - np.minimum(exact(x), 32767 / 4096)) * 4096
        _band(axis, x, error, colour)
        axis.set_title(f"{name}: at most {np.abs(error).max():.2f} LSB", loc="left")
        axis.set_ylabel("error, LSB of Q3.12")
        axis.set_ylim(-2.2, 2.2)
        for limit in (-2, 2):
            axis.axhline(limit, color=style.GREY, linewidth=0.8, linestyle="--")
    offset = 0.0
    rate = tables.rate_table(12, offset, 11.0)
    code = arithmetic.exp2(_unit(rate, words))
    exponent, mantissa = arithmetic.split_code(code)
    value = mantissa * 2.0 ** (exponent - 16 - 11)
    floor, ceiling = (next(b.value for b in rate.bounds if b.name == f"tau: {end}") for end in ("floor", "ceiling"))
    tau = np.logaddexp(0, x)
    inside = (tau >= floor) & (x < 8 - 256 / 4096)
    error = np.where(inside, (value * tau - 1) * 100, np.nan)
    _band(flat[3], x, error, style.ORANGE)
    worst = float(np.nanmax(np.abs(error)))
    flat[3].set_title(f"1/τ: at most {worst:.3f} %, τ from {floor:.2g} to {ceiling:.2g}", loc="left")
    flat[3].set_ylabel("error, %")
    flat[3].set_ylim(-0.22, 0.22)
    for limit in (-0.2, 0.2):
        flat[3].axhline(limit, color=style.GREY, linewidth=0.8, linestyle="--")
    for axis in axes[1]:
        axis.set_xlabel("input")
    for axis in flat:
        axis.set_xlim(-8, 8)
    return figure


def _unit(table: tables.Table, words: np.ndarray) -> np.ndarray:
    """The golden model's function unit."""
    content = np.array(table.words, np.int64)
    return arithmetic.function_unit(words, table.mode, content, arithmetic.rises(content), 12)[0]


def _band(axis: object, x: np.ndarray, error: np.ndarray, colour: str) -> None:
    """Lowest and highest error of each 64 neighbouring inputs: 65,536 points would draw a solid block all the same."""
    with np.errstate(all="ignore"):
        blocks = error.reshape(-1, 64)
        empty = np.isnan(blocks).all(1)
        low = np.where(empty, np.nan, np.nanmin(np.where(empty[:, None], 0, blocks), axis=1))
        high = np.where(empty, np.nan, np.nanmax(np.where(empty[:, None], 0, blocks), axis=1))
    axis.fill_between(x.reshape(-1, 64).mean(1), low, high, color=colour, linewidth=0.4)  # type: ignore[attr-defined]


def confusion_figure(outcome: Outcome, solver: SolverOutcome) -> Figure:
    """How many utterances of each speaker were given to each: the simulated machine's labels."""
    labels = outcome.batch.labels
    assert labels is not None  # the shipped data are labelled
    classes = int(max(labels.max(), solver.rtl.result.label.max())) + 1
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, solver.rtl.result.label), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = style.figure(1, 1, height=4.8, width=5.6)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1.15)
    for row in range(classes):
        for column in range(classes):
            if counts[row, column]:
                colour = "white" if share[row, column] > 0.6 else style.VERMILION if row != column else "black"
                axis.text(column, row, counts[row, column], ha="center", va="center", fontsize=9, color=colour)
    ticks = range(classes)
    axis.set_xticks(ticks, [str(k + 1) for k in ticks])
    axis.set_yticks(ticks, [str(k + 1) for k in ticks])
    axis.set_xlabel("speaker that the machine names")
    axis.set_ylabel("speaker that spoke")
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return figure
