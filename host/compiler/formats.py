# SPDX-License-Identifier: BSD-2-Clause
"""Which values a network takes, and the number format of each: from bounds where they are tight, else as seen in data.

A bound |A x + a| <= |A| X + |a| with |x| <= X holds for every input whose features stay within the stored range. Behind
a wide layer it is several times what ever comes; a format is then chosen for what the calibration data showed, with
`MARGIN` to spare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler.network import Dense, Liquid, Network, Other
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.image import Format
from liquid_accel.layers import Cfc, Gru, Lstm, Node, Synaptic
from liquid_accel.rtl import formats

Floats = npt.NDArray[np.float64]

WORD_MAX = (1 << (formats.WORD - 1)) - 1
MARGIN = 1.25  # of what was seen
TOP_FRAC = 14  # finest format that is chosen for anything but an error
SPARE_BITS = 3  # that a value's bound may cost in resolution
THIN_BITS = 0.25  # less room than this above the largest value is worth a warning
CALIBRATION_STEPS = 4  # a frame
SHORTEST = 2.0**-12  # time constant, of the model's unit, below which none is looked at
# Formats of what goes into a function: +-8 or +-16. Beyond, tanh and sigmoid are flat; tau is held.
FUNCTION_FRACS = (12, 11)
# The last of a table's 256 segments is flat: what should be interpolated ends below it.
USABLE = 255 / 256


@dataclass(frozen=True)
class Extent:
    """Largest magnitude of a value: what always holds and what the data showed; and the lowest and highest seen."""

    bound: float
    seen: float
    low: float = 0.0
    high: float = 0.0


@dataclass
class Ranges:
    """Extents by name; in the model's unit of time: the data's time steps, the largest 1/tau, a first step; the root
    mean square of the last layer's states; the fraction bits of what goes into an activation, by its name."""

    extents: dict[str, Extent] = field(default_factory=dict)
    dts: Floats = field(default_factory=lambda: np.ones(1))
    fastest: float = 0.0
    first_step: float = 1.0
    state_rms: float = 0.0
    function_fracs: dict[str, int] = field(default_factory=dict)

    def note(self, name: str, bound: float, values: Floats) -> Extent:
        """Widen an extent by values that were seen."""
        low, high = float(values.min(initial=0.0)), float(values.max(initial=0.0))
        if values.size:
            low, high = float(values.min()), float(values.max())
        if name in self.extents:
            before = self.extents[name]
            low, high, bound = min(low, before.low), max(high, before.high), min(bound, before.bound)
        self.extents[name] = Extent(bound, max(abs(low), abs(high)), low, high)
        return self.extents[name]

    def bound(self, name: str, bound: float) -> Extent:
        """Set what an extent can at most be."""
        self.extents[name] = replace(self.extents[name], bound=bound)
        return self.extents[name]

    def share(self, activation: str, *extents: Extent) -> None:
        """What goes into an activation has one format for all that use it, so that they share its table."""
        frac = function_frac(*extents)
        self.function_fracs[activation] = min(frac, self.function_fracs.get(activation, frac))


def stand_in(model: Checkpoint, sequences: int = 16, frames: int = 24) -> Dataset:
    """Data drawn from the stored mean, scale and range, for a compilation without calibration data."""
    features, random = model.features, np.random.default_rng(0)
    low, high = np.array(features.range).T
    x = np.array(features.mean) + np.array(features.scale) * random.standard_normal((sequences, frames, len(low)))
    dt = np.full((sequences, frames), model.default_dt)
    return Dataset(
        np.clip(x, low, high).astype(np.float32), np.full(sequences, frames, np.int32), dt, None, False, "stored range"
    )


def calibrate(model: Checkpoint, network: Network, data: Dataset) -> Ranges:
    """Run the float network over the data and record what each value does; equations by fixed steps."""
    from liquid_accel.sim import reference

    if data.x.shape[-1] != model.in_features:
        raise UserError(f"{data.name}: x has {data.x.shape[-1]} features; expected {model.in_features}")
    ranges = Ranges()
    squares = [0.0, 0]

    def note(name: str, values: Floats) -> None:
        ranges.note(name, np.inf, values)
        if name == f"{network.cells[-1].name}.state":
            squares[0] += float((values**2).sum())
            squares[1] += values.size

    reference.run(model, data, reference.default_solver(model), steps=CALIBRATION_STEPS, note=note)
    ranges.state_rms = math.sqrt(squares[0] / max(squares[1], 1))
    ranges.dts = model.model_dt(data.dt, data.dt_given)[data.mask]
    stored = np.abs(model.features.normalise(np.array(model.features.range).T)).max(axis=0)
    seen = np.abs(model.features.normalise(data.x[data.mask])).max(axis=0)
    _bounds(ranges, network, np.maximum(stored, seen))
    return ranges


def _bounds(ranges: Ranges, network: Network, limit: Floats) -> None:
    """What always holds, from the largest magnitudes `limit` of the inputs on."""
    ranges.bound("input", float(limit.max()))
    for layer in network.before:
        limit = _dense_bound(ranges, layer, limit)
    outputs: list[Floats] = []
    for cell in network.cells:
        if isinstance(cell, Liquid):
            _liquid_bounds(ranges, cell, limit)
            largest = 1.0
        else:
            gated = isinstance(cell.layer, Gru | Lstm)
            largest = _largest_state(ranges, cell)
            if gated:
                _gated_bounds(ranges, cell, limit)
            _shared(ranges, cell)
        ranges.bound(f"{cell.name}.state", largest)
        limit = np.full(cell.size, largest)
        if isinstance(cell, Other) and isinstance(cell.layer, Synaptic):
            # What it hands on is a map of its state.
            limit = np.abs(cell.tensors["output_w"]) * largest + np.abs(cell.tensors["output_b"])
        outputs.append(limit)
    if network.pooled == "all":
        limit = np.concatenate(outputs)
    for layer in network.after:
        limit = _dense_bound(ranges, layer, limit)
    states = [ranges.extents[f"{cell.name}.state"] for cell in network.cells]
    ranges.extents["state"] = max(states, key=lambda extent: extent.bound)


def _liquid_bounds(ranges: Ranges, cell: Liquid, limit: Floats) -> None:
    """Of the terms of an LTC or CT-RNN layer; and the shortest time constant."""
    name, recurrent = cell.name, np.abs(cell.recurrent).sum(axis=1)
    drive = np.abs(cell.bias)
    if cell.input_weight is not None:
        drive = np.abs(cell.input_weight) @ limit + drive
    ranges.bound(f"{name}.recurrent", float(recurrent.max()))
    ranges.bound(f"{name}.drive", float(drive.max()))
    ranges.bound(f"{name}.pre", float((recurrent + drive).max()))
    shortest = float(cell.time_constants.min(initial=np.inf))
    if cell.tau is not None:
        slow = np.abs(cell.tau.weight) @ limit + np.abs(cell.tau.bias)
        shortest = float(np.logaddexp(0.0, ranges.extents[f"{name}.tau.pre"].low))
        if cell.tau_recurrent is not None:
            coupled = np.abs(cell.tau_recurrent).sum(axis=1)
            ranges.bound(f"{name}.tau.recurrent", float(coupled.max()))
            ranges.bound(f"{name}.tau.drive", float(slow.max()))
            slow = slow + coupled
        ranges.bound(f"{name}.tau.pre", float(slow.max()))
    ranges.fastest = max(ranges.fastest, 1.0 / max(shortest, SHORTEST))
    ranges.share(cell.activation, ranges.extents[f"{name}.drive"], ranges.extents[f"{name}.recurrent"])


def _largest_state(ranges: Ranges, cell: Other) -> float:
    """What a state stays below: by its equation, or with room above what was seen."""
    if isinstance(cell.layer, Cfc):
        return 2.0 if cell.layer.mode == "no_gate" else 1.0
    return 1.0 if isinstance(cell.layer, Gru | Lstm) else MARGIN * ranges.extents[f"{cell.name}.state"].seen


def _gated_bounds(ranges: Ranges, cell: Other, limit: Floats) -> None:
    """Of the gates' products with the input and with the state, each with its bias, and of their sums."""
    letters = "rzn" if isinstance(cell.layer, Gru) else "ifgo"
    given = np.abs(cell.tensors["weight_ih"]) @ limit + np.abs(cell.tensors["bias_ih"])
    recurrent = np.abs(cell.tensors["weight_hh"]).sum(axis=1) + np.abs(cell.tensors["bias_hh"])
    for part, values in (("input", given), ("recurrent", recurrent), ("pre", given + recurrent)):
        for letter, rows in zip(letters, np.split(values, len(letters)), strict=True):
            ranges.bound(f"{cell.name}.{part}_{letter}", float(rows.max()))


def _shared(ranges: Ranges, cell: Other) -> None:
    """What goes into the functions of a cell that other layers use too."""
    layer, names = cell.layer, dict[str, list[str]]()
    if isinstance(layer, Gru):
        names["tanh"] = ["pre_n", "input_n", "recurrent_n"]
    elif isinstance(layer, Lstm):
        names["tanh"] = ["pre_g"]
    elif isinstance(layer, Cfc):
        names["tanh"] = ["ff1", "ff2"]
        for index in range(layer.backbone_layers):
            names.setdefault(layer.backbone_activation, []).append(f"backbone{index}")
    elif isinstance(layer, Node):
        for index, activation in enumerate(layer.activations):
            if activation is not None:
                names.setdefault(activation, []).extend([f"layer{index}", *(["input"] if index == 0 else [])])
    for activation, parts in names.items():
        ranges.share(activation, *(ranges.extents[f"{cell.name}.{part}"] for part in parts))


def _dense_bound(ranges: Ranges, layer: Dense, limit: Floats) -> Floats:
    bound: Floats = np.abs(layer.weight) @ limit + np.abs(layer.bias)
    extent = ranges.bound(f"{layer.name}.pre", float(bound.max()))
    if layer.activation is None:
        return bound
    ranges.share(layer.activation, extent)
    return np.ones(len(layer.bias))


# ---- Choices -------------------------------------------------------------------------------------------------


def finest(largest: float, top: int = TOP_FRAC) -> int:
    """Most fraction bits with which 16 bits hold `largest`, up to `top`; `UserError` where even integers do not."""
    if largest <= 0:
        return top
    frac = math.floor(math.log2(WORD_MAX / largest))
    if frac < 0:
        raise UserError(f"a value of the model reaches {largest:.4g}; expected at most {WORD_MAX} in a 16-bit word")
    return min(frac, top)


def value_frac(extent: Extent, top: int = TOP_FRAC) -> int:
    """Fraction bits of a value that must not be clamped: by its bound, unless that is far beyond what was seen."""
    by_bound = finest(extent.bound, top) if extent.bound <= WORD_MAX else 0
    return max(by_bound, finest(MARGIN * extent.seen, top) - SPARE_BITS)


def function_frac(*extents: Extent) -> int:
    """Fraction bits of what goes into a function: the finest of `FUNCTION_FRACS` that holds every one of `extents`."""
    needed = max(min(extent.bound, MARGIN * extent.seen) for extent in extents)
    for frac in FUNCTION_FRACS:
        if needed <= USABLE * 2.0 ** (formats.WORD - 1 - frac):
            return frac
    return FUNCTION_FRACS[-1]


def entry(name: str, frac_bits: int, largest: float, source: str) -> Format:
    """A line of the table of formats. Head-room is the bits between the largest value and the format's limit."""
    limit = WORD_MAX / 2.0**frac_bits
    room = math.log2(limit / largest) if largest > 0 else float(formats.WORD - 1)
    text = str(formats.Q(formats.WORD - 1 - frac_bits, frac_bits))
    return Format(name, text, frac_bits, float(f"{largest:.6g}"), round(room, 2), source)


def described(name: str, frac_bits: int, extent: Extent, flat: bool = False) -> Format:
    """The same for a value with an extent: by its bound if that fits, else by what was seen. `flat`: beyond the format
    the function that follows changes no more."""
    if extent.bound <= WORD_MAX / 2.0**frac_bits:
        return entry(name, frac_bits, extent.bound, "bound")
    return entry(name, frac_bits, extent.seen, "flat beyond" if flat else "calibration")


def thin(formats_: list[Format]) -> list[str]:
    """Warnings for values that were seen close to, or beyond, the limit of their format."""
    return [
        f"{f.name}: values up to {f.largest:g} in {f.format} leave {f.headroom_bits:g} bits of head-room"
        for f in formats_
        if f.source == "calibration" and f.headroom_bits < THIN_BITS
    ]


def machine_unit(dts: Floats) -> float:
    """The machine's time unit in the model's: the power of two nearest to the median time step of the data."""
    moving = dts[dts > 0]
    return 2.0 ** round(math.log2(float(np.median(moving)))) if moving.size else 1.0
