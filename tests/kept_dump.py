# SPDX-License-Identifier: BSD-2-Clause
"""A program that makes kept sums M and operands X, which a host does not see, readable in V and S, exactly.

Its frames are told apart by their log2 dt: HIGH writes hi = M / 2**16, rounded and saturated, to V; LOW writes
M - hi 2**16; and each one after that tracks some rows of X to zeros, so that the deltas in S are -X.
"""

from dataclasses import replace
from functools import cache

import numpy as np

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Cond, Control, Finish, Instruction, Keep, Op, Space, Track
from liquid_accel.rtl.transport import Words
from liquid_accel.sim.golden import GoldenMachine
from liquid_accel.sim.golden.memory import assemble

SCALARS = (0, 1 << 14)  # what the host writes to S[0] and S[1]: nothing, and a quarter of 2**16
LISTED = 64  # elements of X that one frame lists
FIRST_LIST = 128  # words of S that they go to
HIGH, LOW, OPERANDS = 1, 2, 3  # log2 dt of the frames; OPERANDS and following are parts of X


@cache
def program(config: LiquidConfig) -> tuple[Instruction, ...]:
    """Spaced by waits that are always long enough."""
    rows, part = config.rows("K"), max(1, LISTED // config.lanes)
    quiet = {"quiet_pre": 1, "quiet_post": 1}
    body: list[Instruction] = [Instruction(control=Control.FRAME, imm=5, target=8)]

    def loop(count: int, *row: Instruction) -> None:
        body.append(Instruction(control=Control.LOOP, imm=count, stall=63))
        body.extend(replace(i, loop_end=int(at == len(row) - 1)) for at, i in enumerate(row))

    def end() -> None:
        body.append(Instruction(stall=63))
        body.append(Instruction(control=Control.DONE, stall=63))
        body.append(Instruction(control=Control.JUMP, target=0, stall=63))

    def unless(log_dt: int) -> int:
        """Skips to where `body` says later, unless the frame is this one."""
        body.append(Instruction(control=Control.JUMP, cond=Cond.LOG_DT, imm=log_dt, target=len(body) + 2))
        body.append(Instruction(control=Control.JUMP))
        return len(body) - 1

    def here(jump: int) -> None:
        if len(body) % 2:
            body.append(Instruction())  # rows of two frames do not share a finish word
        body[jump] = replace(body[jump], target=len(body))

    wait = config.lanes  # rows follow each other `lanes` slots apart
    nothing = Instruction(op=Op.TERM, x=config.vector_rows - 1, w=0, last=1)  # no row before the last writes it
    skip = unless(HIGH)
    high = Finish(keep=Keep.READ, narrow=16, v_en=1, indexed=1, **quiet)
    loop(rows, replace(nothing, stall=wait, finish=high))
    end()
    here(skip)
    skip = unless(LOW)
    low = Finish(keep=Keep.READ, v_en=1, indexed=1, **quiet)
    less = Instruction(op=Op.TERM, w=1, indexed=1)
    loop(rows, less, less, less, replace(less, last=1, stall=wait, finish=low))
    end()
    here(skip)
    for at in range(0, rows, part):
        skip = unless(OPERANDS + at // part)
        body.append(Instruction(control=Control.LIST, imm=FIRST_LIST))
        body.append(Instruction(control=Control.TRACK))
        track = Finish(track=Track.MOVED, t=at, indexed=1, **quiet)
        loop(min(part, rows - at), replace(nothing, stall=wait + 3, finish=track))
        end()
        here(skip)
    end()
    return tuple(body)


def frames(config: LiquidConfig) -> list[tuple[list[int], Space]]:
    """The words of each frame, and the memory to read after it."""
    parts = -(-config.kept_elements // max(config.lanes, LISTED))
    numbers = (HIGH, LOW, *(OPERANDS + at for at in range(parts)))
    return [([0, 0, 0, number, 0], Space.VECTOR if number < OPERANDS else Space.S) for number in numbers]


@cache
def sections(config: LiquidConfig) -> dict[Space, Words]:
    """The program as the host writes it."""
    return assemble(program(config))


def scalars() -> list[int]:
    return [word & 0xFFFF for word in (SCALARS[0], -SCALARS[1])]


def expected(machine: GoldenMachine) -> list[list[int]]:
    """Words of each frame and the memory after it, on a golden machine that waits at FRAME."""
    for space, words in sections(machine.config).items():
        machine.load(space, 0, words)
    machine.load(Space.S, 0, scalars())
    machine.start()
    found = []
    for frame, space in frames(machine.config):
        answer: Words = machine.run([np.array([frame])])[0][0]
        found.append([*answer.tolist(), *machine.dump(space).tolist()])
    return found
