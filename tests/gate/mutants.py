# SPDX-License-Identifier: BSD-2-Clause
"""Netlists with one cell changed, each of which the comparison with the golden model has to find."""

import random
import re
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
# A short program sees nothing of most words of a memory, and of the upper bits of most sums. Of these it does: the step
# controller's constants, addresses of the program.
ONLY = {"TRELLIS_DPR16X4": "core.constants", "SB_CARRY": "core.fetch"}


@dataclass(frozen=True)
class Mutant:
    """A netlist with one cell changed: kind and name of the cell, what was done to it, the netlist's text."""

    kind: str
    cell: str
    fault: str
    text: str


def mutant(text: str, vendor: str, kind: str, seed: int) -> Mutant:
    """The netlist `text` with a cell of a kind broken; the seed says which of those that the fault changes."""
    pattern, fault = FAULTS[vendor][kind]

    def broken(cell: str) -> str:
        if fault == "inverted":
            return re.sub(pattern, lambda m: m[0].replace(m[1], f"{0xFFFF ^ int(m[1], 16):04x}"), cell)
        return re.sub(pattern, fault, cell, count=1)

    def name(cell: str) -> str:
        return re.findall(r"(\S+)\s+\($", cell, re.M)[0]

    cells = [at for at in re.finditer(rf"^  {kind} .*?^  \);", text, re.M | re.S) if broken(at[0]) != at[0]]
    chosen = random.Random(seed).choice([cell for cell in cells if ONLY.get(kind, "") in name(cell[0])])
    return Mutant(kind, name(chosen[0]), fault, text[: chosen.start()] + broken(chosen[0]) + text[chosen.end() :])
