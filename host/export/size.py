# SPDX-License-Identifier: BSD-2-Clause
"""What an exported model takes of a Cortex-M7, as arm-none-eabi-gcc compiles it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from liquid_accel.errors import UserError
from liquid_accel.export.source import HEADER, SOURCE

COMPILER = "arm-none-eabi-gcc"
FLAGS = ("-std=c99", "-O2", "-mcpu=cortex-m7", "-mthumb")
PROBE = f'#include "{HEADER}"\nchar state[sizeof(liquid_model)];\n'


def figures(folder: Path) -> dict[str, int] | None:
    """Bytes of code, of constants, of a `liquid_model`, and of the deepest stack; None without the compiler."""
    if shutil.which(COMPILER) is None:
        return None
    source = (folder / SOURCE).resolve()
    with tempfile.TemporaryDirectory(prefix="liquid-size-") as name:
        work = Path(name)
        (work / "probe.c").write_text(PROBE)
        _run([COMPILER, *FLAGS, "-fcallgraph-info=su", f"-I{source.parent}", "-c", str(source), "-o", "model.o"], work)
        _run([COMPILER, *FLAGS, f"-I{source.parent}", "-c", "probe.c", "-o", "probe.o"], work)
        sections = _run(["arm-none-eabi-size", "-A", "model.o"], work)
        sizes = {found[0]: int(found[1]) for found in re.findall(r"^(\.\S+)\s+(\d+)", sections, re.MULTILINE)}
        symbols = _run(["arm-none-eabi-nm", "-S", "probe.o"], work)
        state = next(int(line.split()[1], 16) for line in symbols.splitlines() if line.endswith(" state"))
        stack = _deepest((work / "model.ci").read_text())
    return {
        "code_bytes": sum(size for name, size in sizes.items() if name.startswith(".text")),
        "constant_bytes": sum(size for name, size in sizes.items() if name.startswith(".rodata")),
        "state_bytes": state, "stack_bytes": stack,
    }  # fmt: skip


def _deepest(graph: str) -> int:
    """Bytes of the deepest chain of calls in GCC's call graph; library functions (memset) are not in it."""
    nodes = re.findall(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes', graph)
    own = {title: int(size) for title, size in nodes}
    calls: dict[str, list[str]] = {}
    for caller, callee in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
        calls.setdefault(caller, []).append(callee)

    def depth(function: str) -> int:
        return own.get(function, 0) + max((depth(callee) for callee in calls.get(function, ())), default=0)

    return max(map(depth, own), default=0)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"{command[0]} ended with status {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
