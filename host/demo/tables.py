# SPDX-License-Identifier: BSD-2-Clause
"""The demo's one table, as cells, as a table for the terminal, and as figures for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from liquid_accel.cli import common
from liquid_accel.demo.precision import RK4_STEPS, TOLERANCE, Study
from liquid_accel.demo.run import Outcome, SolverOutcome

if TYPE_CHECKING:
    from rich.table import Table

CLOCKS_MHZ = (12, 48, 120)
PRECISION_HEAD = ("solver", "setting", "right-hand sides a frame", "rms error of the states")
# How a solver's setting is called, by its name.
SETTINGS = {"bs32": "tolerance", "fused": "steps a frame", "rk4": "steps a frame"}
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
        f"Simulated cycles are those of frames, a second of one core. {precision(outcome.study)}"
    )


def precision(study: Study) -> str:
    """How close the adaptive solver is at the demo's tolerance, at which price, and what fixed steps would take."""
    rhs, error = study.point()
    needed = study.rk4_as_close(error)
    other = f"more than {4 * RK4_STEPS[-1]}" if needed is None else f"{needed:.3g}"
    return (
        f"bs32 at tolerance {TOLERANCE:g}: states within {_short(error)} rms of the exact solution at {rhs:.2g} "
        f"right-hand sides a frame; the cheapest RK4 that is as close takes {other}."
    )


def who_wins(study: Study) -> str:
    """Down to which error the adaptive solver is the cheaper one, and where RK4 is; for the report's caption."""
    wins, loses = study.crossing()
    found = []
    if wins is not None:
        found.append(f"Down to an error of {_short(wins)} bs32 takes fewer right-hand sides than the RK4 as close.")
    if loses is not None:
        found.append(f"At {_short(loses)} and below RK4 wins: as close in float64 with no more right-hand sides.")
    close, apart = single_step(study)
    found.append(
        f"RK4 with one step a frame, which takes 4, is as close as bs32 at tolerance {TOLERANCE:g} in {close} of the "
        f"{len(study.rows)} utterances taken each by itself; its largest error in one of them is {_short(apart)}, that "
        f"of bs32 {_short(float(study.single_adaptive.max()))}."
    )
    return " ".join(found)


def single_step(study: Study) -> tuple[int, float]:
    """RK4 with one step a frame: utterances in which it is as close as bs32, and its largest error in any."""
    return int((study.single <= study.single_adaptive).sum()), float(study.single.max())


def _short(error: float) -> str:
    return f"{error:.1e}".replace("e-0", "e-").replace("e+00", "")


def precision_points(study: Study) -> list[dict[str, Any]]:
    """The points of all curves; no error where the solver diverged."""
    return [
        {
            "solver": curve.name,
            SETTINGS[curve.name].replace(" ", "_"): setting,
            "rhs_evals_per_frame": rhs,
            "rms_error": error if error < float("inf") else None,
        }
        for curve in study.curves
        for setting, rhs, error in zip(curve.settings, curve.rhs, curve.error)
    ]


def precision_rows(study: Study) -> list[list[str]]:
    """The points as cells, below PRECISION_HEAD."""
    return [
        [curve.name, f"{SETTINGS[curve.name]} {setting:g}", f"{rhs:.2f}", _short(error)]
        for curve in study.curves
        for setting, rhs, error in zip(curve.settings, curve.rhs, curve.error)
    ]


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
        "precision": {
            "utterances": len(outcome.study.rows),
            "points": precision_points(outcome.study),
            "rms_error": outcome.study.point()[1],
            "rhs_evals_per_frame": outcome.study.point()[0],
            "rhs_evals_per_frame_of_rk4": outcome.study.rk4_as_close(outcome.study.point()[1]),
            "utterances_where_one_rk4_step_is_as_close": single_step(outcome.study)[0],
        },
        "lanes": outcome.config.lanes,
        "on": outcome.target,
        "report": str(outcome.report),
        "seconds": time.perf_counter() - outcome.started,
    }
