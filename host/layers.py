# SPDX-License-Identifier: BSD-2-Clause
"""The layers of a checkpoint: their fields, the values that each may take, and the shapes of their tensors.

A field that stands in the JSON description carries in its metadata how it is checked; what is missing there takes the
default. H is a layer's width, I that of its input; tensors are named without the layer's name, which stands in front.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar

ACTIVATIONS = ("tanh", "sigmoid")
BACKBONE_ACTIVATIONS = ("lecun_tanh", "tanh", "sigmoid", "relu")
NODE_ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", None)
TAU_ACTIVATIONS = ("softplus",)
FORMS = ("input", "literal")
CFC_MODES = ("default", "no_gate")
MEANS = ("last", "all")
MOST_LAYERS = 16  # inside one cell
MOST_UNFOLDS = 64

Shape = tuple[int, ...]
# Length of a tensor of one dimension; raises `UserError` where the layer has none of that name.
Length = Callable[[str], int]


@dataclass(frozen=True)
class OneOf:
    """One of `choices`; None is null in JSON."""

    choices: tuple[str | None, ...]


@dataclass(frozen=True)
class Several:
    """A list of 1 to `most` of `choices`."""

    choices: tuple[str | None, ...]
    most: int = MOST_LAYERS


@dataclass(frozen=True)
class Count:
    """A whole number from `low` to `high`."""

    low: int
    high: int


@dataclass(frozen=True)
class Flag:
    """true or false."""


Check = OneOf | Several | Count | Flag


def _field(check: Check, default: Any = MISSING, *, required: bool = False, silent: bool = False) -> Any:
    """A field of the description: `required` there whatever the default; `silent`: not written while it is the default,
    so that a file that does without it stays the same to the byte."""
    metadata = {"check": check, "required": required, "silent": silent}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Linear:
    """y = act(A x + a); `activation` None is the identity. Tensors: weight A (H, I), bias a (H)."""

    name: str
    activation: str | None = _field(OneOf((*ACTIVATIONS, None)), None)
    kind: ClassVar[str] = "linear"

    def size(self, length: Length) -> int:
        """H."""
        return length("bias")

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        return {"weight": (size, width), "bias": (size,)}


@dataclass(frozen=True)
class Ltc:
    """tau dh/dt = -h + act(W h + [U x] + b), tau = tau_act(V x + [R h] + c).

    U only in the form "input"; R only with `tau_recurrent`, evaluated wherever act(...) is. Tensors: recurrent_weight
    W (H, H), input_weight U (H, I), bias b, tau_weight V (H, I), tau_recurrent_weight R (H, H), tau_bias c (H).
    """

    name: str
    form: str = _field(OneOf(FORMS), "input")
    activation: str = _field(OneOf(ACTIVATIONS), "tanh", required=True)
    tau_activation: str = _field(OneOf(TAU_ACTIVATIONS), "softplus", required=True)
    tau_recurrent: bool = _field(Flag(), False, silent=True)
    kind: ClassVar[str] = "ltc"

    def size(self, length: Length) -> int:
        """H."""
        return length("bias")

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        shapes: dict[str, Shape] = {"recurrent_weight": (size, size), "bias": (size,)}
        if self.form == "input":
            shapes["input_weight"] = (size, width)
        shapes |= {"tau_weight": (size, width), "tau_bias": (size,)}
        return shapes | ({"tau_recurrent_weight": (size, size)} if self.tau_recurrent else {})


@dataclass(frozen=True)
class Ctrnn:
    """tau dh/dt = -h + act(W h + U x + b), tau = softplus(c) a unit, for good (Funahashi and Nakamura 1993).

    Tensors: recurrent_weight W (H, H), input_weight U (H, I), bias b (H), tau_bias c (H).
    """

    name: str
    activation: str = _field(OneOf(ACTIVATIONS), "tanh")
    kind: ClassVar[str] = "ctrnn"

    def size(self, length: Length) -> int:
        """H."""
        return length("bias")

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        recurrent = {"recurrent_weight": (size, size), "input_weight": (size, width)}
        return {**recurrent, "bias": (size,), "tau_bias": (size,)}


@dataclass(frozen=True)
class Node:
    """dh/dt = L_n(... L_1(W_0 h + U x + b_0)), a neural ODE: L_i(z) = W_i act_i(z) + b_i, and act_n on the outside.

    One activation a linear layer, null for none; h(0) = 0. Tensors: layers.{i}.weight W_i, layers.{i}.bias b_i,
    input_weight U (size of layer 0, I). (Chen et al., NeurIPS 2018.)
    """

    name: str
    activations: tuple[str | None, ...] = _field(Several(NODE_ACTIVATIONS), ("tanh", None), required=True)
    kind: ClassVar[str] = "node"

    def size(self, length: Length) -> int:
        """H."""
        return length(f"layers.{len(self.activations) - 1}.bias")

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        shapes: dict[str, Shape] = {"input_weight": (length("layers.0.bias"), width)}
        below = size
        for index in range(len(self.activations)):
            out = length(f"layers.{index}.bias")
            shapes |= {f"layers.{index}.weight": (out, below), f"layers.{index}.bias": (out,)}
            below = out
        return shapes


@dataclass(frozen=True)
class Gru:
    """The gated recurrent unit with the equations and the order of gates (r, z, n) of torch.nn.GRU.

        r = s(W_r x + b_r + R_r h + c_r);  z = s(W_z x + b_z + R_z h + c_z);  n = tanh(W_n x + b_n + r (R_n h + c_n))
        h' = (1 - z) n + z h

    Tensors: weight_ih W (3H, I), weight_hh R (3H, H), bias_ih b (3H), bias_hh c (3H).
    """

    name: str
    kind: ClassVar[str] = "gru"

    def size(self, length: Length) -> int:
        """H."""
        return length("bias_hh") // 3

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        return _gated(3, width, size)


@dataclass(frozen=True)
class Lstm:
    """Long short-term memory with the equations and the order of gates (i, f, g, o) of torch.nn.LSTM.

        i, f, o = s(W x + b + R h + c);  g = tanh(W_g x + b_g + R_g h + c_g);  cell' = f cell + i g;  h' = o tanh(cell')

    Tensors: weight_ih W (4H, I), weight_hh R (4H, H), bias_ih b (4H), bias_hh c (4H).
    """

    name: str
    kind: ClassVar[str] = "lstm"

    def size(self, length: Length) -> int:
        """H."""
        return length("bias_hh") // 4

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        return _gated(4, width, size)


@dataclass(frozen=True)
class Cfc:
    """The closed-form continuous-time cell (Hasani et al. 2022), as CfCCell of the package ncps 1.0 has it.

        z = backbone([x, h]), `backbone_layers` times act(B_i z + b_i), none leaves [x, h];  t = s(A z dt + B z)
        "default": h' = (1 - t) tanh(F1 z) + t tanh(F2 z);  "no_gate": h' = tanh(F1 z) + t tanh(F2 z)

    each product with a bias; lecun_tanh(x) = 1.7159 tanh(0.666 x). dt is in the model's unit. Tensors:
    backbone.{i}.weight and .bias; ff1, ff2, time_a and time_b, each .weight (H, size of z) and .bias (H).
    """

    name: str
    backbone_layers: int = _field(Count(0, MOST_LAYERS), 1)
    backbone_activation: str = _field(OneOf(BACKBONE_ACTIVATIONS), "lecun_tanh")
    mode: str = _field(OneOf(CFC_MODES), "default")
    kind: ClassVar[str] = "cfc"

    def size(self, length: Length) -> int:
        """H."""
        return length("ff1.bias")

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        shapes, below = dict[str, Shape](), width + size
        for index in range(self.backbone_layers):
            out = length(f"backbone.{index}.bias")
            shapes |= {f"backbone.{index}.weight": (out, below), f"backbone.{index}.bias": (out,)}
            below = out
        for head in ("ff1", "ff2", "time_a", "time_b"):
            shapes |= {f"{head}.weight": (size, below), f"{head}.bias": (size,)}
        return shapes


@dataclass(frozen=True)
class Synaptic:
    """The published LTC with a synapse for each pair of neurons (Hasani et al. 2021), as LTCCell of ncps 1.0 has it.

        S_ji = mask_ji w_ji s(sigma_ji (v_j - mu_ji)), likewise from the inputs (x input_w + input_b) by `sensory_*`
        v_i' = (cm_i n/dt v_i + gleak_i vleak_i + sum_j erev_ji S_ji) / (cm_i n/dt + gleak_i + sum_j S_ji + 1e-8)

    `unfolds` n times a frame; sums over neurons and inputs alike. The output is v output_w + output_b; v(0) = 0.
    Tensors, (from, to) as in ncps: w, sigma, mu, erev, mask (H, H); sensory_w and so on (I, H); gleak, vleak, cm,
    output_w, output_b (H); input_w, input_b (I). w, sensory_w, gleak and cm are stored as they act: at least 0.
    """

    name: str
    unfolds: int = _field(Count(1, MOST_UNFOLDS), 6)
    kind: ClassVar[str] = "ltc-synaptic"
    not_negative: ClassVar[tuple[str, ...]] = ("w", "sensory_w", "gleak", "cm")
    masks: ClassVar[tuple[str, ...]] = ("mask", "sensory_mask")
    epsilon: ClassVar[float] = 1e-8  # of ncps, beside the denominator

    def size(self, length: Length) -> int:
        """H."""
        return length("vleak")

    def shapes(self, width: int, size: int, length: Length) -> dict[str, Shape]:
        """Shapes by tensor for an input of `width` and an output of `size`."""
        synapses = ("w", "sigma", "mu", "erev", "mask")
        shapes: dict[str, Shape] = dict.fromkeys(synapses, (size, size))
        shapes |= dict.fromkeys((f"sensory_{name}" for name in synapses), (width, size))
        shapes |= dict.fromkeys(("gleak", "vleak", "cm", "output_w", "output_b"), (size,))
        return shapes | {"input_w": (width,), "input_b": (width,)}


@dataclass(frozen=True)
class Mean:
    """The unweighted mean over the frames so far, `of` the "last" layer or of "all" cells side by side, in order."""

    of: str = _field(OneOf(MEANS), "last", silent=True)
    kind: ClassVar[str] = "mean"


Cell = Ltc | Ctrnn | Node | Gru | Lstm | Cfc | Synaptic
Layer = Linear | Cell | Mean
LAYERS: tuple[type[Layer], ...] = (Linear, Ltc, Synaptic, Cfc, Ctrnn, Node, Gru, Lstm, Mean)
CELLS = (Ltc, Synaptic, Cfc, Ctrnn, Node, Gru, Lstm)
KINDS = tuple(layer.kind for layer in LAYERS)


def _gated(gates: int, width: int, size: int) -> dict[str, Shape]:
    rows = gates * size
    return {"weight_ih": (rows, width), "weight_hh": (rows, size), "bias_ih": (rows,), "bias_hh": (rows,)}
