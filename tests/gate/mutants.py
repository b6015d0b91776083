# SPDX-License-Identifier: BSD-2-Clause
"""Netlists with one cell changed, each of which the comparison with the golden model has to find."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

# What becomes of a cell of each kind: a pattern of a pin or a parameter, and what it becomes.
FAULTS = {
    "ice40": {
        "SB_LUT4": (r"\.LUT_INIT\(16'h(\w+)\)", "inverted"),
        "SB_CARRY": (r"\.CI\([^)]+\)", ".CI(1'h0)"),
        "SB_DFFESR": (r"\.E\([^)]+\)", ".E(1'h0)"),
        "SB_MAC16": (r"\.A_SIGNED\(1'h1\)", ".A_SIGNED(1'h0)"),
        "SB_RAM40_4K": (r"\.WE\([^)]+\)", ".WE(1'h0)"),
        "SB_SPRAM256KA": (r"\.WREN\([^)]+\)", ".WREN(1'h0)"),
    },
    "ecp5": {
        "LUT4": (r"\.INIT\(16'h(\w+)\)", "inverted"),
        "CCU2C": (r"\.CIN\([^)]+\)", ".CIN(1'h0)"),
        "TRELLIS_FF": (r"\.DI\([^)]+\)", ".DI(1'h0)"),
        "MULT18X18D": (r"\.SIGNEDA\([^)]+\)", ".SIGNEDA(1'h0)"),
        "DP16KD": (r"\.WEA\([^)]+\)", ".WEA(1'h0)"),
        "TRELLIS_DPR16X4": (r"\.WRE\([^)]+\)", ".WRE(1'h0)"),
    },
}


@dataclass(frozen=True)
class Mutant:
    """A netlist with one cell changed: kind and name of the cell, what was done to it, the netlist's text."""

    kind: str
    cell: str
    fault: str
    text: str


def mutants(text: str, vendor: str, seed: int, kinds: tuple[str, ...] = ()) -> Iterator[Mutant]:
    """One mutant for each kind of cell, or of `kinds`; which cell of its kind it is, the seed says."""
    rng = random.Random(seed)
    for kind, (pattern, fault) in FAULTS[vendor].items():
        found = [at for at in re.finditer(rf"^  {kind} .*?^  \);", text, re.M | re.S) if re.search(pattern, at[0])]
        chosen = rng.choice(found)
        if kinds and kind not in kinds:
            continue
        if fault == "inverted":
            changed = re.sub(pattern, lambda m: m[0].replace(m[1], f"{0xFFFF ^ int(m[1], 16):04x}"), chosen[0])
        else:
            changed = re.sub(pattern, fault, chosen[0], count=1)
        name = re.search(r"(\S+)\s+\($", chosen[0], re.M)
        assert name is not None
        if changed == chosen[0]:
            continue
        yield Mutant(kind, name[1], fault, text[: chosen.start()] + changed + text[chosen.end() :])
