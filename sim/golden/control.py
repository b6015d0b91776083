# SPDX-License-Identifier: BSD-2-Clause
"""Control instructions on the sequences `index` of a batch, and the checks of what the compiler promises about them."""

from __future__ import annotations

import numpy as np

from liquid_accel.rtl.formats import LONG_COUNTER, SHORT_COUNTER
from liquid_accel.rtl.isa import HEADER_WORDS, MARK_DONE, Cond, Control, Flag, Instruction, Op, Timing
from liquid_accel.sim.golden import lists, steps
from liquid_accel.sim.golden.arithmetic import Bool, Int, signed16
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import COUNTERS, Frames, State

COUNT_MASK = 255
STATUS_MASK = (1 << 12) - 1  # what the word of MARK_DONE has room for
_LONG, _SHORT = (1 << LONG_COUNTER) - 1, (1 << SHORT_COUNTER) - 1  # largest values of the counters
_LOOP_ENDS = (Control.NOP, Control.SWAP, Control.EMIT)  # control instructions that loop_end may stand on


def check_product(pc: int, i: Instruction, lanes: int) -> None:
    """Raise GoldenError unless the columns fit the kind: 1 for term, one for each lane for in."""
    wanted = {Op.TERM: 1, Op.IN: lanes}.get(i.op)
    if wanted is not None and i.cols != wanted:
        raise GoldenError(f"instruction at pc {pc}: cols is {i.cols}, {wanted} was expected of {i.op.name.lower()}")


def check_inputs_taken(pc: int, state: State, frames: Frames, index: Int) -> None:
    """Raise GoldenError if a frame ends before its inputs are all taken: the next header would be read from them."""
    begun = index[frames.current[index] >= 0]
    left = frames.words.shape[2] - state.taken[begun]
    if left.any():
        raise GoldenError(f"instruction at pc {pc}: the frame before left {int(left.max())} of its inputs")


def jumps(i: Instruction, index: Int, state: State) -> Bool:
    """Whether a jump is taken; AGAIN uses up one of its count."""
    cond = i.cond
    if cond == Cond.AGAIN:
        again: Bool = state.again[index] > 0
        state.again[index] -= again
        return again
    if cond == Cond.LOG_DT:
        return (state.log2_dt[index] & 0xFFFF) == i.imm
    if cond in (Cond.TIME_LEFT, Cond.NO_TIME_LEFT):
        return (state.controller.remaining[index] > 0) == (cond == Cond.TIME_LEFT)
    if cond in (Cond.OK, Cond.NOT_OK):
        return state.controller.judged[index] == (cond == Cond.OK)
    if cond in (Cond.FIRST, Cond.NOT_FIRST):
        return ((state.flags[index] & Flag.FIRST) != 0) == (cond == Cond.FIRST)
    if cond in (Cond.TRACE, Cond.NOT_TRACE):
        return ((state.flags[index] & Flag.TRACE) != 0) == (cond == Cond.TRACE)
    return np.ones(len(index), np.bool_)


def execute(pc: int, i: Instruction, index: Int, state: State, rows: RowUnit) -> Int | int:
    """Everything but the program counter and the trailer. Returns the cost in cycles."""
    if i.loop_end and i.control not in _LOOP_ENDS:
        raise GoldenError(f"instruction at pc {pc}: loop_end on {i.control.name}")
    if i.control == Control.FRAME:
        return _frame(pc, i, index, state, rows)
    if i.control in steps.CONTROLS:
        return i.stall + steps.control(pc, i, index, state, rows)
    if i.control == Control.LOOP:
        _loop(pc, i, index, state)
    elif i.control == Control.SWAP:
        state.parity[index] ^= 1
    elif i.control == Control.EMIT:
        rows.push(pc, index, np.full((len(index), 1), i.imm, np.int64))
    elif i.control in lists.CONTROLS:
        lists.control(i, index, state)
    elif i.control == Control.REPEAT:
        state.again[index] = i.imm & COUNT_MASK
    elif i.control == Control.FLAG:
        state.status[index] |= i.imm & STATUS_MASK
    return i.stall + (Timing.JUMP if i.control == Control.JUMP else 1)


def _frame(pc: int, i: Instruction, index: Int, state: State, rows: RowUnit) -> int:
    frames = rows.frames
    if i.imm != frames.words.shape[2]:
        raise GoldenError(f"instruction at pc {pc}: FRAME of {i.imm} words, that at pc 0 has {frames.words.shape[2]}")
    frames.current[index] += 1
    header = frames.words[index, frames.current[index], :HEADER_WORDS]
    flags, dt_low, dt_high, log2_dt, pool = header.T
    for name in COUNTERS:
        getattr(state, name)[index] = 0
    state.counting[index] = True
    state.flags[index] = flags
    state.log2_dt[index] = signed16(log2_dt)
    state.pool[index] = pool
    state.taken[index] = HEADER_WORDS
    state.controller.remaining[index] = dt_low | dt_high << 16
    state.controller.norm[index] = state.controller.peak[index] = 0
    state.controller.saturated[index] = False
    first = index[(flags & Flag.FIRST) != 0]
    state.controller.fresh[first] = True
    state.controller.history[first] = state.controller.at_limit[first] = False
    state.controller.newest[first] = 0
    state.parity[first] = 0
    return Timing.FRAME


def _loop(pc: int, i: Instruction, index: Int, state: State) -> None:
    if not i.imm & COUNT_MASK:
        raise GoldenError(f"instruction at pc {pc}: LOOP of no rows")
    if state.loop_count[index].any():
        raise GoldenError(f"instruction at pc {pc}: LOOP within a loop")
    state.r[index] = 0
    state.loop_count[index] = i.imm & COUNT_MASK
    state.loop_start[index] = pc + 1
    state.rhs_evals[index] += i.imm >> 15


def trailer(pc: int, index: Int, state: State, rows: RowUnit) -> None:
    """Push what DONE pushes, its own cycles counted, and stop counting."""
    cycles, macs, skipped = (np.minimum(c[index], _LONG) for c in (state.cycles, state.mac_cycles, state.skipped))
    rhs, accepted, rejected, saturations = (
        np.minimum(c[index], _SHORT) for c in (state.rhs_evals, state.accepted, state.rejected, state.saturations)
    )
    words = (
        MARK_DONE | state.status[index],
        cycles,
        cycles >> 16,
        rhs,
        accepted,
        rejected,
        macs,
        macs >> 16,
        saturations,
        skipped,
        skipped >> 16,
    )
    rows.push(pc, index, np.stack(words, axis=1))
    state.counting[index] = False
