# SPDX-License-Identifier: BSD-2-Clause
"""How pictures look: the palette of Okabe and Ito, which colour-blind readers can tell apart, and quiet axes."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# M. Okabe, K. Ito: Color Universal Design, 2008.
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
GREY = "#999999"
LINES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
WIDTH = 8.6  # inches

SETTINGS: dict[Any, Any] = {
    "font.size": 9.5, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
    "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.4, "figure.dpi": 100,
    "svg.hashsalt": "liquid", "axes.axisbelow": True, "grid.linewidth": 0.4, "grid.color": "#cccccc",
}  # fmt: skip


def figure(rows: int, columns: int, height: float, width: float = WIDTH, **options: Any) -> tuple[Figure, Any]:
    """A figure with `rows` x `columns` axes; without pyplot, so that nothing global changes."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(SETTINGS):
        result = Figure(figsize=(width, height), layout="constrained")
        return result, result.subplots(rows, columns, **options)


def plain_log(axis: Axis) -> None:
    """Labels like 0.25 and 2 on a logarithmic axis, rather than powers."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def blank_colorbar(figure: Figure, axis: Axes) -> None:
    """Keep the place of a colour bar free, so that axes below each other stay aligned."""
    from matplotlib.cm import ScalarMappable

    figure.colorbar(ScalarMappable(), ax=axis, pad=0.015).ax.set_visible(False)


def to_svg(figure: Figure) -> str:
    """An `<img>` with the picture inside; an image of its own, so that names within pictures cannot meet."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def grid(axes: Sequence[Axes]) -> None:
    """A faint grid."""
    for axis in axes:
        axis.grid(True)
