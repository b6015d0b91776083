# SPDX-License-Identifier: BSD-2-Clause
"""What a user may ask of the compiler, checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from liquid_accel.errors import UserError
from liquid_accel.rtl.config import SKIPPING
from liquid_accel.rtl.tableaus import (
    EXPONENTIAL_PAIRS,
    FILTERS,
    FIXED_TABLEAUS,
    GATES,
    IMPLICIT,
    TABLEAUS,
    ButcherTableau,
)

# Names that `--solver` knows, in the order in which they are offered.
SOLVERS = (
    "fused", "euler", "heun", "rk4", "expeuler", "beuler", "heun21", "bs32", "rkf45", "dopri5", "etd21",
)  # fmt: skip
ADAPTIVE_OPTIONS = (
    "rtol", "atol", "safety", "order", "min_factor", "max_factor", "early_halt", "controller", "jump", "min_step",
    "max_step",
)  # fmt: skip
TOLERANCES = ("rtol", "atol")
CONTROLLERS = tuple(FILTERS)
MAX_STEPS = 16
MAX_ITERATIONS = 64
MIN_ATOL = 1e-4  # below it the tolerance is no longer coarse beside the resolution of a Q3.12 state
MIN_RTOL = 1e-5  # below it rtol |h| vanishes beside the smallest atol
MAX_TOLERANCE = 1.0
MAX_THRESHOLD = 8.0  # the largest value of a Q3.12 word
WEIGHT_BITS = (8, 6, 4)
MAX_BUDGET = 4096


def available() -> tuple[str, ...]:
    """Solvers that can be compiled."""
    built = {*GATES, *IMPLICIT, *EXPONENTIAL_PAIRS, *TABLEAUS, *FIXED_TABLEAUS}
    return tuple(name for name in SOLVERS if name in built) + tuple(sorted(built - set(SOLVERS)))


def is_adaptive(solver: str) -> bool:
    """Whether a solver of `available()` chooses its steps."""
    return solver in TABLEAUS or solver in EXPONENTIAL_PAIRS


def check_given(solver: str, given: Iterable[str], prefix: str = "") -> None:
    """Raise `UserError` where an option was given that the solver has no use for; `prefix` stands before its name."""
    adaptive = is_adaptive(solver)
    for name in given:
        flag = name.replace("_", "-") if prefix else name
        if adaptive and name in ("steps", "iterations"):
            raise UserError(f"{prefix}{flag} goes with a fixed-step solver, {solver} chooses its own; expected none")
        if not adaptive and name in ADAPTIVE_OPTIONS and not (solver in IMPLICIT and name in TOLERANCES):
            raise UserError(
                f"{prefix}{flag} goes with an adaptive solver, {solver} takes fixed steps; expected {prefix}steps"
            )
        if name == "iterations" and solver not in IMPLICIT:
            raise UserError(f"{prefix}{flag} goes with {', '.join(IMPLICIT)}, which iterates; expected none")


@dataclass(frozen=True)
class CompileOptions:
    """How the layers' equations are solved, and what is left out.

    solver                  a name of `available()`
    tableau                 a Butcher tableau of one's own; `solver` is then its name
    steps                   sub-steps a frame of a fixed-step solver, 1 to 16
    iterations              at most, of a step of an implicit solver
    rtol, atol              an adaptive step is accepted if rms_i(e_i / (atol + rtol |h_i|)) <= 1; etd21 and beuler take
                            the states' root mean square over the calibration data for |h_i|
    controller              of the steps: "i", "pi" or "h211", a digital filter
    safety, order           log2 of a step's change is log2(safety) - log2(error) / order; order 0: the method's own
    min_factor, max_factor  limits of one change of the step
    min_step, max_step      limits of the step, in the model's unit of time; 0: none
    jump                    the first step of a frame, after the input's jump, has a memory of its own; None: for pairs
                            of order 3 or less, which gain by it
    early_halt              skip the rest of a frame where remaining time times the fastest slope is below atol
    budget                  right-hand sides a frame; 0: no limit
    delta_threshold         columns of a product are skipped whose operand moved by no more since they were last used;
                            None: every product is whole
    delta_thresholds        the same by the name of a layer, in its place
    weight_bits             of a weight, 8, 6 or 4
    """

    solver: str = "fused"
    tableau: ButcherTableau | None = None
    steps: int = 4
    iterations: int = 8
    rtol: float = 1e-2
    atol: float = 1e-2
    controller: str = "i"
    safety: float = 0.9
    order: int = 0
    min_factor: float = 0.2
    max_factor: float = 10.0
    min_step: float = 0.0
    max_step: float = 0.0
    jump: bool | None = None
    early_halt: bool = True
    budget: int = 0
    delta_threshold: float | None = None
    delta_thresholds: Mapping[str, float] = field(default_factory=dict)
    weight_bits: int = 8

    def __post_init__(self) -> None:
        if self.tableau is not None:
            taken = {*GATES, *IMPLICIT, *EXPONENTIAL_PAIRS}
            if self.tableau.name in taken:
                names = ", ".join(sorted(taken))
                raise UserError(f"tableau has the name '{self.tableau.name}'; expected none of {names}")
            object.__setattr__(self, "solver", self.tableau.name)
        elif self.solver not in available():
            raise UserError(f"solver '{self.solver}' is unknown; available: {', '.join(available())}")
        self._check_counts()
        for name, low in (("rtol", MIN_RTOL), ("atol", MIN_ATOL)):
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= MAX_TOLERANCE):
                raise UserError(f"{name} is {value}; expected {low:g} to {MAX_TOLERANCE:g}")
        if self.controller not in CONTROLLERS:
            raise UserError(f"controller is '{self.controller}'; expected one of {', '.join(CONTROLLERS)}")
        if not 0.1 <= self.safety <= 1.0:
            raise UserError(f"safety is {self.safety}; expected 0.1 to 1")
        if not 2.0**-15 <= self.min_factor < 1.0 < self.max_factor <= 2.0**15:
            raise UserError(
                f"min_factor and max_factor are {self.min_factor} and {self.max_factor}; expected one on each side of 1"
            )
        if not (0.0 <= self.min_step < math.inf and 0.0 <= self.max_step < math.inf):
            raise UserError(f"min_step and max_step are {self.min_step} and {self.max_step}; expected 0 or more")
        if self.min_step and self.max_step and self.max_step < self.min_step:
            raise UserError(f"max_step is {self.max_step}; expected at least min_step, {self.min_step}")
        for where, threshold in (("", self.delta_threshold), *self.delta_thresholds.items()):
            if threshold is not None and not 0.0 <= threshold < MAX_THRESHOLD:
                of = f" of {where}" if where else ""
                raise UserError(f"delta_threshold{of} is {threshold}; expected 0 to less than {MAX_THRESHOLD:g}")
        if self.budget and not self.adaptive:
            raise UserError(f"budget is {self.budget}; {self.solver} takes fixed steps; expected none")

    def _check_counts(self) -> None:
        limits = {
            "steps": (1, MAX_STEPS), "iterations": (1, MAX_ITERATIONS), "budget": (0, MAX_BUDGET), "order": (0, 8),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not (isinstance(value, int) and low <= value <= high):
                raise UserError(f"{name} is {value}; expected a whole number from {low} to {high}")
        if self.weight_bits not in WEIGHT_BITS:
            raise UserError(f"weight_bits is {self.weight_bits}; expected one of {', '.join(map(str, WEIGHT_BITS))}")

    @property
    def method(self) -> ButcherTableau:
        """The tableau of a Runge-Kutta method."""
        return self.tableau or TABLEAUS.get(self.solver) or FIXED_TABLEAUS[self.solver]

    @property
    def adaptive(self) -> bool:
        """Whether steps are chosen on chip."""
        return self.tableau.adaptive if self.tableau is not None else is_adaptive(self.solver)

    @property
    def tolerant(self) -> bool:
        """Whether something is held to a tolerance."""
        return self.adaptive or self.solver in IMPLICIT

    @property
    def keeps_sums(self) -> bool:
        """Whether the program asks for a machine that keeps the sums of products."""
        thresholds = [self.delta_threshold, *self.delta_thresholds.values()]
        return self.solver in EXPONENTIAL_PAIRS or any(threshold is not None for threshold in thresholds)

    def preset(self, name: str) -> str:
        """The preset `name`, or the one with kept sums that stands for it where they are asked for."""
        return SKIPPING.get(name, name) if self.keeps_sums else name

    def threshold(self, layer: str) -> float | None:
        """Below which moves the columns of a layer's products are skipped."""
        return self.delta_thresholds.get(layer, self.delta_threshold)
