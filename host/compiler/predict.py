# SPDX-License-Identifier: BSD-2-Clause
"""Cycles of a frame: counted along the program where no step is adaptive, else measured on the golden model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from liquid_accel.data import Dataset
from liquid_accel.image import CycleModel, Image
from liquid_accel.rtl.formats import LOG2, TICK_BITS, float_code
from liquid_accel.rtl.isa import TRAILER_WORDS, Cond, Control, Flag, Instruction, Op, Space, Timing

if TYPE_CHECKING:
    from liquid_accel.sim.golden import GoldenMachine

WORD_MIN = -(1 << 15)
WORD_MAX = -WORD_MIN - 1
MEASURED_SEQUENCES = 64  # that a mean is taken over


def path_cycles(program: list[Instruction], first: bool, time_left: bool) -> int:
    """Cycles from FRAME to DONE of a program whose way depends on the frame alone; ValueError for an adaptive one."""
    holds = {
        Cond.ALWAYS: True, Cond.FIRST: first, Cond.NOT_FIRST: not first, Cond.TIME_LEFT: time_left,
        Cond.NO_TIME_LEFT: not time_left, Cond.TRACE: False, Cond.NOT_TRACE: True,
    }  # fmt: skip
    cycles, at = 0, 0
    while True:
        i = program[at]
        at += 1
        if i.op != Op.CONTROL:
            cycles += i.stall + i.slots
            continue
        cycles += Timing.FRAME if i.control == Control.FRAME else i.stall + 1
        if i.control == Control.DONE:
            return cycles
        if i.control in (Control.PLAN, Control.DECIDE):
            raise ValueError("the steps of the program are adaptive: its cycles depend on the data")
        if i.control == Control.JUMP and holds[i.cond]:
            at = i.target
        if i.control == Control.LOOP:
            body = 0
            while True:
                body += program[at].stall + program[at].slots
                at += 1
                if program[at - 1].loop_end:
                    break
            cycles += body * (i.imm & 0xFF)


def fixed_model(program: list[Instruction], adaptive: bool) -> CycleModel:
    """The cycle model of a program; where it is adaptive, frames that move are counted as those that do not."""
    still = [float(path_cycles(program, first, False)) for first in (True, False)]
    moving = still if adaptive else [float(path_cycles(program, first, True)) for first in (True, False)]
    return CycleModel(moving[0], moving[1], still[0], still[1], exact=not adaptive)


def frame_words(image: Image, x: npt.NDArray[np.floating], dt: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    """Frames of one sequence as the machine takes them: x (T, features), dt (T,) in the unit of DATA's dt."""
    values = (x.astype(np.float64) - np.array(image.input_mean)) / np.array(image.input_scale)
    words = np.clip(np.rint(values * 2.0**image.input_frac_bits), WORD_MIN, WORD_MAX).astype(np.int64)
    time = dt / image.machine_unit
    ticks = np.rint(time * 2**TICK_BITS).astype(np.int64)
    with np.errstate(divide="ignore"):
        log = np.where(ticks > 0, np.rint(np.log2(time) * 2**LOG2.frac_bits), WORD_MIN)
    flags = np.zeros(len(x), np.int64)
    flags[0] = Flag.FIRST
    pool = np.array([float_code(1.0 / n) for n in range(1, len(x) + 1)], np.int64)
    header = np.stack(
        [flags, ticks & 0xFFFF, ticks >> 16, np.clip(log, WORD_MIN, WORD_MAX).astype(np.int64), pool], axis=1
    )
    return (np.concatenate([header, words], axis=1) & 0xFFFF).astype(np.uint16)


def machine(image: Image, batch: int, check_hazards: bool = False) -> GoldenMachine:
    """A golden machine with the image in its memories."""
    from liquid_accel.sim.golden import GoldenMachine

    golden = GoldenMachine(image.config, batch, check_hazards=check_hazards)
    for space, words in image.sections.items():
        golden.load(Space(space), 0, words)
    return golden


def measured(image: Image, data: Dataset, dt: npt.NDArray[np.float64]) -> CycleModel:
    """The model with means over up to `MEASURED_SEQUENCES` of the sequences; `dt` (B, T) in the unit of DATA's dt."""
    chosen = np.unique(np.linspace(0, len(data.x) - 1, MEASURED_SEQUENCES).astype(np.int64))
    lengths = data.lengths[chosen]
    frames = [frame_words(image, data.x[b, :n], dt[b, :n]) for b, n in zip(chosen, lengths, strict=True)]
    results = machine(image, len(chosen)).run(frames)
    first: list[int] = []
    other: list[int] = []
    for b, sequence in zip(chosen, results, strict=True):
        for frame, words in enumerate(sequence):
            if dt[b, frame] > 0:
                cycles = trailer(words)["cycles"]
                (other if frame else first).append(cycles)
    model = image.cycles
    mean_other = float(np.mean(other)) if other else model.other
    mean_first = float(np.mean(first)) if first else mean_other
    return replace(model, first=round(mean_first, 3), other=round(mean_other, 3))


def trailer(words: npt.NDArray[np.uint16]) -> dict[str, int]:
    """Counters of a frame's trailer, which ends what an untraced frame pushes."""
    status, low, high, rhs, accepted, rejected, mac_low, mac_high, saturations = (
        int(word) for word in words[-TRAILER_WORDS:]
    )
    return {
        "status": status & 0xFFF, "cycles": low | high << 16, "rhs_evals": rhs, "accepted": accepted,
        "rejected": rejected, "mac_cycles": mac_low | mac_high << 16, "saturations": saturations,
    }  # fmt: skip

