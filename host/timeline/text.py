# SPDX-License-Identifier: BSD-2-Clause
"""A timeline as text of 100 columns: units over the frame, then a line a phase."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from liquid_accel.timeline.units import UNITS, Phase, Timeline

WIDTH = 100
NAME = 26
UNIT_NAME = 22
SHADES = " ░▒▓█"  # how much of a column's cycles a unit is at work
# What a column of a phase's bar shows: the first of these that fills most of it.
MARKS = {"products": "█", "algebra": "▓", "controller": "c", "elements": "─", "nothing": "·"}
LEGEND = "█ products  ▓ solver algebra  ─ elements alone  c step controller  · nothing under way"


def rows(line: Timeline) -> list[str]:
    """The whole diagram, line by line."""
    return [*unit_rows(line), "", *phase_rows(line), "", *sums(line)]


def unit_rows(line: Timeline) -> list[str]:
    """Each unit over the frame, with the share of the cycles in which it is at work."""
    width = WIDTH - UNIT_NAME - 8
    found = [f"{'unit':<{UNIT_NAME}} {'busy':>6} {_scale(line.cycles, width)}"]
    for name, title in UNITS.items():
        parts = [busy.mean() for busy in np.array_split(line.busy[name], width)]
        bar = "".join(SHADES[int(np.ceil(part * (len(SHADES) - 1)))] for part in parts)
        found.append(f"{title:<{UNIT_NAME}} {100 * line.share(name):5.1f}% {bar}".rstrip())
    return found


def phase_rows(line: Timeline) -> list[str]:
    """Each phase: where it starts, its cycles, the lanes' share of them, idle cycles, and its bar in the frame."""
    head = f"{'phase':<{NAME}} {'start':>6} {'cycles':>6} {'lanes':>6} {'idle':>5} "
    width = WIDTH - len(head)
    found = [head + _scale(line.cycles, width)]
    for phase in line.phases:
        name = phase.name if len(phase.name) <= NAME else phase.name[: NAME - 1] + "…"
        share = f"{100 * phase.lanes / phase.cycles:.0f}%"
        text = f"{name:<{NAME}} {phase.start:>6} {phase.cycles:>6} {share:>6} {phase.idle:>5} "
        found.append((text + _bar(line, phase, width)).rstrip())
    return [*found, LEGEND]


def _bar(line: Timeline, phase: Phase, width: int) -> str:
    """A phase's columns of the frame, at least one."""
    per = line.cycles / width
    first = min(int(phase.start / per), width - 1)
    last = max(first + 1, min(int(np.ceil((phase.start + phase.cycles) / per)), width))
    edges = np.linspace(phase.start, phase.start + phase.cycles, last - first + 1).astype(int)
    marks = []
    for low, high in pairwise(edges):
        shares = {name: _mean(line.busy[name][low : max(high, low + 1)]) for name in MARKS}
        # Elements are under way beside most products: alone they count where the lanes do nothing.
        shares["elements"] = max(0.0, shares["elements"] - shares["products"] - shares["algebra"])
        marks.append(MARKS[max(shares, key=lambda name: shares[name])])
    return " " * first + "".join(marks)


def _mean(part: npt.NDArray[np.bool_]) -> float:
    return float(part.mean()) if part.size else 0.0


def _scale(cycles: int, width: int) -> str:
    end = f"{cycles:,} cycles"
    return "0" + " " * (width - 1 - len(end)) + end


def sums(line: Timeline) -> list[str]:
    """What the lanes wait for, and what is read: counts of the golden model, which the hardware has not."""
    rest = line.cycles - int((line.busy["products"] | line.busy["algebra"]).sum())
    wait = ", ".join(f"{name} {count:,}" for name, count in line.lanes_wait.items())
    reads = ", ".join(f"{name} {count:,}" for name, count in line.reads.items())
    return [
        f"lanes without work: {rest:,} of {line.cycles:,} cycles: {wait}",
        f"idle cycles (no product, no element): {line.idle:,}; function evaluations: {line.function_evaluations:,}",
        f"reads: {reads}",
        "Counted by the golden model in this frame; the machine itself counts neither reads nor idle cycles.",
    ]
