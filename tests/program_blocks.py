# SPDX-License-Identifier: BSD-2-Clause
"""Random programs of every instruction, block by block, without stalls: tests/program_generator.py finds those.

A program starts with what a sequence must reset, then works in blocks drawn at random, and ends by pushing what cannot
be read otherwise: kept sums.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import (
    E_A,
    E_B,
    E_C,
    E_S,
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    AddSource,
    Cond,
    Control,
    Factor,
    Finish,
    Instruction,
    Keep,
    Mode,
    Norm,
    Op,
    Track,
)

ROWS, MANY_ROWS = 3, 255  # iterations of a loop at the most: of most loops, and of all
LISTED = 64  # entries of a list at the most
# Words of S: lists from below FIRST_LIST on in the lower and the upper half, scalars between the halves, Param above.
FIRST_LIST, SCALARS, SCALARS_END = 32, 96, 128


class Generator:
    """Blocks of instructions drawn from `rng`; an instruction refers to another by its place in `body`.

    `log_dts` are values of the header's log2 dt that jumps ask for, `most_pushed` the words that blocks push in a frame
    at the most, without repetitions.
    """

    def __init__(self, config: LiquidConfig, rng: random.Random) -> None:
        self.config, self.rng, self.lanes = config, rng, config.lanes
        self.body: list[Instruction] = []
        self.inputs = self.pushed = 0
        self.long = False  # whether there is a long loop
        self.conditional = False  # in what may be skipped, no input is taken: each has to be
        self.most_pushed = config.fifo_words // 8
        self.log_dts = [rng.getrandbits(16) for _ in range(2)]

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
            values |= {"narrow": rng.getrandbits(6), "c_shift": rng.getrandbits(6)}
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
        op = rng.choice((Op.DOT, Op.TERM, Op.TERM, *(() if self.conditional else (Op.IN,))))
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
        # A long loop that is run again and again would take the time of a hundred programs.
        most = ROWS
        if self.rng.random() < 0.05 and not self.conditional and not self.long:
            most, self.long = MANY_ROWS, True
        rows = self.rng.choice((self.rng.randint(1, most), most))
        self.control(Control.LOOP, imm=rows | self.rng.getrandbits(1) << 15)
        if self.rng.random() < 0.3:
            self.put(replace(make(True), last=0, finish=Finish()))
        if self.rng.random() < 0.2:
            self.put(make(True))
            kinds = (Control.NOP, Control.SWAP, *((Control.EMIT,) if rows <= ROWS else ()))
            self.pushed += rows
            self.control(self.rng.choice(kinds), loop_end=1, imm=self.rng.getrandbits(12))
        else:
            self.put(replace(make(True), loop_end=1))

    def plain(self) -> None:
        self.rows(self.product)

    def output(self) -> None:
        """A row that is pushed."""
        if self.pushed < self.most_pushed // 2:
            self.pushed += self.lanes
            self.control(Control.EMIT, imm=self.rng.getrandbits(12))
            self.put(self.product(False, out=1))

    def tracked(self) -> None:
        """Tracked rows, then sparse products with what moved. The list begins anew before and after."""
        rng, lanes = self.rng, self.lanes
        which, threshold = rng.randrange(4), rng.choice((0, 1, rng.randrange(1 << 12), 32767))
        if rng.random() < 0.3:
            self.control(Control.LIST, list=which, imm=rng.randrange(FIRST_LIST) | rng.getrandbits(8) << 8)
        offset = rng.randrange(256)
        self.control(Control.TRACK, list=which, target=offset, imm=threshold | rng.getrandbits(1) << 15)
        self.control(Control.TAKE, list=which, imm=rng.getrandbits(16))
        entries = longest = 0
        while entries < LISTED and rng.random() < 0.85:
            rows = rng.choice((1, 1, 2, ROWS)) if entries + ROWS * lanes <= LISTED else 1
            if rows > 1:
                self.control(Control.LOOP, imm=rows)
            row = self.product(rows > 1, track=Track.MOVED)
            f = replace(row.finish, e_mask=row.finish.e_mask & ~E_S)
            self.put(replace(row, loop_end=int(rows > 1), finish=f))
            entries, longest = entries + rows * lanes, max(longest, rows)
        if rng.random() < 0.5:
            self.plain()
        # Each of the three waits for the list; what is tracked from here on has a list of its own.
        other = (which + 1) % 4
        if rng.random() < 0.3:
            self.control(Control.LIST, list=other, imm=rng.randrange(FIRST_LIST))
        elif rng.random() < 0.3:
            self.control(Control.TRACK, list=other, target=offset, imm=threshold)
        self.control(Control.TAKE, list=which, imm=rng.getrandbits(16))
        if rng.random() < 0.1:  # entries that a row writes over
            words = rng.randrange(FIRST_LIST + LISTED) | rng.getrandbits(1) << 7
            over = self.finish(e=words // lanes, e_mask=E_S, e_par=0, indexed=0, track=Track.NONE)
            self.put(Instruction(op=Op.TERM, x=rng.randrange(256), w=SCALARS, last=1, finish=over))
        # Columns that the list may hold, which wrap as its numbers do.
        columns = offset * lanes % 256 + longest * lanes
        least = max(min(columns, 256), entries, 1)
        self.rows(lambda loop: self.sparse(rng.randint(least, 256)))
        if rng.random() < 0.5:
            self.put(self.sparse(rng.randint(least, 256)))

    def sparse(self, cols: int) -> Instruction:
        rng = self.rng
        return Instruction(
            op=Op.SPARSE, last=1, w=rng.randrange(self.config.weight_words), w_load=int(rng.random() < 0.7),
            cols=cols, x=rng.randrange(256),
            finish=self.finish(row_scaled=rng.getrandbits(1), keep=rng.choice((Keep.ADD, Keep.ADD, Keep.NONE))),
        )  # fmt: skip

    def small(self) -> None:
        """Controls without rows."""
        rng = self.rng
        kind = rng.choice((Control.SWAP, Control.NOP, Control.FLAG, Control.JUDGE, Control.EMIT, Control.LAG))
        if kind in (Control.EMIT, Control.LAG):
            if self.pushed > self.most_pushed - 10:
                return
            self.pushed += 5
        self.control(kind, imm=rng.getrandbits(16))

    def branch(self) -> None:
        """A block that is jumped over or not."""
        cond = self.rng.choice([c for c in Cond if c != Cond.AGAIN])
        if cond in (Cond.OK, Cond.NOT_OK) and self.rng.random() < 0.5:
            self.control(Control.JUDGE)
        at = len(self.body)
        self.control(Control.JUMP, cond=cond, imm=self.rng.choice(self.log_dts))
        self.skippable(self.block)
        self.body[at] = replace(self.body[at], target=len(self.body))

    def skippable(self, make: Callable[[], None]) -> None:
        before, self.conditional = self.conditional, True
        make()
        self.conditional = before

    def repeat(self) -> None:
        """A block that is run several times."""
        self.control(Control.REPEAT, imm=self.rng.randrange(3) | self.rng.getrandbits(8) << 8)
        at, long = len(self.body), self.long
        self.long = True
        self.plain()
        self.long = long
        self.control(Control.JUMP, cond=Cond.AGAIN, target=at)

    def steps(self) -> None:
        """A few adaptive steps; the time may not suffice for them, nor they for it."""
        self.control(Control.REPEAT, imm=self.rng.randrange(1, 5))
        out = len(self.body)
        self.control(Control.JUMP, cond=Cond.NO_TIME_LEFT)
        at = len(self.body)
        self.control(Control.PLAN, imm=self.rng.getrandbits(16))
        self.skippable(self.block)
        norm = self.rng.choice((Norm.OUT, Norm.OUT, Norm.CHANGE, Norm.CHANGE_16))
        self.skippable(lambda: self.rows(lambda loop: self.product(loop, norm=norm)))
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
        self.control(Control.NOP)
        self.control(Control.JUMP, target=0)
        self.body[0] = replace(self.body[0], imm=5 + self.inputs, target=min(config.fifo_words // 8, 255))
        return self.body
