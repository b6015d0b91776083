# SPDX-License-Identifier: BSD-2-Clause
"""A short `make soak`; and what it does with a machine that is wrong: the case is made small, kept in a file, and
replayed from it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from program_generator import TRAFFIC, case
from program_runner import differs
from simulators import need

from liquid_accel.rtl.isa import Instruction, Op, Space
from liquid_accel.rtl.registers import address

SOAK = Path(__file__).resolve().parents[1] / "soak"
sys.path.insert(0, str(SOAK))


@pytest.mark.slow
def test_a_short_soak(tmp_path: Path) -> None:
    need("cxxrtl")
    arguments = "--programs 200 --networks 0 --drawn 0 --no-long --machines plain,small --processes 1 --seed 2".split()
    command = [sys.executable, SOAK / "run.py", *arguments, "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "soak.json").read_text())
    assert (record["programs"], record["networks"], record["mismatches"]) == (200, 0, 0)
    coverage = record["coverage"]
    assert coverage["hit"] > 0.8 * coverage["bins"]
    assert not coverage["refuted"]


def stuck(machine: Any) -> Any:
    """The machine with a fault in front of it: bit 1 of lane 1's weights reads 1, whatever is written."""
    write, spaces = machine.write, [0]

    def faulty(register: int, words: Any) -> None:
        if register == address("MEM_SPACE"):
            spaces.append(int(words[-1]))
        if register == address("MEM_DATA") and spaces[-1] == Space.WEIGHT:
            words = [word | 1 << 9 if at % 2 == 0 else word for at, word in enumerate(words)]
        write(register, words)

    machine.write = faulty
    return machine


def test_a_fault_is_made_small_and_replayed(tmp_path: Path) -> None:
    need("cxxrtl")
    from failures import read, shrink, write  # type: ignore[import-not-found]
    from machines import MACHINES, Machine  # type: ignore[import-not-found]

    soaked = MACHINES["plain"]
    seeds = (case(soaked.config, seed, blocks=4, traffic=TRAFFIC[seed % 3]) for seed in range(1, 20))
    failing = next(made for made in seeds if differs(made, stuck(Machine(soaked))))
    small = shrink(failing, lambda smaller: differs(smaller, stuck(Machine(soaked))) is not None)
    found = differs(small, stuck(Machine(soaked)))
    assert found is not None
    real = [[i for i in made.program if i != Instruction(stall=i.stall)] for made in (small, failing)]
    words = [sum(int((section != 0).sum()) for section in made.sections.values()) for made in (small, failing)]
    print(f"from {len(real[1])} instructions to {len(real[0])}, from {words[1]} words to {words[0]}")
    assert len(real[0]) < len(real[1]) / 2
    assert words[0] < words[1] / 4
    assert any(i.op == Op.DOT for i in real[0]), "the fault is in weights"
    path = tmp_path / "case.json"
    write(path, soaked, small, found)
    machine, again = read(path)
    assert machine.config == soaked.config
    assert differs(again, stuck(Machine(soaked))) == found
    # The one command, on the gateware as it is.
    done = subprocess.run([sys.executable, SOAK / "replay.py", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "no difference any more\n"), done.stderr


def test_replay_wants_a_file(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, SOAK / "replay.py", tmp_path / "none"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Traceback" not in done.stderr
