# SPDX-License-Identifier: BSD-2-Clause
"""Mutants one by one against all checks, in several processes; of those that pass them all a proof is tried."""

import multiprocessing
from collections.abc import Iterator
from typing import Any

from alive import Machine, Mutant, compiled, mutate
from cell_graph import Netlist
from checks import CONFIG, Check, checks
from equivalence import Prover

_shared: dict[str, Any] = {}  # what forked processes inherit
EQUIVALENT = "proved equivalent"


def found_by(mutant: Mutant) -> str | None:
    """The first check that finds the mutant, or EQUIVALENT; None where it survives."""
    for name, check in _shared["checks"]:
        with Machine(_shared["library"], mutant.number) as machine:
            if not check(machine):
                return str(name)
    return None if Prover(_shared["netlist"]).differing(mutant.number) is None else EQUIVALENT


def hunt(count: int, seed: int, programs: int, processes: int) -> Iterator[tuple[Mutant, str | None]]:
    """Each mutant, and what found it. Raises AssertionError where a check fails without a mutant."""
    text, netlist, mutants = mutate(CONFIG, count, seed)
    _shared["library"], _shared["netlist"] = compiled(text), Netlist(netlist)
    _shared["checks"] = list(checks(CONFIG, programs))
    sound(_shared["checks"])
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from zip(mutants, pool.imap(found_by, mutants))


def sound(all_checks: list[tuple[str, Check]]) -> None:
    """Without a mutant every check holds."""
    for name, check in all_checks:
        with Machine(_shared["library"], 0) as machine:
            assert check(machine), f"{name} fails on the machine without a mutant"
