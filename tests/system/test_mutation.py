# SPDX-License-Identifier: BSD-2-Clause
"""A seeded sample of `make mutate`: faults in the gateware are found."""

import sys
from pathlib import Path

from simulators import need

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mutation"))

MUTANTS, PROGRAMS, SEED = 33, 6, 5


def test_faults_are_found() -> None:
    need("cxxrtl")
    from run import hunt  # type: ignore[import-not-found]

    found = {str(mutant): killer for mutant, killer in hunt(MUTANTS, SEED, PROGRAMS, processes=1)}
    survivors = [mutant for mutant, killer in found.items() if killer is None]
    print("\n".join(survivors))
    assert len(found) >= MUTANTS
    # A few faults of any sample change nothing that can be seen; `make mutate` lists them by name.
    assert len(survivors) <= len(found) // 5
