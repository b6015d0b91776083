# SPDX-License-Identifier: BSD-2-Clause
"""Which solver of the float reference, and how: settings, checked, and the function that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, TABLEAUS, ButcherTableau
from liquid_accel.sim.reference_adaptive import Method, Pair, solve_adaptive
from liquid_accel.sim.reference_controller import Controller, default_controller
from liquid_accel.sim.reference_equation import Array, Field, Inside, Progress, Trajectory, keep
from liquid_accel.sim.reference_etd21 import Etd21
from liquid_accel.sim.reference_solvers import FIXED_STEPS, Iteration, solve_exact, solve_fixed

Solve = Callable[[Field, Array, Inside, Progress | None], Trajectory]
SOLVERS = (*FIXED_STEPS, *TABLEAUS, *EXPONENTIAL_PAIRS, "exact")


@dataclass(frozen=True)
class SolverSettings:
    """How the layers' equations are solved.

    name        of `SOLVERS`, "exact" being scipy's DOP853 at rtol 1e-8; of no account beside `own`
    steps       a frame, of the fixed solvers
    rtol, atol  of the adaptive ones: a step is accepted if its scaled error is at most 1
    controller  of their steps; None: `default_controller`
    threshold   columns of W are skipped whose operand moved by no more; None: every product is whole
    scale       s of etd21, whose tolerance is atol + rtol s: a bounded state is at most 1
    iteration   when that of beuler ends
    own         a tableau of the user's: adaptive steps if it estimates an error, else fixed ones
    """

    name: str = "fused"
    steps: int = 4
    rtol: float = 1e-2
    atol: float = 1e-2
    controller: Controller | None = None
    threshold: float | None = None
    scale: float = 1.0
    iteration: Iteration = field(default_factory=Iteration)
    own: ButcherTableau | None = None

    def __post_init__(self) -> None:
        if self.own is None and self.name not in SOLVERS:
            raise UserError(f"solver is '{self.name}'; the float reference has {', '.join(SOLVERS)}")
        if self.steps < 1:
            raise UserError(f"steps is {self.steps}; expected at least 1")
        if not (0 <= self.rtol < np.inf and 0 < self.atol < np.inf):
            raise UserError(f"rtol and atol are {self.rtol} and {self.atol}; expected rtol >= 0 and atol > 0, finite")
        if self.threshold is not None and not 0 <= self.threshold < np.inf:
            raise UserError(f"threshold is {self.threshold}; expected 0 or more, finite")
        if self.threshold is not None and self.name == "exact":
            raise UserError(f"threshold is {self.threshold}, but solver is 'exact'; expected another solver, or none")
        if not 0 < self.scale < np.inf:
            raise UserError(f"scale is {self.scale}; expected a number above 0, finite")
        if self.controller is not None and not self.adaptive:
            raise UserError("controller goes with an adaptive solver; expected none")

    @classmethod
    def given(cls, solver: SolverSettings | ButcherTableau | str, steps: int) -> SolverSettings:
        """Settings as they are; a name or a tableau with `steps` a frame, where it has any."""
        if isinstance(solver, SolverSettings):
            return solver
        return cls(solver, steps) if isinstance(solver, str) else cls(solver.name, steps, own=solver)

    @property
    def tableau(self) -> ButcherTableau | None:
        """Of an adaptive pair; None for other solvers."""
        tableau = self.own or TABLEAUS.get(self.name)
        return tableau if tableau is not None and tableau.adaptive else None

    @property
    def adaptive(self) -> bool:
        """Whether the steps are chosen by a controller."""
        return self.tableau is not None or (self.own is None and self.name in EXPONENTIAL_PAIRS)

    def solver(self) -> Solve:
        """The function of these settings: equation, dt (B, T), which frames are inside (B, T), progress."""
        return self._solve

    def _solve(self, equation: Field, dt: Array, inside: Inside, progress: Progress | None = None) -> Trajectory:
        if self.own is None and self.name == "exact":
            return solve_exact(equation, dt, inside, progress)
        equation = keep(equation, self.threshold)
        if not self.adaptive:
            return solve_fixed(self.own or self.name, self.steps, equation, dt, inside, progress, self.iteration)
        tableau = self.tableau
        method: Method
        if tableau is not None:
            method = Pair(tableau, self.rtol, self.atol, equation)
            controller = self.controller or default_controller(tableau)
        else:
            method = Etd21(self.rtol, self.atol, self.scale, equation)
            controller = self.controller or default_controller("etd21")
        return solve_adaptive(method, controller, dt, inside, progress)
