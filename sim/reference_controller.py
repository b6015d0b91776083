# SPDX-License-Identifier: BSD-2-Clause
"""The step controller's float twin: I, PI and H211 filters by coefficients, in the log2 domain (docs/isa.md, PLAN and
DECIDE, without their rounding)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, FILTERS, ButcherTableau
from liquid_accel.sim.reference_equation import Array, Inside

Indices = npt.NDArray[np.intp]
ERROR_LOG2 = 16.0  # |log2 error| is held below it, so that an error of 0 has a logarithm


@dataclass(frozen=True)
class Controller:
    """Chooses step sizes from err, the estimate in units of its tolerance: a step with err <= 1 is accepted.

        x = log2(safety) - beta1 log2(err) - beta2 log2(err of the last accepted) - alpha2 (x of the last accepted)

    The next step is the one taken times 2^x, x held between the logarithms of `min_factor` and `max_factor`, after a
    reject at most by `reject_factor`. The step is carried over frames; one that was cut short by a frame's end does not
    lower it. Sizes are in units of the data's median dt: `smallest`, at which a step is accepted whatever its error
    (counted as `limited`), `largest`, and `first` of a sequence (None: the whole first frame).

    jump    a frame's first step has a memory of its own: the size proposed after the last frame's first accepted step
    even    what remains of a frame is split into equal steps; else only where two or fewer are left
    budget  right-hand sides a frame; where the next step would pass it the frame ends short, None: no limit
    """

    beta1: float
    beta2: float = 0.0
    alpha2: float = 0.0
    safety: float = 0.9
    min_factor: float = 0.2
    max_factor: float = 10.0
    reject_factor: float = 2.0**-0.25
    smallest: float = 2.0**-16
    largest: float = np.inf
    first: float | None = None
    jump: bool = False
    even: bool = False
    budget: int | None = None

    def __post_init__(self) -> None:
        for name in ("beta1", "beta2", "alpha2"):
            if not -2 <= getattr(self, name) <= 2:
                raise UserError(f"{name} is {getattr(self, name)}; expected -2 to 2")
        if not 0 < self.safety <= 1:
            raise UserError(f"safety is {self.safety}; expected above 0, at most 1")
        if not 0 < self.min_factor < 1 < self.max_factor < np.inf or not 0 < self.reject_factor < 1:
            raise UserError(
                f"min_factor, reject_factor and max_factor are {self.min_factor}, {self.reject_factor} and "
                f"{self.max_factor}; expected two between 0 and 1, and one above it"
            )
        if not 0 < self.smallest < self.largest or not (self.first is None or 0 < self.first < np.inf):
            raise UserError(
                f"smallest, largest and first are {self.smallest}, {self.largest} and {self.first}; "
                "expected sizes above 0, the first two in ascending order"
            )
        if self.budget is not None and self.budget < 1:
            raise UserError(f"budget is {self.budget}; expected at least 1 right-hand side a frame")

    @classmethod
    def of(cls, name: str, order: int, **more: float | bool | None) -> Controller:
        """A filter of `FILTERS` for errors of the size step^order."""
        beta1, beta2, alpha2 = FILTERS[name]
        return cls(beta1 / order, beta2 / order, alpha2, **more)  # type: ignore[arg-type]

    def change(self, log_error: Array, last_error: Array, last_change: Array) -> Array:
        """x within the limits of the factors."""
        x = np.log2(self.safety) - self.beta1 * log_error - self.beta2 * last_error - self.alpha2 * last_change
        limited: Array = np.clip(x, np.log2(self.min_factor), np.log2(self.max_factor))
        return limited


def default_controller(method: ButcherTableau | str) -> Controller:
    """The filter that took the fewest right-hand sides at the same error: tests/bench/step_controllers.py prints them.

    A frame of a few steps after a jump of the input gives the history of PI and H211 nothing to go by; etd21, at a step
    or two a frame, gains nothing by a memory of first steps. Of pairs the tableau says it.
    """
    if isinstance(method, str):
        return Controller.of("i", EXPONENTIAL_PAIRS[method].error_order)
    return Controller.of("i", method.step_order, jump=method.jumps)


def cut(step: Array, remaining: Array, even: bool = False) -> Array:
    """The step to take: all that remains if it fits, half of it if two steps do, else `step`; `even`: an equal part."""
    if even:
        # A last step longer by a rounding error is no reason for one more.
        parts: Array = remaining / np.maximum(np.ceil(remaining / step - 1e-9), 1.0)
        return parts
    halved = np.where(remaining < 2.0 * step, 0.5 * remaining, step)
    return np.where(remaining <= step, remaining, halved)


class Steps:
    """What the controller remembers of each sequence of a batch; `unit`: the time that sizes are in units of."""

    def __init__(self, controller: Controller, batch: int, unit: float):
        self.controller = controller
        self.smallest, self.largest = controller.smallest * unit, controller.largest * unit
        self.first = None if controller.first is None else controller.first * unit
        self.size, self.jump_size = np.full(batch, np.nan), np.full(batch, np.nan)
        self.error, self.change = np.zeros(batch), np.zeros(batch)
        self.at_limit, self.opening = np.zeros(batch, np.bool_), np.zeros(batch, np.bool_)

    def enter(self, rows: Indices, dt: Array) -> None:
        """A frame of length `dt` (R,) begins."""
        first = dt if self.first is None else np.full(rows.size, self.first)
        # A frame whose budget ended before its first accepted step leaves the size that it had come to.
        own = self.controller.jump & ~self.opening[rows]
        size = np.where(own, self.jump_size[rows], self.size[rows])
        self.size[rows] = np.where(np.isnan(size), np.clip(first, self.smallest, self.largest), size)
        self.opening[rows] = True

    def plan(self, rows: Indices, remaining: Array) -> Array:
        """The step (R,) to take next, of what remains (R,)."""
        return cut(self.size[rows], remaining, self.controller.even)

    def decide(self, rows: Indices, taken: Array, error: Array) -> tuple[Inside, Inside]:
        """Judge steps (R,) and choose the next sizes: which are accepted, and which of them missed the tolerance."""
        controller = self.controller
        good = error <= 1.0
        accept = good | self.at_limit[rows]
        with np.errstate(divide="ignore"):
            log_error = np.clip(np.log2(np.where(np.isfinite(error), error, np.inf)), -ERROR_LOG2, ERROR_LOG2)
        change = controller.change(log_error, self.error[rows], self.change[rows])
        change = np.where(accept, change, np.minimum(change, np.log2(controller.reject_factor)))
        size = taken * 2.0**change
        # A step that was cut short says little about how long the next may be.
        clipped = taken < self.size[rows]
        size = np.where(accept & clipped, np.maximum(size, self.size[rows]), size)
        self.at_limit[rows] = size < self.smallest
        self.size[rows] = np.clip(size, self.smallest, self.largest)
        done = rows[accept]
        self.error[done], self.change[done] = log_error[accept], change[accept]
        opened = done[self.opening[done]]
        self.jump_size[opened] = self.size[opened]
        self.opening[opened] = False
        return accept, accept & ~good
