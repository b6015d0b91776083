# SPDX-License-Identifier: BSD-2-Clause
"""How pictures look: the palette of Okabe and Ito, which colour-blind readers can tell apart, and quiet axes."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# M. Okabe, K. Ito: Color Universal Design, 2008.
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, BLACK = "#0072B2", "#D55E00", "#CC79A7", "#000000"
GREY = "#999999"
Arguments = ParamSpec("Arguments")
LINES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
WIDTH = 8.6  # inches

SETTINGS: dict[Any, Any] = {
    "font.size": 9.5, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
    "legend.frameon": False, "legend.fontsize": 8.5, "lines.linewidth": 1.4, "figure.dpi": 100,
    "svg.hashsalt": "liquid", "axes.axisbelow": True, "grid.linewidth": 0.4, "grid.color": "#cccccc",
}  # fmt: skip


def drawn(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """A decorator: `draw` sees SETTINGS, and nothing else does."""

    @functools.wraps(draw)
    def wrapped(*arguments: Arguments.args, **options: Arguments.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(SETTINGS):
            return draw(*arguments, **options)

    return wrapped


def figure(rows: int, columns: int, height: float, width: float = WIDTH, **options: Any) -> tuple[Figure, Any]:
    """A figure with `rows` x `columns` axes; without pyplot, so that nothing global changes."""
    from matplotlib.figure import Figure

    result = Figure(figsize=(width, height), layout="constrained")
    return result, result.subplots(rows, columns, **options)


def plain_log(axis: Axis, ticks: Sequence[float]) -> None:
    """Labels like 0.25 and 2 on a logarithmic axis, rather than powers, at those of `ticks` that are in sight."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def whole_numbers(axis: Axis, most: int = 9) -> None:
    """Ticks at whole numbers only, not many more than `most`."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(most, integer=True))


def blank_colorbar(figure: Figure, axis: Axes) -> None:
    """Keep the place of a colour bar free, so that axes below each other stay aligned."""
    from matplotlib.cm import ScalarMappable

    figure.colorbar(ScalarMappable(), ax=axis, pad=0.015).ax.set_visible(False)


def to_svg(figure: Figure) -> str:
    """The picture as an address for `<img>`; an image of its own, so that names within pictures cannot meet."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context(SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
