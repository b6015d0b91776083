# SPDX-License-Identifier: BSD-2-Clause
"""The page docs/performance.md: every number of it from one run of the benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from liquid_accel.bench.report import Report, reports
from liquid_accel.cli.common import save_picture
from liquid_accel.files import write_whole

PICTURES = {
    "Work against precision": "precision",
    "Accuracy against multiplications": "front",
}


def draw(found: dict[str, Any], folder: Path, stem: str, suffix: str) -> dict[str, Path]:
    """Write the pictures into `folder`; their files by name."""
    from liquid_accel.bench.plots import front_figure, precision_figure

    paths = {name: folder / f"{stem}{name}{suffix}" for name in PICTURES.values()}
    save_picture(precision_figure(found["precision"]), paths["precision"])
    save_picture(front_figure(found["front"]), paths["front"])
    return paths


def write(found: dict[str, Any], path: Path) -> None:
    """The page and, beside it, its pictures."""
    pictures = draw(found, path.parent, f"{path.stem}-", ".svg")
    text = markdown(found, {name: file.name for name, file in pictures.items()})
    write_whole(path, lambda temporary: temporary.write_text(text))


def markdown(found: dict[str, Any], pictures: dict[str, str]) -> str:
    """The page; `pictures` by name."""
    quick = " This is the quick run: fewer utterances, shorter training, wider gaps." if found["quick"] else ""
    parts = [
        "# Performance",
        f"Written by `liquid bench --write docs/performance.md`, version {found['version']}; every number comes from "
        f"one run, which took {found['seconds'] / 60:.0f} minutes (networks that were trained before "
        f"come from a cache).{quick} The task is the speaker of Japanese "
        f"Vowels: {found['utterances']} test utterances, {found['frames']:,} frames.",
    ]  # fmt: skip
    for report in reports(found):
        parts += [f"## {report.title}", report.text, _table(report)]
        if report.title in PICTURES:
            parts.append(f"![{report.title}]({pictures[PICTURES[report.title]]})")
    return "\n\n".join(parts) + "\n"


def _table(report: Report) -> str:
    rule = ["---" if at < report.left else "---:" for at in range(len(report.columns))]
    lines = [report.columns, rule, *report.rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |" for line in lines)
