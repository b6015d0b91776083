# SPDX-License-Identifier: BSD-2-Clause
"""Small programs written by hand for the golden machine, and what tests of it share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import (
    MARK_DONE,
    TRAILER_WORDS,
    Control,
    Finish,
    Flag,
    Instruction,
    Op,
    Space,
    drain,
)
from liquid_accel.sim.golden import GoldenMachine

CONFIG = preset("test")
N = CONFIG.lanes
DRAIN = drain(N)
FIRST, TRACE = int(Flag.FIRST), int(Flag.TRACE)
Array = npt.NDArray[np.int64]


def control(kind: Control, **fields: Any) -> Instruction:
    return Instruction(control=kind, **fields)


def frame(inputs: int = 0) -> Instruction:
    return control(Control.FRAME, imm=5 + inputs)


# `term` on row 60, which the tests fill, times S[0] = 1 is a row of known sums.
def row(finish: Finish, x: int = 60, **fields: Any) -> Instruction:
    return Instruction(op=Op.TERM, x=x, last=1, finish=finish, **fields)


def apart(body: Sequence[Instruction], start: int) -> list[Instruction]:
    """A body from `start` on, with products of nothing put in where two instructions would share a finish word."""
    placed: list[Instruction] = []
    for instruction in body:
        pc = start + len(placed)
        if pc % 2 and placed and placed[-1].last and instruction.last and placed[-1].finish != instruction.finish:
            placed.append(Instruction(op=Op.IN, cols=N))
        placed.append(instruction)
    return placed


def done(stall: int = DRAIN) -> list[Instruction]:
    return [control(Control.DONE, stall=stall), control(Control.JUMP, target=0)]


def header(flags: int = FIRST, dt: int = 0, log2_dt: int = 0, pool: int = 0, inputs: Sequence[int] = ()) -> Array:
    return np.array([flags, dt & 0xFFFF, dt >> 16, log2_dt & 0xFFFF, pool, *(v & 0xFFFF for v in inputs)])


def machine(program: Sequence[Instruction], batch: int = 1, **options: Any) -> GoldenMachine:
    m = GoldenMachine(CONFIG, batch, **options)
    m.load_program(program)
    m.load(Space.S, 0, [1])
    return m


def run(m: GoldenMachine, *frames: Array) -> list[npt.NDArray[np.uint16]]:
    return m.run([np.array(frames)])[0]


def vector(m: GoldenMachine, at: int, rows: int = 1, sequence: int = 0) -> list[int]:
    return [int(v) for v in m.dump(Space.VECTOR, at * N, rows * N, sequence).view(np.int16)]


def trailer(words: npt.NDArray[np.uint16]) -> dict[str, int]:
    w = [int(v) for v in words[-TRAILER_WORDS:]]
    assert w[0] & 0xF000 == MARK_DONE
    names = ("status", "cycles", "rhs_evals", "accepted", "rejected", "mac_cycles", "saturations", "skipped")
    long = [w[at] | w[at + 1] << 16 for at in (1, 6, 9)]
    return dict(zip(names, (w[0] & 0xFFF, long[0], w[3], w[4], w[5], long[1], w[8], long[2])))


def finished(f: Finish, sums: Sequence[int], **frame_fields: Any) -> tuple[GoldenMachine, dict[str, int]]:
    """Run one row with the given accumulators through a finish word; returns the machine and the trailer."""
    m = machine([frame(), row(f), *done()])
    m.load(Space.VECTOR, 60 * N, np.array(sums, np.int16))
    return m, trailer(run(m, header(**frame_fields))[0])
