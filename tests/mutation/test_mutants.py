# SPDX-License-Identifier: BSD-2-Clause
"""A sample of `make mutate`, drawn by a seed: faults in all parts of the gateware, few programs for each."""

from hunt import EQUIVALENT, hunt

MUTANTS, SEED, PROGRAMS = 22, 5, 8
ENOUGH = 0.95


def test_faults_are_found() -> None:
    found = {str(mutant): killer for mutant, killer in hunt(MUTANTS, SEED, PROGRAMS, processes=1)}
    faults = {mutant: killer for mutant, killer in found.items() if killer != EQUIVALENT}
    survivors = [mutant for mutant, killer in faults.items() if killer is None]
    assert len(faults) >= MUTANTS * 3 // 4
    assert len(survivors) <= (1 - ENOUGH) * len(faults), survivors
