# SPDX-License-Identifier: BSD-2-Clause
"""Images as C, compiled for this computer, against the golden model: outputs, status and counters of every frame."""

import ctypes
import math
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_cells import UPDATED, cell_model, synaptic_model
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.data import Dataset
from liquid_accel.driver import Device
from liquid_accel.export.check import check_file, drawn
from liquid_accel.export.source import CHECK, NUMBERS, SOURCE, c_files
from liquid_accel.image import Image
from liquid_accel.layers import Node
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.sim.golden import GoldenTransport

CC = shutil.which("gcc") or shutil.which("cc")
FLAGS = ("-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wno-sign-conversion", "-Werror",
         "-fsanitize=undefined,address", "-fno-sanitize-recover=all")  # fmt: skip

pytestmark = pytest.mark.skipif(CC is None, reason="there is no C compiler: apt-get install gcc")


def run(folder: Path, files: Mapping[str, str]) -> str:
    """What the compiled check prints. AssertionError with what the compiler says, or where it finds something."""
    for name, text in files.items():
        (folder / name).write_text(text)
    program = folder / "check"
    command = [str(CC), *FLAGS, SOURCE, CHECK, "-o", str(program)]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr[:4000]
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[:2000]
    return done.stdout


def same(folder: Path, image: Image, data: Dataset) -> None:
    frames = int(data.lengths.sum())
    files = c_files(image, "toy") | {CHECK: check_file(image, "toy", data)}
    assert run(folder, files) == f"{frames} frames are the golden model's\n"


def config(lanes: int = 8) -> LiquidConfig:
    return preset("up5k-skip", lanes=lanes, tables=8)


def compiled(model: Checkpoint, seed: int, lanes: int = 8, **options: Any) -> tuple[Image, Dataset]:
    """An image, and data for it: irregular and empty frames, and inputs that saturate."""
    rng = np.random.default_rng(seed)
    dt = rng.uniform(0, 2, (3, 8)) * (rng.random((3, 8)) > 0.1)
    data = toy_data(seed, features=model.in_features, sequences=3, frames=8, dt=dt)
    image = liquid_accel.compile(model, calibration=data, config=config(lanes), **options)
    x = np.where(rng.random(data.x.shape) < 0.05, 1e6, data.x).astype(np.float32)
    return image, Dataset(x, data.lengths, data.dt, None, data.dt_given, data.name)


SOLVERS: dict[str, dict[str, Any]] = {
    "fused": {"solver": "fused", "steps": 3}, "euler": {"solver": "euler", "steps": 2},
    "heun": {"solver": "heun", "steps": 1}, "rk4": {"solver": "rk4", "steps": 1},
    "expeuler": {"solver": "expeuler", "steps": 2}, "beuler": {"solver": "beuler", "steps": 1},
    "bs32": {"solver": "bs32", "rtol": 1e-3, "atol": 1e-3},
    "dopri5": {"solver": "dopri5", "rtol": 1e-3, "atol": 1e-3},
    "heun21": {"solver": "heun21", "rtol": 1e-2, "atol": 1e-2},
    "rkf45": {"solver": "rkf45", "rtol": 1e-3, "atol": 1e-3},
    "etd21": {"solver": "etd21", "rtol": 1e-3, "atol": 1e-3},
    "budget": {"solver": "bs32", "rtol": 1e-4, "atol": 1e-4, "budget": 6},
    "skip": {"solver": "etd21", "rtol": 1e-3, "atol": 1e-3, "delta_threshold": 1 / 16},
    "4 bits": {"solver": "fused", "steps": 2, "weight_bits": 4},
}  # fmt: skip


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers(name: str, tmp_path: Path) -> None:
    seed = sum(map(ord, name))
    same(tmp_path, *compiled(toy_model(seed, features=5, size=10), seed, **SOLVERS[name]))


CELLS: dict[str, tuple[Checkpoint, dict[str, Any]]] = {
    **{name: (cell_model(layer), {}) for name, layer in UPDATED.items()},
    "node": (cell_model(Node("cell", ("tanh", None))), {"solver": "rk4", "steps": 1}),
    "node, adaptive": (cell_model(Node("cell", ("tanh", None))), {"solver": "bs32", "rtol": 1e-3, "atol": 1e-3}),
    "synaptic": (synaptic_model(density=0.5), {}),
    "ctrnn": (toy_model(3, constant_tau=True), {"solver": "expeuler", "steps": 1}),
    "stack": (toy_model(4, size=(8, 16), mean_of="all"), {"solver": "fused", "steps": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", CELLS)
def test_cells(name: str, lanes: int, tmp_path: Path) -> None:
    model, options = CELLS[name]
    same(tmp_path, *compiled(model, lanes, lanes, **options))


def test_drawn_data(tmp_path: Path) -> None:
    image, _ = compiled(toy_model(7), 7, lanes=4, solver="fused", steps=1)
    same(tmp_path, image, drawn(image))


def test_a_wrong_answer_is_found(tmp_path: Path) -> None:
    image, data = compiled(toy_model(8), 8, solver="fused", steps=1)
    files = c_files(image, "toy") | {CHECK: check_file(image, "toy", data)}
    files[SOURCE] = files[SOURCE].replace("+ 128) >> 8", "+ 127) >> 8", 1)
    with pytest.raises(AssertionError, match="differs from the golden model"):
        run(tmp_path, files)


def test_numbers_by_a_shared_library(tmp_path: Path) -> None:
    """Floats and times in, floats out, called as from another language."""
    image, data = compiled(toy_model(9, features=4, time_unit_s=0.01, default_dt=0.01), 9, solver="fused", steps=2)
    dt = data.dt / 100
    data = Dataset(data.x, data.lengths, dt, None, True, "data")
    device = Device(GoldenTransport(image.config))
    device.load(image)
    wanted = device.run(data)
    for name, text in c_files(image, "toy").items():
        (tmp_path / name).write_text(text)
    command = [str(CC), "-std=c99", "-O2", "-fPIC", "-shared", SOURCE, NUMBERS, "-lm", "-o", "model.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "model.so"))
    library.liquid_model_size.restype = ctypes.c_size_t
    floats = ctypes.POINTER(ctypes.c_float)
    library.liquid_model_step_numbers.argtypes = [ctypes.c_void_p, floats, ctypes.c_double, floats]
    model = ctypes.create_string_buffer(library.liquid_model_size())
    library.liquid_model_init(model)
    y = np.zeros(image.outputs, np.float32)
    for b, length in enumerate(data.lengths):
        library.liquid_model_reset(model)
        for t in range(length):
            x = np.ascontiguousarray(data.x[b, t])
            status = library.liquid_model_step_numbers(
                model, x.ctypes.data_as(floats), dt[b, t], y.ctypes.data_as(floats)
            )
            assert status == wanted.status[b, t]
            assert np.array_equal(y, wanted.y[b, t])
    for bad in (np.nan, -1.0, 2 * image.max_dt):
        assert library.liquid_model_step_numbers(model, x.ctypes.data_as(floats), bad, y.ctypes.data_as(floats)) == -1


@given(st.floats(1e-6, 4000.0))
@settings(max_examples=300, deadline=None)
def test_logarithms(value: float) -> None:
    """The integer logarithm against the double's, rounded to Q4.11."""
    fraction, exponent = math.frexp(value)
    found = _logarithm()(int(math.ldexp(fraction, 53)), exponent - 53)
    exact = mpmath.log(mpmath.mpf(value), 2) * 2048
    assert found == max(-32767, min(32767, int(mpmath.nint(exact))))


@cache
def _logarithm() -> Any:
    image, _ = compiled(toy_model(1), 1, solver="fused", steps=1)
    folder = Path(tempfile.mkdtemp(prefix="liquid-export-"))
    try:
        for name, text in c_files(image, "toy").items():
            (folder / name).write_text(text)
        subprocess.run([str(CC), "-std=c99", "-fPIC", "-shared", SOURCE, "-o", "log.so"], cwd=folder, check=True)
        function = ctypes.CDLL(str(folder / "log.so")).liquid_model_log2
    finally:
        shutil.rmtree(folder)
    function.argtypes, function.restype = [ctypes.c_uint64, ctypes.c_int], ctypes.c_int16
    return function
