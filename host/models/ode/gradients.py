# SPDX-License-Identifier: BSD-2-Clause
"""Ways back through a solver that keep less than all its steps: checkpoints, and the continuous adjoint.

With N steps, `Checkpointed` keeps about sqrt(N) states and replays sqrt(N) steps at a time: exact gradients of the
steps taken, for one forward pass more. `Adjoint` keeps the outputs alone and solves

    da/dt = -a df/dy,  dg/dt = -a df/dp,   a = dL/dy,  g = dL/dp

backwards along with y: gradients to the solver's tolerance. Neither has a second derivative. Source: R. Chen et al.,
"Neural Ordinary Differential Equations", NeurIPS 2018; the error norm leaves g out, as P. Kidger et al., "Hey, that's
not an ODE", ICML 2021.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from liquid_accel.models.ode.integrate import Plan, Step, integrate
from liquid_accel.models.ode.method import Rhs
from liquid_accel.models.once import first_derivative_only


class Kept:
    """States at the starts of some steps, evenly spaced, about as many as steps lie between two of them."""

    def __init__(self) -> None:
        self.spacing, self.steps, self.states = 1, [], []  # type: tuple[int, list[Step], list[Tensor]]

    def __call__(self, step: Step, y: Tensor) -> None:
        if len(self.steps) % self.spacing == 0:
            if len(self.states) >= 2 * self.spacing:
                self.states, self.spacing = self.states[::2], 2 * self.spacing
            if len(self.steps) % self.spacing == 0:
                self.states.append(y)
        self.steps.append(step)

    def segment(self, number: int) -> list[Step]:
        """The steps from one kept state to the next."""
        return self.steps[number * self.spacing : (number + 1) * self.spacing]


class Checkpointed(torch.autograd.Function):
    """Outputs (len(times), ...) from y at the first time and the parameters of `rhs`."""

    @staticmethod
    def forward(ctx: Any, rhs: Rhs, times: Sequence[float], plan: Plan, y: Tensor, *parameters: Tensor) -> Tensor:
        kept = Kept()
        outputs = torch.stack([y, *integrate(rhs, y, times, plan, kept)])
        ctx.rhs, ctx.plan, ctx.kept, ctx.states = rhs, plan, kept, len(kept.states)
        ctx.save_for_backward(*kept.states, *parameters)
        kept.states = []
        return outputs

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Any, ...]:
        states, parameters = ctx.saved_tensors[: ctx.states], ctx.saved_tensors[ctx.states :]
        wanted = [p for p in parameters if p.requires_grad]
        d_y, d_wanted = torch.zeros_like(d_outputs[0]), [torch.zeros_like(p) for p in wanted]
        for number in reversed(range(ctx.states)):
            with torch.enable_grad():
                start = y = states[number].detach().requires_grad_()
                ends, given, slope = [], [], None
                for t, dt, output in ctx.kept.segment(number):
                    y, _, slope = ctx.plan.method.step(ctx.rhs, t, y, dt, slope)
                    if output is not None:
                        ends.append(y)
                        given.append(d_outputs[output])
                ends.append(y)
                given.append(d_y)
                found = torch.autograd.grad(ends, [start, *wanted], given, allow_unused=True)
            d_y = _or_zeros(found[0], start)
            d_wanted = [total if d is None else total + d for total, d in zip(d_wanted, found[1:], strict=True)]
        return None, None, None, d_y + d_outputs[0], *_spread(d_wanted, parameters)


class Adjoint(torch.autograd.Function):
    """The same, by the adjoint equation."""

    @staticmethod
    def forward(ctx: Any, rhs: Rhs, times: Sequence[float], plan: Plan, y: Tensor, *parameters: Tensor) -> Tensor:
        outputs = torch.stack([y, *integrate(rhs, y, times, plan)])
        ctx.rhs, ctx.times, ctx.plan = rhs, times, plan
        ctx.save_for_backward(outputs, *parameters)
        return outputs

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, d_outputs: Tensor) -> tuple[Any, ...]:
        outputs, *parameters = ctx.saved_tensors
        wanted = [p for p in parameters if p.requires_grad]
        shape, size = outputs[0].shape, outputs[0].numel()
        plan = replace(ctx.plan, counted=2 * size)

        def backwards(t: Tensor, z: Tensor) -> Tensor:
            with torch.enable_grad():
                y = z[:size].view(shape).detach().requires_grad_()
                slope = ctx.rhs(t, y)
                if not slope.requires_grad:
                    return torch.cat((slope.flatten(), torch.zeros_like(z[size:])))
                found = torch.autograd.grad(slope, [y, *wanted], -z[size : 2 * size].view(shape), allow_unused=True)
            parts = [_or_zeros(d, like).flatten() for d, like in zip(found, [y, *wanted], strict=True)]
            return torch.cat((slope.detach().flatten(), *parts))

        d_y = d_outputs[-1]
        d_wanted = outputs.new_zeros(sum(p.numel() for p in wanted))
        for number in reversed(range(1, len(ctx.times))):
            start = torch.cat((outputs[number].flatten(), d_y.flatten(), d_wanted))
            (end,) = integrate(backwards, start, (ctx.times[number], ctx.times[number - 1]), plan)
            d_y = end[size : 2 * size].view(shape) + d_outputs[number - 1]
            d_wanted = end[2 * size :]
        split = torch.split(d_wanted, [p.numel() for p in wanted]) if wanted else ()
        return None, None, None, d_y, *_spread([d.view_as(p) for d, p in zip(split, wanted, strict=True)], parameters)


def _or_zeros(found: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if found is None else found


def _spread(found: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients of those parameters that want one, None for the others."""
    rest = iter(found)
    return [next(rest) if p.requires_grad else None for p in parameters]
