# SPDX-License-Identifier: BSD-2-Clause
"""A closed-form cell for each layer of a wiring, one after the other within a frame."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from liquid_accel.ncps.cfc_cell import CfCCell
from liquid_accel.ncps.sequence import frame_times


class WiredCfCCell(nn.Module):
    """(outputs (B, M), states (B, H)) from inputs (B, I) and states (B, H), which lie layer after layer.

    Each layer of `wiring` is a `CfCCell` without a backbone, fed by the layer before; F1 and F2 are closed where the
    wiring has no synapse, and every neuron sees all states of its own layer. The last layer is put out.
    Parameters, their names and draws are those of ncps 1.0.1.
    """

    __jit_unused_properties__ = (
        "state_size", "layer_sizes", "num_layers", "sensory_size", "motor_size", "output_size", "synapse_count",
        "sensory_synapse_count",
    )  # fmt: skip

    if TYPE_CHECKING:

        def children(self) -> Iterator[CfCCell]: ...

    def __init__(self, input_size: int | None, wiring: Any, mode: str = "default") -> None:
        super().__init__()
        if input_size is not None:
            wiring.build(input_size)
        if not wiring.is_built():
            raise ValueError("the wiring does not know how many inputs there are: pass input_size or call its build()")
        self._wiring = wiring
        self.sizes: list[int] = []
        width, before = int(wiring.input_dim), None
        for layer in range(wiring.num_layers):
            neurons = wiring.get_neurons_of_layer(layer)
            matrix = wiring.sensory_adjacency_matrix if before is None else wiring.adjacency_matrix[before]
            mask = np.concatenate((matrix[:, neurons], np.ones((len(neurons), len(neurons)))))
            cell = CfCCell(width, len(neurons), mode, backbone_units=0, backbone_layers=0, sparsity_mask=mask)
            self.add_module(f"layer_{layer}", cell)
            self.sizes.append(len(neurons))
            width, before = len(neurons), neurons

    @property
    def state_size(self) -> int:
        return sum(self.sizes)

    @property
    def layer_sizes(self) -> list[int]:
        return self.sizes

    @property
    def num_layers(self) -> int:
        return len(self.sizes)

    @property
    def sensory_size(self) -> int:
        return int(self._wiring.input_dim)

    @property
    def motor_size(self) -> int:
        return int(self._wiring.output_dim)

    @property
    def output_size(self) -> int:
        return self.motor_size

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons."""
        return int(np.abs(self._wiring.adjacency_matrix).sum())

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from inputs to neurons. (In ncps it is `synapse_count` again.)"""
        return int(np.abs(self._wiring.sensory_adjacency_matrix).sum())

    def sequence(self, inputs: Tensor, state: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (T, B, M) and the last states (B, H) of inputs (T, B, I), `times` (T, B or 1, 1).

        A layer runs over the whole sequence before the next begins: no later layer acts on an earlier one.
        """
        states = torch.split(state, self.sizes, dim=1)
        last = []
        for index, cell in enumerate(self.children()):
            inputs, h = cell.sequence(inputs, states[index], times)
            last.append(h)
        return inputs, torch.cat(last, dim=1)

    def forward(self, input: Tensor, hx: Tensor, timespans: float | Tensor = 1.0) -> tuple[Tensor, Tensor]:
        """One frame; `timespans` is a number, or one a sequence (B,) or (B, 1)."""
        times = frame_times(timespans, input).unsqueeze(0)
        outputs, state = self.sequence(input.unsqueeze(0), hx, times)
        return outputs[0], state
