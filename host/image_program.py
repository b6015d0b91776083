# SPDX-License-Identifier: BSD-2-Clause
"""Whether a program keeps, on every way through it, what machine and host rely on.

One walk over all ways of a frame, from FRAME at address 0 back to it. What must be the same on every way to an
instruction: how many inputs are taken, which vector is being pushed, and how much of it. Where two ways differ, or a
way leaves the program, ends early, pushes more than there is room for, or never ends, the program is refused. Cost: a
few steps an instruction. Rules: docs/isa.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from liquid_accel.image_fields import Unsound
from liquid_accel.rtl import isa
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Cond, Control, Instruction, Keep, Op, Track

ROOM_UNIT = 4  # words, in which FRAME and ROOM count
_COUNT = 0xFF  # of LOOP's imm
_IN_LOOPS = (Control.NOP, Control.SWAP)
_LISTS = (Control.TAKE, Control.LIST, Control.TRACK)
_START, _OUTPUT, _DONE, _STATE = range(4)  # what of the frame's output has begun
_SAYS = ("before the output vector", "in the output vector", "after the trailer", "in the state vector")
WEIGHTED = (Op.DOT, Op.SPARSE)


@dataclass(frozen=True)
class Shape:
    """What a program is to fit: the machine, features of a frame, words of both vectors, rows of weights that there
    are, numbers of the tables that there are."""

    config: LiquidConfig
    inputs: int
    output_words: int
    state_words: int
    weight_rows: int
    tables: int


@dataclass(frozen=True)
class _Way:
    """Of the ways to an address that are alike in `traced` (None: not asked yet) and `lagged`."""

    traced: bool | None = None
    lagged: bool = False
    phase: int = _START
    pushed: int = 0  # words of the vector under way
    taken: int = 0  # inputs
    room: int = 0  # words that surely fit into the output FIFO
    timed: bool = False  # time is surely left
    pointer: int | None = None  # weight pointer, where all ways agree on it

    def meet(self, other: _Way, pc: int) -> _Way:
        """What is known where both lead."""
        if (self.phase, self.pushed, self.taken) != (other.phase, other.pushed, other.taken):
            raise Unsound(f"instruction {pc} is reached with {self._say()} and with {other._say()}")
        pointer = self.pointer if self.pointer == other.pointer else None
        return replace(self, room=min(self.room, other.room), timed=self.timed and other.timed, pointer=pointer)

    def _say(self) -> str:
        return f"{self.taken} inputs taken, {_SAYS[self.phase]}, {self.pushed} words pushed"


def check(program: Sequence[Instruction], shape: Shape) -> None:
    """Raise `Unsound` for a program that may not run on a machine."""
    _Walk(program, shape).run()


class _Walk:
    def __init__(self, program: Sequence[Instruction], shape: Shape) -> None:
        self.program, self.shape, self.config = program, shape, shape.config
        self.loops = self._loops()
        self.edges: dict[int, set[int]] = {}  # without those that a frame takes a bounded number of times

    def run(self) -> None:
        self._check_frame()
        for pc, i in enumerate(self.program):
            self._check_instruction(pc, i)
        room = ROOM_UNIT * self.program[0].target + 1
        known: dict[tuple[int, bool | None, bool], _Way] = {}
        waiting = [(1, _Way(room=room))]
        while waiting:
            pc, way = waiting.pop()
            self._check_target(pc)
            if pc == 0:
                self._check_end(way)
                continue
            key = pc, way.traced, way.lagged
            if key in known:
                way = known[key].meet(way, pc)
                if way == known[key]:
                    continue
            known[key] = way
            waiting += self._follow(pc, way)
        self._check_cycles()

    # ---- One instruction

    def _check_frame(self) -> None:
        first = self.program[0]
        if first.op != Op.CONTROL or first.control != Control.FRAME:
            raise Unsound("instruction 0 is no FRAME; expected the program to begin with one")
        wanted = isa.HEADER_WORDS + self.shape.inputs
        if first.imm != wanted or wanted > self.config.fifo_words:
            raise Unsound(f"instruction 0 takes frames of {first.imm} words; expected {wanted} for {self.shape.inputs} "
                          f"inputs, at most fifo_words = {self.config.fifo_words}")  # fmt: skip
        if 2 * ROOM_UNIT * first.target > self.config.fifo_words:
            raise Unsound(f"instruction 0 waits for more than {ROOM_UNIT * first.target} words; expected at most half "
                          f"of fifo_words = {self.config.fifo_words}")  # fmt: skip

    def _check_instruction(self, pc: int, i: Instruction) -> None:
        """What concerns the instruction alone."""
        if i.op == Op.CONTROL:
            if i.control == Control.FRAME and pc:
                raise Unsound(f"instruction {pc} is a FRAME; expected the only one at 0")
            if i.control in _LISTS and not self.config.column_skip:
                raise Unsound(f"instruction {pc} uses lists; expected none, since kept_elements is 0")
            if i.control == Control.ROOM and ROOM_UNIT * i.target >= self.config.fifo_words:
                raise Unsound(f"instruction {pc} waits for more room than fifo_words = {self.config.fifo_words}")
            return
        done = i.finish
        keeps = i.op == Op.SPARSE or done.keep != Keep.NONE or done.track != Track.NONE
        if keeps and not self.config.column_skip:
            raise Unsound(f"instruction {pc} keeps sums; expected none, since kept_elements is 0")
        wanted = {Op.TERM: 1, Op.IN: self.config.lanes}.get(i.op, i.cols)
        if i.cols != wanted:
            raise Unsound(f"instruction {pc} has {i.cols} columns; expected {wanted} of {i.op.name.lower()}")
        if i.last and (done.mode != isa.Mode.IDENTITY) and done.table >= self.shape.tables:
            raise Unsound(f"instruction {pc} uses table {done.table}; expected one of the image's {self.shape.tables}")

    def _loops(self) -> dict[int, int]:
        """LOOP -> its last instruction."""
        found: dict[int, int] = {}
        for pc, i in enumerate(self.program):
            if i.op != Op.CONTROL or i.control != Control.LOOP:
                continue
            if not i.imm & _COUNT or i.loop_end:
                raise Unsound(f"instruction {pc} is a loop of no rows, or ends one; expected 1 to {_COUNT} rows")
            for at in range(pc + 1, len(self.program)):
                inner = self.program[at]
                if inner.op == Op.CONTROL and inner.control not in _IN_LOOPS:
                    raise Unsound(f"instruction {at} is {inner.control.name} in the loop of {pc}; expected products")
                if inner.loop_end:
                    found[pc] = at
                    break
            else:
                raise Unsound(f"instruction {pc} is a loop that does not end in the program")
        for pc, i in enumerate(self.program):
            if i.loop_end and pc not in found.values():
                raise Unsound(f"instruction {pc} ends a loop; expected one to be under way")
        return found

    def _check_target(self, pc: int) -> None:
        if pc >= len(self.program):
            raise Unsound(f"the program leads to instruction {pc}; expected it to stay within its {len(self.program)}")
        if any(start < pc <= end for start, end in self.loops.items()):
            raise Unsound(f"instruction {pc} is jumped to, into a loop; expected loops to be entered at their start")

    # ---- Ways

    def _follow(self, pc: int, way: _Way) -> Iterator[tuple[int, _Way]]:
        i = self.program[pc]
        self.edges.setdefault(pc, set())
        if i.op == Op.CONTROL and i.control == Control.LOOP:
            end = self.loops[pc]
            way = self._rows(pc, self.program[pc + 1 : end + 1], i.imm & _COUNT, way)
            pc = self._edge(pc, end + 1)
            yield pc, way
        elif i.op != Op.CONTROL:
            way = self._rows(pc, (i,), 1, way)
            yield self._edge(pc, pc + 1), way
        elif i.control == Control.JUMP:
            yield from self._jump(pc, i, way)
        else:
            way = self._control(pc, i, way)
            yield self._edge(pc, pc + 1, i.control != Control.DECIDE), way

    def _edge(self, pc: int, to: int, counts: bool = True) -> int:
        if counts and to:
            self.edges[pc].add(to)
        return to

    def _jump(self, pc: int, i: Instruction, way: _Way) -> Iterator[tuple[int, _Way]]:
        there = here = way
        if i.cond in (Cond.TRACE, Cond.NOT_TRACE):
            asked = i.cond == Cond.TRACE
            there, here = replace(way, traced=asked), replace(way, traced=not asked)
        elif i.cond in (Cond.TIME_LEFT, Cond.NO_TIME_LEFT):
            left = i.cond == Cond.TIME_LEFT
            there, here = replace(way, timed=left), replace(way, timed=not left)
        if way.traced in (None, there.traced):
            yield self._edge(pc, i.target, i.cond != Cond.AGAIN), there
        if i.cond != Cond.ALWAYS and way.traced in (None, here.traced):
            yield self._edge(pc, pc + 1), here

    def _control(self, pc: int, i: Instruction, way: _Way) -> _Way:
        if i.control == Control.EMIT:
            return self._emit(pc, i, way)
        if i.control == Control.DONE:
            if way.phase != _OUTPUT or way.pushed != self.shape.output_words:
                raise Unsound(f"instruction {pc} sends the trailer {_SAYS[way.phase]}, {way.pushed} words pushed; "
                              f"expected it after an output vector of {self.shape.output_words} words")  # fmt: skip
            return self._push(pc, isa.TRAILER_WORDS, replace(way, phase=_DONE, pushed=0))
        if i.control in (Control.LAG, Control.DECIDE) and (way.phase != _START or way.lagged):
            where = "after the lag" if way.phase == _START else _SAYS[way.phase]
            raise Unsound(f"instruction {pc} is {i.control.name} {where}; expected it before output and lag")
        if i.control == Control.LAG:
            return self._push(pc, isa.LAG_WORDS, replace(way, lagged=True))
        if i.control == Control.ROOM:
            if way.phase < _DONE:
                raise Unsound(f"instruction {pc} waits for room {_SAYS[way.phase]}; expected it after the trailer")
            return replace(way, room=ROOM_UNIT * i.target + 1)
        if i.control == Control.PLAN and not way.timed:
            raise Unsound(f"instruction {pc} plans a step, perhaps with no time left; expected TIME_LEFT to be asked")
        return replace(way, timed=False) if i.control == Control.DECIDE else way

    def _emit(self, pc: int, i: Instruction, way: _Way) -> _Way:
        for phase, words in ((_START, self.shape.output_words), (_DONE, self.shape.state_words)):
            if i.imm == isa.MARK_VECTOR | words and way.phase == phase and (phase == _START or way.traced):
                return self._push(pc, 1, replace(way, phase=phase + 1, pushed=0))
        raise Unsound(f"instruction {pc} pushes the mark 0x{i.imm:04x} {_SAYS[way.phase]}; expected that of the "
                      "output vector, or of a traced frame's state vector after the trailer")  # fmt: skip

    def _push(self, pc: int, words: int, way: _Way) -> _Way:
        if way.room < words:
            raise Unsound(f"instruction {pc} pushes {words} words where room for {way.room} was waited for")
        return replace(way, room=way.room - words)

    def _rows(self, pc: int, body: Sequence[Instruction], count: int, way: _Way) -> _Way:
        """Product instructions, `count` times; `pc` is where they begin."""
        lanes = self.config.lanes
        rows = [i for i in body if i.op != Op.CONTROL and i.last]
        self._check_scalars(pc, rows, count)
        words = lanes * count * sum(i.finish.out for i in rows)
        if words:
            limit = {_OUTPUT: self.shape.output_words, _STATE: self.shape.state_words}.get(way.phase, 0)
            if way.pushed + words > limit:
                raise Unsound(f"instruction {pc} pushes {words} words {_SAYS[way.phase]}, after {way.pushed}; "
                              f"expected {limit} in all")  # fmt: skip
            way = self._push(pc, words, replace(way, pushed=way.pushed + words))
        taken = way.taken + lanes * count * sum(i.finish.source for i in rows)
        return replace(way, taken=min(taken, self.shape.inputs), pointer=self._weights(pc, body, count, way.pointer))

    def _check_scalars(self, pc: int, rows: Sequence[Instruction], count: int) -> None:
        """The step controller's words of S are not a program's to write."""
        depth = self.config.rows("S")
        for done in (i.finish for i in rows if i.finish.e_mask & isa.E_S):
            first = done.e ^ (depth // 2 if done.e_par else 0)
            written = {start + r for start in {done.e, first} for r in range(count if done.indexed else 1)}
            if any(row % depth >= min(isa.Param) // self.config.lanes for row in written):
                raise Unsound(f"instruction {pc} writes words of S that are the step controller's")

    def _weights(self, pc: int, body: Sequence[Instruction], count: int, pointer: int | None) -> int | None:
        """The weight pointer behind `count` rows of `body`, all of whose weights the image has to hold."""
        most, step = 0, 0
        for i in body:
            if i.op in WEIGHTED:
                pointer = i.w if i.w_load else pointer
                if pointer is None:
                    raise Unsound(f"instruction {pc} reads weights from nowhere in particular; expected a load before")
                pointer += i.cols + i.last
                most, step = max(most, pointer), step + i.cols + i.last
        if pointer is None or not step:
            return pointer
        # Of a loop's rows the first alone loads the pointer.
        pointer += (count - 1) * step
        if max(most, pointer) > self.shape.weight_rows:
            raise Unsound(f"instruction {pc} reads weights up to row {max(most, pointer)}; expected the image's "
                          f"{self.shape.weight_rows} rows to suffice")  # fmt: skip
        return pointer

    def _check_end(self, way: _Way) -> None:
        if way.taken < self.shape.inputs:
            raise Unsound(f"a frame ends with {way.taken} of {self.shape.inputs} inputs taken; expected all of them")
        wanted, words = (_STATE, self.shape.state_words) if way.traced else (_DONE, 0)
        if way.traced is None or (way.phase, way.pushed) != (wanted, words):
            raise Unsound(f"a frame ends {_SAYS[way.phase]}, {way.pushed} words pushed; expected output vector, "
                          "trailer, and where the frame is traced the whole state vector")  # fmt: skip

    def _check_cycles(self) -> None:
        """Every way back to an earlier instruction passes FRAME, a jump that REPEAT counts, or a judged step."""
        colour: dict[int, int] = {}
        for start in self.edges:
            stack = [(start, iter(self.edges[start]))] if start not in colour else []
            colour.setdefault(start, 1)
            while stack:
                pc, rest = stack[-1]
                following = next(rest, None)
                if following is None:
                    colour[pc] = 2
                    stack.pop()
                elif colour.get(following) == 1:
                    raise Unsound(f"instructions from {following} on may repeat without end; expected every way back "
                                  "to count with AGAIN or to take steps of the frame's time")  # fmt: skip
                elif following not in colour:
                    colour[following] = 1
                    stack.append((following, iter(self.edges.get(following, ()))))
