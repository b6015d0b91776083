# SPDX-License-Identifier: BSD-2-Clause
"""What a user may ask of the compiler, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import GATES, TABLEAUS

# Names that `--solver` knows; those without an entry in the tables are not built yet.
SOLVERS = (
    "fused", "euler", "heun", "rk4", "expeuler", "beuler", "heun21", "bs32", "rkf45", "dopri5", "etd21",
)  # fmt: skip
ADAPTIVE_OPTIONS = ("rtol", "atol", "safety", "order", "min_factor", "max_factor", "early_halt")
MAX_STEPS = 16
MIN_ATOL = 1e-4  # below it the tolerance is no longer coarse beside the resolution of a Q3.12 state
MIN_RTOL = 1e-5  # below it rtol |h| vanishes beside the smallest atol
MAX_TOLERANCE = 1.0


def available() -> tuple[str, ...]:
    """Solvers that can be compiled: every gate, and every tableau with an error estimate."""
    built = {*GATES, *(name for name, tableau in TABLEAUS.items() if tableau.adaptive)}
    return tuple(name for name in SOLVERS if name in built) + tuple(sorted(built - set(SOLVERS)))


def check_given(solver: str, given: Iterable[str], prefix: str = "") -> None:
    """Raise `UserError` where an option was given that the solver has no use for; `prefix` stands before its name."""
    adaptive = solver in TABLEAUS
    for name in given:
        if adaptive and name == "steps":
            raise UserError(f"{prefix}steps goes with a fixed-step solver, {solver} chooses its own; expected none")
        if solver in GATES and name in ADAPTIVE_OPTIONS:
            flag = name.replace("_", "-") if prefix else name
            raise UserError(
                f"{prefix}{flag} goes with an adaptive solver, {solver} takes fixed steps; expected {prefix}steps"
            )


@dataclass(frozen=True)
class CompileOptions:
    """How the layer's equation is solved.

    solver                  a name of `available()`
    steps                   sub-steps a frame of a gated solver, 1 to 16
    rtol, atol              an adaptive step is accepted if rms_i(e_i / (atol + rtol |h_i|)) <= 1
    safety, order           log2 of a step's change is log2(safety) - log2(error) / order; order 0: the tableau's
    min_factor, max_factor  limits of one change of the step
    early_halt              skip the rest of a frame where remaining time times the fastest slope is below atol
    """

    solver: str = "fused"
    steps: int = 4
    rtol: float = 1e-2
    atol: float = 1e-2
    safety: float = 0.9
    order: int = 0
    min_factor: float = 0.2
    max_factor: float = 10.0
    early_halt: bool = True

    def __post_init__(self) -> None:
        if self.solver not in available():
            known = "is not available yet" if self.solver in SOLVERS else "is unknown"
            raise UserError(f"solver '{self.solver}' {known}; available: {', '.join(available())}")
        if not (isinstance(self.steps, int) and 1 <= self.steps <= MAX_STEPS):
            raise UserError(f"steps is {self.steps}; expected a whole number from 1 to {MAX_STEPS}")
        for name, low in (("rtol", MIN_RTOL), ("atol", MIN_ATOL)):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= MAX_TOLERANCE):
                raise UserError(f"{name} is {value}; expected {low:g} to {MAX_TOLERANCE:g}")
        if not 0.1 <= self.safety <= 1.0:
            raise UserError(f"safety is {self.safety}; expected 0.1 to 1")
        if not (isinstance(self.order, int) and 0 <= self.order <= 8):
            raise UserError(f"order is {self.order}; expected 1 to 8, or 0 for the tableau's own")
        if not 2.0**-15 <= self.min_factor < 1.0 < self.max_factor <= 2.0**15:
            raise UserError(
                f"min_factor and max_factor are {self.min_factor} and {self.max_factor}; expected one on each side of 1"
            )

    @property
    def adaptive(self) -> bool:
        """Whether steps are chosen on chip."""
        return self.solver in TABLEAUS
