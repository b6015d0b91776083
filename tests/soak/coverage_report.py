# SPDX-License-Identifier: BSD-2-Clause
"""The report of functional coverage: hits of each group and bin, holes, and why some bins cannot be hit."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bins import TRANSITIONS, UNREACHABLE, Bin, all_bins


def from_host(seen: Mapping[str, int]) -> Counter[Bin]:
    """What a host saw (tests/program_runner.py), as bins."""
    found: Counter[Bin] = Counter()
    hosts = set(all_bins()["host"])
    for name, count in seen.items():
        if name in hosts:
            found["host", name] += count
    for transition, name in TRANSITIONS.items():
        if name in seen:
            found["transition", transition] += seen[name]
    runs = ("frame by frame", "ahead", "pieces", "full")
    found["transition", "IDLE to READY"] += sum(seen.get(name, 0) for name in runs)
    return found


def record(hits: Mapping[Bin, int], programs: int) -> dict[str, Any]:
    """What build/soak.json keeps: hits by group and name, the holes, and bins that are hit although nothing should.

    `programs` are those whose golden model was watched.
    """
    groups = all_bins()
    holes = [[g, n] for g, names in groups.items() for n in names if not hits.get((g, n)) and (g, n) not in UNREACHABLE]
    total = sum(map(len, groups.values()))
    return {
        "programs": programs,
        "bins": total,
        "hit": sum(bool(hits.get((g, n))) for g, names in groups.items() for n in names),
        "unreachable": [[g, n, why] for (g, n), why in UNREACHABLE.items()],
        "holes": holes,
        "refuted": [list(at) for at in UNREACHABLE if hits.get(at)],
        "hits": {g: {n: int(hits.get((g, n), 0)) for n in names} for g, names in groups.items()},
    }


def merged(found: dict[str, Any]) -> Counter[Bin]:
    """The hits of a record."""
    return Counter({(g, n): count for g, names in found["hits"].items() for n, count in names.items()})


def _rows(found: dict[str, Any]) -> list[tuple[str, int, int, int, int]]:
    """Of each group: bins, those hit, those that cannot be, the fewest hits of one that is."""
    gone = {(group, name) for group, name, _ in found["unreachable"]}
    rows = []
    for group, names in found["hits"].items():
        hit = [count for count in names.values() if count]
        rows.append((group, len(names), len(hit), sum((group, n) in gone for n in names), min(hit, default=0)))
    return rows


def table(found: dict[str, Any]) -> str:
    """For a terminal."""
    lines = [f"{'group':<16} {'bins':>5} {'hit':>5} {'cannot be':>10} {'fewest hits':>12}"]
    for group, bins, hit, gone, fewest in _rows(found):
        lines.append(f"{group:<16} {bins:>5} {hit:>5} {gone:>10} {fewest:>12,}")
    lines += [f"hole: {group}: {name}" for group, name in found["holes"]]
    lines += [f"was hit, and said not to be: {group}: {name}" for group, name in found["refuted"]]
    never = len(found["unreachable"])
    lines.append(f"{found['hit']} of {found['bins']} bins hit, {never} cannot be, {len(found['holes'])} holes")
    return "\n".join(lines)


def markdown(found: dict[str, Any]) -> list[str]:
    """Lines for docs/verification.md."""
    lines = [
        f"{found['hit']} of {found['bins']} bins were hit in {found['programs']:,} programs that were watched; "
        f"{len(found['unreachable'])} cannot be, {len(found['holes'])} are holes.", "",
        "| group | bins | hit | cannot be | fewest hits |", "|---|---|---|---|---|",
        *(f"| {group} | {bins} | {hit} | {gone} | {fewest:,} |" for group, bins, hit, gone, fewest in _rows(found)), "",
        "| bin that nothing can reach | why |", "|---|---|",
        *(f"| {group}: {name} | {why} |" for group, name, why in found["unreachable"]),
    ]  # fmt: skip
    if found["holes"]:
        lines += ["", "Holes:", "", *(f"- {group}: {name}" for group, name in found["holes"])]
    return lines
