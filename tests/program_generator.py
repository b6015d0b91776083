# SPDX-License-Identifier: BSD-2-Clause
"""Random programs of every instruction, spaced as closely as the hazards of docs/isa.md allow, and memories for them.

A program starts with what a sequence must reset, then works in blocks drawn at random, and ends by pushing what cannot
be read otherwise: kept sums. Stalls are found by the golden model's checker: whatever it names waits a little longer,
until it names nothing.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import (
    E_A,
    E_B,
    E_C,
    E_S,
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    STALL_MAX,
    AddSource,
    Cond,
    Control,
    Factor,
    Finish,
    Flag,
    Instruction,
    Keep,
    Mode,
    Norm,
    Op,
    Param,
    Space,
    Track,
)
from liquid_accel.sim.golden import GoldenError, GoldenMachine
from liquid_accel.sim.golden.hazards import HazardChecker
from liquid_accel.sim.golden.memory import assemble

Words = npt.NDArray[np.uint16]
ROWS, MANY_ROWS = 3, 255  # iterations of a loop at the most: of most loops, and of all
LISTED = 64  # entries of a list at the most
PUSHED = 128  # words that blocks push in a frame at the most, without repetitions
# Words of S: lists from below FIRST_LIST on in the lower and the upper half, scalars between the halves, Param above.
FIRST_LIST, SCALARS, SCALARS_END = 32, 96, 128
HAZARDS = (
    r"is read in cycle (?P<now>\d+), and .* at the end of cycle (?P<late>\d+)",
    r"in cycle (?P<now>\d+), rows are under way until (?P<late>\d+)",
    r"is (?P<now>\d+) slots after .*, (?P<late>\d+) are needed",
)


@dataclass(frozen=True)
class Case:
    """A program, the memories that it starts with, its frames, and what the golden model makes of them."""

    config: LiquidConfig
    program: list[Instruction]
    sections: dict[Space, Words]
    frames: list[list[int]]
    expected: list[list[int]]  # words of each frame
    memories: dict[Space, list[int]]  # afterwards


class Generator:
    """Blocks of instructions drawn from `rng`; an instruction refers to another by its place in `body`."""

    def __init__(self, config: LiquidConfig, rng: random.Random) -> None:
        self.config, self.rng, self.lanes = config, rng, config.lanes
        self.body: list[Instruction] = []
        self.inputs = self.pushed = 0

    def put(self, instruction: Instruction) -> None:
        """Append; a NOP keeps two different finish words from sharing one place."""
        before = self.body[-1] if len(self.body) % 2 else None
        if before and before.last and instruction.last and before.finish != instruction.finish:
            self.body.append(Instruction())
        self.body.append(instruction)

    def control(self, kind: Control, **fields: Any) -> None:
        self.put(Instruction(control=kind, **fields))

    # ---- Rows

    def finish(self, **fixed: Any) -> Finish:
        """A finish word that stays off the lists and the controller's constants."""
        rng, config = self.rng, self.config
        values = {name: rng.getrandbits(bits) for name, bits in (*FINISH_FIELDS_LOW, *FINISH_FIELDS_HIGH)}
        kinds = (("mode", Mode), ("a_sel", AddSource), ("c_sel", Factor), ("keep", Keep), ("norm", Norm))
        values |= {name: rng.choice(tuple(kind)) for name, kind in kinds}
        values |= {
            "table": rng.randrange(config.tables), "source": 0, "out": 0, "track": rng.choice((Track.NONE, Track.SET)),
            "narrow": rng.randrange(4, 28), "c_shift": rng.randrange(8, 30), "row_scaled": 0,
            "v_en": rng.random() < 0.6, "e_mask": rng.choice((0, 0, E_A, E_B, E_C, E_A | E_C)),
        }  # fmt: skip
        if rng.random() < 0.5:
            values |= {"mode": Mode.IDENTITY, "exp2": 0}
        if rng.random() < 0.1:
            row = SCALARS // self.lanes
            values |= {"e_mask": E_S | rng.choice((0, E_B)), "e": row, "e_par": 0}
            values["indexed"] = 0
        if fixed.get("norm", values["norm"]) in (Norm.CHANGE, Norm.CHANGE_16):
            values["peak"] = 0
        if not config.column_skip:
            values |= {"keep": Keep.NONE, "track": Track.NONE}
        return Finish(**(values | fixed))

    def product(self, loop: bool, **fixed: Any) -> Instruction:
        """A product instruction with `last`; in a loop it may be indexed."""
        rng, lanes, config = self.rng, self.lanes, self.config
        op = rng.choice((Op.DOT, Op.TERM, Op.TERM, Op.IN))
        common: dict[str, Any] = {"op": op, "last": 1, "x": rng.randrange(256), "x_par": rng.getrandbits(1)}
        common["indexed"] = rng.getrandbits(1) if loop else 0
        if op == Op.DOT:
            scaled = rng.random() < 0.6
            cols = rng.randrange(1 if scaled else lanes + 3, 3 * lanes)
            common |= {"w": rng.randrange(config.weight_words), "w_load": rng.random() < 0.7, "cols": cols}
            return Instruction(**common, finish=self.finish(row_scaled=int(scaled), **fixed))
        if op == Op.IN:
            self.inputs += lanes
            return Instruction(**(common | {"cols": lanes}), finish=self.finish(source=1, **fixed))
        return Instruction(**common, w=rng.randrange(SCALARS, SCALARS_END), finish=self.finish(**fixed))

    def rows(self, make: Callable[[bool], Instruction]) -> None:
        """One row, or a loop of them."""
        if self.rng.random() < 0.5:
            self.put(make(False))
            return
        most = MANY_ROWS if self.rng.random() < 0.05 else ROWS
        self.control(Control.LOOP, imm=self.rng.randint(1, most) | self.rng.getrandbits(1) << 15)
        if self.rng.random() < 0.3:
            self.put(replace(make(True), last=0, finish=Finish()))
        self.put(replace(make(True), loop_end=1))

    def plain(self) -> None:
        self.rows(self.product)

    def output(self) -> None:
        """A row that is pushed."""
        if self.pushed < PUSHED // 2:
            self.pushed += self.lanes
            self.control(Control.EMIT, imm=self.rng.getrandbits(12))
            self.put(self.product(False, out=1))

    def tracked(self) -> None:
        """Tracked rows, then sparse products with what moved. The list begins anew before and after."""
        rng, lanes = self.rng, self.lanes
        which, threshold = rng.randrange(4), rng.choice((0, 1, rng.randrange(1 << 12), 32767))
        if rng.random() < 0.3:
            self.control(Control.LIST, list=which, imm=rng.randrange(FIRST_LIST) | rng.getrandbits(8) << 8)
        self.control(Control.TRACK, list=which, target=rng.randrange(256), imm=threshold | rng.getrandbits(1) << 15)
        self.control(Control.TAKE, list=which, imm=rng.getrandbits(16))
        entries = 0
        while entries < LISTED and rng.random() < 0.9:
            row = replace(self.product(False, track=Track.MOVED), indexed=0)
            free = {"e_mask": row.finish.e_mask & ~E_S}
            self.put(replace(row, finish=replace(row.finish, **free)))
            entries += lanes
        if rng.random() < 0.5:
            self.plain()
        self.control(Control.TAKE, list=which, imm=rng.getrandbits(16))
        self.rows(self.sparse)
        if rng.random() < 0.5:
            self.put(self.sparse(False))

    def sparse(self, loop: bool) -> Instruction:
        rng = self.rng
        return Instruction(
            op=Op.SPARSE, last=1, w=rng.randrange(self.config.weight_words), w_load=int(rng.random() < 0.7),
            cols=rng.randint(LISTED, 256), x=rng.randrange(256),
            finish=self.finish(row_scaled=rng.getrandbits(1), keep=rng.choice((Keep.ADD, Keep.ADD, Keep.NONE))),
        )  # fmt: skip

    def small(self) -> None:
        """Controls without rows."""
        rng = self.rng
        kind = rng.choice((Control.SWAP, Control.NOP, Control.FLAG, Control.JUDGE, Control.EMIT, Control.LAG))
        if kind in (Control.EMIT, Control.LAG):
            if self.pushed > PUSHED - 10:
                return
            self.pushed += 5
        self.control(kind, imm=rng.getrandbits(16))

    def branch(self) -> None:
        """A block that is jumped over or not."""
        at = len(self.body)
        cond = self.rng.choice([c for c in Cond if c != Cond.AGAIN])
        self.control(Control.JUMP, cond=cond)
        self.block()
        self.body[at] = replace(self.body[at], target=len(self.body))

    def repeat(self) -> None:
        """A block that is run several times."""
        self.control(Control.REPEAT, imm=self.rng.randrange(3))
        at = len(self.body)
        self.plain()
        self.control(Control.JUMP, cond=Cond.AGAIN, target=at)

    def steps(self) -> None:
        """A few adaptive steps; the time may not suffice for them, nor they for it."""
        self.control(Control.REPEAT, imm=self.rng.randrange(1, 5))
        out = len(self.body)
        self.control(Control.JUMP, cond=Cond.NO_TIME_LEFT)
        at = len(self.body)
        self.control(Control.PLAN, imm=self.rng.getrandbits(16))
        self.block()
        self.put(self.product(False, norm=self.rng.choice((Norm.OUT, Norm.OUT, Norm.CHANGE, Norm.CHANGE_16))))
        self.control(Control.DECIDE)
        again = len(self.body)
        self.control(Control.JUMP, cond=Cond.NO_TIME_LEFT)
        self.control(Control.JUMP, cond=Cond.AGAIN, target=at)
        for jump in (out, again):
            self.body[jump] = replace(self.body[jump], target=len(self.body))

    def block(self) -> None:
        kinds = [self.plain, self.plain, self.output, self.small]
        if self.config.column_skip:
            kinds += [self.tracked, self.tracked]
        self.rng.choice(kinds)()

    # ---- The whole

    def program(self, blocks: int) -> list[Instruction]:
        rng, lanes, config = self.rng, self.lanes, self.config
        self.control(Control.FRAME)
        self.control(Control.JUMP, cond=Cond.NOT_FIRST)
        if config.column_skip:
            kept = config.rows("K")
            reset = Finish(keep=Keep.SET, track=Track.SET, quiet_pre=1, quiet_post=1, narrow=20)
            self.control(Control.LOOP, imm=kept)
            self.put(Instruction(op=Op.TERM, x=1, w=SCALARS, last=1, indexed=1, loop_end=1, finish=reset))
            for which in range(4):
                self.control(Control.LIST, list=which, imm=rng.randrange(FIRST_LIST))
            self.control(Control.TRACK, list=0)
        self.body[1] = replace(self.body[1], target=len(self.body))
        for _ in range(blocks):
            rng.choice((self.block, self.block, self.block, self.branch, self.repeat, self.steps))()
        if config.column_skip:
            first = rng.randrange(config.rows("K") - 1)
            for narrow in (0, 16):
                look = Finish(keep=Keep.READ, m=first, out=1, quiet_pre=1, quiet_post=1, narrow=narrow)
                self.put(Instruction(op=Op.TERM, x=0, w=SCALARS, last=1, finish=look))
        self.control(Control.DONE)
        self.control(Control.ROOM, target=lanes // 4)
        self.put(Instruction(op=Op.TERM, x=3, w=SCALARS, last=1, finish=Finish(out=1, narrow=9)))
        self.control(Control.NOP, stall=STALL_MAX)
        self.control(Control.JUMP, target=0)
        self.body[0] = replace(self.body[0], imm=5 + self.inputs, target=PUSHED)
        return self.body


def memories(config: LiquidConfig, rng: random.Random) -> dict[Space, Words]:
    """Random contents; tables without steep segments, constants such that steps are tried, accepted and rejected."""
    random_words = np.random.default_rng(rng.getrandbits(32))

    def words(count: int, bits: int) -> npt.NDArray[np.int64]:
        return random_words.integers(-(1 << bits), 1 << bits, count)

    table = np.clip(np.cumsum(random_words.integers(-500, 501, 256 * config.tables)), -30000, 30000)
    scalars = words(config.scalar_elements, 12)
    low = rng.randrange(8, 16) << 11
    high = low + (rng.randrange(1, 12) << 11)
    constants = {
        Param.LOG_START: rng.randrange(low, high), Param.JUMP_SIZE: rng.randrange(low, high), Param.LOG_MIN: low,
        Param.LOG_MAX: high, Param.SAFETY: -rng.randrange(1024), Param.BETA1: rng.randrange(20, 128),
        Param.BETA2: rng.randrange(-60, 60), Param.ALPHA2: rng.randrange(-60, 60),
        Param.CHANGE_MIN: -rng.randrange(2048, 8192), Param.CHANGE_MAX: rng.randrange(2048, 8192),
        Param.CHANGE_REJECT: -rng.randrange(1, 2048), Param.LOG_ACCEPT: rng.randrange(14, 19) << 11,
        Param.HALT: rng.choice((0, rng.randrange(20, 48))),
    }  # fmt: skip
    for name, value in constants.items():
        scalars[name] = value
    sections = {
        Space.WEIGHT: words(config.weight_words * config.weight_part_words, 15),
        Space.VECTOR: words(config.vector_rows * config.lanes, 13),
        Space.A: words(config.add_elements, 14),
        Space.B: words(config.base_elements, 14),
        Space.C: words(config.gate_elements, 15),
        Space.S: scalars,
        Space.TABLE: table,
    }
    return {space: values.astype(np.int64).astype(np.uint16) for space, values in sections.items()}


def frames(generator: Generator, count: int) -> list[list[int]]:
    rng, made = generator.rng, []
    for at in range(count):
        flags = (Flag.FIRST if at == 0 else 0) | (Flag.TRACE if rng.random() < 0.5 else 0)
        ticks = rng.choice((0, rng.randrange(1 << 18), rng.randrange(1 << 24)))
        words = [int(flags), ticks & 0xFFFF, ticks >> 16, rng.getrandbits(16), rng.getrandbits(16)]
        made.append(words + [rng.getrandbits(16) for _ in range(generator.inputs)])
    return made


def golden(config: LiquidConfig, program: Sequence[Instruction], sections: dict[Space, Words]) -> GoldenMachine:
    machine = GoldenMachine(config, check_hazards=True)
    machine.load_program(program)
    for space, words in sections.items():
        machine.load(space, 0, words)
    return machine


class Spacer(HazardChecker):
    """Lets an instruction that comes too early wait longer, and remembers by how much: stalls by pc."""

    def __init__(self, config: LiquidConfig) -> None:
        super().__init__(config)
        self.stalls: Counter[int] = Counter()

    def issue(self, pc: int, i: Instruction, r: int, parity: int, cost: int, taken: tuple[int, int] = (0, 0)) -> None:
        stands = self.now, self._snapshot, self._tracked
        while True:
            later = replace(i, stall=i.stall + self.stalls[pc])
            try:
                return super().issue(pc, later, r, parity, cost + self.stalls[pc], taken)
            except GoldenError as error:
                match = next(m for m in (re.search(p, str(error)) for p in HAZARDS) if m)
                self.stalls[pc] += max(int(match["late"]) - int(match["now"]), 1)
                self.now, self._snapshot, self._tracked = stands


def roughly_spaced(
    config: LiquidConfig, program: list[Instruction], sections: dict[Space, Words], words: list[list[int]]
) -> list[Instruction]:
    """The program with most of the stalls that it needs, found in one run."""
    machine, spacer = golden(config, program, sections), Spacer(config)
    machine.hazards = spacer
    machine.run([np.array(words)])
    assert all(i.stall + spacer.stalls[pc] <= STALL_MAX for pc, i in enumerate(program))
    return [replace(i, stall=i.stall + spacer.stalls[pc]) for pc, i in enumerate(program)]


def spaced(
    config: LiquidConfig, program: list[Instruction], sections: dict[Space, Words], words: list[list[int]]
) -> tuple[list[Instruction], GoldenMachine, list[list[int]]]:
    """The program with small stalls, the machine that ran it, and the words of each frame."""
    program = roughly_spaced(config, program, sections, words)
    while True:
        machine = golden(config, program, sections)
        try:
            found = machine.run([np.array(words)])[0]
            return program, machine, [frame.tolist() for frame in found]
        except GoldenError as error:
            place = re.match(r"hazard at pc (\d+):", str(error))
            if place is None:
                raise
            match = next(m for m in (re.search(p, str(error)) for p in HAZARDS) if m)
            pc, more = int(place[1]), max(int(match["late"]) - int(match["now"]), 1)
            longer = replace(program[pc], stall=program[pc].stall + more)
            assert longer.stall <= STALL_MAX
            program = [*program[:pc], longer, *program[pc + 1 :]]


def case(config: LiquidConfig, seed: int, blocks: int = 8, count: int = 3) -> Case:
    """A random program that keeps what docs/isa.md asks of a compiler; the same for the same arguments."""
    rng = random.Random(seed)
    while True:
        generator = Generator(config, rng)
        program = generator.program(blocks)
        if len(program) > config.program_words or generator.inputs > 20 + 2 * config.lanes or generator.pushed > PUSHED:
            continue
        sections, words = memories(config, rng), frames(generator, count)
        try:
            program, machine, expected = spaced(config, program, sections, words)
        except GoldenError:  # a sum that leaves its bits, inputs that a branch left
            continue
        return _finished(config, program, sections, words, machine, expected)


def _finished(
    config: LiquidConfig, program: list[Instruction], sections: dict[Space, Words], words: list[list[int]],
    machine: GoldenMachine, expected: list[list[int]],
) -> Case:  # fmt: skip
    after = {space: machine.dump(space).tolist() for space in (Space.VECTOR, Space.A, Space.B, Space.C, Space.S)}
    return Case(config, program, sections | assemble(program), words, expected, after)


def again(other: Case, program: list[Instruction], words: list[list[int]]) -> Case | None:
    """The same memories with another program or other frames; None where the golden model refuses that."""
    sections = {space: data for space, data in other.sections.items() if space not in (Space.ISSUE, Space.FINISH)}
    machine = golden(other.config, program, sections)
    try:
        found = machine.run([np.array(words)])[0]
    except GoldenError:
        return None
    return _finished(other.config, program, sections, words, machine, [frame.tolist() for frame in found])
