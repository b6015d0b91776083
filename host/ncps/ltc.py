# SPDX-License-Identifier: BSD-2-Clause
"""The published LTC as a layer over sequences: the drop-in for ncps.torch.LTC."""

from typing import Any

import torch
from torch import Tensor

from liquid_accel.ncps.ltc_cell import LTCCell
from liquid_accel.ncps.sequence import Recurrent
from liquid_accel.ncps.wirings import FullyConnected


class LTC(Recurrent):
    """Liquid time-constant neurons over a sequence; calls and states as `Recurrent` has them, equations as `LTCCell`.

    `units` is a number of fully connected neurons, or a wiring. Names, defaults, parameters and draws are those of
    ncps 1.0.1, and so are outputs and gradients, to rounding. Gradients keep states alone: memory for the way back
    is about 2 n H numbers a frame and sequence, n = `ode_unfolds`.
    """

    __jit_unused_properties__ = LTCCell.__jit_unused_properties__

    def __init__(
        self,
        input_size: int,
        units: Any,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = True,
    ) -> None:
        super().__init__()
        self._start(input_size, batch_first, return_sequences)
        self.wiring_or_units = units
        self._wiring = units if hasattr(units, "adjacency_matrix") else FullyConnected(units)
        self.rnn_cell = LTCCell(
            self._wiring, input_size, input_mapping, output_mapping, ode_unfolds, epsilon, implicit_param_constraints
        )
        self._remember(mixed_memory, self.rnn_cell.units)

    @property
    def state_size(self) -> int:
        return self.rnn_cell.state_size

    @property
    def sensory_size(self) -> int:
        return self.rnn_cell.sensory_size

    @property
    def motor_size(self) -> int:
        return self.rnn_cell.motor_size

    @property
    def output_size(self) -> int:
        return self.rnn_cell.output_size

    @property
    def synapse_count(self) -> int:
        return self.rnn_cell.synapse_count

    @property
    def sensory_synapse_count(self) -> int:
        return self.rnn_cell.sensory_synapse_count

    def _frames(
        self, inputs: Tensor, state: Tensor, memory: Tensor | None, times: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        drive = self.rnn_cell.drive(inputs)
        if not self.use_mixed:
            states = self.rnn_cell.advance(state, drive, times)
            state = states[-1]
        else:
            assert memory is not None
            found = []
            for index in range(inputs.shape[0]):
                state, memory = self.lstm(inputs[index], (state, memory))
                state = self.rnn_cell.advance(state, drive[:, index : index + 1], times[index : index + 1])[0]
                found.append(state)
            states = torch.stack(found)
        return self.rnn_cell.outputs(states if self.return_sequences else states[-1:]), state, memory
