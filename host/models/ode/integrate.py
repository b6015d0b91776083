# SPDX-License-Identifier: BSD-2-Clause
"""From one time to the next: steps of a fixed number, or of a size that meets a tolerance."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from liquid_accel.models.ode.method import Method, Rhs

SAFETY, SHRINK, GROW = 0.9, 0.2, 10.0


@dataclass(frozen=True)
class Plan:
    """How to integrate: `steps` between two times of a fixed method, or a size that keeps the rms of error / (atol +
    rtol |y|) at 1 or below, over the first `counted` numbers of y (None: all), in at most `max_steps` between two."""

    method: Method
    steps: int
    rtol: float
    atol: float
    max_steps: int
    counted: int | None = None


# A step that was taken: its start, its size, and the time of the output that it ends at, by number, or None.
Step = tuple[float, float, int | None]


def integrate(
    rhs: Rhs, y: Tensor, times: Sequence[float], plan: Plan, taken: Callable[[Step, Tensor], None] | None = None
) -> Iterator[Tensor]:
    """y at each of `times` but the first, where it is `y`. `taken` hears of each step and of y at its start.

    Step sizes are numbers to autograd, not functions of y. Raises `RuntimeError` where a tolerance cannot be met.
    """
    dt, slope = 0.0, None
    for number, (start, end) in enumerate(pairwise(times), 1):
        if plan.method.error is None:
            y, slope = _fixed(rhs, y, start, end, plan, slope, number, taken)
        else:
            if not dt:
                slope = rhs(y.new_tensor(start), y)
                dt = first_step(y, slope, end - start, plan)
            y, slope, dt = _adaptive(rhs, y, start, end, plan, slope, dt, number, taken)
        yield y


def _fixed(
    rhs: Rhs, y: Tensor, start: float, end: float, plan: Plan, slope: Tensor | None, number: int,
    taken: Callable[[Step, Tensor], None] | None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    dt = (end - start) / plan.steps
    for index in range(plan.steps):
        t = start + index * dt
        if taken is not None:
            taken((t, dt, number if index + 1 == plan.steps else None), y)
        y, _, slope = plan.method.step(rhs, t, y, dt, slope)
    return y, slope


def _adaptive(
    rhs: Rhs, y: Tensor, start: float, end: float, plan: Plan, slope: Tensor | None, dt: float, number: int,
    taken: Callable[[Step, Tensor], None] | None,
) -> tuple[Tensor, Tensor | None, float]:  # fmt: skip
    t, exponent = start, -1.0 / plan.method.error_order
    for _ in range(plan.max_steps):
        last = abs(end - t) <= abs(dt) * (1 + 1e-9)
        tried = end - t if last else dt
        after, error, next_slope = plan.method.step(rhs, t, y, tried, slope)
        assert error is not None
        ratio = error_norm(error, y, after, plan)
        factor = SHRINK if not math.isfinite(ratio) else SAFETY * max(ratio, 1e-10) ** exponent
        if not ratio <= 1:
            dt = tried * min(1.0, max(SHRINK, factor))
            if abs(dt) <= 1e-14 * max(abs(t), abs(end)):
                raise RuntimeError(f"the step is down to {abs(dt):.1e} at t = {t:.6g}: the tolerance cannot be met")
            continue
        if taken is not None:
            taken((t, tried, number if last else None), y)
        grown = tried * min(GROW, max(SHRINK, factor))
        y, slope, t = after, next_slope, end if last else t + tried
        if not last:
            dt = grown
            continue
        # A step that was cut short at an output says little of how long the next may be.
        return y, slope, grown if abs(grown) > abs(dt) or tried == dt else dt
    between = f"between t = {start:.6g} and {end:.6g}"
    raise RuntimeError(f"more than {plan.max_steps} steps {between}: raise max_steps or rtol")


def error_norm(error: Tensor, before: Tensor, after: Tensor, plan: Plan) -> float:
    """Root mean square of error / (atol + rtol max(|y before|, |y after|))."""
    with torch.no_grad():
        scale = plan.atol + plan.rtol * torch.maximum(before.abs(), after.abs())
        scaled = (error / scale).flatten()[: plan.counted]
        return float(scaled.square().mean().sqrt()) if scaled.numel() else 0.0


def first_step(y: Tensor, slope: Tensor, span: float, plan: Plan) -> float:
    """A hundredth of the time in which the slope moves y by its own size, no longer than `span`.

    Source: Hairer, Norsett, Wanner: Solving Ordinary Differential Equations I, section II.4, its first guess.
    """
    with torch.no_grad():
        scale = plan.atol + plan.rtol * y.abs()
        size, speed = (float((value / scale).flatten()[: plan.counted].square().mean().sqrt()) for value in (y, slope))
    guess = 0.01 * size / speed if size > 1e-5 and speed > 1e-5 and math.isfinite(speed) else 1e-6
    return math.copysign(min(guess, abs(span)), span)
