# SPDX-License-Identifier: BSD-2-Clause
"""A program that differs, made small, and kept in a file."""

import json
from collections.abc import Callable
from pathlib import Path

from program_generator import Case, again

from liquid_accel.rtl.isa import Control, Instruction, Op


def shrink(failing: Case, still: Callable[[Case], bool]) -> Case:
    """Fewer frames, and NOPs for instructions, as long as `still` says that it differs.

    An instruction keeps its place, so that jumps and finish words keep theirs. What the golden model refuses is no
    smaller case.
    """
    best = failing
    for frames in range(1, len(best.frames)):
        smaller = again(best, best.program, best.frames[:frames])
        if smaller is not None and still(smaller):
            best = smaller
            break
    size = len(best.program)
    while size >= 1:
        at = 0
        while at < len(best.program):
            stretch = best.program[at : at + size]
            program = [*best.program[:at], *(Instruction(stall=i.stall) for i in stretch), *best.program[at + size :]]
            # Loops, jumps, the frame's beginning and its end stay.
            free = all(i.op != Op.CONTROL or i.control in (Control.NOP, Control.SWAP, Control.EMIT) for i in stretch)
            if free and not any(i.loop_end for i in stretch) and program != best.program:
                smaller = again(best, program, best.frames)
                if smaller is not None and still(smaller):
                    best = smaller
            at += size
        size //= 2
    return best


def write(path: Path, machine: str, case: Case) -> None:
    """A file of plain numbers: the machine's name, memories as the host writes them, frames, what has to come."""
    record = {
        "machine": machine,
        "program": [str(i) for i in case.program],
        "sections": {space.name: words.tolist() for space, words in case.sections.items()},
        "frames": case.frames,
        "expected": case.expected,
        "memories": {space.name: words for space, words in case.memories.items()},
    }
    path.write_text(json.dumps(record) + "\n")
