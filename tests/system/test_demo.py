# SPDX-License-Identifier: BSD-2-Clause
"""The demo on a few utterances: one table, one page complete in itself, no torch and no scipy."""

import json
import re
import subprocess
import sys

import pytest
from simulators import need

CODE = """
import sys
sys.modules.update(torch=None, scipy=None)
from liquid_accel.cli import main
sys.exit(main(["demo", "--utterances", "6", "-o", sys.argv[1], "--json"]))
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    need("cxxrtl")
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run([sys.executable, "-c", CODE, str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.slow
def test_every_word_of_the_simulation_is_the_golden_models(demo):
    for solver in demo[1]["solvers"].values():
        assert solver["mismatches"] == 0
        assert solver["compared"] > 0
        for key in ("cycles", "rhs_evals", "steps_rejected", "accuracy"):
            assert solver["golden"][key] == solver["rtl"][key]


@pytest.mark.slow
def test_the_report_is_complete_in_itself(demo):
    page = (demo[0] / "report.html").read_text()
    addresses = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert sum(address.startswith("data:image/svg+xml;base64,") for address in addresses) == 5
    assert [a for a in addresses if not a.startswith("data:")] == [
        "https://archive.ics.uci.edu/dataset/128/japanese+vowels"[:40]
    ]
    assert "accuracy, %" in page


@pytest.mark.slow
def test_the_points_of_work_against_precision_are_there(demo):
    found = demo[1]["precision"]
    assert {point["solver"] for point in found["points"]} == {"bs32", "fused", "rk4"}
    (point,) = [p for p in found["points"] if p["solver"] == "bs32" and p["tolerance"] == 0.01]
    assert point["rms_error"] == found["rms_error"] <= 2e-2
    assert point["rhs_evals_per_frame"] == found["rhs_evals_per_frame"]
    page = (demo[0] / "report.html").read_text()
    assert page.count("<td>tolerance ") + page.count("<td>steps a frame ") == len(found["points"])
    assert re.search(r"states within [\d.e-]+ rms of the exact solution", page)
