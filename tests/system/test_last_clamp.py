# SPDX-License-Identifier: BSD-2-Clause
"""A clamp of the very last element before DONE, which comes as early as it may, is in the frame's status."""

from dataclasses import replace

import numpy as np
import pytest
from program_generator import again, case
from program_runner import run
from simulators import need

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import MARK_DONE, Control, Finish, Instruction, Op, Space, Status
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.golden import GoldenError

CONFIG = preset("test", kept_elements=0)


@pytest.mark.parametrize("vendor", ["portable", "pipelined"])
@pytest.mark.parametrize("lane", range(CONFIG.lanes))
def test_the_status_has_it(vendor: str, lane: int) -> None:
    need("cxxrtl")
    made = case(CONFIG, 1)
    vector = np.zeros_like(made.sections[Space.VECTOR])
    vector[lane] = 0x7FFF
    scalars = made.sections[Space.S].copy()
    scalars[100] = 0x7FFF
    made = replace(made, sections=made.sections | {Space.VECTOR: vector, Space.S: scalars})
    for stall in range(64):
        program = [
            Instruction(control=Control.FRAME, imm=5, target=8),
            Instruction(op=Op.TERM, x=0, w=100, last=1, finish=Finish(narrow=0)),
            Instruction(control=Control.DONE, stall=stall),
            Instruction(control=Control.NOP, stall=63),
            Instruction(control=Control.JUMP, target=0),
        ]
        try:
            earliest = again(made, program, [[1, 5, 0, 0, 0]])
        except GoldenError:
            continue
        if earliest is not None:
            break
    assert earliest is not None
    assert stall > 20, "the first DONE that may come"
    assert earliest.expected[0][0] == MARK_DONE | Status.SATURATED
    with CxxrtlTransport(CONFIG, device=Accelerator(CONFIG, vendor)) as transport:
        assert run(earliest, transport) == earliest.expected
