# SPDX-License-Identifier: BSD-2-Clause
"""Right-hand sides of the cells that a solver integrates: ltc, ctrnn, node; and what they hold on the way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.layers import Ctrnn, Ltc, Node
from liquid_accel.sim.reference_solvers import Array, Field, Inside, activation, softplus

Rows = slice | npt.NDArray[np.intp]
Tensors = Mapping[str, Array]
# note(name, values): what the hardware will have to hold, (N, ...), frames within their sequences alone. It may come
# several times with one name.
Note = Callable[[str, Array], None]
ALL = slice(None)


def function(name: str | None) -> Callable[[Array], Array]:
    """The activation of that name, those of backbones and of node layers among them."""
    if name == "relu":
        return lambda x: np.maximum(x, 0.0)
    if name == "lecun_tanh":
        return lambda x: 1.7159 * np.tanh(0.666 * x)
    return activation(name)


@dataclass(frozen=True)
class CoupledField(Field):
    """tau dh/dt = -h + act(W h + u), tau = softplus(slow + R h): `slow` (B, T, H), `tau_recurrent` R (H, H).

    `tau` is that of h = 0.
    """

    slow: Array
    tau_recurrent: Array

    def tau_at(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """softplus(slow + R h)."""
        return softplus(self.slow[rows, frame] + h @ self.tau_recurrent.T)


@dataclass(frozen=True)
class NodeField(Field):
    """dh/dt = act_n(W_n ... act_1(W_0 h + first)): `first` U x + b_0 (B, T, size of layer 0), and the layers' weights.

    As a liquid equation it has tau = 1 and the target h + dh/dt, so that the gate of explicit Euler fits it and those
    that use the decay of h do not.
    """

    first: Array
    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    acts: tuple[Callable[[Array], Array], ...]

    def layers(self, h: Array, first: Array) -> list[Array]:
        """Pre-activations of each layer, then the slope."""
        found = [h @ self.weights[0].T + first]
        for index in range(1, len(self.weights)):
            found.append(self.acts[index - 1](found[-1]) @ self.weights[index].T + self.biases[index])
        return [*found, self.acts[-1](found[-1])]

    def slope(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """dh/dt."""
        return self.layers(h, self.first[rows, frame])[-1]

    def target(self, h: Array, frame: int, rows: Rows = ALL) -> Array:
        """h + dh/dt."""
        return h + self.slope(h, frame, rows)


def ltc_field(layer: Ltc, x: Array, tensors: Tensors) -> Field:
    """The right-hand side of an LTC layer along its input `x` (B, T, I), which is held over each frame.

        tau_i dh_i/dt = -h_i + act( sum_j W_ij h_j + [sum_k U_ik x_k] + b_i )
        tau_i = softplus( sum_k V_ik x_k + [sum_j R_ij h_j] + c_i )
    """
    recurrent, bias = tensors[f"{layer.name}.recurrent_weight"], tensors[f"{layer.name}.bias"]
    drive = np.broadcast_to(bias, (*x.shape[:2], bias.size))
    if layer.form == "input":
        drive = x @ tensors[f"{layer.name}.input_weight"].T + bias
    slow = x @ tensors[f"{layer.name}.tau_weight"].T + tensors[f"{layer.name}.tau_bias"]
    tau, act = activation(layer.tau_activation)(slow), activation(layer.activation)
    if not layer.tau_recurrent:
        return Field(recurrent, drive, tau, act)
    return CoupledField(recurrent, drive, tau, act, slow, tensors[f"{layer.name}.tau_recurrent_weight"])


def ctrnn_field(layer: Ctrnn, x: Array, tensors: Tensors) -> Field:
    """tau_i dh_i/dt = -h_i + act( sum_j W_ij h_j + sum_k U_ik x_k + b_i ); tau_i = softplus(c_i)."""
    drive = x @ tensors[f"{layer.name}.input_weight"].T + tensors[f"{layer.name}.bias"]
    tau = np.broadcast_to(softplus(tensors[f"{layer.name}.tau_bias"]), drive.shape)
    return Field(tensors[f"{layer.name}.recurrent_weight"], drive, tau, activation(layer.activation))


def node_field(layer: Node, x: Array, tensors: Tensors) -> NodeField:
    """dh/dt = act_n(W_n ... act_1(W_0 h + U x + b_0) + b_n)."""
    count = len(layer.activations)
    weights = tuple(tensors[f"{layer.name}.layers.{index}.weight"] for index in range(count))
    biases = tuple(tensors[f"{layer.name}.layers.{index}.bias"] for index in range(count))
    first = x @ tensors[f"{layer.name}.input_weight"].T + biases[0]
    none, one = (np.broadcast_to(value, (*x.shape[:2], biases[-1].size)) for value in (0.0, 1.0))
    acts = tuple(function(name) for name in layer.activations)
    return NodeField(weights[0], none, one, activation(None), first, weights, biases, acts)


def final_taus(field: Field, states: Array) -> Array:
    """Time constants (B, T, H) at the end of each frame; none (B, T, 0) for a field without."""
    if isinstance(field, NodeField):
        return np.zeros((*states.shape[:2], 0))
    if isinstance(field, CoupledField):
        return softplus(field.slow + states @ field.tau_recurrent.T)
    return field.tau


def note_field(layer: Ltc | Ctrnn | Node, field: Field, x: Array, states: Array, inside: Inside, note: Note,
               tensors: Tensors) -> None:  # fmt: skip
    """What the cell holds at the start and at the end of each frame, by name behind "{layer.name}.":

        ltc, ctrnn   drive (U x + b), recurrent (W h), pre (their sum), tau.pre (in front of softplus), state; with R
                     also tau.drive (V x + c) and tau.recurrent (R h)
        node         input (U x + b_0), layer{i} (in front of the activation), slope, state
    """
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    ends = np.stack([before, states])

    def tell(name: str, values: Array) -> None:
        # Values at both ends come as one; a drive is the same at both.
        rows = values[:, inside] if values.ndim == 4 else values[inside]
        note(f"{layer.name}.{name}", rows.reshape(-1, values.shape[-1]))

    tell("state", states)
    if isinstance(field, NodeField):
        tell("input", field.first)
        *layers, slope = field.layers(ends, field.first)
        for index, values in enumerate(layers):
            tell(f"layer{index}", values)
        tell("slope", slope)
        return
    product = ends @ field.recurrent.T
    tell("drive", field.drive)
    tell("recurrent", product)
    tell("pre", product + field.drive)
    if isinstance(field, CoupledField):
        product = ends @ field.tau_recurrent.T
        tell("tau.drive", field.slow)
        tell("tau.recurrent", product)
        tell("tau.pre", product + field.slow)
    else:
        slow = tensors[f"{layer.name}.tau_bias"]
        if isinstance(layer, Ltc):
            slow = x @ tensors[f"{layer.name}.tau_weight"].T + slow
        tell("tau.pre", np.broadcast_to(slow, states.shape))
