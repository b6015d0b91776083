# SPDX-License-Identifier: BSD-2-Clause
"""Small random models and data, and what the golden model makes of them, for tests of the compiler."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint, Ctrnn, Features, Layer, Linear, Ltc, Mean, Task
from liquid_accel.compiler import predict
from liquid_accel.compiler.backend import data_dt
from liquid_accel.data import Dataset
from liquid_accel.image import Image
from liquid_accel.rtl.formats import TICK_BITS, TIME_WIDTH
from liquid_accel.rtl.isa import LAG_WORDS, MARK_DONE, MARK_LAG, MARK_STEP, STEP_RECORD_WORDS, TRAILER_WORDS, Flag

Floats = npt.NDArray[np.float64]
MARK_KIND = 0xF000


def toy_model(
    seed: int = 0,
    *,
    features: int = 3,
    before: tuple[int, ...] = (8,),
    size: int | tuple[int, ...] = 12,
    classes: int = 3,
    form: str = "input",
    activation: str = "tanh",
    before_activation: str | None = "tanh",
    pooled: bool = True,
    tau_bias: float = 0.5,
    time_unit_s: float | None = None,
    default_dt: float = 1.0,
    tau_recurrent: bool = False,
    constant_tau: bool = False,
    mean_of: str = "last",
) -> Checkpoint:
    """A random model with the weights of a trained one: rows of unit length, time constants around a unit. Several
    sizes make a stack, ltc, ltc1 and so on; `constant_tau` makes the layers CT-RNNs of the same names."""
    random = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    layers: list[Layer] = []

    def weight(name: str, out: int, width: int, gain: float = 1.0) -> None:
        tensors[name] = (gain * random.standard_normal((out, width)) / np.sqrt(width)).astype(np.float32)

    def bias(name: str, out: int, mean: float = 0.0) -> None:
        tensors[name] = (mean + 0.2 * random.standard_normal(out)).astype(np.float32)

    width = features
    for index, out in enumerate(before):
        weight(f"dense{index}.weight", out, width)
        bias(f"dense{index}.bias", out)
        layers.append(Linear(f"dense{index}", before_activation))
        width = out
    sizes = (size,) if isinstance(size, int) else size
    for index, units in enumerate(sizes):
        name = f"ltc{index or ''}"
        coupled = Ltc(name, form, activation, "softplus", tau_recurrent)
        layers.append(Ctrnn(name, activation) if constant_tau else coupled)
        weight(f"{name}.recurrent_weight", units, units, 1.2)
        bias(f"{name}.bias", units)
        if form == "input":
            weight(f"{name}.input_weight", units, width, 1.5)
        if not constant_tau:
            weight(f"{name}.tau_weight", units, width, 0.7)
        if tau_recurrent:
            weight(f"{name}.tau_recurrent_weight", units, units, 0.7)
        bias(f"{name}.tau_bias", units, tau_bias)
        width = units
    if pooled:
        layers.append(Mean(mean_of))
    if classes:
        weight("out.weight", classes, sum(sizes) if mean_of == "all" else width, 2.0)
        bias("out.bias", classes)
        layers.append(Linear("out", None))
    extent = Features((0.5,) * features, (2.0,) * features, ((-7.0, 8.0),) * features)
    task = Task("classification", classes) if classes else Task("regression")
    return Checkpoint(tuple(layers), tensors, extent, task, time_unit_s, default_dt)


def toy_data(
    seed: int = 1, *, features: int = 3, sequences: int = 6, frames: int = 7, dt: Floats | None = None
) -> Dataset:
    """Random sequences of different lengths in the range of `toy_model`; `dt` (sequences, frames) as if from a file."""
    random = np.random.default_rng(seed)
    lengths = random.integers(2, frames + 1, sequences).astype(np.int32)
    x = np.clip(0.5 + 2.0 * random.standard_normal((sequences, frames, features)), -7.0, 8.0).astype(np.float32)
    inside = np.arange(frames)[None, :] < lengths[:, None]
    times = np.where(inside, 1.0 if dt is None else dt, 0.0)
    return Dataset(x, lengths, times, None, dt is not None, "toy")


@dataclass(frozen=True)
class GoldenRun:
    """Per sequence and frame: outputs (B, T, C), states (B, T, H), counters of the trailers; "lag" among them
    the time in ticks that the budget did not suffice for; which frames there are."""

    outputs: Floats
    states: Floats
    counters: dict[str, npt.NDArray[np.int64]]
    inside: npt.NDArray[np.bool_]


def predicted_cycles(image: Image, data: Dataset) -> int:
    """What the image's model of cycles says of all frames of a data set."""
    dt = data_dt(image, data)
    first = np.zeros_like(data.mask)
    first[:, 0] = True
    moving = data.mask & (dt > 0)
    still = data.mask & ~moving
    ticks = np.rint(dt[moving] / image.machine_unit * 2**TICK_BITS).astype(np.int64)
    zeros = sum(TIME_WIDTH - int(tick).bit_length() for tick in ticks)
    counts = [int(kind.sum()) for kind in (moving & first, moving & ~first, still & first, still & ~first)]
    return image.predicted_cycles(*counts, zeros)


def run_golden(image: Image, data: Dataset, trace: bool = True, check_hazards: bool = False) -> GoldenRun:
    """Run the image on the golden model, sequence by sequence where hazards are checked."""
    dt = data_dt(image, data)
    frames = []
    for b, n in enumerate(data.lengths):
        words = predict.frame_words(image, data.x[b, :n], dt[b, :n])
        words[:, 0] |= np.uint16(Flag.TRACE if trace else 0)
        frames.append(words)
    if check_hazards:
        machine = predict.machine(image, 1, check_hazards=True)
        results = []
        for part in frames:
            machine.start()
            results += machine.run([part])
    else:
        results = predict.machine(image, len(frames)).run(frames)
    shape = data.x.shape[:2]
    outputs, states = np.zeros((*shape, image.outputs)), np.zeros((*shape, image.state_size))
    counters: dict[str, npt.NDArray[np.int64]] = {}
    for b, sequence in enumerate(results):
        for t, words in enumerate(sequence):
            rest = words
            while (int(rest[0]) & MARK_KIND) == MARK_STEP:
                rest = rest[STEP_RECORD_WORDS:]
            counters.setdefault("lag", np.zeros(shape, np.int64))
            if int(rest[0]) & MARK_KIND == MARK_LAG:
                counters["lag"][b, t] = int(rest[1]) | int(rest[2]) << 16
                rest = rest[LAG_WORDS:]
            outputs[b, t] = _vector(rest)[: image.outputs] / 2.0**image.output_frac_bits
            rest = rest[1 + image.output_words :]
            assert (int(rest[0]) & MARK_KIND) == MARK_DONE
            for name, value in predict.trailer(rest[:TRAILER_WORDS]).items():
                counters.setdefault(name, np.zeros(shape, np.int64))[b, t] = value
            if trace:
                states[b, t] = _vector(rest[TRAILER_WORDS:])[: image.state_size] / 2.0**image.state_frac_bits
    return GoldenRun(outputs, states, counters, data.mask)


def _vector(words: npt.NDArray[np.uint16]) -> Floats:
    count = int(words[0]) & 0xFFF
    return words[1 : 1 + count].view(np.int16).astype(np.float64)


def dequantised(image: Image, model: Checkpoint) -> dict[str, npt.NDArray[np.floating]]:
    """The weights that the image holds; those that only constants were made of, as they are in the checkpoint."""
    return {**model.tensors, **image.dequantised()}
