# SPDX-License-Identifier: BSD-2-Clause
"""What a run gives back: per frame the outputs and every counter, and the totals that commands print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.decode import COUNTERS, Decoder
from liquid_accel.image import Image
from liquid_accel.rtl import formats, isa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

# Frames with a bit in their status, by the name of their count.
FRAMES_WITH = {
    "early_halts": isa.Status.EARLY_HALT,
    "step_limits": isa.Status.STEP_LIMIT,
    "not_converged": isa.Status.NOT_CONVERGED,
    "budget_spent": isa.Status.BUDGET,
}
ERROR_ONE = 256  # what a unit whose error is the tolerance adds to the norm: 16 squared

STEP = np.dtype(
    [("sequence", np.int64), ("frame", np.int64), ("accepted", np.bool_), ("limited", np.bool_),
     ("saturated", np.bool_), ("clipped", np.bool_), ("code", np.int64), ("size", np.float64), ("norm", np.int64)]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """B sequences of at most T frames; whatever lies past a length is 0.

    y (B, T, outputs) float32: for a classifier the logits of the running mean; `words` the same as the device's
    integers, int16; `label` (B,): the largest output of the last frame, the lowest among equals. Per frame (B, T):
    `status` (bits of `isa.Status`), `cycles`, `rhs_evals`, `steps_accepted`, `steps_rejected`, `mac_cycles`,
    `saturations`, `macs_skipped` (products of columns that had not moved) and, counted by the driver,
    `input_saturations`. Of a frame that ended when its right-hand sides were used up (`isa.Status.BUDGET`), and 0 of
    all others, `time_lag` is the time that it did not get to, in the unit of dt, and `error_estimate` = sqrt(norm /
    (256 units)) the scaled error of its last step, 1 at the tolerance. Where asked for, `h` (B, T, states) float32 with
    `state_words`, the states at the end of each frame; and `steps`, a row (of STEP) a step in the order of sequences,
    `size` in the unit of dt.
    """

    y: Floats
    words: npt.NDArray[np.int16]
    label: Ints
    lengths: npt.NDArray[np.int32]
    status: Ints
    cycles: Ints
    rhs_evals: Ints
    steps_accepted: Ints
    steps_rejected: Ints
    mac_cycles: Ints
    saturations: Ints
    macs_skipped: Ints
    input_saturations: Ints
    time_lag: npt.NDArray[np.float64]
    error_estimate: npt.NDArray[np.float64]
    h: Floats | None = None
    state_words: npt.NDArray[np.int16] | None = None
    steps: npt.NDArray[np.void] | None = None

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(B, T), true where a frame is within its sequence."""
        inside: npt.NDArray[np.bool_] = np.arange(self.y.shape[1])[None, :] < self.lengths[:, None]
        return inside

    def totals(self) -> dict[str, int]:
        """Sums over all frames."""
        inside = self.mask
        frames = {name: int(((self.status & int(bit)) != 0).sum()) for name, bit in FRAMES_WITH.items()}
        names = (*(name for name in COUNTERS if name != "status"), "input_saturations")
        sums = {name: int(getattr(self, name).sum()) for name in names}
        return {"frames": int(inside.sum()), **sums, **frames}

    def arrays(self, states: bool = False) -> dict[str, npt.NDArray[np.generic]]:
        """What OUT.npz holds."""
        names = ("y", "label", "lengths", *COUNTERS, "input_saturations", "time_lag", "error_estimate")
        held: dict[str, npt.NDArray[np.generic]] = {name: getattr(self, name) for name in names}
        if states and self.h is not None:
            held["h"] = self.h
        return held


def collect(
    image: Image, decoder: Decoder, lengths: npt.NDArray[np.int32], frames: int, saturated: Ints, *, steps: bool
) -> Result:
    """The result of sequences that were sent one after another; `frames` is T."""
    inside = np.arange(frames)[None, :] < lengths[:, None]

    def spread(flat: npt.NDArray[Any]) -> npt.NDArray[Any]:
        whole = np.zeros((*inside.shape, *flat.shape[1:]), flat.dtype)
        whole[inside] = flat
        return whole

    words = spread(np.array(decoder.outputs, np.uint16).view(np.int16)[:, : image.outputs])
    counters = np.array(decoder.counters, np.int64)
    values: dict[str, Any] = {name: spread(counters[:, k]) for k, name in enumerate(COUNTERS)}
    lags = np.zeros((len(counters), 2), np.float64)
    for frame, lag in decoder.lags.items():
        lags[frame] = lag
    values["time_lag"] = spread(lags[:, 0] * image.machine_unit / (1 << formats.TICK_BITS))
    values["error_estimate"] = spread(np.sqrt(lags[:, 1] / (ERROR_ONE * image.state_size)))
    if decoder.traced:
        states = np.array(decoder.states, np.uint16).view(np.int16)[:, : image.state_size]
        values["state_words"] = spread(states)
        values["h"] = (values["state_words"] / 2.0**image.state_frac_bits).astype(np.float32)
    if steps:
        values["steps"] = _steps(image, decoder, inside)
    return Result(
        y=(words / 2.0**image.output_frac_bits).astype(np.float32),
        words=words,
        label=words[np.arange(len(words)), lengths - 1].argmax(1).astype(np.int64),
        lengths=lengths,
        input_saturations=spread(saturated),
        **values,
    )


def _steps(image: Image, decoder: Decoder, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.void]:
    records = np.array(decoder.steps, np.int64).reshape(-1, 4)
    where = np.argwhere(inside)[records[:, 0]].reshape(-1, 2)
    steps = np.zeros(len(records), STEP)
    steps["sequence"], steps["frame"] = where[:, 0], where[:, 1]
    for flag in isa.StepFlag:
        steps[str(flag.name).lower()] = (records[:, 1] & int(flag)) != 0
    steps["code"], steps["norm"] = records[:, 2], records[:, 3]
    tick = image.machine_unit / (1 << formats.TICK_BITS)
    steps["size"] = [formats.float_value(int(code), 0) * tick for code in records[:, 2]]
    return steps


def merge(parts: Sequence[tuple[npt.NDArray[np.intp], Result]]) -> Result:
    """One result of parts of a batch, each with the rows that it holds."""
    total = sum(len(rows) for rows, _ in parts)
    values: dict[str, Any] = {}
    for f in fields(Result):
        first = getattr(parts[0][1], f.name)
        if first is None:
            continue
        if f.name == "steps":
            values[f.name] = _merge_steps(parts)
            continue
        whole = np.zeros((total, *first.shape[1:]), first.dtype)
        for rows, part in parts:
            whole[rows] = getattr(part, f.name)
        values[f.name] = whole
    return Result(**values)


def _merge_steps(parts: Sequence[tuple[npt.NDArray[np.intp], Result]]) -> npt.NDArray[np.void]:
    moved = []
    for rows, part in parts:
        assert part.steps is not None  # all parts were asked for the same
        steps = part.steps.copy()
        steps["sequence"] = rows[steps["sequence"]]
        moved.append(steps)
    steps = np.concatenate(moved)
    return steps[np.argsort(steps["sequence"], kind="stable")]
