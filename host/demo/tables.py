# SPDX-License-Identifier: BSD-2-Clause
"""The demo's one table, as cells, as a table for the terminal, and as figures for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from liquid_accel.cli import common
from liquid_accel.demo.run import Outcome, SolverOutcome

if TYPE_CHECKING:
    from rich.table import Table

CLOCKS_MHZ = (12, 48, 120)
NONE = ""


def head(outcome: Outcome) -> list[str]:
    """Column titles; a line break stands between solver and form."""
    return ["", *(f"{solver.name}\n{form}" for solver in outcome.solvers for form in ("float", "golden", "RTL"))]


def rows(outcome: Outcome) -> list[list[str]]:
    """The table's rows, below `head`."""
    found: dict[str, list[str]] = {}
    for solver in outcome.solvers:
        for label, cells in _columns(outcome, solver):
            found.setdefault(label, []).extend(cells)
    return [[label, *cells] for label, cells in found.items()]


def _columns(outcome: Outcome, solver: SolverOutcome) -> list[tuple[str, list[str]]]:
    """Per row: its label, then float, golden, RTL."""
    golden, rtl, run = solver.golden_figures, solver.rtl_figures, solver.reference
    frames = golden["frames"]
    labels = outcome.batch.labels
    assert labels is not None  # the shipped data are labelled

    def both(key: str, form: str, scale: float = 1.0) -> list[str]:
        return [format(figures[key] * scale, form) for figures in (golden, rtl)]

    rejected = float(run.rejected.sum())
    result: list[tuple[str, list[str]]] = [
        ("accuracy, %", [f"{100 * run.accuracy(labels):.2f}", *both("accuracy", ".2f", 100)]),
        (
            "label of the float run, %",
            [NONE, *(f"{100 * solver.agreement(x.label):.2f}" for x in (solver.golden, solver.rtl.result))],
        ),
        ("words that differ", [NONE, NONE, f"{solver.comparison.mismatches:,}"]),
        ("right-hand sides a frame", [f"{run.rhs_evals_per_frame:.2f}", *both("rhs_evals", ".2f", 1 / frames)]),
        ("rejected steps a frame", [f"{rejected / frames:.3f}", *both("steps_rejected", ".3f", 1 / frames)]),
        ("cycles a frame", [NONE, *both("cycles_per_frame", ",.0f")]),
        ("MAC utilisation, %", [NONE, *both("mac_utilisation", ".1f", 100)]),
    ]
    result += [
        (f"µs a frame at {clock} MHz", [NONE, *both("cycles_per_frame", ",.1f", 1 / clock)]) for clock in CLOCKS_MHZ
    ]
    return [*result, ("simulated kcycles/s", [NONE, NONE, f"{solver.rtl.cycles_per_second / 1000:,.0f}"])]


def title(outcome: Outcome) -> str:
    """What the table is about."""
    frames = outcome.solvers[0].golden_figures["frames"]
    return (
        f"Japanese Vowels: {len(outcome.batch.x)} test utterances, {frames:,} frames; "
        f"{outcome.solvers[0].image.state_size} neurons on {outcome.config.lanes} lanes"
    )


def settings(outcome: Outcome) -> str:
    """The solvers' settings, and what was compared."""
    compared = sum(solver.comparison.compared for solver in outcome.solvers)
    how = "; ".join(solver.title for solver in outcome.solvers)
    return (
        f"{how}. {compared:,} words compared: steps, states, outputs, status, counters. "
        "Simulated cycles are those of frames, a second of one core."
    )


def demo_table(outcome: Outcome) -> Table:
    """For the terminal, 80 columns wide."""
    return common.table(title(outcome), head(outcome), rows(outcome))


def demo_figures(outcome: Outcome) -> dict[str, Any]:
    """For programs."""
    labels = outcome.batch.labels
    assert labels is not None
    solvers = {}
    for solver in outcome.solvers:
        run, rtl = solver.reference, solver.rtl
        solvers[solver.name] = {
            "settings": solver.title,
            "float": {
                "accuracy": run.accuracy(labels),
                "rhs_evals": int(run.rhs_evals.sum()),
                "steps_rejected": int(run.rejected.sum()),
            },
            "golden": solver.golden_figures | {"label_agreement": solver.agreement(solver.golden.label)},
            "rtl": solver.rtl_figures
            | {
                "label_agreement": solver.agreement(rtl.result.label),
                "simulated_cycles_per_second": rtl.cycles_per_second,
                "latency_us_at": {
                    f"{clock}_mhz": solver.rtl_figures["cycles_per_frame"] / clock for clock in CLOCKS_MHZ
                },
            },
            "mismatches": solver.comparison.mismatches,
            "compared": solver.comparison.compared,
        }
    return {
        "solvers": solvers,
        "lanes": outcome.config.lanes,
        "on": outcome.target,
        "report": str(outcome.report),
        "seconds": time.perf_counter() - outcome.started,
    }
