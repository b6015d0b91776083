# SPDX-License-Identifier: BSD-2-Clause
"""`odeint`: an initial value problem solved, with gradients in three ways."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from liquid_accel.models.ode.gradients import Adjoint, Checkpointed
from liquid_accel.models.ode.integrate import Plan, integrate
from liquid_accel.models.ode.method import Rhs, find
from liquid_accel.rtl.tableaus import ButcherTableau

GRADIENTS = ("backprop", "checkpoint", "adjoint")


def odeint(
    rhs: Rhs,
    y0: Tensor,
    t: Tensor,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str | ButcherTableau = "dopri5",
    *,
    steps: int = 1,
    gradient: str = "backprop",
    parameters: Iterable[Tensor] | None = None,
    max_steps: int = 10_000,
) -> Tensor:
    """y (len(t), ...) at the times `t`, rising or falling, of dy/dt = rhs(t, y) with y(t[0]) = `y0`.

    `method` is one of the machine's tableaus by name ("euler", "heun", "rk4": `steps` between two times; "heun21",
    "bs32", "rkf45", "dopri5": steps that keep rtol and atol), or a `ButcherTableau`. Names and meanings of the first
    six arguments are those of torchdiffeq's odeint.

    `gradient`: "backprop" keeps every step; "checkpoint" keeps states as the square root of the number of steps grows
    and replays what lies between: the same gradients; "adjoint" keeps the outputs and solves the adjoint equation
    backwards: gradients to the tolerance. The last two reach y0 and the `parameters`, by default those of `rhs`,
    which must be a module then. Step sizes, and `t`, have no gradient.

    Raises `ValueError` for arguments that are wrong, `RuntimeError` where the tolerance cannot be met.
    """
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient is '{gradient}'; expected one of {', '.join(GRADIENTS)}")
    if steps < 1 or max_steps < 1:
        raise ValueError(f"steps and max_steps must be at least 1, not {steps} and {max_steps}")
    if not (rtol >= 0 and atol >= 0 and 0 < rtol + atol < math.inf):
        raise ValueError(f"rtol and atol are {rtol} and {atol}; expected numbers of at least 0, and one above")
    times, plan = _times(t), Plan(find(method), steps, rtol, atol, max_steps)
    if gradient == "backprop":
        return torch.stack([y0, *integrate(rhs, y0, times, plan)])
    if parameters is None:
        if not isinstance(rhs, nn.Module):
            raise ValueError(f"gradient '{gradient}' needs the parameters of rhs: pass a module, or parameters=")
        parameters = rhs.parameters()
    function: Any = Checkpointed if gradient == "checkpoint" else Adjoint
    result: Tensor = function.apply(rhs, times, plan, y0, *parameters)
    return result


def _times(t: Tensor) -> list[float]:
    if t.dim() != 1 or len(t) < 2:
        raise ValueError(f"t has shape {list(t.shape)}; expected at least two times in a row")
    if t.requires_grad:
        raise ValueError("t requires a gradient, but times have none here; expected t.detach()")
    times: list[float] = t.double().tolist()
    gaps = [b - a for a, b in pairwise(times)]
    if not (all(gap > 0 for gap in gaps) or all(gap < 0 for gap in gaps)) or not all(map(math.isfinite, times)):
        raise ValueError("t must rise or fall from each time to the next")
    return times
