# SPDX-License-Identifier: BSD-2-Clause
"""Fixed-step solvers of one frame for training, in torch.

Each takes the state `h` (B, H), the layer's drive `u = U x + b` (B, H), its time constants `tau`
(B, H), the recurrent weight `W` (H, H), the frame's spacing `dt` (B, 1) in the unit of `tau`, and the
number of sub-steps; the input is held over the frame, so `u` and `tau` are constants of it:

    tau dh/dt = -h + act(W h + u)

A frame with dt = 0 leaves `h` as it was, whatever the solver.
"""

from collections.abc import Callable

import torch

Activation = Callable[[torch.Tensor], torch.Tensor]
# (f, tau) at a state, both (B, H).
Rate = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
FrameSolver = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, Activation, int], torch.Tensor
]


def _gated(
    h: torch.Tensor, u: torch.Tensor, gate: torch.Tensor, weight: torch.Tensor, activation: Activation, steps: int
) -> torch.Tensor:
    """`steps` times h += g (f - h), f = act(W h + u): the one update that the liquid steps share."""
    transposed = weight.t()
    for _ in range(steps):
        h = torch.lerp(h, activation(torch.addmm(u, h, transposed)), gate)
    return h


def fused(
    h: torch.Tensor,
    u: torch.Tensor,
    tau: torch.Tensor,
    weight: torch.Tensor,
    dt: torch.Tensor,
    activation: Activation,
    steps: int,
) -> torch.Tensor:
    """Semi-implicit step of the LTC paper (Hasani et al., AAAI 2021, eq. 3): g = z/(1+z), z = (dt/n)/tau."""
    z = (dt / steps) / tau
    return _gated(h, u, z / (1.0 + z), weight, activation, steps)


def expeuler(
    h: torch.Tensor,
    u: torch.Tensor,
    tau: torch.Tensor,
    weight: torch.Tensor,
    dt: torch.Tensor,
    activation: Activation,
    steps: int,
) -> torch.Tensor:
    """Exponential Euler: g = 1 - exp(-z), exact where f does not move within the step."""
    return _gated(h, u, -torch.expm1(-(dt / steps) / tau), weight, activation, steps)


def rk4(
    h: torch.Tensor,
    u: torch.Tensor,
    tau: torch.Tensor,
    weight: torch.Tensor,
    dt: torch.Tensor,
    activation: Activation,
    steps: int,
) -> torch.Tensor:
    """Classical Runge-Kutta of order 4; explicit, so it diverges where dt/n is large against tau."""
    transposed = weight.t()

    def slope(state: torch.Tensor) -> torch.Tensor:
        return (activation(torch.addmm(u, state, transposed)) - state) / tau

    return runge_kutta4(h, slope, dt / steps, steps)


def runge_kutta4(
    h: torch.Tensor, slope: Callable[[torch.Tensor], torch.Tensor], step: torch.Tensor, steps: int
) -> torch.Tensor:
    """`steps` steps of length `step` (B, 1) of the classical method on dh/dt = slope(h)."""
    for _ in range(steps):
        k1 = slope(h)
        k2 = slope(h + 0.5 * step * k1)
        k3 = slope(h + 0.5 * step * k2)
        k4 = slope(h + step * k3)
        h = h + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
    return h


def coupled(name: str, h: torch.Tensor, rate: Rate, dt: torch.Tensor, steps: int) -> torch.Tensor:
    """The solver of that name where (f, tau) = rate(h) is evaluated anew each time: for time constants that depend on
    the state, and for products with a column skipped here and there."""
    step = dt / steps
    if name == "rk4":

        def slope(state: torch.Tensor) -> torch.Tensor:
            f, tau = rate(state)
            return (f - state) / tau

        return runge_kutta4(h, slope, step, steps)
    for _ in range(steps):
        f, tau = rate(h)
        z = step / tau
        h = torch.lerp(h, f, z / (1.0 + z) if name == "fused" else -torch.expm1(-z))
    return h


SOLVERS: dict[str, FrameSolver] = {"fused": fused, "expeuler": expeuler, "rk4": rk4}
