# SPDX-License-Identifier: BSD-2-Clause
"""Cycles of a frame: counted along the program where nothing depends on the data, else measured on the golden model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from liquid_accel.compiler.controller import LARGEST
from liquid_accel.data import Dataset
from liquid_accel.image import CycleModel, Image
from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS, LOG2, TICK_BITS, TIME_WIDTH, float_code
from liquid_accel.rtl.isa import TRAILER_WORDS, Cond, Control, Flag, Instruction, Op, Space, Timing

if TYPE_CHECKING:
    from liquid_accel.sim.golden import GoldenMachine

WORD_MIN = -(1 << 15)
WORD_MAX = -WORD_MIN - 1
LARGEST_EXPONENT = LARGEST >> FLOAT_MANTISSA_BITS
MEASURED_SEQUENCES = 64  # that a mean is taken over


def path_cycles(program: list[Instruction], lanes: int, first: bool, time_left: bool, regular: bool) -> tuple[int, int]:
    """Cycles from FRAME to DONE of a program whose way depends on the frame alone, and the PLANs on it, each of which
    takes the leading zeros of dt more; ValueError where the way, or a cost, depends on the data."""
    holds = {
        Cond.ALWAYS: True, Cond.FIRST: first, Cond.NOT_FIRST: not first, Cond.TIME_LEFT: time_left,
        Cond.NO_TIME_LEFT: not time_left, Cond.TRACE: False, Cond.NOT_TRACE: True,
        Cond.LOG_DT: regular,
    }  # fmt: skip
    cycles, at, plans, count = 0, 0, 0, 0
    while True:
        i = program[at]
        at += 1
        if i.op == Op.SPARSE or (i.op == Op.CONTROL and i.control in (Control.DECIDE, Control.JUDGE)):
            raise ValueError("the program's cycles depend on the data")
        if i.op != Op.CONTROL:
            cycles += i.stall + i.slots(lanes)
            continue
        cycles += Timing.FRAME if i.control == Control.FRAME else i.stall + i.slots(lanes)
        if i.control == Control.DONE:
            return cycles, plans
        if i.control == Control.PLAN:
            # The size is the longest, e0 = 31, and cut to the frame: PLAN + (32 - e0) + lz32(dt) + 2 (docs/isa.md).
            plans, cycles = plans + 1, cycles + Timing.PLAN - 1 + (TIME_WIDTH - LARGEST_EXPONENT) + 2
        if i.control == Control.REPEAT:
            count = i.imm
        if i.control == Control.JUMP:
            taken = count > 0 if i.cond == Cond.AGAIN else holds[i.cond]
            count -= i.cond == Cond.AGAIN and taken
            at = i.target if taken else at
        if i.control == Control.LOOP:
            body = 0
            while True:
                if program[at].op == Op.SPARSE:
                    raise ValueError("the program's cycles depend on the data")
                body += program[at].stall + program[at].slots(lanes)
                at += 1
                if program[at - 1].loop_end:
                    break
            cycles += body * (i.imm & 0xFF)


def fixed_model(program: list[Instruction], lanes: int) -> CycleModel:
    """The cycle model of a program; not exact, and 0, where its cycles depend on the data."""
    try:
        still = [float(path_cycles(program, lanes, first, False, False)[0]) for first in (True, False)]
        moving = [path_cycles(program, lanes, first, True, True) for first in (True, False)]
        other = path_cycles(program, lanes, False, True, False)[0]
    except ValueError:
        return CycleModel(0.0, 0.0, 0.0, 0.0, exact=False)
    (first, plans), (later, _) = moving
    return CycleModel(float(first), float(later), still[0], still[1], True, plans, float(other - later))


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
    # By whether a frame starts a sequence, and whether it has no time.
    cycles: dict[tuple[bool, bool], list[int]] = {(a, b): [] for a in (True, False) for b in (True, False)}
    for b, sequence in zip(chosen, results, strict=True):
        for frame, words in enumerate(sequence):
            cycles[frame == 0, dt[b, frame] <= 0].append(trailer(words)["cycles"])
    if not any(cycles[first, True] for first in (True, False)):
        # The data have no frame without time: one sequence of two such.
        still = frame_words(image, data.x[chosen[0], :1].repeat(2, axis=0), np.zeros(2))
        for frame, words in enumerate(machine(image, 1).run([still])[0]):
            cycles[frame == 0, True].append(trailer(words)["cycles"])

    def mean(first: bool, none: bool) -> float:
        found = cycles[first, none] or cycles[not first, none]
        return round(float(np.mean(found)), 3) if found else 0.0

    return CycleModel(mean(True, False), mean(False, False), mean(True, True), mean(False, True), exact=False)


def trailer(words: npt.NDArray[np.uint16]) -> dict[str, int]:
    """Counters of a frame's trailer, which ends what an untraced frame pushes."""
    status, low, high, rhs, accepted, rejected, mac_low, mac_high, saturations, skipped_low, skipped_high = (
        int(word) for word in words[-TRAILER_WORDS:]
    )
    return {
        "status": status & 0xFFF, "cycles": low | high << 16, "rhs_evals": rhs, "accepted": accepted,
        "rejected": rejected, "mac_cycles": mac_low | mac_high << 16, "saturations": saturations,
        "skipped": skipped_low | skipped_high << 16,
    }  # fmt: skip
