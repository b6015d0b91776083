# SPDX-License-Identifier: BSD-2-Clause
"""RUN cleared between two frames of a sequence, and set again: the program begins at parity 0, all else stays."""

from typing import Any

import pytest
from simulators import need

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import E_A, Control, Finish, Flag, Instruction, Op, Space
from liquid_accel.rtl.registers import address, mask
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.golden import GoldenTransport
from liquid_accel.sim.golden.memory import assemble

CONFIG = preset("test", fifo_words=1024)
# Pushes row 0 or, at parity 1, row depth / 2 of V, and adds 1 to row 0 of A; an odd number of SWAPs a frame.
PROGRAM = [
    Instruction(control=Control.FRAME, imm=5, target=16),
    Instruction(op=Op.TERM, x=0, x_par=1, w=0, last=1, finish=Finish(out=1)),
    Instruction(stall=10),
    Instruction(op=Op.TERM, x=1, w=0, last=1, finish=Finish(a_sel=1, e_mask=E_A)),  # type: ignore[arg-type]
    Instruction(control=Control.SWAP),
    Instruction(control=Control.DONE, stall=40),
    Instruction(control=Control.JUMP, target=0),
]
RUN = mask("CONTROL", "RUN")


def frames(transport: Any, stopped: bool) -> list[list[int]]:
    """The words of a frame that begins a sequence and of three more, with RUN cleared after each or not."""

    def write(name: str, *words: int) -> None:
        transport.write(address(name), list(words))

    def read(name: str, count: int = 1) -> list[int]:
        return [int(word) for word in transport.read(address(name), count)]

    vector = [row for row in range(CONFIG.vector_rows) for _ in range(CONFIG.lanes)]
    sections: dict[Space, Any] = {**assemble(PROGRAM), Space.VECTOR: vector, Space.S: [1], Space.A: [5] * CONFIG.lanes}
    for space, words in sections.items():
        write("MEM_SPACE", space)
        write("MEM_ADDRESS", 0)
        write("MEM_DATA", *words)
    write("IRQ_ENABLE", mask("IRQ_ENABLE", "STARVED"))
    found = []
    for flags in (Flag.FIRST, 0, 0, 0):
        write("CONTROL", RUN)
        write("IN_DATA", flags, 0, 0, 0, 0)
        assert transport.wait(1.0)
        found.append(read("OUT_DATA", read("OUT_LEVEL")[0]))
        if stopped:
            write("CONTROL", 0)
            assert read("STATUS") == [mask("STATUS", "IDLE")]
    write("MEM_SPACE", Space.A)
    write("MEM_ADDRESS", 0)
    return [*found, read("MEM_DATA", CONFIG.lanes)]


@pytest.mark.parametrize("stopped", [False, True])
def test_the_program_begins_at_parity_0_and_memories_stay(stopped: bool) -> None:
    need("cxxrtl")
    with CxxrtlTransport(CONFIG) as transport, GoldenTransport(CONFIG, sequential=True) as golden:
        found = frames(transport, stopped)
        assert found == frames(golden, stopped)
    half = CONFIG.vector_rows // 2
    assert [words[0] for words in found[:4]] == ([0, 0, 0, 0] if stopped else [0, half, 0, half])
    assert found[4] == [9] * CONFIG.lanes
