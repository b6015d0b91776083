# SPDX-License-Identifier: BSD-2-Clause
"""Programs that count until counters hold at their largest value, which no short program comes to."""

from collections.abc import Iterator

import numpy as np
from machines import MACHINES
from program_generator import Case, Words, finished

from liquid_accel.rtl.isa import Cond, Control, Factor, Finish, Flag, Instruction, Op, Param, Space, drain

SOAKED = MACHINES["4"]
CONFIG = SOAKED.config
N = CONFIG.lanes
LARGE_ROW, ZERO_ROW, LARGE_SCALAR, ZERO_SCALAR = 0, 1, 0, 1
SHORT, LONG = 1 << 16, 1 << 24


def _control(kind: Control, **fields: int) -> Instruction:
    return Instruction(control=kind, **fields)


def _sections(**constants: int) -> dict[Space, Words]:
    """V with a row at the end of its range and zeros behind it, the largest weights, constants of the controller."""
    vector = np.zeros(CONFIG.vector_rows * N, np.uint16)
    vector[LARGE_ROW * N : (LARGE_ROW + 1) * N] = 0x7FFF
    scalars = np.zeros(CONFIG.scalar_elements, np.uint16)
    scalars[LARGE_SCALAR] = 0x7FFF
    for name, value in constants.items():
        scalars[Param[name]] = value
    weights = np.full(CONFIG.weight_words * CONFIG.weight_part_words, 0x7F7F, np.uint16)
    return {Space.VECTOR: vector, Space.S: scalars, Space.WEIGHT: weights}


def _end() -> list[Instruction]:
    return [_control(Control.DONE, stall=drain(N) + 3), _control(Control.JUMP, target=0)]


def products() -> Case:
    """257 loops of 255 rows of 256 columns that saturate, and as many of empty sparse products: cycles, mac_cycles,
    skipped and saturations."""
    clamped = Finish(narrow=0, indexed=0)
    loops = [
        _control(Control.LOOP, imm=255),
        Instruction(op=Op.DOT, cols=256, w_load=1, last=1, loop_end=1, finish=clamped),
        _control(Control.LOOP, imm=255),
        Instruction(op=Op.SPARSE, cols=256, w_load=1, last=1, loop_end=1, finish=clamped),
    ]
    program = [_control(Control.FRAME, imm=5, target=8), _control(Control.LIST), _control(Control.TAKE)]
    program += [*loops, *loops, _control(Control.REPEAT, imm=255)]
    at = len(program)
    program += [*loops, _control(Control.JUMP, cond=Cond.AGAIN, target=at), *_end()]
    return finished(CONFIG, program, _sections(), [[int(Flag.FIRST), 0, 0, 0, 0]])


def steps() -> Case:
    """A frame of steps of a tick that are all accepted, each with a right-hand side, and one in which 256 in a row are
    rejected, as they saturate, before one is accepted: rhs_evals, accepted and rejected."""
    wait = drain(N) + 3
    program = [_control(Control.FRAME, imm=5, target=8), _control(Control.JUMP, cond=Cond.LOG_DT, imm=1)]

    def step(row: int, scalar: int) -> list[Instruction]:
        product = Instruction(op=Op.TERM, x=row, w=scalar, last=1, finish=Finish(indexed=0, c_sel=Factor.ONE))
        return [_control(Control.PLAN), product, _control(Control.DECIDE, stall=wait)]

    at = len(program)
    loop = [_control(Control.LOOP, imm=1 << 15 | 1), Instruction(loop_end=1)]
    program += [*loop, *step(ZERO_ROW, ZERO_SCALAR), _control(Control.JUMP, cond=Cond.TIME_LEFT, target=at), *_end()]
    program += [Instruction()] * (len(program) % 2)
    program[1] = _control(Control.JUMP, cond=Cond.LOG_DT, imm=1, target=len(program))
    outer = len(program)
    program.append(_control(Control.REPEAT, imm=255))
    inner = len(program)
    program += [*step(LARGE_ROW, LARGE_SCALAR), _control(Control.JUMP, cond=Cond.AGAIN, target=inner)]
    program += [Instruction()] * (len(program) % 2)
    program += [*step(ZERO_ROW, ZERO_SCALAR), _control(Control.JUMP, cond=Cond.TIME_LEFT, target=outer), *_end()]
    ticks = SHORT + 1000, 260
    frames = [[int(Flag.FIRST), n & 0xFFFF, n >> 16, log_dt, 0] for n, log_dt in zip(ticks, (0, 1))]
    return finished(CONFIG, program, _sections(LOG_ACCEPT=0xFFFF), frames)


LONG_PROGRAMS = {"products": products, "steps": steps}


def largest(case: Case) -> Iterator[str]:
    """Names of the counters that hold at their largest value in some frame."""
    for words in case.expected:
        _, *counts = words
        long = {"cycles": 0, "mac_cycles": 5, "skipped": 8}
        short = {"rhs_evals": 2, "accepted": 3, "rejected": 4, "saturations": 7}
        yield from (name for name, at in long.items() if counts[at] | counts[at + 1] << 16 == LONG - 1)
        yield from (name for name, at in short.items() if counts[at] == SHORT - 1)
