# SPDX-License-Identifier: BSD-2-Clause
"""Builds the shared library of a simulated device, once for each design and tool version."""

import contextlib
import ctypes
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from liquid_accel.sim.cache import cache_folder, key, locked, prune
from liquid_accel.sim.elaborate import YosysError, run_yosys, yosys_share, yosys_version

# -g0 leaves the debug interface out, which halves the time of the compiler and costs nothing that is used here. CXXRTL
# flattens and converts processes itself; more `opt` before it was measured to be no faster.
YOSYS_SCRIPT = "read_rtlil device.il\nwrite_cxxrtl -g0 -namespace device device.h"
# Vectorising joins neighbouring registers into wide loads that wait for the narrow stores before them: without it the
# accelerator was measured to run 1.4 times as fast. CXXRTL_NDEBUG: reading past the end of a memory that is not a power
# of two deep is no reason to abort Python.
FLAGS = ["-std=c++17", "-O3", "-fno-tree-vectorize", "-DNDEBUG", "-DCXXRTL_NDEBUG", "-fPIC", "-shared"]
HERE = Path(__file__).parent
HEADERS = ("cxxrtl_step.h", "cxxrtl_fast.h")
BUS_LOOP = "cxxrtl_loop.cpp"
# What CXXRTL writes where logic feeds back through separate cells, so that one evaluation a cycle is not enough.
FEEDBACK = "bool converged = false;"


class SimulatorBuildError(Exception):
    """The compiled simulation cannot be made; the message says what is missing or what a tool printed."""


def compiler() -> str | None:
    """Return the path of a C++ compiler: what CXX names, or the first of g++, c++ and clang++; None without one."""
    for name in (os.environ.get("CXX"), "g++", "c++", "clang++"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def build(rtlil: str, progress: Callable[[str], None] | None = None, loop: str = BUS_LOOP) -> Path:
    """Return the shared library of the design in `rtlil`, whose top module is called `liquid`, driven by a `loop`.

    `loop` is a C++ file beside this one, or an absolute path, written over cxxrtl_step.h: it names the top's ports and
    exports functions.
    Built where it is missing from the cache; two processes that want the same build it once. `progress` is told, in one
    sentence, when a build begins. Raises `SimulatorBuildError`.
    """
    cxx = compiler()
    if cxx is None:
        raise SimulatorBuildError("the compiled simulation needs a C++ compiler: g++, c++, clang++ or the one in CXX")
    version = _run([cxx, "--version"], Path.cwd()).splitlines()[0]
    sources = [(HERE / name).read_text() for name in (loop, BUS_LOOP, *HEADERS)]
    parts = [rtlil, yosys_version(), version, platform.machine(), YOSYS_SCRIPT, *FLAGS, *sources]
    folder = cache_folder("cxxrtl")
    library = folder / f"{key(parts)}.so"
    if not library.exists():
        with locked(library):
            if not library.exists():
                if progress is not None:
                    progress("compiling the simulation of this design; it is kept for the next time")
                _compile(rtlil, [cxx, *FLAGS], HERE / loop, library)
                prune(folder, ".so")
    with contextlib.suppress(OSError):  # a cache that may only be read is still of use
        os.utime(library)
    return library


def open_library(path: Path, functions: Mapping[str, tuple[Any, Sequence[Any]]]) -> ctypes.CDLL:
    """Load a shared library; `functions` are its names with (type of the result, types of the arguments)."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, list(arguments)
    return library


def _compile(rtlil: str, compile: Sequence[str], loop: Path, library: Path) -> None:
    runtime = yosys_share() / "include/backends/cxxrtl/runtime"
    # Below the cache, so that the rename at the end stays within one file system and is atomic.
    with tempfile.TemporaryDirectory(prefix="build-", dir=library.parent) as name:
        folder = Path(name)
        (folder / "device.il").write_text(rtlil)
        try:
            run_yosys(YOSYS_SCRIPT, folder)
        except YosysError as error:
            raise SimulatorBuildError(f"yosys could not translate the design to C++: {error}") from error
        settles = FEEDBACK in (folder / "device.h").read_text()
        output = folder / "device.so"
        define = f"-DDEVICE_SETTLES={int(settles)}"
        _run([*compile, define, f"-I{runtime}", f"-I{folder}", f"-I{HERE}", str(loop), "-o", str(output)], folder)
        output.rename(library)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr or done.stdout).strip()[-2000:]
        raise SimulatorBuildError(f"{Path(command[0]).name} ended with status {done.returncode}: {last}")
    return done.stdout
