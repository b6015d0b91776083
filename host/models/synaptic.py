# SPDX-License-Identifier: BSD-2-Clause
"""The published LTC: a synapse with a sigmoid and a reversal potential for each pair of neurons."""

import torch
from torch import nn
from torch.nn import functional

from liquid_accel.layers import Synaptic
from liquid_accel.models.cell import Cell, inverse_softplus, spacing

# At birth, uniform, as in ncps.
RANGES = {
    "gleak": (0.001, 1.0), "vleak": (-0.2, 0.2), "cm": (0.4, 0.6), "w": (0.001, 1.0), "sigma": (3.0, 8.0),
    "mu": (0.3, 0.8), "sensory_w": (0.001, 1.0), "sensory_sigma": (3.0, 8.0), "sensory_mu": (0.3, 0.8),
}  # fmt: skip
POSITIVE = ("w", "sensory_w", "gleak", "cm")


class SynapticLTC(Cell):
    """States of H neurons with conductance-based synapses, by the fused solver with `unfolds` steps a frame.

        S_ji = w_ji s(sigma_ji (v_j - mu_ji)), and the same from the inputs x input_w + input_b
        v_i' = (cm_i n/dt v_i + gleak_i vleak_i + sum_j erev_ji S_ji) / (cm_i n/dt + gleak_i + sum_j S_ji)

    The result is v output_w + output_b (B, T, H) for `x` (B, T, I); v(0) = 0, and a frame with dt = 0 leaves v alone.
    w, gleak and cm are softplus of what is trained, so that they stay positive. `density` of the pairs have a synapse,
    drawn once, at least one into each neuron from the inputs; 1 is the full wiring. Cost a frame: (I + n H) H sigmoids.

    Source: R. Hasani et al., "Liquid Time-constant Networks", AAAI 2021, algorithm 1; the names are those of ncps.
    """

    decays = False  # a slope of 0 closes no synapse

    def __init__(self, in_features: int, out_features: int, *, unfolds: int = 6, density: float = 1.0) -> None:
        super().__init__()
        if not 0 < density <= 1:
            raise ValueError(f"density must be above 0 and at most 1, not {density}")
        self.unfolds, self.in_features, self.out_features = unfolds, in_features, out_features
        for name, (low, high) in RANGES.items():
            rows = in_features if name.startswith("sensory") else out_features
            one = name in ("gleak", "vleak", "cm")
            value = torch.empty((out_features,) if one else (rows, out_features)).uniform_(low, high)
            self.register_parameter(name, nn.Parameter(inverse_softplus(value) if name in POSITIVE else value))
        for prefix, rows in (("", out_features), ("sensory_", in_features)):
            polarity = 2.0 * torch.randint(2, (rows, out_features)) - 1.0
            self.register_parameter(f"{prefix}erev", nn.Parameter(polarity))
            mask = (torch.rand(rows, out_features) < density).float()
            if prefix:
                mask[torch.randint(rows, (out_features,)), torch.arange(out_features)] = 1.0
            self.register_buffer(f"{prefix}mask", mask)
        for prefix, size in (("input", in_features), ("output", out_features)):
            self.register_parameter(f"{prefix}_w", nn.Parameter(torch.ones(size)))
            self.register_parameter(f"{prefix}_b", nn.Parameter(torch.zeros(size)))

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            name: functional.softplus(value) if name in POSITIVE else value
            for name, value in self.state_dict().items()
        }  # fmt: skip

    def forward(self, x: torch.Tensor, dt: float | torch.Tensor = 1.0) -> torch.Tensor:
        times, p = spacing(dt, x).unsqueeze(-1), dict(self.named_parameters()) | dict(self.named_buffers())
        x = x * p["input_w"] + p["input_b"]
        w, sensory_w = functional.softplus(p["w"]) * p["mask"], functional.softplus(p["sensory_w"]) * p["sensory_mask"]
        gleak, cm = functional.softplus(p["gleak"]), functional.softplus(p["cm"])
        pushed, sensory_pulled, pulled = p["sigma"] * p["mu"], sensory_w * p["sensory_erev"], w * p["erev"]
        v, states = x.new_zeros(x.shape[0], self.out_features), []
        for frame_x, frame_dt in zip(x.unbind(1), times.unbind(1), strict=True):
            opened = torch.sigmoid(p["sensory_sigma"] * (frame_x.unsqueeze(-1) - p["sensory_mu"]))
            leak = gleak + (sensory_w * opened).sum(1)
            pull = gleak * p["vleak"] + (sensory_pulled * opened).sum(1)
            moving = frame_dt > 0
            inertia = cm * self.unfolds / torch.where(moving, frame_dt, 1.0)
            for _ in range(self.unfolds):
                opened = torch.sigmoid(p["sigma"] * v.unsqueeze(-1) - pushed)
                numerator = inertia * v + pull + (pulled * opened).sum(1)
                denominator = inertia + leak + (w * opened).sum(1)
                v = torch.where(moving, numerator / (denominator + Synaptic.epsilon), v)
            states.append(v)
        return torch.stack(states, 1) * p["output_w"] + p["output_b"]

    def layer(self, name: str) -> Synaptic:
        return Synaptic(name, self.unfolds)
