# SPDX-License-Identifier: BSD-2-Clause
"""A program as C statements: what an untraced frame can reach of it, loops as loops, jumps as gotos.

A row of sums is finished before the next begins, as the machine's results are, whatever it overlaps in time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from liquid_accel.errors import UserError
from liquid_accel.export import element as elements
from liquid_accel.export.element import Kind
from liquid_accel.export.memories import Access, Memory, memories
from liquid_accel.image import Image
from liquid_accel.rtl.isa import Cond, Control, Instruction, Keep, Op, Param, Track

_ROWS = 0xFF  # of LOOP's imm
_WEIGHTED = (Op.DOT, Op.SPARSE)
_LISTS = (Control.TAKE, Control.LIST, Control.TRACK)
_STEPS = (Control.PLAN, Control.DECIDE, Control.JUDGE, Control.LAG)
# A frame is never traced here; what only a traced one reaches is left out.
_DECIDED = {Cond.ALWAYS: True, Cond.TRACE: False, Cond.NOT_TRACE: True}
_CONDITIONS = {
    Cond.FIRST: "m->frame == 1",
    Cond.NOT_FIRST: "m->frame != 1",
    Cond.TIME_LEFT: "m->time_left",
    Cond.NO_TIME_LEFT: "!m->time_left",
    Cond.OK: "m->judged",
    Cond.NOT_OK: "!m->judged",
    Cond.AGAIN: "m->again && m->again--",
}
Body = Sequence[tuple[int, Instruction]]


@dataclass(frozen=True)
class Block:
    """A control instruction, or products: `count` rows of `body`, `looped` where LOOP says so."""

    pc: int
    control: Instruction | None
    body: Body = ()
    count: int = 1
    looped: bool = False


class Program:
    """A frame of an image in C.

    statements  lines of the function's body
    memories    rows that it uses, by letter
    uses        "lists", "steps", "pool", "log2_dt", and the names of local variables: what has to be there
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.code = image.program()
        self.memories: dict[str, Memory] = dict(memories(image))
        self.uses: set[str] = set()
        self.blocks = list(self._blocks())
        for block in self.blocks:
            self._scan(block)
        if "lists" in self.uses:  # deltas may lie anywhere in S
            self.memories["s"].write(0, 0, self.memories["s"].rows)
        elif "steps" in self.uses:
            first, last = min(Param) // image.config.lanes, max(Param) // image.config.lanes
            self.memories["s"].write(0, first, last - first + 1)
        for block in self.blocks:
            self._scan_scalars(block)
        for memory in self.memories.values():
            memory.place()
        self._targets = {
            block.control.target
            for block in self.blocks
            if block.control is not None and block.control.control == Control.JUMP and self._taken(block.control)
        }
        self.statements = [line for block in self.blocks for line in self._write(block)]

    # ---- What is there

    @staticmethod
    def _taken(i: Instruction) -> bool:
        """Whether a jump may be taken."""
        return _DECIDED.get(i.cond, True)

    def _blocks(self) -> Iterator[Block]:
        """Every block that a frame can reach, in the order of addresses."""
        found: dict[int, Block] = {}
        waiting = [1]
        while waiting:
            pc = waiting.pop()
            if pc in found or pc == 0:
                continue
            block, following = self._block(pc)
            found[pc] = block
            i = block.control
            if i is not None and i.control == Control.JUMP:
                if self._taken(i):
                    waiting.append(i.target)
                if _DECIDED.get(i.cond, False):
                    continue
            waiting.append(following)
        for pc, block in found.items():
            for inner, _ in block.body[not block.looped :]:
                if inner in found:
                    raise UserError(f"instruction {inner} of the image is jumped to, within the row that {pc} begins; "
                                    "expected rows to be entered at their start, C has no others")  # fmt: skip
        yield from (found[pc] for pc in sorted(found))

    def _block(self, pc: int) -> tuple[Block, int]:
        i = self.code[pc]
        if i.op == Op.CONTROL and i.control != Control.LOOP:
            return Block(pc, i), pc + 1
        looped = i.op == Op.CONTROL
        body: list[tuple[int, Instruction]] = []
        at = pc + looped
        while True:
            body.append((at, self.code[at]))
            at += 1
            inner = body[-1][1]
            if inner.loop_end if looped else inner.last:
                break
            if not looped and (at >= len(self.code) or self.code[at].op == Op.CONTROL):
                break
        products = [part for _, part in body if part.op != Op.CONTROL]
        if products and not products[-1].last:
            raise UserError(f"instruction {at - 1} of the image leaves its sums for later; expected rows to be "
                            "finished where they begin, C has no others")  # fmt: skip
        if not looped:
            return Block(pc, None, body), at
        return Block(pc, i, body, i.imm & _ROWS, True), at

    def _chains(self, block: Block) -> Iterator[list[tuple[int, Instruction]]]:
        """Control instructions alone, products up to the one that finishes a row."""
        chain: list[tuple[int, Instruction]] = []
        for pc, i in block.body:
            if i.op == Op.CONTROL:
                if chain and i.control != Control.NOP:
                    raise UserError(f"instruction {pc} of the image stands within a row of sums; expected products "
                                    "alone there, C has no others")  # fmt: skip
                yield [(pc, i)]
                continue
            chain.append((pc, i))
            if i.last:
                yield chain
                chain = []

    def _scan(self, block: Block) -> None:
        """Note which rows a block touches, and what it needs."""
        if block.control is not None and not block.looped:
            self._scan_control(block.control)
            return
        for pc, i in block.body:
            if i.op == Op.CONTROL:
                continue
            if i.op == Op.DOT:
                self.memories["v"].read(pc, i.x, -(-i.cols // self.image.config.lanes), bool(i.x_par))
            elif i.op == Op.SPARSE:
                self.uses |= {"lists"}
            if i.op in _WEIGHTED:
                self.uses.add("w")
            if i.last:
                self._scan_finish(pc, i, block.count)

    def _scan_finish(self, pc: int, i: Instruction, count: int) -> None:
        f = i.finish
        if f.row_scaled and not f.source and i.op not in _WEIGHTED:
            raise UserError(f"instruction {pc} of the image takes the row shifts of an earlier product; expected its "
                            "own, C has no others")  # fmt: skip
        rows = count if f.indexed else 1
        for name, row, paired in elements.read(f):
            self.memories[name].read(pc, row, rows, paired)
        for name, row, paired in elements.written(f):
            self.memories[name].write(pc, row, rows, paired)
        if f.source:
            self.uses.add("taken")
        if f.out:
            self.uses.add("pushed")
        if f.keep != Keep.NONE or f.track != Track.NONE:
            self.uses.add("lists")
        if elements.controls_steps(f):
            self.uses.add("steps")

    def _scan_control(self, i: Instruction) -> None:
        if i.control in _LISTS:
            self.uses.add("lists")
        if i.control in _STEPS:
            self.uses.add("steps")

    def _scan_scalars(self, block: Block) -> None:
        """What terms read: words of S that the program may change, others being constants in the code, and rows of V
        unless they are multiplied with 0."""
        scalars = self.memories["s"]
        for pc, i in block.body:
            if i.op != Op.TERM:
                continue
            row, lane = self._scalar(i)
            if scalars.is_written(row):
                scalars.read(pc, row, 1)
            elif not scalars.words[row, lane]:
                continue
            self.memories["v"].read(pc, i.x, block.count if i.indexed else 1, bool(i.x_par))

    def _scalar(self, i: Instruction) -> tuple[int, int]:
        """Row and lane in S of a term's scalar."""
        row, lane = divmod(i.w & 255, self.image.config.lanes)
        return row, lane

    # ---- C

    def place(self, access: Access, name: str, indexed: bool) -> str:
        """C of the first word of a row; `r` is the loop's."""
        memory = self.memories[name]
        array = f"m->{name}" if memory.in_ram(access.row % memory.rows) else name.upper()
        at = [memory.offset(access, parity) for parity in range(1 + access.paired)]
        offset = f"(m->parity ? {at[1]} : {at[0]})" if access.paired else str(at[0])
        return " + ".join([array, *([offset] if offset != "0" else []), *(["r * LANES"] if indexed else [])])

    def offset(self, name: str, word: int) -> int:
        """Where a word of a memory lies in RAM."""
        row, lane = divmod(word, self.image.config.lanes)
        return self.memories[name].offset(Access(0, row, 1, False), 0) + lane

    def _write(self, block: Block) -> Iterator[str]:
        if block.pc in self._targets:
            yield f"L{block.pc}:"
        first = block.pc + block.looped
        comment = tidy(self.image.comments[block.pc] or self.image.comments[first])
        lines = list(self._control(block.control)) if block.control and not block.looped else list(self._rows(block))
        if comment and lines:
            yield f"    /* {block.pc}: {comment} */"
        if block.pc in self._targets and not lines:
            lines = [";"]
        yield from ("    " + line for line in lines)

    def _control(self, i: Instruction) -> Iterator[str]:
        imm = i.imm
        if i.control == Control.JUMP:
            if not self._taken(i):
                return
            goto = f"goto L{i.target};" if i.target else "return;"
            condition = f"(uint16_t)m->log2_dt == {imm}" if i.cond == Cond.LOG_DT else _CONDITIONS.get(i.cond)
            yield goto if i.cond in _DECIDED else f"if ({condition}) {goto}"
            return
        if i.control == Control.LIST:
            yield f"m->list_start[{i.list}] = m->list_end[{i.list}] = {imm & 255};"
            return
        if i.control == Control.TRACK:
            yield f"m->tracked = {i.list}, m->track_offset = {i.target}, m->threshold = {imm & 0x7FFF};"
            return
        text = {
            Control.SWAP: "m->parity ^= 1u;",
            Control.PLAN: f"plan(m, {imm & 1});",
            Control.DECIDE: "decide(m);",
            Control.JUDGE: "judge(m);",
            Control.DONE: "done(m);",
            Control.TAKE: f"take(m, {i.list}, {128 if imm & 1 else 0});",
            Control.REPEAT: f"m->again = {imm & 255};",
            Control.FLAG: f"m->report.status |= {imm & 4095};",
            Control.LAG: "m->report.lag_ticks = m->time_left, m->report.lag_norm = m->norm;",
        }.get(i.control, "")
        if text:
            yield text

    def _rows(self, block: Block) -> Iterator[str]:
        lanes = self.image.config.lanes
        if block.looped and block.control is not None and block.control.imm >> 15:
            yield "m->rhs_evals++;"
        weighted = [pc for pc, i in block.body if i.op in _WEIGHTED]
        loads = {pc: i.w * lanes for pc, i in block.body if i.op in _WEIGHTED and i.w_load}
        if weighted and weighted[0] in loads:
            yield f"w = WEIGHTS + {loads.pop(weighted[0])};"
        chains = list(self._chains(block))
        inner = [line for chain in chains for line in self._chain(block, chain, loads, len(chains) > 1)]
        if not block.looped:
            yield from ["{", *("    " + line for line in inner), "}"]
        else:
            yield f"for (unsigned r = 0; r < {block.count}; r++) {{"
            yield from ("    " + line for line in inner)
            yield "}"

    def _chain(self, block: Block, chain: Body, loads: dict[int, int], braces: bool) -> Iterator[str]:
        """One row: its products, and what becomes of each sum."""
        last = chain[-1][1]
        if last.op == Op.CONTROL:
            yield from self._control(last)
            return
        lines: list[str] = []
        weighted = [(pc, i) for pc, i in chain if i.op in _WEIGHTED]
        if weighted:
            lines.append("uint32_t sum[LANES] = {0};")
        for pc, i in weighted:
            if pc in loads:
                lines.append(f"{'if (r == 0) ' if block.looped else ''}w = WEIGHTS + {loads[pc]};")
            if i.op == Op.DOT:
                rows = -(-i.cols // self.image.config.lanes)
                lines.append(f"dot(sum, w, {self.place(Access(pc, i.x, rows, bool(i.x_par)), 'v', False)}, {i.cols});")
            else:
                lines.append(f"sparse(m, sum, w, {i.cols}, {int(not i.x & 1)});")
            lines.append(f"w += {i.cols} * LANES;")
        if last.op in _WEIGHTED:
            lines += (["const int8_t *const scale = w;"] if last.finish.row_scaled else []) + ["w += LANES;"]
        total, kind = self._sum(block, chain, bool(weighted), lines)

        def place(name: str, row: int, paired: bool) -> str:
            f = last.finish
            rows = block.count if f.indexed else 1
            return self.place(Access(chain[-1][0], row, rows, paired), name, bool(f.indexed) and block.looped)

        indexed = bool(last.finish.indexed) and block.looped
        done = elements.element(self.image, last.finish, total, kind, place, indexed)
        lines += done.before
        lines += ["for (unsigned l = 0; l < LANES; l++) {", *("    " + line for line in done.lane), "}"]
        yield from ["{", *("    " + line for line in lines), "}"] if braces else lines

    def _sum(self, block: Block, chain: Body, weighted: bool, lines: list[str]) -> tuple[str, Kind]:
        """The expression of a lane's sum, and what it is; adds what it needs to `lines`."""
        parts: list[str] = []
        scalars, lanes = self.memories["s"], self.image.config.lanes
        for pc, i in chain:
            if i.op != Op.TERM:
                continue
            (row, lane), number = self._scalar(i), len(parts)
            if scalars.is_written(row):
                factor = f"k{number}"
                lines.append(f"const int32_t {factor} = m->s[{self.offset('s', row * lanes + lane)}];")
            else:
                factor = str(int(scalars.words[row, lane]))
            if factor == "0":
                continue
            rows = block.count if i.indexed else 1
            at = self.place(Access(pc, i.x, rows, bool(i.x_par)), "v", bool(i.indexed) and block.looped)
            lines.append(f"const int16_t *const x{number} = {at};")
            parts.append(f"x{number}[l]" if factor == "1" else f"x{number}[l] * {factor}")
        if not weighted and len(parts) <= 1:
            word = not parts or "*" not in parts[0]
            return (parts or ["0"])[0], Kind.WORD if word else Kind.SIGNED
        return " + ".join(["sum[l]"] * weighted + [f"(uint32_t)({part})" for part in parts]), Kind.UNSIGNED


def tidy(text: str) -> str:
    """Text of an image for a C comment, which it cannot end."""
    plain = re.sub(r"[^ -~]|[\\?]", " ", text)
    return re.sub(r"(\*(?=/)|/(?=\*))", r"\1 ", plain).strip()

