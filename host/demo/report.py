# SPDX-License-Identifier: BSD-2-Clause
"""build/demo/report.html: one page, complete in itself, with the demo's table and pictures."""

from __future__ import annotations

import html
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from liquid_accel.cli.common import write_whole
from liquid_accel.demo import measures, plots, precision, style, tables
from liquid_accel.demo.run import Outcome
from liquid_accel.version import PACKAGE_VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>liquid-accel: the demo's report</title>
<style>
body {{ max-width: 58rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; color: #222;
       background: #fff; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.2rem; margin-top: 2.4rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.92rem; }}
th, td {{ padding: 0.22rem 0.7rem; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
thead th {{ border-bottom: 2px solid #222; vertical-align: bottom; }}
tbody tr:nth-child(even) {{ background: #f4f4f4; }}
.main td:nth-child(5), .main th:nth-child(5) {{ padding-left: 2rem; }}
figure {{ margin: 1rem 0; }} img {{ width: 100%; height: auto; }} img.small {{ max-width: 36rem; }}
figcaption, .quiet {{ color: #555; font-size: 0.92rem; }}
.scroll {{ overflow-x: auto; }}
</style></head><body>
<h1>Liquid networks on an open accelerator: the demo's report</h1>
<p>{intro}</p>
<div class="scroll">{table}</div>
<p class="quiet">{settings}</p>
{pictures}
<p class="quiet">Made by <code>liquid demo</code> of liquid-accel {version} in {seconds:.0f} s on this machine.
Data: M. Kudo, J. Toyama, M. Shimbo,
<a href="https://archive.ics.uci.edu/dataset/128/japanese+vowels">Japanese Vowels</a>, UCI
Machine Learning Repository, CC BY 4.0.</p>
</body></html>
"""


def write_report(outcome: Outcome) -> None:
    """Draw everything and write the page whole or not at all."""
    study = outcome.study
    at = plots.utterance(study.pictured, plots.correlations(outcome, study.rows, study.pictured))
    quiet, busy = plots.quarters(outcome, study.rows, study.pictured)
    row = int(study.rows[at])
    adaptive = plots.adaptive(outcome)
    voice = f"Test utterance {row}, {int(outcome.batch.lengths[row])} frames"
    pictures = [
        _picture(
            "The network while someone speaks",
            plots.states_figure(outcome, row),
            f"{voice}. From the top: the normalised input; the states of all neurons, the fastest above; the "
            "states of five neurons, and their time constants, which the input sets anew in every frame.",
        ),
        _picture(
            "The solver slows down where the voice changes",
            plots.steps_figure(outcome, row, study.pictured, at),
            f"{voice}, bs32 at tolerance {precision.PICTURED:g} on the golden model. Each bar is a step of the "
            "solver; its height is its length in time. A step never crosses a frame's edge, so that one frame is the "
            f"longest; its size is carried over frames. Of {len(study.rows)} utterances this is, among the longer, "
            "the one where work follows the voice most closely. Over all of them, a frame of the quarter in which "
            f"the input changes least takes {quiet:.1f} right-hand sides, one of the quarter in which it changes "
            f"most {busy:.1f}, first frames left out.",
        ),
        _picture(
            "Work against precision",
            measures.precision_figure(study.curves),
            f"Rms error of all states of {len(study.rows)} test utterances, against the solution of the same "
            f"quantised network by RK4 with {precision.FINE} steps a frame. Points to the lower left are better. "
            f"Settings with an error above {measures.TOO_LARGE:g} have diverged and are left out. "
            + tables.who_wins(study),
            table=_table(tables.PRECISION_HEAD, tables.precision_rows(study)),
        ),
        _picture(
            "Error of the function unit",
            measures.function_figure(adaptive.image),
            "Over all 65,536 inputs, lowest and highest error of every 64 neighbours; the dashed lines are the limits.",
        ),
        _picture(
            "Who was taken for whom",
            measures.confusion_figure(outcome, adaptive),
            f"Labels of the simulated machine, {adaptive.title}: utterances a cell, mistakes in colour.",
            small=True,
        ),
    ]
    page = PAGE.format(
        intro=_intro(outcome),
        table=_table(tables.head(outcome), tables.rows(outcome), ' class="main"'),
        settings=html.escape(tables.settings(outcome)),
        pictures="\n".join(pictures),
        version=PACKAGE_VERSION,
        seconds=time.perf_counter() - outcome.started,
    )
    write_whole(outcome.report, lambda path: path.write_text(page, encoding="utf-8"))


def _intro(outcome: Outcome) -> str:
    solver = outcome.solvers[0]
    mismatches = sum(s.comparison.mismatches for s in outcome.solvers)
    found = "every word equal" if mismatches == 0 else f"{mismatches:,} words different"
    return html.escape(
        f"{len(outcome.batch.x)} test utterances of nine speakers, {solver.golden_figures['frames']:,} frames, through "
        f"a liquid network of {solver.image.state_size} neurons with 8-bit weights on {outcome.config.lanes} lanes: "
        f"the float reference, the golden model and the simulated RTL ({outcome.target}), the last two with {found}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "") -> str:
    cells = "".join(f"<th>{html.escape(text).replace(chr(10), '<br>')}</th>" for text in head)
    body = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table{kind}><thead><tr>{cells}</tr></thead><tbody>\n{body}\n</tbody></table>"


def _picture(heading: str, figure: Figure, caption: str, small: bool = False, table: str = "") -> str:
    kind = ' class="small"' if small else ""
    return (
        f'<h2>{html.escape(heading)}</h2>\n<figure><img{kind} alt="{html.escape(heading)}" '
        f'src="{style.to_svg(figure)}">\n<figcaption>{html.escape(caption)}</figcaption></figure>{table}'
    )
