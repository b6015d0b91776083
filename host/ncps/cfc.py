# SPDX-License-Identifier: BSD-2-Clause
"""The closed-form cell as a layer over sequences: the drop-in for ncps.torch.CfC."""

from typing import Any

import torch
from torch import Tensor, nn

from liquid_accel.ncps.cfc_cell import CfCCell
from liquid_accel.ncps.sequence import Recurrent
from liquid_accel.ncps.wired_cfc_cell import WiredCfCCell


class CfC(Recurrent):
    """Closed-form continuous-time neurons over a sequence; calls and states as `Recurrent` has them, equations as
    `CfCCell` and `WiredCfCCell`.

    `units` is a number of neurons, with a backbone, or a wiring, without one. `mode` is "default", "pure" or
    "no_gate"; `proj_size` adds a linear layer to that width. Names, defaults, parameters and draws are those of
    ncps 1.0.1, and so are outputs and gradients, to rounding.
    """

    __constants__ = ("use_mixed", "wired_mode")

    def __init__(
        self,
        input_size: int,
        units: Any,
        proj_size: int | None = None,
        return_sequences: bool = True,
        batch_first: bool = True,
        mixed_memory: bool = False,
        mode: str = "default",
        activation: str = "lecun_tanh",
        backbone_units: int | None = None,
        backbone_layers: int | None = None,
        backbone_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self._start(input_size, batch_first, return_sequences)
        self.wiring_or_units, self.proj_size = units, proj_size
        self.wired_mode = hasattr(units, "adjacency_matrix")
        if self.wired_mode:
            given = {
                "backbone_units": backbone_units, "backbone_layers": backbone_layers,
                "backbone_dropout": backbone_dropout,
            }  # fmt: skip
            for name, value in given.items():
                if value is not None:
                    raise ValueError(f"{name} is {value}, but a wired CfC has no backbone; expected None")
            self.wiring = units
            self.state_size, self.output_size = int(units.units), int(units.output_dim)
            self.rnn_cell: CfCCell | WiredCfCCell = WiredCfCCell(input_size, units, mode)
        else:
            self.state_size = self.output_size = int(units)
            self.rnn_cell = CfCCell(
                input_size, units, mode, activation, 128 if backbone_units is None else backbone_units,
                1 if backbone_layers is None else backbone_layers, backbone_dropout or 0.0,
            )  # fmt: skip
        self._remember(mixed_memory, self.state_size)
        self.fc = nn.Identity() if proj_size is None else nn.Linear(self.output_size, proj_size)

    def _frames(
        self, inputs: Tensor, state: Tensor, memory: Tensor | None, times: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.use_mixed:
            assert memory is not None
            found = []
            for frame in range(inputs.shape[0]):
                state, memory = self.lstm(inputs[frame], (state, memory))
                output, state = self.rnn_cell.sequence(inputs[frame : frame + 1], state, times[frame : frame + 1])
                found.append(output)
            outputs = torch.cat(found)
        else:
            outputs, state = self.rnn_cell.sequence(inputs, state, times)
        return self.fc(outputs if self.return_sequences else outputs[-1:]), state, memory
