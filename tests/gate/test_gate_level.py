# SPDX-License-Identifier: BSD-2-Clause
"""The boards' netlists of the accelerator, cell by cell, against the golden model; `make gate-level` runs more of it.

Synthesis takes half a minute of each, once for each content of the gateware.
"""

from pathlib import Path

import pytest
from mutants import FAULTS, mutant
from netlist import GateLevelError, cells, compiled, models, simulate, synthesise
from program import program
from simulators import need

from liquid_accel.rtl.config import preset

MACHINES = {"ice40": "up5k", "ecp5": "ecp5"}


@pytest.fixture(autouse=True)
def icarus() -> None:
    """Every test simulates."""
    need("icarus")


@pytest.mark.parametrize("vendor", MACHINES)
def test_the_netlist_does_what_the_golden_model_does(vendor: str, tmp_path: Path) -> None:
    config = preset(MACHINES[vendor])
    netlist = synthesise(config, vendor)
    # The blocks whose models could differ from the portable gateware are there.
    assert set(FAULTS[vendor]) <= set(cells(netlist.text))
    chosen = program(config)
    assert chosen.totals["accepted"] and chosen.totals["rejected"]
    outcome = simulate(compiled(netlist), chosen, tmp_path)
    assert outcome.mismatches(chosen) == []
    assert outcome.end.startswith(f"bench: {len(chosen.answers)} answers")


@pytest.mark.parametrize("kind", ["SB_MAC16"])
def test_a_broken_cell_is_found(kind: str, tmp_path: Path) -> None:
    config = preset(MACHINES["ice40"])
    netlist, chosen = synthesise(config, "ice40"), program(config)
    broken = mutant(netlist.text, "ice40", kind, 1)
    outcome = simulate(compiled(netlist, broken.text), chosen, tmp_path, to_the_end=False)
    assert outcome.mismatches(chosen), f"{broken.cell}: {broken.fault}"


def test_a_cell_without_a_model_is_refused() -> None:
    with pytest.raises(GateLevelError, match="cell EHXPLLL: there is no model"):
        models("ecp5", ["LUT4", "EHXPLLL"])
