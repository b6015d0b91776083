# SPDX-License-Identifier: BSD-2-Clause
"""What the layers LTC and CfC share: batches or single sequences, states in and out, and time between frames."""

from typing import Any

import torch
from torch import Tensor, nn

from liquid_accel.models.recording import is_scripting, recorded
from liquid_accel.ncps.memory_cell import LSTMCell

State = Tensor | tuple[Tensor, Tensor]


def elapsed(timespans: Tensor | None, like: Tensor, batch_first: bool) -> Tensor:
    """Time between frames as (T, B or 1, 1 or H) for inputs `like` (T, B, I); 1 without `timespans`.

    `timespans` is a number, (T,), (B, T), (1, T) or (B, T, 1 or H); where `batch_first` is false (T, B) and so on.
    `ValueError` for another shape, and for numbers below 0 or not finite. (In ncps a number a sequence is taken for
    one a neuron, which fails, or is silently wrong where there are as many neurons as sequences.)
    """
    frames, batch = like.shape[0], like.shape[1]
    if timespans is None:
        return torch.ones([frames, 1, 1], dtype=like.dtype, device=like.device)
    given = timespans.to(like.dtype)
    if given.dim() == 0:
        given = given.reshape(1, 1, 1)
    elif given.dim() == 1:
        given = given.reshape(-1, 1, 1)
    else:
        given = given if given.dim() == 3 else given.unsqueeze(-1)
        given = given.transpose(0, 1) if batch_first else given
    if given.dim() != 3 or given.shape[0] not in (1, frames) or given.shape[1] not in (1, batch):
        raise ValueError(
            f"timespans has shape {list(timespans.shape)}; expected a number, one for each of {frames} frames, or one "
            f"for each of {batch} sequences and {frames} frames"
        )
    check_times(given)
    return given.expand(frames, -1, -1)


def tensor_of(timespans: Any, like: Tensor) -> Tensor | None:
    """`timespans` as a tensor, whatever it was: a number, an array."""
    if timespans is None or isinstance(timespans, Tensor):
        return timespans
    return torch.as_tensor(timespans, dtype=like.dtype, device=like.device)


def check_times(given: Tensor) -> None:
    """Raises `ValueError` for a time below 0 or not finite, unless operations are being recorded."""
    if not is_scripting():  # noqa: SIM102  (a script leaves out what stands below, and nothing behind an `and`)
        if recorded():
            return
    if not bool((torch.isfinite(given) & (given >= 0)).all()):
        raise ValueError("timespans must be finite and at least 0")


def frame_times(given: float | Tensor, like: Tensor) -> Tensor:
    """The time since the last frame as (B or 1, H or 1), checked."""
    if isinstance(given, Tensor):
        times = given.to(like.dtype)
        if times.dim() == 1:
            times = times.unsqueeze(-1)
        elif times.dim() == 0:
            times = times.reshape(1, 1)
    else:
        times = torch.full([1, 1], given, dtype=like.dtype, device=like.device)
    check_times(times)
    return times


class Recurrent(nn.Module):
    """A layer of H units, M of them put out; `return_sequences` False gives the last output alone.

    A call takes inputs (B, T, I), or (T, B, I) with `batch_first` False, or (T, I) of a single sequence; states `hx`
    (B, H), or (h, c) of that shape with `mixed_memory`, zeros without it; and `timespans` (see `elapsed`). It gives
    (outputs, hx): (B, T, M) or (T, B, M), and the states after the last frame.
    """

    __constants__: tuple[str, ...] = ("use_mixed",)  # a script of a layer without memory has none to compile
    use_mixed: bool

    def _start(self, input_size: int, batch_first: bool, return_sequences: bool) -> None:
        self.input_size, self.batch_first, self.return_sequences = input_size, batch_first, return_sequences

    def _remember(self, mixed_memory: bool, units: int) -> None:
        """Add the memory, once everything else has drawn its weights."""
        self.units = units
        self.use_mixed = mixed_memory
        if mixed_memory:
            self.lstm = LSTMCell(self.input_size, units)

    def _frames(
        self, inputs: Tensor, state: Tensor, memory: Tensor | None, times: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Outputs (T, B, M), last state and memory of inputs (T, B, I); with one output, T = 1, where that is all."""
        raise NotImplementedError

    def forward(
        self, input: Tensor, hx: State | None = None, timespans: Tensor | None = None
    ) -> tuple[Tensor, State]:
        if not is_scripting():
            timespans = tensor_of(timespans, input)
        single = input.dim() == 2
        batch_dim = 0 if self.batch_first else 1
        if single:
            input = input.unsqueeze(batch_dim)
            if timespans is not None and timespans.dim() > 0:
                timespans = timespans.unsqueeze(batch_dim)
        inputs = input.transpose(0, 1) if self.batch_first else input
        times = elapsed(timespans, inputs, self.batch_first)
        zeros = torch.zeros([inputs.shape[1], self.units], dtype=inputs.dtype, device=inputs.device)
        state, memory = self._states(hx, zeros, single)
        output, state, memory = self._frames(inputs, state, memory, times)
        if self.return_sequences:
            output = output.transpose(0, 1) if self.batch_first else output
        else:
            output = output[-1]
        if single:
            # As in ncps, where the last output alone of a layer that is not batch_first stays (1, M).
            output, state = output.squeeze(batch_dim), state[0]
            memory = None if memory is None else memory[0]
        if self.use_mixed:
            assert memory is not None
            return output, (state, memory)
        else:  # (of which a script compiles the one that is there)
            return output, state

    def _states(self, hx: State | None, zeros: Tensor, single: bool) -> tuple[Tensor, Tensor | None]:
        """State and memory (B, H) from what was handed in; raises `RuntimeError` as torch's own layers do."""
        if hx is None:
            return zeros, zeros if self.use_mixed else None
        if isinstance(hx, Tensor):
            if self.use_mixed:
                raise RuntimeError("with mixed_memory=True the state is a pair (h, c), not a tensor")
            return self._checked(hx, single), None
        if not self.use_mixed:
            raise RuntimeError("the state is a tensor, not a pair; a pair (h, c) goes with mixed_memory=True")
        return self._checked(hx[0], single), self._checked(hx[1], single)

    def _checked(self, state: Tensor, single: bool) -> Tensor:
        expected = 1 if single else 2
        if state.dim() != expected:
            kind = "unbatched" if single else "batched"
            raise RuntimeError(f"the state of {kind} input has {expected} dimensions, not {state.dim()}")
        return state.unsqueeze(0) if single else state
