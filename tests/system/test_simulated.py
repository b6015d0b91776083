# SPDX-License-Identifier: BSD-2-Clause
"""The simulated machine through command line and driver: the golden model's words, however they are dealt out."""

import json

import numpy as np
import pytest
from simulators import need
from system.small import files

from liquid_accel import data
from liquid_accel.cli import main
from liquid_accel.driver.compare import compare
from liquid_accel.driver.parallel import run_on
from liquid_accel.image import Image

SOLVERS = ("fused", "bs32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, lanes):
    need("cxxrtl")
    folder = tmp_path_factory.mktemp("simulated")
    model, held = files(folder)
    for solver in SOLVERS:
        arguments = ["compile", model, "--data", held, "--preset", "test", "--lanes", lanes, "--solver", solver, "-o"]
        assert main([str(a) for a in [*arguments, folder / f"{solver}.liquid"]]) == 0
    return folder


@pytest.mark.parametrize("solver", SOLVERS)
def test_verify_finds_no_difference(folder, capsys, solver):
    assert main(["verify", str(folder / f"{solver}.liquid"), str(folder / "data.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["mismatches"] == 0
    assert found["first"] is None
    assert found["compared"] > 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_run_on_golden_and_on_sim_are_equal(folder, capsys, solver):
    outcomes = []
    for target in ("golden", "sim"):
        out = folder / f"{solver}-{target}.npz"
        command = [
            "run",
            folder / f"{solver}.liquid",
            folder / "data.npz",
            "--on",
            target,
            "--states",
            "--json",
            "-o",
            out,
        ]
        assert main([str(a) for a in command]) == 0
        with np.load(out) as arrays:
            outcomes.append((json.loads(capsys.readouterr().out), {name: arrays[name] for name in arrays}))
    (golden, words), (simulated, others) = outcomes
    assert golden == simulated
    for name, array in words.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)


@pytest.mark.parametrize("solver", SOLVERS)
def test_two_devices_side_by_side_give_what_one_gives(folder, solver):
    image = Image.load(folder / f"{solver}.liquid")
    batch = data.load(folder / "data.npz", image.default_dt)
    one, two = (run_on("sim", image, batch, states=True, trace=True, jobs=jobs).result for jobs in (1, 2))
    assert compare(one, two).mismatches == 0
    np.testing.assert_array_equal(one.label, two.label)


def test_the_interpreted_simulation_gives_the_same(folder):
    image = Image.load(folder / "fused.liquid")
    batch = data.load(folder / "data.npz", image.default_dt).subset(slice(0, 1))
    golden, slow = (run_on(target, image, batch, states=True, trace=True).result for target in ("golden", "pysim"))
    assert compare(golden, slow).mismatches == 0
