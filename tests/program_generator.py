# SPDX-License-Identifier: BSD-2-Clause
"""Random programs with memories, frames and hosts for them, spaced as closely as the hazards of docs/isa.md allow.

Stalls are found by the golden model's checker: whatever it names waits a little longer, until it names nothing.
"""

import random
import re
from collections import Counter
from dataclasses import dataclass, field, replace

import kept_dump
import numpy as np
import numpy.typing as npt
from program_blocks import Generator

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS, NORM_CLAMP
from liquid_accel.rtl.isa import STALL_MAX, Control, Flag, Instruction, Op, Param, Space
from liquid_accel.sim.golden import GoldenError, GoldenMachine
from liquid_accel.sim.golden.hazards import HazardChecker
from liquid_accel.sim.golden.memory import assemble

Words = npt.NDArray[np.uint16]
LOOKED = 3  # of so many seeds, kept sums are looked at after one
SHARED = 10  # neighbouring seeds that have their weights and tables in common, which are long to write
HAZARDS = (
    r"is read in cycle (?P<now>\d+), and .* at the end of cycle (?P<late>\d+)",
    r"in cycle (?P<now>\d+), rows are under way until (?P<late>\d+)",
    r"is (?P<now>\d+) slots after .*, (?P<late>\d+) are needed",
)
# How a host behaves: a frame at a time; frames on their way; words in pieces; answers read late; RUN cleared meanwhile.
TRAFFIC = ("calm", "ahead", "pieces", "full", "stop")


@dataclass(frozen=True)
class Traffic:
    """What a host does, and the seed of its choices."""

    kind: str = "calm"
    seed: int = 0


@dataclass(frozen=True)
class Case:
    """A program, the memories that it starts with, its frames, and what the golden model makes of them.

    `kept` is what tests/kept_dump.py, as `dump`, finds afterwards, and `illegal` a program that the machine has to
    stop.
    """

    config: LiquidConfig
    program: list[Instruction]
    sections: dict[Space, Words]
    frames: list[list[int]]
    expected: list[list[int]]  # words of each frame
    memories: dict[Space, list[int]]  # afterwards
    traffic: Traffic = Traffic()
    kept: list[list[int]] = field(default_factory=list)
    illegal: list[int] = field(default_factory=list)

    @property
    def dump(self) -> dict[Space, Words]:
        return kept_dump.sections(self.config)


# What memories are filled with: spread words, or many that are at the ends of their range, or 0.
CORNERS = (-32768, -32767, -1, 0, 0, 1, 2, 32766, 32767)


def memories(config: LiquidConfig, rng: random.Random, shared: random.Random) -> dict[Space, Words]:
    """Random contents; tables without steep segments, constants such that steps are tried, accepted and rejected.

    `rng` draws for this program alone, `shared` weights and tables.
    """
    own, common = (np.random.default_rng(draw.getrandbits(32)) for draw in (rng, shared))

    def words(random_words: np.random.Generator, count: int, bits: int, corners: float) -> npt.NDArray[np.int64]:
        spread = random_words.integers(-(1 << bits), 1 << bits, count)
        at_ends = random_words.random(count) < corners
        return np.where(at_ends, random_words.choice(CORNERS, count), spread)

    extreme = shared.choice((0, 0, 0.02))
    weights = words(common, config.weight_words * config.weight_part_words, 15, extreme)
    # A walk that stays at the ends, where it meets them, as no table of the compiler does.
    walk = np.cumsum(common.integers(-500, 501, 256 * config.tables) * common.choice((1, 2), 256 * config.tables))
    limit, start = shared.choice((30000, 32768)), shared.choice((0, 0, -40000, 40000))
    tables = np.clip(walk + start, -limit, limit - 1)
    scalars = words(own, config.scalar_elements, 12, 0)
    for name, value in constants(config.lanes, rng).items():
        scalars[name] = value
    corners = rng.choice((0, 0, 0, 0.05, 0.5))
    sections = {
        Space.WEIGHT: weights,
        Space.VECTOR: words(own, config.vector_rows * config.lanes, 13, corners),
        Space.A: words(own, config.add_elements, 14, corners),
        Space.B: words(own, config.base_elements, 14, corners),
        Space.C: words(own, config.gate_elements, 15, corners),
        Space.S: scalars,
        Space.TABLE: tables,
    }
    return {space: values.astype(np.int64).astype(np.uint16) for space, values in sections.items()}


def constants(lanes: int, rng: random.Random) -> dict[Param, int]:
    """Of the step controller: mostly such as a compiler has, sometimes anything."""
    if rng.random() < 0.1:
        return {name: rng.getrandbits(16) for name in Param}

    def weight(low: int, high: int) -> int:
        return 0 if rng.random() < 0.1 else rng.randrange(low, high)

    low = rng.choice((0, rng.randrange(8, 16) << FLOAT_MANTISSA_BITS))
    high = rng.choice((low, 65535, low + (rng.randrange(1, 12) << FLOAT_MANTISSA_BITS)))
    start = rng.choice((low, high, rng.randint(low, high), rng.randrange(32) << FLOAT_MANTISSA_BITS))
    # A norm of nothing, of one and of all lanes at the clamp, and any.
    norms = 1, NORM_CLAMP**2 | 1, lanes * NORM_CLAMP**2 | 1, 1 << rng.randrange(14, 19)
    accept = rng.choice((65535, *(pseudo_log(norm) for norm in norms)))
    return {
        Param.LOG_START: start, Param.JUMP_SIZE: rng.randint(low, high), Param.LOG_MIN: low, Param.LOG_MAX: high,
        Param.SAFETY: -rng.randrange(1024), Param.BETA1: weight(-60, 128), Param.BETA2: weight(-60, 60),
        Param.ALPHA2: weight(-60, 60), Param.CHANGE_MIN: -weight(2048, 8192),
        Param.CHANGE_MAX: weight(2048, 8192), Param.CHANGE_REJECT: -weight(1, 2048),
        Param.LOG_ACCEPT: accept, Param.HALT: rng.choice((0, rng.randrange(20, 48))),
    }  # fmt: skip


def pseudo_log(n: int) -> int:
    """Place of the leading one, and the 11 bits below it."""
    place = n.bit_length() - 1
    return place << FLOAT_MANTISSA_BITS | (n << FLOAT_MANTISSA_BITS >> place) % (1 << FLOAT_MANTISSA_BITS)


def frames(generator: Generator, count: int, log_start: int, first: float) -> list[list[int]]:
    """Frames of no time, of exactly a first step, of any time; a share `first` begins a sequence, some are traced."""
    rng, made = generator.rng, []
    exactly = (2048 + log_start % 2048 << 20) >> 31 - (log_start >> FLOAT_MANTISSA_BITS)
    for at in range(count):
        flags = (Flag.FIRST if at == 0 or rng.random() < first else 0) | (Flag.TRACE if rng.random() < 0.5 else 0)
        ticks = rng.choice((0, 1, exactly, rng.randrange(1 << 18), rng.randrange(1 << 24), rng.getrandbits(32)))
        log_dt = rng.choice((*generator.log_dts, rng.getrandbits(16)))
        words = [int(flags), ticks & 0xFFFF, ticks >> 16, log_dt, rng.getrandbits(16)]
        made.append(words + [rng.getrandbits(16) for _ in range(generator.inputs)])
    return made


def golden(config: LiquidConfig, sections: dict[Space, Words], check_hazards: bool = False) -> GoldenMachine:
    machine = GoldenMachine(config, check_hazards=check_hazards)
    for space, words in sections.items():
        machine.load(space, 0, words)
    return machine


class Spacer(HazardChecker):
    """Lets an instruction that comes too early wait longer, and remembers by how much: stalls by pc."""

    def __init__(self, config: LiquidConfig) -> None:
        super().__init__(config)
        self.stalls: Counter[int] = Counter()
        self._later: dict[tuple[int, int], Instruction] = {}
        self._last = 0  # the instruction before a FRAME, which has no stall of its own

    def issue(self, pc: int, i: Instruction, r: int, parity: int, cost: int, taken: tuple[int, int] = (0, 0)) -> None:
        stands = self.now, self._snapshot, self._tracked
        framed = i.op == Op.CONTROL and i.control == Control.FRAME
        while True:
            more = 0 if framed else self.stalls[pc]
            try:
                later = self._later.get((pc, more))
                if later is None:
                    later = self._later[pc, more] = replace(i, stall=i.stall + more)
                super().issue(pc, later, r, parity, cost + more, taken)
                break
            except GoldenError as error:
                match = next(m for m in (re.search(p, str(error)) for p in HAZARDS) if m)
                wait = max(int(match["late"]) - int(match["now"]), 1)
                self.now, self._snapshot, self._tracked = stands
                self.stalls[self._last if framed else pc] += wait
                if framed:
                    self.now += wait
                    stands = self.now, *stands[1:]
        self._last = pc


def spaced(
    config: LiquidConfig, program: list[Instruction], sections: dict[Space, Words], words: list[list[int]]
) -> list[Instruction]:
    """The program with the stalls that it needs.

    One run finds them all: a stall that grows moves what is behind it away from what is before it, and nothing closer
    together.
    """
    machine, spacer = golden(config, sections | assemble(program)), Spacer(config)
    machine.hazards, machine.observed = spacer, True
    machine.run([np.array(words)])
    if any(i.stall + spacer.stalls[pc] > STALL_MAX for pc, i in enumerate(program)):
        raise GoldenError("a stall has not as many cycles as are needed")
    return [replace(i, stall=i.stall + spacer.stalls[pc]) for pc, i in enumerate(program)]


def looser(program: list[Instruction], rng: random.Random) -> list[Instruction]:
    """Some instructions wait a cycle longer than they have to, or more."""
    share = rng.choice((0, 0, 0.1, 0.5))
    waits = [rng.choice((1, 1, rng.randrange(8))) if rng.random() < share else 0 for _ in program]
    return [replace(i, stall=min(i.stall + more, STALL_MAX)) for i, more in zip(program, waits)]


def illegal(config: LiquidConfig, rng: random.Random) -> list[int]:
    """Issue words of a frame that comes to an instruction that does not exist."""
    codes = [op for op in range(8) if op not in [*Op]] + [code << 5 + 5 for code in range(32) if code not in [*Control]]
    if not config.column_skip:
        codes += [int(Op.SPARSE), *(kind << 10 for kind in (Control.TAKE, Control.LIST, Control.TRACK))]
    frame = Instruction(control=Control.FRAME, imm=5).encode()[0]
    return [word >> 16 * part & 0xFFFF for word in (frame, rng.choice(codes)) for part in range(4)]


def case(config: LiquidConfig, seed: int, blocks: int = 8, count: int = 3, traffic: str = "calm") -> Case:
    """A random program that keeps what docs/isa.md asks of a compiler; the same for the same arguments."""
    rng, shared = random.Random(seed), random.Random(seed // SHARED)
    state = shared.getstate()
    while True:
        generator = Generator(config, rng)
        program = generator.program(blocks)
        most_inputs = min(20 + 2 * config.lanes, config.fifo_words // 2)
        if len(program) > config.program_words or generator.inputs > most_inputs:
            continue
        shared.setstate(state)
        sections = memories(config, rng, shared)
        # RUN begins with parity 0, as the first frame of a sequence does: where a host stops, each frame is one.
        first = 1 if traffic == "stop" else 0.1
        words = frames(generator, count, int(sections[Space.S][Param.LOG_START]), first)
        try:
            program = looser(spaced(config, program, sections, words), rng)
        except GoldenError:  # a sum that leaves its bits, inputs that a branch left
            continue
        made = finished(config, program, sections, words, look=seed % LOOKED == 0)
        if max(map(len, made.expected)) > config.fifo_words // 2:
            continue
        wrong = illegal(config, rng) if rng.random() < 0.05 else []
        return replace(made, traffic=Traffic(traffic, rng.getrandbits(32)), illegal=wrong)


def finished(
    config: LiquidConfig, program: list[Instruction], sections: dict[Space, Words], words: list[list[int]],
    check_hazards: bool = False, look: bool = False,
) -> Case:  # fmt: skip
    """The program with what the golden model makes of it; raises GoldenError where it refuses that.

    With `look` kept sums and operands are looked at afterwards.
    """
    sections = sections | assemble(program)
    machine = golden(config, sections, check_hazards)
    expected = [frame.tolist() for frame in machine.run([np.array(words)])[0]]
    after = {space: machine.dump(space).tolist() for space in (Space.VECTOR, Space.A, Space.B, Space.C, Space.S)}
    kept = kept_dump.expected(machine) if look and config.column_skip else []
    return Case(config, program, sections, words, expected, after, kept=kept)


def again(other: Case, program: list[Instruction], words: list[list[int]]) -> Case | None:
    """The same memories with another program or other frames; None where the golden model refuses that."""
    try:
        made = finished(other.config, program, other.sections, words, check_hazards=True, look=bool(other.kept))
    except GoldenError:
        return None
    return replace(made, traffic=other.traffic, illegal=other.illegal)
