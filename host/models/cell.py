# SPDX-License-Identifier: BSD-2-Clause
"""What every recurrent cell in torch has: a layer of a checkpoint, its tensors, and how time and skipping reach it."""

from collections.abc import Callable

import torch
from torch import nn

from liquid_accel.layers import Cell as Layer
from liquid_accel.models.recording import recorded


class Cell(nn.Module):
    """A cell of H units on I features: states (B, T, H) from `x` (B, T, I) and the spacing of frames `dt`.

    `steps` is how many steps a frame its solver takes, where it has one. `skip_threshold` above 0 lets the recurrent
    products see, in training, h as a machine that skips columns has it: the last value that differed by more than
    that from the one before; gradients pass as if nothing were skipped. With `keeps_time_constants` tau of the last
    call (..., H) stays in `time_constants`, for a penalty on it. `decays` says whether weight decay suits the matrices.
    """

    decays = True

    def __init__(self) -> None:
        super().__init__()
        self.steps = 1
        self.skip_threshold = 0.0
        self.keeps_time_constants = False
        self.time_constants: torch.Tensor | None = None

    def layer(self, name: str) -> Layer:
        """Its description in a checkpoint."""
        raise NotImplementedError

    def tensors(self) -> dict[str, torch.Tensor]:
        """Its tensors in a checkpoint, without the layer's name."""
        return dict(self.state_dict())

    def keep(self, time_constants: torch.Tensor) -> None:
        """Put tau of this call where a penalty finds it, if one is wanted."""
        if self.keeps_time_constants:
            self.time_constants = time_constants

    def fastest(self) -> torch.Tensor | None:
        """A bound of the Jacobian's eigenvalues |lambda| with the weights, and the time constants kept, as they are."""
        return None

    def skipper(self, units: int, x: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        """h as the recurrent products see it, for one pass over the batch `x` (B, ...) from h = 0."""
        threshold = self.skip_threshold if self.training else 0.0
        if threshold <= 0:
            return lambda h: h
        held = x.new_zeros(x.shape[0], units)

        def seen(h: torch.Tensor) -> torch.Tensor:
            nonlocal held
            now = h.detach()
            held = torch.where((now - held).abs() > threshold, now, held)
            return h + (held - now)

        return seen


def decay_bound(recurrent_weight: torch.Tensor, tau: torch.Tensor | None) -> torch.Tensor | None:
    """(1 + |W|) / tau, |W| the spectral norm: with |f'| <= 1 no eigenvalue of d((f - h) / tau)/dh is larger."""
    return None if tau is None else (1.0 + torch.linalg.matrix_norm(recurrent_weight, ord=2)) / tau


def batch_leading(x: torch.Tensor, dt: float | torch.Tensor) -> tuple[torch.Tensor, float | torch.Tensor]:
    """`x` (T, B, I), and a `dt` (T, B), with the batch in front."""
    return x.transpose(0, 1), dt.t() if isinstance(dt, torch.Tensor) and dt.dim() == 2 else dt


def spacing(dt: float | torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """`dt`, a number, (T,) or (B, T), as (B, T) for `x` (B, T, I); `ValueError` unless it is finite and at least 0."""
    batch, frames, _ = x.shape
    if isinstance(dt, int | float):
        result = x.new_full((), dt)  # as_tensor makes a trace complain of a constant
    else:
        result = dt.to(x) if hasattr(dt, "to") else torch.as_tensor(dt, dtype=x.dtype, device=x.device)
    try:
        result = result.expand(batch, frames)
    except RuntimeError:
        shape = tuple(result.shape)
        raise ValueError(f"dt must be a number, ({frames},) or ({batch}, {frames}), not {shape}") from None
    if not recorded() and not bool((torch.isfinite(result) & (result >= 0)).all()):
        raise ValueError("dt must be finite and at least 0")
    return result


def inverse_softplus(value: torch.Tensor) -> torch.Tensor:
    """x with softplus(x) = value > 0."""
    return torch.log(torch.expm1(value))
