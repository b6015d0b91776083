# SPDX-License-Identifier: BSD-2-Clause
"""PLAN, DECIDE, JUDGE and LAG on the sequences `index` of a batch: the controller, and what it pushes and counts."""

from __future__ import annotations

import numpy as np

from liquid_accel.rtl.isa import MARK_LAG, MARK_STEP, Control, Flag, Instruction, Status, StepFlag, Timing
from liquid_accel.sim.golden import controller
from liquid_accel.sim.golden.arithmetic import Int
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import State

CONTROLS = (Control.PLAN, Control.DECIDE, Control.JUDGE, Control.LAG)


def control(pc: int, i: Instruction, index: Int, state: State, rows: RowUnit) -> Int | int:
    """Execute one of CONTROLS. Returns the cost in cycles, without the stall; raises GoldenError without time left."""
    part = state.controller.take(index)
    if i.control == Control.LAG:
        mark = np.full(len(index), MARK_LAG, np.int64)
        words = (mark, part.remaining, part.remaining >> 16, part.norm, part.norm >> 16)
        rows.push(pc, index, np.stack(words, axis=1))
        return Timing.LAG
    scalars = state.scalars(index)
    if i.control == Control.PLAN:
        if (part.remaining == 0).any():
            raise GoldenError(f"instruction at pc {pc}: PLAN with no time left")
        cost = controller.plan(part, scalars, i.imm & 1)
    elif i.control == Control.JUDGE:
        cost = controller.judge(part, scalars)
    else:
        cost = _decide(pc, index, part, scalars, state, rows)
    state.controller.put(index, part)
    state.put_scalars(index, scalars)
    return cost


def _decide(pc: int, index: Int, part: controller.ControllerState, scalars: Int, state: State, rows: RowUnit) -> Int:
    saturated, clipped, norm = part.saturated, part.clipped, part.norm
    found = controller.decide(part, scalars)
    state.parity[index] ^= found.accept
    state.accepted[index] += found.accept
    state.rejected[index] += ~found.accept
    state.status[index] |= found.limited * int(Status.STEP_LIMIT) | found.halt * int(Status.EARLY_HALT)
    traced = (state.flags[index] & Flag.TRACE) != 0
    if traced.any():
        record = MARK_STEP + sum(
            given * int(flag)
            for flag, given in (
                (StepFlag.ACCEPTED, found.accept),
                (StepFlag.LIMITED, found.limited),
                (StepFlag.SATURATED, saturated),
                (StepFlag.CLIPPED, clipped),
            )
        )
        words = np.stack((record, part.step_code, norm, norm >> 16), axis=1)
        rows.push(pc, index[traced], words[traced])
    return found.cost
