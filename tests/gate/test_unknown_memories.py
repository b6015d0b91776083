# SPDX-License-Identifier: BSD-2-Clause
"""Memories that hold x when the power comes, and an accelerator that lets none of it out."""

import random
import re
from pathlib import Path

import pytest
from netlist import build, simulate
from program import END, Program, program, read, write
from simulators import need

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import Space
from liquid_accel.sim.elaborate import to_verilog

MEMORY = re.compile(
    r"^  reg \[\d+:0\] memory \[\d+:0\];\n  initial begin\n((?:    memory\[\d+\] = .*;\n)*)  end\n", re.M
)
MODULE = re.compile(r"^module (\S+)\s?\(", re.M)
ZERO = re.compile(r"= \d+'[hd]0+;$", re.M)
SOLVERS = {
    "bs32": {"rtol": 1e-3, "atol": 1e-3},
    "etd21": {"rtol": 1e-2, "atol": 1e-2, "delta_threshold": 0.125},
    "fused": {"steps": 2},
}


def without_contents(text: str, vectors: int | None = None) -> tuple[str, int]:
    """Verilog whose memories have no initial contents, tables of constants apart; and how many those are.

    `vectors`: the vector memory holds random words of that seed instead.
    """
    count, rng = 0, random.Random(vectors)

    def strip(found: re.Match[str]) -> str:
        nonlocal count
        words = found[1].splitlines()
        if not all(ZERO.search(word) for word in words):
            return found[0]
        count += 1
        module = MODULE.findall(text, 0, found.start())[-1]
        if vectors is not None and module.endswith(".core.vector"):
            return re.sub(r"= (\d+)'\w+;", lambda m: f"= {m[1]}'h{rng.getrandbits(int(m[1])):x};", found[0])
        return found[0].partition("\n")[0] + "\n"

    return MEMORY.sub(strip, text), count


# A program begins a sequence by multiplying what the vector memory holds by 0. To the machine that is 0, to Verilog 0
# times x is x: there the memory holds anything, twice, instead. Of bs32 the compiler writes the first of its rows.
@pytest.mark.parametrize(("solver", "vectors"), [("bs32", None), ("etd21", 1), ("fused", 1), ("fused", 2)])
@pytest.mark.parametrize("vendor", ["portable", "pipelined"])
def test_nothing_unknown_comes_out(vendor: str, solver: str, vectors: int | None, tmp_path: Path) -> None:
    """Every answer, and every control output in every cycle, is known, and the golden model's."""
    need("icarus")
    config = preset("test")
    text, count = without_contents(to_verilog(Accelerator(config, vendor), "top"), vectors)
    assert count >= 14
    assert len(MEMORY.findall(text)) == (1 if vectors is None else 2)
    chosen = program(config, solver, frames=3, **SOLVERS[solver])
    outcome = simulate(build(tmp_path, text), chosen, tmp_path)
    assert outcome.mismatches(chosen) == []
    assert outcome.end.startswith(f"bench: {len(chosen.answers)} answers")


def test_what_is_unknown_would_be_seen(tmp_path: Path) -> None:
    """A word that nobody wrote is read over the bus, and is x."""
    need("icarus")
    config = preset("test")
    text, _ = without_contents(to_verilog(Accelerator(config), "top"))
    last = config.weight_words * config.weight_part_words - 1
    orders = [write("MEM_SPACE", Space.WEIGHT), write("MEM_ADDRESS", last), read("MEM_DATA"), END]
    silent = Program(orders, [0, 0, 0], {})
    outcome = simulate(build(tmp_path, text), silent, tmp_path)
    assert outcome.answers == ["0000", "0000", "xxxx"]
    assert outcome.mismatches(silent) == ["answer 2 is 0xxxxx, golden 0x0000"]
