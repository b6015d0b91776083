# SPDX-License-Identifier: BSD-2-Clause
"""The golden model behind its registers: what a driver sees."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import (
    ISA_VERSION,
    MARK_DONE,
    TRAILER_WORDS,
    Cond,
    Control,
    Finish,
    Flag,
    Instruction,
    Op,
    Space,
)
from liquid_accel.rtl.registers import PRODUCT_ID, REGISTERS, Access, address, mask
from liquid_accel.rtl.transport import Transport, TransportError
from liquid_accel.sim.golden import GoldenError, GoldenTransport
from liquid_accel.sim.golden.memory import assemble, windows

CONFIG = preset("test")
N = CONFIG.lanes
FIRST = int(Flag.FIRST)
RUN, ABORT = mask("CONTROL", "RUN"), mask("CONTROL", "ABORT")
IDLE, ILLEGAL, OUT_UNDERFLOW = (mask("STATUS", name) for name in ("IDLE", "ILLEGAL", "OUT_UNDERFLOW"))
BAD_ADDRESS = mask("STATUS", "BAD_ADDRESS")
OUT_READY, STARVED, ERROR = (mask("IRQ_ENABLE", name) for name in ("OUT_READY", "STARVED", "ERROR"))


def ctl(kind: Control, imm: int = 0, stall: int = 0) -> Instruction:
    return Instruction(control=kind, imm=imm, stall=stall)


# Sums the inputs of a sequence's frames in B row 0, which `in` row of the first frame overwrites, and puts them out.
SUM_UP = [
    ctl(Control.FRAME, 5 + N),
    Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, v=1, v_en=1)),
    replace(ctl(Control.JUMP), cond=Cond.FIRST, target=4),
    Instruction(op=Op.TERM, x=2, w=0),
    Instruction(op=Op.TERM, x=1, w=0, last=1, finish=Finish(v=2, v_en=1, out=1)),
    ctl(Control.DONE, stall=40),
    ctl(Control.JUMP),
]
FRAME_OUT = N + TRAILER_WORDS


class Host:
    """A driver in miniature."""

    def __init__(self, program: Sequence[Instruction] = SUM_UP, sequential: bool = False) -> None:
        self.wire: Transport = GoldenTransport(CONFIG, sequential)
        for space, words in assemble(program).items():
            self.store(space, 0, words)
        self.store(Space.S, 0, [1])

    def get(self, name: str) -> int:
        return int(self.wire.read(address(name), 1)[0])

    def put(self, name: str, *words: int) -> None:
        self.wire.write(address(name), words)

    def seek(self, space: int, at: int) -> None:
        self.put("MEM_SPACE", space | at >> 16 << 8)
        self.put("MEM_ADDRESS", at & 0xFFFF)

    def store(self, space: int, at: int, words: npt.NDArray[np.uint16] | Sequence[int]) -> None:
        self.seek(space, at)
        self.wire.write(address("MEM_DATA"), words)

    def fetch(self, space: int, at: int, count: int) -> list[int]:
        self.seek(space, at)
        return [int(w) for w in self.wire.read(address("MEM_DATA"), count)]

    def send(self, flags: int, *inputs: int) -> None:
        self.put("IN_DATA", flags, 0, 0, 0, 0, *inputs)

    def results(self) -> list[list[int]]:
        """The sums of all frames that are ready."""
        words = self.wire.read(address("OUT_DATA"), self.get("OUT_LEVEL")).tolist()
        frames = [words[k : k + FRAME_OUT] for k in range(0, len(words), FRAME_OUT)]
        assert all(f[N] >> 12 == MARK_DONE >> 12 for f in frames)
        return [f[:N] for f in frames]


def test_it_is_a_transport() -> None:
    assert isinstance(GoldenTransport(CONFIG), Transport)


def test_it_says_what_it_is() -> None:
    host = Host()
    assert host.get("ID") == PRODUCT_ID
    assert host.get("VERSION") == ISA_VERSION
    assert host.get("CONFIG_HASH_LOW") | host.get("CONFIG_HASH_HIGH") << 16 == CONFIG.config_hash
    assert host.get("IN_ROOM") == 65535


def test_frames_of_a_sequence_share_a_state_and_results_keep_the_frames_order() -> None:
    host = Host()
    host.put("CONTROL", RUN)
    host.send(FIRST, 1, 2, 3, 4)
    host.send(0, 10, 20, 30, 40)
    host.send(FIRST, 5, 5, 5, 5)
    host.send(FIRST, 7, 8, 9, 10)
    host.send(0, 1, 1, 1, 1)
    assert host.get("OUT_LEVEL") == 5 * FRAME_OUT
    assert host.results() == [[1, 2, 3, 4], [11, 22, 33, 44], [5] * 4, [7, 8, 9, 10], [8, 9, 10, 11]]
    # The last sequence goes on.
    host.send(0, 100, 100, 100, 100)
    assert host.results() == [[108, 109, 110, 111]]
    assert host.fetch(Space.VECTOR, 2 * N, N) == [108, 109, 110, 111]


def test_sequential_gives_the_same() -> None:
    rng = np.random.default_rng(0)
    hosts = [Host(), Host(sequential=True)]
    for _ in range(40):
        flags, inputs = int(rng.random() < 0.3), rng.integers(0, 100, N)
        for host in hosts:
            host.put("CONTROL", RUN)
            host.send(flags, *(int(v) for v in inputs))
    assert hosts[0].results() == hosts[1].results()
    assert hosts[0].fetch(Space.VECTOR, 0, 64 * N) == hosts[1].fetch(Space.VECTOR, 0, 64 * N)


def test_a_frame_in_pieces_is_computed_once_it_is_whole() -> None:
    host = Host()
    host.put("CONTROL", RUN)
    host.put("IN_DATA", FIRST, 0, 0, 0)
    assert host.get("OUT_LEVEL") == 0
    host.put("IN_DATA", 0, 1, 2, 3)
    assert host.get("STATUS") == IDLE
    host.put("IN_DATA", 4)
    assert host.results() == [[1, 2, 3, 4]]


def test_nothing_runs_before_run_and_what_was_whole_runs_before_it_is_cleared() -> None:
    host = Host()
    host.send(FIRST, 1, 2, 3, 4)
    assert host.get("OUT_LEVEL") == 0
    host.put("CONTROL", RUN)
    assert host.get("CONTROL") == RUN
    assert host.get("OUT_LEVEL") == FRAME_OUT
    host.send(0, 1, 1, 1, 1)
    host.put("CONTROL", 0)
    host.send(0, 1, 1, 1, 1)
    assert host.results() == [[1, 2, 3, 4], [2, 3, 4, 5]]
    assert host.get("CONTROL") == 0
    host.put("CONTROL", RUN)
    assert host.results() == [[3, 4, 5, 6]]


def test_abort_empties_everything_but_the_memories() -> None:
    host = Host()
    host.put("CONTROL", RUN)
    host.send(FIRST, 1, 2, 3, 4)
    assert host.get("OUT_LEVEL") == FRAME_OUT
    host.put("IN_DATA", 1, 2)
    host.put("CONTROL", ABORT)
    assert (host.get("CONTROL"), host.get("OUT_LEVEL")) == (0, 0)
    host.put("CONTROL", RUN)
    host.send(0, 1, 1, 1, 1)
    assert host.results() == [[2, 3, 4, 5]]


def test_an_empty_output_reads_0_and_is_an_error_until_abort() -> None:
    host = Host()
    assert host.get("OUT_DATA") == 0
    assert host.get("STATUS") == IDLE | OUT_UNDERFLOW
    host.put("CONTROL", ABORT)
    assert host.get("STATUS") == IDLE


@pytest.mark.parametrize("sequential", [False, True])
def test_an_illegal_instruction_stops_the_program_where_it_is(sequential: bool) -> None:
    program = [*SUM_UP]
    program[3:3] = [replace(ctl(Control.JUMP), cond=Cond.NOT_FIRST, target=8)]  # to what is none
    program[2] = replace(SUM_UP[2], target=5)
    host = Host(program, sequential)
    host.store(Space.ISSUE, 8 * 4, [7, 0, 0])
    host.put("CONTROL", RUN)
    for flags in (FIRST, FIRST, 0, FIRST):
        host.send(flags, 1, 2, 3, 4)
    host.put("IRQ_ENABLE", ERROR)
    assert host.wire.wait(1.0)
    assert host.get("STATUS") == IDLE | ILLEGAL
    # The words of the frames before it are there, and nothing follows.
    assert host.results() == [[1, 2, 3, 4]] * 2
    host.put("CONTROL", ABORT)
    assert host.get("STATUS") == IDLE


def test_a_program_that_begins_with_no_instruction_is_illegal_at_once() -> None:
    host = Host()
    host.store(Space.ISSUE, 0, [7])
    assert host.get("STATUS") == IDLE
    host.put("CONTROL", RUN)
    assert host.get("STATUS") == IDLE | ILLEGAL


def test_a_broken_promise_of_the_compiler_is_not_hidden() -> None:
    host = Host([ctl(Control.FRAME, 5), ctl(Control.PLAN), ctl(Control.DONE), ctl(Control.JUMP)])
    host.put("CONTROL", RUN)
    host.send(FIRST)
    with pytest.raises(GoldenError, match="pc 1: PLAN"):
        host.get("STATUS")


# ---- The interrupt


def test_the_interrupt_is_the_enabled_conditions() -> None:
    host = Host()
    host.put("CONTROL", RUN)
    assert not host.wire.wait(0.0)
    host.put("IRQ_ENABLE", OUT_READY)
    host.put("OUT_MARK", FRAME_OUT + 1)
    host.send(FIRST, 1, 2, 3, 4)
    assert not host.wire.wait(0.0)
    host.send(0, 1, 2, 3, 4)
    assert host.wire.wait(0.0)
    assert host.get("OUT_MARK") == FRAME_OUT + 1
    assert len(host.results()) == 2
    assert not host.wire.wait(0.0)
    host.put("OUT_MARK", 0)  # as 1
    assert not host.wire.wait(0.0)
    host.put("IRQ_ENABLE", OUT_READY | STARVED)
    assert host.wire.wait(0.0)


# ---- Memories

MEMORIES = windows(CONFIG)


@pytest.mark.parametrize("space", list(Space))
def test_a_memory_holds_what_was_written_and_ends(space: Space) -> None:
    host, window = Host(), MEMORIES[space]
    words = np.random.default_rng(int(space)).integers(0, 65536, window.words).astype(np.uint16)
    host.store(space, 0, words)
    expected = np.where(np.arange(window.words) % window.row_words < window.used_words, words, 0).tolist()
    assert host.fetch(space, 0, window.words) == expected
    assert host.get("STATUS") == IDLE, "padding is no bad address"
    assert host.fetch(space, window.words - 1, 3) == [expected[-1], 0, 0]
    assert host.get("STATUS") == IDLE | BAD_ADDRESS
    assert host.get("MEM_ADDRESS") | host.get("MEM_SPACE") >> 8 << 16 == window.words + 2, "the address goes on"
    host.put("CONTROL", ABORT)
    assert host.get("STATUS") == IDLE
    host.store(space, window.words * 3 + 1, [4711])
    assert host.get("STATUS") == IDLE | BAD_ADDRESS
    assert host.fetch(space, 0, window.words) == expected, "nothing was written"


def test_the_layouts_of_the_memories() -> None:
    rows = {s: (w.rows, w.row_words, w.used_words) for s, w in windows(preset("up5k-skip")).items()}
    assert rows == {
        Space.ISSUE: (256, 4, 3),
        Space.FINISH: (256, 4, 3),
        Space.WEIGHT: (16384, 4, 4),
        Space.VECTOR: (256, 8, 8),
        Space.A: (64, 8, 8),
        Space.B: (32, 8, 8),
        Space.C: (32, 8, 8),
        Space.S: (32, 8, 8),
        Space.TABLE: (4, 256, 256),
    }


def test_the_address_counts_up_and_carries_into_high() -> None:
    host = Host()
    host.put("MEM_SPACE", Space.VECTOR | 0xF00)
    host.put("MEM_ADDRESS", 0xFFFE)
    assert host.get("MEM_SPACE") == Space.VECTOR | 0xF00
    host.put("MEM_DATA", 1, 2, 3)
    assert host.get("MEM_ADDRESS") == 1
    assert host.get("MEM_SPACE") == Space.VECTOR
    assert host.fetch(Space.VECTOR, 0, 2) == [3, 0], "the last address is followed by 0"
    host.put("MEM_SPACE", 0xFFFF)
    assert host.get("MEM_SPACE") == 0xF0F


@pytest.mark.parametrize("space", sorted(set(range(16)) - set(Space)))
def test_a_space_that_is_none_reads_0_and_is_told(space: int) -> None:
    host = Host()
    for access in (lambda: host.store(space, 0, [1, 2]), lambda: host.fetch(space, 0, 2)):
        host.put("CONTROL", ABORT)
        assert host.get("STATUS") == IDLE
        assert access() in (None, [0, 0])
        assert host.get("MEM_ADDRESS") == 2
        assert host.get("STATUS") == IDLE | BAD_ADDRESS


# ---- Misuse


def test_read_only_registers_ignore_writes_and_write_only_ones_read_0() -> None:
    host = Host()
    for register in REGISTERS:
        if register.access == Access.READ and register.name != "OUT_DATA":
            before = host.get(register.name)
            host.put(register.name, before ^ 0xFFFF)
            assert host.get(register.name) == before
        if register.access == Access.WRITE:
            assert host.get(register.name) == 0
    assert host.get("STATUS") == IDLE


def test_a_register_that_is_none_reads_0_is_told_and_interrupts() -> None:
    host = Host()
    host.put("IRQ_ENABLE", ERROR)
    for where in sorted(set(range(256)) - {register.address for register in REGISTERS}):
        for write in (False, True):
            assert not host.wire.wait(0.0)
            if write:
                host.wire.write(where, [1])
            else:
                assert host.wire.read(where, 2).tolist() == [0, 0]
            assert host.get("STATUS") == IDLE | BAD_ADDRESS
            assert host.wire.wait(0.0)
            host.put("CONTROL", ABORT)


def test_the_golden_model_has_no_clock() -> None:
    host = Host()
    assert (host.get("CLOCK_KHZ_LOW"), host.get("CLOCK_KHZ_HIGH")) == (0, 0)


def test_bad_bursts_and_closed_transports_are_refused() -> None:
    wire = GoldenTransport(CONFIG)
    with pytest.raises(TransportError, match="register address"):
        wire.read(256, 1)
    with pytest.raises(TransportError, match="65535"):
        wire.write(address("IN_DATA"), [70000])
    assert wire.read(address("OUT_DATA"), 0).size == 0
    with wire:
        pass
    wire.close()
    for call in (lambda: wire.read(0, 1), lambda: wire.write(0, [1]), lambda: wire.wait(0.0)):
        with pytest.raises(TransportError, match="closed"):
            call()
