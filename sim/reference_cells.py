# SPDX-License-Identifier: BSD-2-Clause
"""One cell of a checkpoint over a batch of sequences, in NumPy float64: its states and what it costs.

ltc, ctrnn and node are equations, which a solver integrates; gru, lstm, cfc and ltc-synaptic update themselves. The
equations stand in `host/layers.py`. A frame with dt = 0 moves no equation, ltc-synaptic included; gru and lstm know no
time, and cfc takes dt = 0 as any other, so that they update at every frame within a sequence.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from liquid_accel.layers import Cell, Cfc, Ctrnn, Gru, Lstm, Ltc, Node, Synaptic
from liquid_accel.sim.reference_fields import (
    Note,
    Tensors,
    ctrnn_field,
    final_taus,
    function,
    ltc_field,
    node_field,
    note_field,
)
from liquid_accel.sim.reference_solvers import Array, Counts, Field, Inside, Progress, Trajectory, sigmoid

Solve = Callable[[Field, Array, Inside, Progress | None], Trajectory]
# What a step holds on the way, by name, its "state" (B, H) among it.
Held = dict[str, Array]


@dataclass(frozen=True)
class CellRun:
    """What a cell did; values outside a sequence mean nothing.

    `outputs` (B, T, H): what the next layer takes; `states` (B, T, H): the same but for ltc-synaptic, whose output is
    an affine map of its state; `taus` (B, T, H) at the end of each frame for ltc and ctrnn, else (B, T, 0). Per frame
    (B, T): `rhs_evals`, `accepted` and `rejected` steps; a cell that updates itself counts 1 evaluation and 1 step an
    update, ltc-synaptic one of each an unfold.
    """

    outputs: Array
    states: Array
    taus: Array
    rhs_evals: Counts
    accepted: Counts
    rejected: Counts


def run_cell(
    layer: Cell,
    tensors: Tensors,
    x: Array,
    dt: Array,
    inside: Inside,
    solve: Solve,
    note: Note | None = None,
    progress: Progress | None = None,
) -> CellRun:
    """Run `layer` over its input `x` (B, T, I), held over each frame; `dt` (B, T) in the model's unit.

    `tensors` (float64) go by their full names. `note(name, values)` is told each value that hardware has to hold, with
    "{layer.name}." in front: `values` (N, width) for the frames `inside`, in one or several calls. Names of gru:
    input_r, input_z, input_n, recurrent_r, recurrent_z, recurrent_n (products with their own bias), pre_r, pre_z,
    pre_n, state; lstm the same for i, f, g, o, and cell; cfc: backbone{i}, ff1, ff2, time_a, time_b (in front of their
    functions), time (a dt + b), state; ltc-synaptic: see `_synaptic`; ltc, ctrnn, node: see `note_field`.
    """
    if isinstance(layer, Ltc | Ctrnn | Node):
        field = _field(layer, x, tensors)
        found = solve(field, dt, inside, progress)
        if note:
            note_field(layer, field, x, found.states, inside, note, tensors)
        taus = final_taus(field, found.states)
        return CellRun(found.states, found.states, taus, found.rhs_evals, found.accepted, found.rejected)
    own = {name.removeprefix(f"{layer.name}."): value for name, value in tensors.items()
           if name.startswith(f"{layer.name}.")}  # fmt: skip
    tell = None if note is None else lambda name, values: note(f"{layer.name}.{name}", values)
    if isinstance(layer, Synaptic):
        return _synaptic(layer, own, x, dt, inside, tell, progress)
    if isinstance(layer, Gru):
        states = _gru(own, x, inside, tell, progress)
    elif isinstance(layer, Lstm):
        states = _lstm(own, x, inside, tell, progress)
    else:
        states = _cfc(layer, own, x, dt, inside, tell, progress)
    return _updated(states, states, inside.astype(np.int64))


def _field(layer: Ltc | Ctrnn | Node, x: Array, tensors: Tensors) -> Field:
    if isinstance(layer, Ltc):
        return ltc_field(layer, x, tensors)
    return ctrnn_field(layer, x, tensors) if isinstance(layer, Ctrnn) else node_field(layer, x, tensors)


def _updated(outputs: Array, states: Array, updates: Counts) -> CellRun:
    return CellRun(outputs, states, np.zeros((*updates.shape, 0)), updates, updates, np.zeros_like(updates))


def _recur(
    step: Callable[[Array, int], Held],
    size: int,
    inside: Inside,
    note: Note | None,
    progress: Progress | None,
) -> Array:
    """States (B, T, `size`) of h = step(h, frame)["state"] from h = 0; `note` hears of all that a step holds."""
    batch, frames = inside.shape
    h, states = np.zeros((batch, size)), np.empty((batch, frames, size))
    for frame in range(frames):
        held, rows = step(h, frame), inside[:, frame]
        h = np.where(rows[:, None], held["state"], h)
        states[:, frame] = h
        if note and rows.any():
            for name, values in held.items():
                note(name, values[rows])
        if progress:
            progress(frame + 1, frames)
    return states


def _gates(prefix: str, letters: str, values: Array) -> Held:
    parts = np.split(values, len(letters), axis=-1)
    return {f"{prefix}_{letter}": part for letter, part in zip(letters, parts, strict=True)}


def _gru(own: Tensors, x: Array, inside: Inside, note: Note | None, progress: Progress | None) -> Array:
    given = x @ own["weight_ih"].T + own["bias_ih"]

    def step(h: Array, frame: int) -> Held:
        held = _gates("input", "rzn", given[:, frame])
        held |= _gates("recurrent", "rzn", h @ own["weight_hh"].T + own["bias_hh"])
        held["pre_r"] = held["input_r"] + held["recurrent_r"]
        held["pre_z"] = held["input_z"] + held["recurrent_z"]
        held["pre_n"] = held["input_n"] + sigmoid(held["pre_r"]) * held["recurrent_n"]
        z = sigmoid(held["pre_z"])
        return held | {"state": (1.0 - z) * np.tanh(held["pre_n"]) + z * h}

    return _recur(step, own["weight_hh"].shape[1], inside, note, progress)


def _lstm(own: Tensors, x: Array, inside: Inside, note: Note | None, progress: Progress | None) -> Array:
    given = x @ own["weight_ih"].T + own["bias_ih"]
    # Of each sequence; past its end nothing reads it again.
    cell = np.zeros((len(x), own["weight_hh"].shape[1]))

    def step(h: Array, frame: int) -> Held:
        held = _gates("input", "ifgo", given[:, frame])
        held |= _gates("recurrent", "ifgo", h @ own["weight_hh"].T + own["bias_hh"])
        held |= {f"pre_{gate}": held[f"input_{gate}"] + held[f"recurrent_{gate}"] for gate in "ifgo"}
        kept, added = sigmoid(held["pre_f"]) * cell, sigmoid(held["pre_i"]) * np.tanh(held["pre_g"])
        cell[:] = kept + added
        return held | {"cell": cell.copy(), "state": sigmoid(held["pre_o"]) * np.tanh(cell)}

    return _recur(step, cell.shape[1], inside, note, progress)


def _cfc(
    layer: Cfc, own: Tensors, x: Array, dt: Array, inside: Inside, note: Note | None, progress: Progress | None
) -> Array:
    act = function(layer.backbone_activation)

    def step(h: Array, frame: int) -> Held:
        held, z = Held(), np.concatenate([x[:, frame], h], axis=1)
        for index in range(layer.backbone_layers):
            held[f"backbone{index}"] = z @ own[f"backbone.{index}.weight"].T + own[f"backbone.{index}.bias"]
            z = act(held[f"backbone{index}"])
        for head in ("ff1", "ff2", "time_a", "time_b"):
            held[head] = z @ own[f"{head}.weight"].T + own[f"{head}.bias"]
        held["time"] = held["time_a"] * dt[:, frame, None] + held["time_b"]
        first, second, t = np.tanh(held["ff1"]), np.tanh(held["ff2"]), sigmoid(held["time"])
        return held | {"state": first + t * second if layer.mode == "no_gate" else first * (1.0 - t) + t * second}

    return _recur(step, own["ff1.bias"].size, inside, note, progress)


def _synaptic(
    layer: Synaptic, own: Tensors, x: Array, dt: Array, inside: Inside, note: Note | None, progress: Progress | None
) -> CellRun:
    """The fused solver; `note` hears at each unfold of synapse, sigma (v - mu) of every synapse that is there;
    conductance, gleak + sum S; current, gleak vleak + sum erev S; numerator, cm n/dt v + current; denominator,
    cm n/dt + conductance; state; and once a frame of sensory, sigma (x - mu). Frames with dt = 0 hold none of it."""
    x = x * own["input_w"] + own["input_b"]
    here, sensory_here = own["mask"] != 0, own["sensory_mask"] != 0
    w, sensory_w = own["w"] * own["mask"], own["sensory_w"] * own["sensory_mask"]
    moving = inside & (dt > 0)
    v, states = np.zeros((len(x), own["vleak"].size)), np.empty((*inside.shape, own["vleak"].size))

    def tell(name: str, values: Array) -> None:
        if note and values.size:
            note(name, values)

    for frame in range(inside.shape[1]):
        rows = np.flatnonzero(moving[:, frame])
        push = own["sensory_sigma"] * (x[rows, frame, :, None] - own["sensory_mu"])
        tell("sensory", push[:, sensory_here])
        open_ = sensory_w * sigmoid(push)
        leak = own["gleak"] + open_.sum(1)
        pull = own["gleak"] * own["vleak"] + (open_ * own["sensory_erev"]).sum(1)
        inertia = own["cm"] * layer.unfolds / dt[rows, frame, None]
        for _ in range(layer.unfolds):
            push = own["sigma"] * (v[rows, :, None] - own["mu"])
            open_ = w * sigmoid(push)
            conductance, current = leak + open_.sum(1), pull + (open_ * own["erev"]).sum(1)
            numerator, denominator = inertia * v[rows] + current, inertia + conductance
            v[rows] = numerator / (denominator + Synaptic.epsilon)
            tell("synapse", push[:, here])
            for name, values in (("conductance", conductance), ("current", current), ("numerator", numerator),
                                 ("denominator", denominator), ("state", v[rows])):  # fmt: skip
                tell(name, values)
        states[:, frame] = v
        if progress:
            progress(frame + 1, inside.shape[1])
    return _updated(states * own["output_w"] + own["output_b"], states, moving.astype(np.int64) * layer.unfolds)
