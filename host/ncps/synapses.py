# SPDX-License-Identifier: BSD-2-Clause
"""Sums over conductance-based synapses and the fused solver of the published LTC, with gradients of their own.

    S_ji = s(sigma_ji (v_j - mu_ji)),  s the sigmoid
    pull_i = sum_j A_ji S_ji,  leak_i = sum_j C_ji S_ji,  A = w erev, C = w

Left to autograd, every sigmoid of every unfold is kept for the way back, several times over. Here states alone are
kept, and what lies between is computed anew: memory falls from unfolds x H^2 to unfolds x H numbers a frame.
synapses.cpp does it where it can (`compiled.py`), and else torch's operations, with scratch that is laid out (to,
batch, from), so that the sums are batched products and rows are contiguous.

A second derivative is not there: asking for it raises `RuntimeError`. Source: R. Hasani et al., "Liquid Time-constant
Networks", AAAI 2021, algorithm 1.
"""

from typing import Any

import torch
from torch import Tensor

from liquid_accel.models.once import first_derivative_only
from liquid_accel.models.recording import recorded
from liquid_accel.ncps.compiled import kernel

# Numbers in a scratch buffer: what stays in a second-level cache.
SCRATCH = 1 << 17


class Synapses:
    """The synapses from J to I neurons, and the gradients of their parameters as they add up.

    `pulling` A, `leaking` C, `sigma` and `mu` are (J, I). Cost of `sums` and of `backward`: J I sigmoids a column.
    """

    def __init__(self, pulling: Tensor, leaking: Tensor, sigma: Tensor, mu: Tensor) -> None:
        self.weights = torch.stack((pulling.t(), leaking.t()), 1)  # (I, 2, J)
        self.sigma, self.mu = sigma.t().unsqueeze(1).contiguous(), mu.t().unsqueeze(1).contiguous()  # (I, 1, J)
        self.pushed = -self.sigma * self.mu
        self.to, _, self.source = self.weights.shape
        self.scratch: dict[int, tuple[Tensor, ...]] = {}
        self.d_weights = torch.zeros_like(self.weights)
        self.d_offset, self.d_slope = torch.zeros_like(self.mu), torch.zeros_like(self.mu)

    def columns(self) -> int:
        """How many columns of a long batch are worth handling at a time."""
        return max(1, SCRATCH // (self.to * self.source))

    def _buffers(self, v: Tensor) -> tuple[Tensor, ...]:
        """Two of (I, B, J), and ones to sum over B and over I."""
        batch = len(v)
        if batch not in self.scratch:
            shape = (self.to, batch, self.source)
            ones = v.new_ones(1, 1, batch).expand(self.to, 1, batch), v.new_ones(1, self.to)
            self.scratch[batch] = (v.new_empty(shape), v.new_empty(shape), *ones)
        return self.scratch[batch]

    def _open(self, v: Tensor, opened: Tensor) -> None:
        """S (I, B, J) of `v` (B, J)."""
        torch.addcmul(self.pushed, v, self.sigma, out=opened)
        torch.sigmoid(opened, out=opened)

    def sums(self, v: Tensor, given: Tensor | None = None) -> Tensor:
        """(pull, leak), (I, 2, B), of `v` (B, J), added to `given`."""
        opened = self._buffers(v)[0]
        self._open(v, opened)
        if given is None:
            return torch.bmm(self.weights, opened.transpose(1, 2))
        return torch.baddbmm(given, self.weights, opened.transpose(1, 2))

    def backward(self, v: Tensor, d_sums: Tensor) -> Tensor:
        """Gradient (B, J) in `v` (B, J) from that in its sums (I, 2, B); those in the parameters are added up."""
        opened, slopes, over_batch, over_units = self._buffers(v)
        self._open(v, opened)
        self.d_weights.baddbmm_(d_sums, opened)
        torch.bmm(d_sums.transpose(1, 2), self.weights, out=slopes)
        torch.ops.aten.sigmoid_backward.grad_input(slopes, opened, grad_input=slopes)
        self.d_offset.baddbmm_(over_batch, slopes)
        self.d_slope.baddbmm_(over_batch, torch.mul(slopes, v, out=opened))
        return torch.mm(over_units, slopes.mul_(self.sigma).view(self.to, -1)).view_as(v)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of A, C, sigma and mu, (J, I)."""
        d_sigma = (self.d_slope - self.mu * self.d_offset).squeeze(1).t()
        d_mu = -(self.sigma * self.d_offset).squeeze(1).t()
        return self.d_weights[:, 0].t(), self.d_weights[:, 1].t(), d_sigma, d_mu


class _Sums(torch.autograd.Function):
    """Sums (2, N, I) of a whole sequence at once, some columns at a time."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, pulling: Tensor, leaking: Tensor, sigma: Tensor, mu: Tensor) -> Tensor:
        ctx.save_for_backward(v, pulling, leaking, sigma, mu)
        if (fast := kernel(v, pulling, leaking, sigma, mu)) is not None:
            return fast.sums(v, (pulling, leaking, sigma, mu))
        synapses = Synapses(pulling, leaking, sigma, mu)
        return torch.cat([synapses.sums(part) for part in torch.split(v, synapses.columns())], 2).permute(1, 2, 0)

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, d_sums: Tensor) -> tuple[Tensor, ...]:
        v, *parameters = ctx.saved_tensors
        if (fast := kernel(v, *parameters, d_sums)) is not None:
            d_v, d_parameters = fast.sums_backward(v, parameters, d_sums)
            return d_v, *d_parameters
        synapses = Synapses(*parameters)
        d_parts = torch.split(d_sums.permute(2, 0, 1).contiguous(), synapses.columns(), 2)
        parts = zip(torch.split(v, synapses.columns()), d_parts, strict=True)
        return torch.cat([synapses.backward(*part) for part in parts]), *synapses.gradients()


class _Unfolded(torch.autograd.Function):
    """All unfolds of all frames: see `unfolded`. What is the same for all of them is done for all of them at once."""

    @staticmethod
    def forward(
        ctx: Any, v: Tensor, given: Tensor, step: Tensor, cm: Tensor, pulling: Tensor, leaking: Tensor,
        sigma: Tensor, mu: Tensor, unfolds: int,
    ) -> Tensor:  # fmt: skip
        parameters = (pulling, leaking, sigma, mu)
        if (fast := kernel(v, given, step, cm, *parameters)) is not None:
            states, inertia = fast.unfold(v, given, step, cm, parameters, unfolds)
        else:
            states, inertia = _unfold(v, given, step, cm, Synapses(*parameters), unfolds)
        ctx.save_for_backward(v, states, inertia, given, step, cm, *parameters)
        return states[:, -1].clone()

    @staticmethod
    @first_derivative_only
    def backward(ctx: Any, d_states: Tensor) -> tuple[Tensor | None, ...]:
        start, states, inertia, given, step, cm, *parameters = ctx.saved_tensors
        before = torch.cat((start[None], states.flatten(0, 1)[:-1])).view_as(states)
        rate = step.unsqueeze(1) / inertia
        if (fast := kernel(start, given, step, cm, *parameters, d_states)) is not None:
            d_after, d_v, found = fast.unfold_backward(start, step, cm, parameters, states, inertia, d_states)
            d_parameters = tuple(found)
        else:
            synapses = Synapses(*parameters)
            d_after, d_v = _unfold_backward(before, states, rate, cm / inertia, d_states, synapses)
            d_parameters = synapses.gradients()
        d_given = torch.stack(((d_after * rate).sum(1), -(d_after * rate * states).sum(1)))
        share = d_after / inertia
        d_cm = (share * (before - states)).sum((0, 1, 2))
        d_step = None
        if ctx.needs_input_grad[2]:
            pull, leak = sums(before.flatten(1, 2), *parameters).view(2, *states.shape) + given.unsqueeze(2)
            d_step = (share * (pull - states * leak)).sum(1).sum_to_size(step.shape)
        return d_v, d_given, d_step, d_cm, *d_parameters, None


def _unfold(
    v: Tensor, given: Tensor, step: Tensor, cm: Tensor, synapses: Synapses, unfolds: int
) -> tuple[Tensor, Tensor]:
    """States after each unfold and the divisors cm + step leak, (T, n, B, I)."""
    outside = given.permute(1, 3, 0, 2).contiguous()  # (T, I, 2, B)
    states, inertia = (v.new_empty(given.shape[1], unfolds, *v.shape) for _ in range(2))
    for dt, around, after, divisors in zip(step, outside, states, inertia, strict=True):
        for state, divisor in zip(after, divisors, strict=True):
            pull, leak = synapses.sums(v, around).permute(1, 2, 0)
            torch.addcmul(cm, dt, leak, out=divisor)
            v = torch.addcdiv(v, torch.addcmul(pull, v, leak, value=-1.0).mul_(dt), divisor, out=state)
    return states, inertia


def _unfold_backward(
    before: Tensor, states: Tensor, rate: Tensor, kept: Tensor, d_states: Tensor, synapses: Synapses
) -> tuple[Tensor, Tensor]:
    """Gradients in the state after each unfold (T, n, B, I) and in that before all; `rate` is step / inertia."""
    # v' answers to (pull, leak) by `answers` and to v, beside through them, by `kept`.
    answers = torch.stack((rate, -rate * states)).permute(1, 2, 4, 0, 3).contiguous()  # (T, n, I, 2, B)
    d_after, d_v = torch.empty_like(states), torch.zeros_like(before[0, 0])
    for frame in reversed(range(len(states))):
        d_v = d_v + d_states[frame]
        for index in reversed(range(states.shape[1])):
            d_after[frame, index] = d_v
            d_sums = d_v.t().unsqueeze(1) * answers[frame, index]
            d_v = synapses.backward(before[frame, index], d_sums).addcmul_(kept[frame, index], d_v)
    return d_after, d_v


def plain_sums(v: Tensor, pulling: Tensor, leaking: Tensor, sigma: Tensor, mu: Tensor) -> Tensor:
    """(pull, leak), (2, ..., I), of `v` (..., J) in operations that every exporter and TorchScript know."""
    opened = torch.sigmoid(sigma * (v.unsqueeze(-1) - mu))
    return torch.stack(((opened * pulling).sum(-2), (opened * leaking).sum(-2)))


def plain_unfolded(
    v: Tensor, given: Tensor, step: Tensor, cm: Tensor, pulling: Tensor, leaking: Tensor, sigma: Tensor, mu: Tensor,
    unfolds: int,
) -> Tensor:  # fmt: skip
    """`unfolded` in operations that every exporter and TorchScript know."""
    found = []
    for frame in range(given.shape[1]):
        for _ in range(unfolds):
            pull, leak = (plain_sums(v, pulling, leaking, sigma, mu) + given[:, frame]).unbind()
            v = v + step[frame] * (pull - v * leak) / (cm + step[frame] * leak)
        found.append(v)
    return torch.stack(found)


def sums(v: Tensor, pulling: Tensor, leaking: Tensor, sigma: Tensor, mu: Tensor) -> Tensor:
    """(pull, leak), (2, T, B, I), of inputs `v` (T, B, J)."""
    if recorded():
        return plain_sums(v, pulling, leaking, sigma, mu)
    flat: Tensor = _Sums.apply(v.reshape(-1, v.shape[-1]), pulling, leaking, sigma, mu)  # type: ignore[no-untyped-call]
    return flat.reshape(2, *v.shape[:-1], -1)


def unfolded(
    v: Tensor, given: Tensor, step: Tensor, cm: Tensor, pulling: Tensor, leaking: Tensor, sigma: Tensor, mu: Tensor,
    unfolds: int,
) -> Tensor:  # fmt: skip
    """States (T, B, I) after each frame, from `v` (B, I), by `unfolds` semi-implicit steps of length `step` a frame:

        v' = (cm v / step + pull) / (cm / step + leak) = v + step (pull - v leak) / (cm + step leak)

    where pull and leak are those of the synapses and of `given` (2, T, B, I), leakage included; `step` is (T, B, I),
    (T, B, 1) or (T, 1, 1), `cm` (I,) and above 0. The first is as published; in the second a step of 0 leaves v alone.
    """
    if not recorded():
        states: Tensor = _Unfolded.apply(  # type: ignore[no-untyped-call]
            v, given, step, cm, pulling, leaking, sigma, mu, unfolds
        )
        return states
    return plain_unfolded(v, given, step, cm, pulling, leaking, sigma, mu, unfolds)
