# SPDX-License-Identifier: BSD-2-Clause
"""What nextpnr's JSON report says: clocks reached, and the worst path told in the design's blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MODULE = re.compile(r"^module \\(\S+)$", re.MULTILINE)
TOP = "top"
OUTSIDE = "(pins and clock)"
# What a path would say over and over, the longest first.
PREFIXES = ("chip.accelerator.", "inner.accelerator.", "chip.")


@dataclass(frozen=True)
class Usage:
    """Cells of one kind: used, and what the part has."""

    used: int
    available: int


@dataclass(frozen=True)
class Span:
    """A stretch of a path within one block: time in its cells, time on wires that lead to them, and cells passed."""

    block: str
    logic_ns: float
    routing_ns: float
    cells: int


@dataclass(frozen=True)
class Placement:
    """One seed: the frequency that each clock reached, cells, and the worst path from register to register."""

    seed: int
    clocks_mhz: dict[str, float]
    usage: dict[str, Usage]
    path: tuple[Span, ...]

    @property
    def clock_mhz(self) -> float:
        """The slowest clock; 0 where the report has none."""
        return min(self.clocks_mhz.values(), default=0.0)


def blocks(rtlil: str) -> frozenset[str]:
    """The hierarchy of a design as Amaranth names it: `top.chip.accelerator.core` is `chip.accelerator.core`."""
    return frozenset(name.removeprefix(f"{TOP}.") for name in MODULE.findall(rtlil) if name.startswith(f"{TOP}."))


def block_of(cell: str, known: Iterable[str]) -> str:
    """The innermost block that a cell of the flat netlist came from, by its name, without what they all begin with."""
    names = set(known)
    parts = cell.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        if name in names:
            return _short(name)
    return OUTSIDE


def _short(name: str) -> str:
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def spans(path: Iterable[dict[str, Any]], known: Iterable[str]) -> tuple[Span, ...]:
    """A path of the report as stretches: neighbours in one block are one, wires count for the block that they enter."""
    names = frozenset(known)
    found: list[Span] = []
    for step in path:
        block = block_of(step["to"]["cell"], names)
        routing = step["type"] == "routing"
        here = Span(block, 0.0 if routing else step["delay"], step["delay"] if routing else 0.0, int(not routing))
        if found and found[-1].block == block:
            last = found.pop()
            here = Span(
                block, last.logic_ns + here.logic_ns, last.routing_ns + here.routing_ns, last.cells + here.cells
            )
        found.append(here)
    return tuple(found)


def worst_path(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The slowest path of the report that begins and ends at one clock's edge."""
    inner = [entry["path"] for entry in report["critical_paths"] if entry["from"] == entry["to"] in _clocks(report)]
    return max(inner, key=lambda path: sum(step["delay"] for step in path), default=[])


def _clocks(report: dict[str, Any]) -> list[str]:
    return [f"posedge {clock}" for clock in report["fmax"]]


def read_placement(seed: int, report: dict[str, Any], rtlil: str) -> Placement:
    """nextpnr's report of a placed and routed design."""
    return Placement(
        seed,
        {clock: round(found["achieved"], 2) for clock, found in report["fmax"].items()},
        {name: Usage(found["used"], found["available"]) for name, found in report["utilization"].items()},
        spans(worst_path(report), blocks(rtlil)),
    )
