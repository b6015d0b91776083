# SPDX-License-Identifier: BSD-2-Clause
"""A short run of what `make fuzz` does at length, from fixed seeds."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[1] / "fuzz" / "run.py"
INPUTS = 10_000


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python")
@pytest.mark.parametrize("target", ["fuzz_image", "fuzz_frames", "fuzz_link"])
def test_no_input_crashes_hangs_or_takes_much_memory(target: str, tmp_path: Path) -> None:
    asked = ["--inputs", str(INPUTS), "--target", target, "--folder", str(tmp_path)]
    command = [sys.executable, str(RUN), *asked, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\nkept: {sorted(p.name for p in tmp_path.glob('*-*'))}"
    (outcome,) = json.loads(done.stdout)
    assert outcome["inputs"] >= INPUTS
    assert outcome["failure"] == ""
    # Without the instruments there is nothing that would guide the inputs.
    assert outcome["coverage"] > 30
