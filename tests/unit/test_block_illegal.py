# SPDX-License-Identifier: BSD-2-Clause
"""Instructions that do not exist, on the simulated and on the golden device."""

from itertools import takewhile
from typing import Any

import pytest

from liquid_accel.rtl import registers
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import CONTROL_FIELDS, MARK_DONE, TRAILER_WORDS, Cond, Control, Flag, Instruction, Op, Space
from liquid_accel.sim.golden import GoldenTransport
from liquid_accel.sim.pysim import PysimTransport


@pytest.mark.parametrize("kept", [64, 0])
def test_an_instruction_that_does_not_exist_stops_the_program_until_abort(kept: int) -> None:
    config = preset("test", kept_elements=kept)
    frame = Instruction(control=Control.FRAME, imm=5, target=3)
    done, again = Instruction(control=Control.DONE), Instruction(control=Control.JUMP, cond=Cond.ALWAYS, target=0)
    low = sum(width for _, width in takewhile(lambda field: field[0] != "control", CONTROL_FIELDS))
    wrong = [op for op in range(8) if op not in set(Op)]
    wrong += [code << low for code in range(32) if code not in set(Control)]
    if not kept:
        wrong += [int(Op.SPARSE), *(kind << low for kind in (Control.TAKE, Control.LIST, Control.TRACK))]
    run, abort = (registers.mask("CONTROL", name) for name in ("RUN", "ABORT"))
    idle, illegal = (registers.mask("STATUS", name) for name in ("IDLE", "ILLEGAL"))
    words_in = [int(Flag.FIRST), 0, 0, 0x8000, 0]

    with PysimTransport(config) as device, GoldenTransport(config, sequential=True) as golden:
        for second in (*wrong, None):
            program = [frame.encode()[0], done.encode()[0] if second is None else second, again.encode()[0]]
            issue = [word >> 16 * part & 0xFFFF for word in program for part in range(4)]
            outcomes = []
            for transport in (device, golden):

                def write(name: str, *values: int, to: Any = transport) -> None:
                    to.write(registers.address(name), list(values))

                def read(name: str, count: int = 1, of: Any = transport) -> list[int]:
                    return [int(word) for word in of.read(registers.address(name), count)]

                write("MEM_SPACE", Space.ISSUE)
                write("MEM_ADDRESS", 0)
                write("MEM_DATA", *issue)
                write("OUT_MARK", TRAILER_WORDS)
                write("IRQ_ENABLE", registers.mask("IRQ_ENABLE", "ERROR") | registers.mask("IRQ_ENABLE", "OUT_READY"))
                write("CONTROL", run)
                write("IN_DATA", *words_in)
                assert transport.wait(10.0)
                level = read("OUT_LEVEL")[0]
                found = [read("STATUS")[0] & illegal, level, *read("OUT_DATA", level)]
                write("CONTROL", abort)
                assert read("STATUS") == [idle]
                outcomes.append(found)
            assert outcomes[0] == outcomes[1]
            if second is None:
                assert outcomes[0][:3] == [0, TRAILER_WORDS, MARK_DONE]
            else:
                assert outcomes[0] == [illegal, 0], hex(second)
