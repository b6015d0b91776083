# SPDX-License-Identifier: BSD-2-Clause
"""`liquid bench --only training`: a step of our LTC beside one of ncps, in one run."""

import json

import pytest

from liquid_accel.bench import claims
from liquid_accel.bench import training as measured
from liquid_accel.cli import main

pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")


def test_a_step_is_at_least_twice_as_fast_as_with_ncps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ncps", reason="ncps, of the optional extra `bench`, is what is compared with")
    monkeypatch.setattr(measured, "QUICK_FRAMES", 20)
    assert main(["bench", "--only", "training", "--quick", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["training"]}
    assert rows.keys() == {"LTC", "CfC"}
    for row in rows.values():
        assert row["times_faster"] == pytest.approx(row["ncps_ms"] / row["ms"])
        assert row["difference"] < 1e-5
        assert (row["batch"], row["units"], row["frames"]) == (32, 64, 20)
    assert rows["LTC"]["times_faster"] >= 2


def test_without_ncps_there_is_a_dash(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(name: str) -> None:
        raise ImportError(name=name)

    monkeypatch.setattr(measured, "import_module", refuse)
    assert main(["bench", "--only", "training", "--quick"]) == 0
    printed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["LTC", *"––––", "4"] in printed
    assert claims._training({"training": measured.rows(True)}) == []
