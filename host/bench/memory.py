# SPDX-License-Identifier: BSD-2-Clause
"""What each way back through a solver keeps: peak bytes that autograd holds at a time, forward and backward."""

from __future__ import annotations

from typing import Any

STEPS, QUICK_STEPS = (64, 256, 1024), (16, 64)
UNITS, BATCH = 64, 32


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """A row a way: `gradient` and `peak_bytes` by number of steps, None without torch."""
    try:
        from liquid_accel.models.ode import GRADIENTS
    except ImportError:
        return []
    return [
        {"gradient": gradient, "units": UNITS, "batch": BATCH,
         "peak_bytes": {str(steps): peak_saved(gradient, steps) for steps in (QUICK_STEPS if quick else STEPS)}}
        for gradient in GRADIENTS
    ]  # fmt: skip


def peak_saved(gradient: str, steps: int) -> int:
    """Of `steps` steps of rk4 on a network of two layers: bytes of tensors that are kept for later, at most at a time.

    Counted by torch's hooks on saved tensors; a tensor that several operations keep counts each time.
    """
    import torch
    from torch import nn

    from liquid_accel.models.ode import odeint

    class Field(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(UNITS, UNITS), nn.Tanh(), nn.Linear(UNITS, UNITS))

        def forward(self, t: Any, y: Any) -> Any:
            return self.net(y)

    held = Held()
    field, y0 = Field(), torch.zeros(BATCH, UNITS, requires_grad=True)
    weights = {p.data_ptr() for p in field.parameters()}

    def pack(value: Any) -> Any:
        # Weights are there anyway.
        return value if value.data_ptr() in weights else _Kept(value, held)

    def unpack(kept: Any) -> Any:
        return kept.value if isinstance(kept, _Kept) else kept

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        y = odeint(field, y0, torch.tensor([0.0, 1.0]), method="rk4", steps=steps, gradient=gradient)
        torch.autograd.backward(y[-1].sum())
    return held.peak


class Held:
    """Bytes now, and at most."""

    def __init__(self) -> None:
        self.now = self.peak = 0

    def add(self, count: int) -> None:
        self.now += count
        self.peak = max(self.peak, self.now)


class _Kept:
    """A saved tensor, counted while autograd holds it."""

    def __init__(self, value: Any, held: Held) -> None:
        self.value, self.held, self.count = value, held, value.numel() * value.element_size()
        held.add(self.count)

    def __del__(self) -> None:
        self.held.add(-self.count)
