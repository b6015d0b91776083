# SPDX-License-Identifier: BSD-2-Clause
"""A short `make soak`; and what it does with a machine that is wrong: the case is made small, kept in a file, and
replayed from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from program_generator import TRAFFIC, case
from program_runner import differs
from simulators import need

SOAK = Path(__file__).resolve().parents[1] / "soak"
MUTATION = SOAK.parent / "mutation"
sys.path[:0] = [str(SOAK), str(MUTATION)]


@pytest.mark.slow
def test_a_short_soak(tmp_path: Path) -> None:
    need("cxxrtl")
    arguments = "--programs 250 --networks 1 --drawn 0 --no-long --machines plain,small --processes 1 --seed 2".split()
    command = [sys.executable, SOAK / "run.py", *arguments, "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "soak.json").read_text())
    assert (record["programs"], record["networks"], record["mismatches"]) == (250, 1, 0)
    coverage = record["coverage"]
    assert coverage["hit"] > 0.8 * coverage["bins"]
    assert not coverage["refuted"]


def test_a_fault_is_made_small_and_replayed(tmp_path: Path) -> None:
    need("cxxrtl")
    from failures import read, shrink, write  # type: ignore[import-not-found]
    from machines import MACHINES  # type: ignore[import-not-found]
    from mutants import Machine, compiled, mutate  # type: ignore[import-not-found]

    soaked = MACHINES["4"]
    text, mutants = mutate(soaked.config, 33, 3)
    library = compiled(text)
    seeds = (case(soaked.config, seed, blocks=3, traffic=TRAFFIC[seed % 3]) for seed in range(6))
    failing, mutant = next((c, m) for c in seeds for m in mutants if differs(c, Machine(library, m.number)))

    def still(smaller: object) -> bool:
        return differs(smaller, Machine(library, mutant.number)) is not None  # type: ignore[arg-type]

    small = shrink(failing, still)
    assert still(small)
    real = [sum(str(i) != str(type(i)(stall=i.stall)) for i in made.program) for made in (small, failing)]
    words = [sum(int((section != 0).sum()) for section in made.sections.values()) for made in (small, failing)]
    print(f"{mutant.command}: from {real[1]} instructions to {real[0]}, from {words[1]} words to {words[0]}")
    assert real[0] < real[1] / 2
    assert words[0] < words[1] / 4
    write(tmp_path / "case.json", soaked, small)
    machine, again = read(tmp_path / "case.json")
    assert machine.config == soaked.config
    assert differs(again, Machine(library, mutant.number)) == differs(small, Machine(library, mutant.number))
    assert differs(again, Machine(library, 0)) is None
    # The one command, on the gateware as it is.
    done = subprocess.run([sys.executable, SOAK / "replay.py", tmp_path / "case.json"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "no difference any more\n"), done.stderr
