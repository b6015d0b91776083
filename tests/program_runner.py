# SPDX-License-Identifier: BSD-2-Clause
"""Runs a random program (tests/program_generator.py) on a device behind a transport."""

from typing import Any

from program_generator import Case

from liquid_accel.rtl.registers import address, mask
from liquid_accel.rtl.transport import TransportError

RUN, ABORT = (mask("CONTROL", name) for name in ("RUN", "ABORT"))


def run(case: Case, transport: Any) -> list[list[int]]:
    """Load everything, and run frame after frame; the words of each."""

    def write(name: str, *words: int) -> None:
        transport.write(address(name), list(words))

    def read(name: str, count: int = 1) -> list[int]:
        return [int(word) for word in transport.read(address(name), count)]

    write("CONTROL", ABORT)
    for space, words in case.sections.items():
        write("MEM_SPACE", space)
        write("MEM_ADDRESS", 0)
        write("MEM_DATA", *words.tolist())
    write("IRQ_ENABLE", mask("IRQ_ENABLE", "STARVED") | mask("IRQ_ENABLE", "ERROR"))
    write("CONTROL", RUN)
    found = []
    for words in case.frames:
        write("IN_DATA", *words)
        assert transport.wait(10.0), "the frame does not end"
        found.append(read("OUT_DATA", read("OUT_LEVEL")[0]))
    assert read("STATUS") == [mask("STATUS", "IDLE")]
    for space, words in case.memories.items():
        write("MEM_SPACE", space)
        write("MEM_ADDRESS", 0)
        assert read("MEM_DATA", len(words)) == words, space.name
    return found


def differs(case: Case, transport: Any) -> str | None:
    """What is first found to be other than the golden model has it; None where all is equal."""
    try:
        found = run(case, transport)
    except (AssertionError, TransportError) as error:
        return str(error).splitlines()[0] or "a wait without end"
    for frame, (words, wanted) in enumerate(zip(found, case.expected)):
        if len(words) != len(wanted):
            return f"frame {frame} has {len(words)} words, and not {len(wanted)}"
        for at, (word, expected) in enumerate(zip(words, wanted)):
            if word != expected:
                return f"frame {frame}, word {at}: 0x{word:04x}, and not 0x{expected:04x}"
    return None
