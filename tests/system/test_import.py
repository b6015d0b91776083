# SPDX-License-Identifier: BSD-2-Clause
"""A model of one's own on the command line: package.module:object."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from liquid_accel.cli import main

NET = """
import ncps.torch, ncps.wirings, torch

torch.manual_seed(0)
model = ncps.torch.LTC(4, ncps.wirings.AutoNCP(12, 3, seed=1), batch_first=True)
number = 3

def made():
    return torch.nn.GRU(4, 6)

def broken():
    raise RuntimeError("no weights here")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with my_net.py and data, as the working folder."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "cal.npz", x=rng.normal(size=(6, 10, 4)).astype(np.float32))
    (tmp_path / "my_net.py").write_text(NET)
    (tmp_path / "my_fault.py").write_text("import nothing_of_that_name\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in ("my_net", "my_fault"):
        sys.modules.pop(name, None)
    sys.path[:] = [entry for entry in sys.path if entry != str(tmp_path)]


@pytest.mark.parametrize("name", ["model", "made"])
def test_from_a_module_to_a_run(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [f"my_net:{name}", "--data", "cal.npz", "--preset", "up5k", "-o", "net.liquid", "--json"]
    assert main(["compile", *arguments]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cells"] == [{"model": "ltc-synaptic", "made": "gru"}[name]] and found["inputs"] == 4
    assert main(["run", "net.liquid", "cal.npz", "--on", "golden", "-o", "out.npz"]) == 0
    assert np.load("out.npz")["y"].shape == (6, 10, found["outputs"])


BAD = {
    "my_net:number": "of type int", "my_net:broken": "no weights here", "my_net:absent": "has no 'absent'",
    "my_fault:model": "cannot be imported", "no_such_module:model": "cannot be imported", "my_net:": "is no model",
    "my-net:model": "is no model",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_objects(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", name, "--data", "cal.npz", "-o", "net.liquid"]) == 2
    said = capsys.readouterr().err
    assert BAD[name] in said and len(said.strip().splitlines()) == 1
    assert not Path("net.liquid").exists()
