# SPDX-License-Identifier: BSD-2-Clause
"""What `make soak` does with a machine that is wrong: the case is made small, kept in a file, and replayed from it."""

import sys
from pathlib import Path

from program_generator import case
from program_runner import differs
from simulators import need

SOAK = Path(__file__).resolve().parents[1] / "soak"
MUTATION = SOAK.parent / "mutation"
sys.path[:0] = [str(SOAK), str(MUTATION)]


def test_a_fault_is_made_small_and_replayed(tmp_path: Path) -> None:
    need("cxxrtl")
    from failures import shrink, write  # type: ignore[import-not-found]
    from machines import MACHINES  # type: ignore[import-not-found]
    from mutants import Machine, compiled, mutate  # type: ignore[import-not-found]
    from replay import read  # type: ignore[import-not-found]

    config = MACHINES["4"].config
    text, mutants = mutate(config, 33, 3)
    library = compiled(text)
    seeds = (case(config, seed, blocks=3) for seed in range(6))
    failing, mutant = next((c, m) for c in seeds for m in mutants if differs(c, Machine(library, m.number)))

    def still(smaller: object) -> bool:
        return differs(smaller, Machine(library, mutant.number)) is not None  # type: ignore[arg-type]

    small = shrink(failing, still)
    assert still(small)
    real = [sum(str(i) != str(type(i)(stall=i.stall)) for i in made.program) for made in (small, failing)]
    assert real[0] < real[1]
    write(tmp_path / "case.json", "4", small)
    name, again = read(tmp_path / "case.json")
    assert name == "4"
    assert differs(again, Machine(library, mutant.number)) == differs(small, Machine(library, mutant.number))
    assert differs(again, Machine(library, 0)) is None
