# SPDX-License-Identifier: BSD-2-Clause
"""The published LTC cell: conductance-based synapses and the fused solver, with the parameters of ncps."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from liquid_accel.models.recording import is_scripting
from liquid_accel.ncps.sequence import frame_times
from liquid_accel.ncps.synapses import plain_sums, plain_unfolded, sums, unfolded

# Uniform at birth.
RANGES = {
    "gleak": (0.001, 1.0), "vleak": (-0.2, 0.2), "cm": (0.4, 0.6), "sigma": (3.0, 8.0), "mu": (0.3, 0.8),
    "w": (0.001, 1.0), "sensory_sigma": (3.0, 8.0), "sensory_mu": (0.3, 0.8), "sensory_w": (0.001, 1.0),
}  # fmt: skip
CONSTRAINED = ("w", "sensory_w", "cm", "gleak")


class LTCCell(nn.Module):
    """A frame of H neurons wired by `wiring`: (outputs (B, M), states (B, H)) from inputs (B, I) and states (B, H).

        S_ji = w_ji s(sigma_ji (v_j - mu_ji)), and the same from the inputs x input_w + input_b
        v_i' = (cm_i n/dt v_i + gleak_i vleak_i + sum_j erev_ji S_ji) / (cm_i n/dt + gleak_i + sum_j S_ji + epsilon)

    n = `ode_unfolds` times a frame of length dt. The outputs are v output_w + output_b of the M motor neurons. With
    `implicit_param_constraints` w, cm and gleak are softplus of what is trained; else `apply_weight_constraints` is to
    be called after each step of the optimiser. `input_mapping` and `output_mapping` are "affine", "linear" or None.

    Parameters, their names, order and draws are those of ncps 1.0.1. Cost a frame: (I + n H) H sigmoids a sequence.
    Source: R. Hasani et al., "Liquid Time-constant Networks", AAAI 2021, algorithm 1.
    """

    __jit_unused_properties__ = (
        "state_size", "sensory_size", "motor_size", "output_size", "synapse_count", "sensory_synapse_count",
    )  # fmt: skip

    if TYPE_CHECKING:  # where TorchScript does not see it: to a script, what is there is a Tensor, and else None
        gleak: Tensor
        vleak: Tensor
        cm: Tensor
        sigma: Tensor
        mu: Tensor
        w: Tensor
        sensory_sigma: Tensor
        sensory_mu: Tensor
        sensory_w: Tensor
        input_w: Tensor | None
        input_b: Tensor | None
        output_w: Tensor | None
        output_b: Tensor | None

    def __init__(
        self,
        wiring: Any,
        in_features: int | None = None,
        input_mapping: str | None = "affine",
        output_mapping: str | None = "affine",
        ode_unfolds: int = 6,
        epsilon: float = 1e-8,
        implicit_param_constraints: bool = False,
    ) -> None:
        super().__init__()
        if in_features is not None:
            wiring.build(in_features)
        if not wiring.is_built():
            raise ValueError("the wiring does not know how many inputs there are: pass in_features or call its build()")
        if ode_unfolds < 1:
            raise ValueError(f"ode_unfolds is {ode_unfolds}; expected at least 1")
        self._wiring = wiring
        self.units, self.motors = int(wiring.units), int(wiring.output_dim)
        self.unfolds, self.epsilon, self.implicit = int(ode_unfolds), float(epsilon), bool(implicit_param_constraints)
        self._allocate()
        self._map("input", input_mapping, int(wiring.input_dim))
        self._map("output", output_mapping, self.motors)

    def _allocate(self) -> None:
        wiring = self._wiring
        for name, (low, high) in RANGES.items():
            if name in ("gleak", "vleak", "cm"):
                shape = [self.units]
            else:
                shape = [wiring.input_dim if name.startswith("sensory") else self.units, self.units]
            self.register_parameter(name, nn.Parameter(torch.rand(shape) * (high - low) + low))
            # Registered where ncps does, so that optimisers and checkpoints list them in the same order.
            if name == "w":
                self.erev = nn.Parameter(torch.Tensor(wiring.erev_initializer()))
        self.sensory_erev = nn.Parameter(torch.Tensor(wiring.sensory_erev_initializer()))
        mask, sensory_mask = np.abs(wiring.adjacency_matrix), np.abs(wiring.sensory_adjacency_matrix)
        self.sparsity_mask = nn.Parameter(torch.Tensor(mask), requires_grad=False)
        self.sensory_sparsity_mask = nn.Parameter(torch.Tensor(sensory_mask), requires_grad=False)

    def _map(self, side: str, mapping: str | None, size: int) -> None:
        scaled, moved = mapping in ("affine", "linear"), mapping == "affine"
        self.register_parameter(f"{side}_w", nn.Parameter(torch.ones(size)) if scaled else None)
        self.register_parameter(f"{side}_b", nn.Parameter(torch.zeros(size)) if moved else None)

    @property
    def state_size(self) -> int:
        return self.units

    @property
    def sensory_size(self) -> int:
        return int(self._wiring.input_dim)

    @property
    def motor_size(self) -> int:
        return self.motors

    @property
    def output_size(self) -> int:
        return self.motors

    @property
    def synapse_count(self) -> int:
        """Synapses between neurons."""
        return int(np.abs(self._wiring.adjacency_matrix).sum())

    @property
    def sensory_synapse_count(self) -> int:
        """Synapses from inputs to neurons. (In ncps it is `synapse_count` again.)"""
        return int(np.abs(self._wiring.sensory_adjacency_matrix).sum())

    def apply_weight_constraints(self) -> None:
        """Clip w, cm and gleak at 0; nothing to do with `implicit_param_constraints`."""
        if not self.implicit:
            for name in CONSTRAINED:
                parameter = self.get_parameter(name)
                parameter.data = parameter.data.clamp(min=0.0)

    def _positive(self, value: Tensor) -> Tensor:
        return functional.softplus(value) if self.implicit else value

    def drive(self, inputs: Tensor) -> Tensor:
        """(pull, leak), (2, T, B, H), of inputs (T, B, I) and of the leakage."""
        if self.input_w is not None:
            inputs = inputs * self.input_w
        if self.input_b is not None:
            inputs = inputs + self.input_b
        leaking = self._positive(self.sensory_w) * self.sensory_sparsity_mask
        pulling = leaking * self.sensory_erev
        if is_scripting():
            found = plain_sums(inputs, pulling, leaking, self.sensory_sigma, self.sensory_mu)
        else:
            found = sums(inputs, pulling, leaking, self.sensory_sigma, self.sensory_mu)
        gleak = self._positive(self.gleak)
        return found + torch.stack((gleak * self.vleak, gleak + self.epsilon)).unsqueeze(1).unsqueeze(1)

    def advance(self, state: Tensor, drive: Tensor, times: Tensor) -> Tensor:
        """States (T, B, H) from `state` (B, H), the `drive` of T frames and the `times` (T, B or 1, H or 1) between."""
        leaking = self._positive(self.w) * self.sparsity_mask
        # Clipped to 0 a neuron has no inertia: without time it stays all the same.
        pulling, cm, step = leaking * self.erev, self._positive(self.cm) + 1e-30, times / self.unfolds
        if is_scripting():
            return plain_unfolded(state, drive, step, cm, pulling, leaking, self.sigma, self.mu, self.unfolds)
        return unfolded(state, drive, step, cm, pulling, leaking, self.sigma, self.mu, self.unfolds)

    def outputs(self, states: Tensor) -> Tensor:
        """Outputs (..., M) of states (..., H)."""
        result = states[..., : self.motors]
        if self.output_w is not None:
            result = result * self.output_w
        if self.output_b is not None:
            result = result + self.output_b
        return result

    def forward(
        self, inputs: Tensor, states: Tensor, elapsed_time: float | Tensor = 1.0
    ) -> tuple[Tensor, Tensor]:
        """One frame; `elapsed_time` is a number, one a sequence (B,) or (B, 1), or one a neuron (B, H)."""
        times = frame_times(elapsed_time, inputs).unsqueeze(0)
        state = self.advance(states, self.drive(inputs.unsqueeze(0)), times)[0]
        return self.outputs(state), state
