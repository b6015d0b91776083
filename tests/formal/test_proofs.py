# SPDX-License-Identifier: BSD-2-Clause
"""Every proof holds, and fails where a fault is put into its block."""

from dataclasses import replace

import pytest
from catalogue import PROOFS
from prover import ProofError, breaks, prove

from liquid_accel.sim.elaborate import YosysError


@pytest.mark.parametrize("name", PROOFS)
def test_it_holds(name: str) -> None:
    verdict = prove(PROOFS[name])
    assert verdict.holds, verdict.log[-3000:]


@pytest.mark.parametrize("name", PROOFS)
def test_a_fault_in_its_block_is_found(name: str) -> None:
    found = breaks(PROOFS[name])
    assert not found.holds, f"none of {found.faults} makes the proof fail"
    print(f"{found.tried} of {len(found.faults)} tried: {found.found}")


def test_a_signal_that_is_not_there_is_told() -> None:
    with pytest.raises(YosysError, match="no_such_signal"):
        prove(replace(PROOFS["bus"], ports=("no_such_signal",)))


def test_a_step_that_is_not_inductive_is_no_verdict() -> None:
    """Without the relation of its pointers a FIFO's collision is not excluded by induction, though it never comes."""
    weaker = PROOFS["fifo-level"].top.replace("assert(((tail", "assume(1 || ((tail")
    assert weaker != PROOFS["fifo-level"].top
    with pytest.raises(ProofError, match="fifo-level"):
        prove(replace(PROOFS["fifo-level"], top=weaker))
