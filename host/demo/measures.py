# SPDX-License-Identifier: BSD-2-Clause
"""The report's pictures of quality: work against precision, error of the function unit, and who was taken for whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from liquid_accel.compiler import tables
from liquid_accel.demo import style
from liquid_accel.demo.precision import Curve
from liquid_accel.demo.run import Outcome, SolverOutcome
from liquid_accel.image import Image
from liquid_accel.rtl.formats import FLOAT_BIAS, FLOAT_MANTISSA_BITS
from liquid_accel.rtl.isa import Mode, Space
from liquid_accel.sim.golden import arithmetic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Function = Callable[[Floats], Floats]

WORDS: Ints = np.arange(-(1 << 15), 1 << 15, dtype=np.int64)
LIMIT = 2e-2  # rms error of the states that the adaptive solver is held to
TOO_LARGE = 0.5  # an error at which a solver has diverged
# Label, colour, marker, how a setting is written, and on which side of its point.
CURVES = {
    "bs32": ("bs32 on the machine (golden), by tolerance", style.BLUE, "o", "{:g}", (-6, -3)),
    "fused": ("fused step on the machine (golden), by steps a frame", style.GREEN, "^", "{:.0f}", (5, 3)),
    "rk4": ("fixed RK4 in float64, by steps a frame", style.VERMILION, "s", "{:.0f}", (6, 3)),
}


@style.drawn
def precision_figure(found: Sequence[Curve]) -> Figure:
    """Rms error of the states against right-hand sides a frame, both axes logarithmic."""
    figure, axis = style.figure(1, 1, height=4.6)
    for curve in found:
        label, colour, marker, form, (right, up) = CURVES[curve.name]
        points = [p for p in zip(curve.rhs, curve.error, curve.settings) if np.isfinite(p[1]) and p[1] < TOO_LARGE]
        rhs, error, settings = zip(*points)
        axis.plot(rhs, error, color=colour, marker=marker, label=label, markersize=5)
        for place, setting in zip(zip(rhs, error), settings):
            axis.annotate(
                form.format(setting), place, xytext=(right, up), textcoords="offset points", fontsize=8, color=colour,
                ha="left" if right > 0 else "right", va="bottom" if up > 0 else "top",
            )  # fmt: skip
    axis.axhline(LIMIT, color=style.GREY, linewidth=0.9, linestyle="--")
    axis.annotate(
        f"limit, {LIMIT:g}", (0, LIMIT), xycoords=("axes fraction", "data"), xytext=(5, -3), textcoords="offset points",
        va="top", fontsize=8, color="#555555",
    )  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    style.plain_log(axis.xaxis, [2.0**k for k in range(8)])
    axis.set_xlabel("right-hand sides a frame")
    axis.set_ylabel("rms error of the states")
    axis.legend(loc="lower left")
    axis.grid(True)
    return figure


@style.drawn
def function_figure(image: Image) -> Figure:
    """Error of the function unit over all 65,536 inputs: three functions in LSB of Q3.12, 1/tau in per cent.

    tanh and 1/tau are read with the tables of `image`; sigmoid and softplus with those that the compiler would put in.
    """
    figure, axes = style.figure(2, 2, height=4.8)
    flat = axes.ravel()
    functions: tuple[tuple[str, Mode, Ints, Function], ...] = (
        ("tanh", Mode.ODD, _table(image, "tanh"), np.tanh),
        (
            "sigmoid",
            Mode.COMPLEMENT,
            np.array(tables.sigmoid_table(12, 12).words),
            lambda x: 0.5 * (1 + np.tanh(x / 2)),
        ),
        ("softplus", Mode.SOFTPLUS, np.array(tables.softplus_table(12).words), lambda x: np.logaddexp(0, x)),
    )
    x = WORDS / 4096
    for axis, colour, (name, mode, table, exact) in zip(flat, style.LINES, functions, strict=False):
        error = unit(table, mode) - np.minimum(exact(x) * 4096, WORDS[-1])
        _band(axis, x, error, colour, 2.0)
        axis.set_title(f"{name}: at most {np.abs(error).max():.2f} LSB", loc="left")
        axis.set_ylabel("error, LSB of Q3.12")
        axis.set_xlabel("input")
    _rate_error(flat[3], image)
    return figure


def _rate_error(axis: Axes, image: Image) -> None:
    """Error of 1/tau over the inputs between the floor and the ceiling of tau."""
    frac = next(row.frac_bits for row in image.formats if row.name.endswith("tau pre-activation"))
    bounds = {row.name: row.value for row in image.bounds}
    exponent, mantissa = arithmetic.split_code(arithmetic.exp2(unit(_table(image, "rate"), Mode.DIRECT)))
    rate = mantissa * 2.0 ** (exponent - FLOAT_BIAS - FLOAT_MANTISSA_BITS)
    x = WORDS / 2.0**frac
    tau = np.logaddexp(0, x) / (image.machine_unit / (image.time_unit_s or 1.0))
    floor, ceiling = bounds["tau: floor"], bounds["tau: ceiling"]
    inside = (np.logaddexp(0, x) >= floor) & (np.logaddexp(0, x) <= ceiling)
    error = np.where(inside, (rate * tau - 1) * 100, np.nan)
    _band(axis, x, error, style.ORANGE, 0.2)
    axis.set_xlim(x[inside][0], x[-1])
    axis.set_title(f"1/τ, τ from {floor:.2g} to {ceiling:.3g}: at most {np.nanmax(np.abs(error)):.3f} %", loc="left")
    axis.set_ylabel("error, %")
    axis.set_xlabel("input")


def _table(image: Image, name: str) -> Ints:
    """Words of a table of the image."""
    start = next(row.start for row in image.memory_map if row.space == Space.TABLE.name and row.name == name)
    words = image.sections[Space.TABLE].reshape(-1, tables.SIZE)[start]
    result: Ints = words.view(np.int16).astype(np.int64)
    return result


def unit(table: Ints, mode: Mode) -> Ints:
    """What the golden model's function unit makes of every word."""
    content = table.astype(np.int64)
    words: Ints = arithmetic.function_unit(WORDS, mode, content, arithmetic.rises(content), 12)[0]
    return words


def _band(axis: Axes, x: Floats, error: Floats, colour: str, limit: float) -> None:
    """Lowest and highest error of each 64 neighbouring inputs: 65,536 points would draw a solid block all the same."""
    blocks = error.reshape(-1, 64)
    here = ~np.isnan(blocks).all(1)
    low, high = np.nanmin(blocks[here], axis=1), np.nanmax(blocks[here], axis=1)
    axis.fill_between(x.reshape(-1, 64)[here].mean(1), low, high, color=colour, linewidth=0.4)
    axis.set_xlim(x[0], -x[0])
    axis.set_ylim(-1.1 * limit, 1.1 * limit)
    for edge in (-limit, limit):
        axis.axhline(edge, color=style.GREY, linewidth=0.8, linestyle="--")


@style.drawn
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
