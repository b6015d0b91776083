# SPDX-License-Identifier: BSD-2-Clause
"""What subcommands share: arguments, tables, progress on stderr, JSON alone on stdout, files written whole or not."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from liquid_accel.errors import UserError
from liquid_accel.files import check_replaceable
from liquid_accel.files import write_whole as write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table

Progress = Callable[[int, int], None]
Subparsers = Any  # argparse keeps its type private


class Parser(argparse.ArgumentParser):
    """argparse with one sentence for what is wrong, in the words of the other errors, and status 2."""

    def error(self, message: str) -> NoReturn:
        text = " ".join(message.split()).replace("unrecognized", "unknown")
        text = re.sub(r"^argument (\S+): ", r"\1: ", text)
        text = re.sub(r"^(\S+): is ", r"\1 is ", text)
        text = re.sub(r"^(\S+): invalid choice: (.*) \(choose from (.*)\)$", r"\1 is \2; expected one of \3", text)
        text = re.sub(r"^(\S+): invalid int value: (.*)$", r"\1 is \2; expected a whole number", text)
        text = re.sub(r"^(\S+): invalid float value: (.*)$", r"\1 is \2; expected a number", text)
        self.exit(2, f"{self.prog}: {text}; see {self.prog} --help\n")


def subcommand(
    subparsers: Subparsers, name: str, run: Callable[[argparse.Namespace], int], text: str, example: str
) -> argparse.ArgumentParser:
    """Add a subcommand with its one-line `text` and an `example` below its help."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(run=run, command=name)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print JSON alone on stdout; progress goes to stderr")


def positive_int(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"is {text}; expected a whole number of at least 1")
    return value


def positive_float(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"is {text}; expected a finite number above 0")
    return value


# ---- Printing ------------------------------------------------------------------------------------------------


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))


def note(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1) -> Table:
    """A table whose first `left` columns are text and the others numbers."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    result = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    result.show_header = any(columns)
    for index, column in enumerate(columns):
        result.add_column(column, justify="left" if index < left else "right", overflow="fold")
    for row in rows:
        result.add_row(*(escape(str(cell)) for cell in row))
    return result


def show(*items: Any, width: int | None = None) -> None:
    """Print tables or text on stdout: 80 columns, or `width` of them, and no colour where that is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, width=width)
    for item in items:
        if isinstance(item, str):
            console.print(item, markup=False, soft_wrap=True)
        else:
            console.print(item)


@contextmanager
def progress_bar(text: str, unit: str = "frames") -> Iterator[Progress]:
    """A bar on stderr; where that is not a terminal, nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def per_cent(value: float | None, digits: int = 2) -> str:
    """A fraction as per cent, or a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


# ---- Files ---------------------------------------------------------------------------------------------------


def check_output(path: str | Path, what: str) -> Path:
    """The path of a file to be written, its folder found writable: before the work rather than after it."""
    path = Path(path)
    check_replaceable(path, what)
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; expected one that {what} can be written to")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written to; expected a writable one")
    return path


PICTURES = (".png", ".svg", ".pdf")


def check_picture(path: str | Path) -> Path:
    """`check_output` of a picture, whose name says its format."""
    found = check_output(path, "the picture")
    if found.suffix.lower() not in PICTURES:
        raise UserError(f"{path}: '{found.suffix}' is no format of pictures here; expected {', '.join(PICTURES)}")
    return found


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all, in the format that the name says."""
    import matplotlib

    from liquid_accel.demo.style import SETTINGS

    form = path.suffix.lower().removeprefix(".")
    # Neither a date nor random names: the same figure is the same file.
    dates = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": SETTINGS["svg.hashsalt"]}):
        write_whole(path, lambda temporary: figure.savefig(temporary, format=form, dpi=150, metadata=dates.get(form)))


def save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write an `.npz` file whole or not at all."""
    import numpy as np

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    write_whole(path, write)
