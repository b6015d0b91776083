# SPDX-License-Identifier: BSD-2-Clause
"""Rows of accumulators: what products add to them, and what a finish word does with them.

Everything works on the sequences `index` (n,) and on the loop indices `r` (rows,) at once; arrays are (n, rows, lanes).
"""

from __future__ import annotations

import numpy as np

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.formats import NORM_BITS, NORM_CHANGE_SHIFT, NORM_CLAMP
from liquid_accel.rtl.isa import AddSource, Factor, Finish, Instruction, Mode, Norm, Op, Space, Status
from liquid_accel.sim.golden import arithmetic
from liquid_accel.sim.golden.arithmetic import HIGH, MANTISSA_ONE, Bool, Int, sat16, shift_count, split_code
from liquid_accel.sim.golden.errors import GoldenError
from liquid_accel.sim.golden.lists import ListUnit
from liquid_accel.sim.golden.memory import SharedMemory
from liquid_accel.sim.golden.output import OutputLog
from liquid_accel.sim.golden.state import Frames, State

NORM_MASK = (1 << NORM_BITS) - 1
ACCUMULATOR_LIMIT = 1 << 31
_ELEMENT_SPACES = (Space.A, Space.B, Space.C, Space.S)  # in the order of the bits of e_mask


class Events:
    """Which elements of some rows had a result clamped."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._any: Bool | None = None

    def add(self, clamped: Bool, quiet: int) -> None:
        if not quiet and clamped.any():
            self._any = np.broadcast_to(clamped, self._shape) | (False if self._any is None else self._any)

    def per_sequence(self) -> Int | None:
        """Elements with an event, (n,); None if there is none at all."""
        return None if self._any is None else np.count_nonzero(self._any, axis=(1, 2))


class RowUnit:
    """The lanes and the element pipeline of a batch."""

    def __init__(self, config: LiquidConfig, shared: SharedMemory, state: State) -> None:
        self.config = config
        self.shared = shared
        self.state = state
        self.lists = ListUnit(config, state)
        self.frames = Frames(*(np.zeros(0, np.int64),) * 3)
        self.log = OutputLog()

    def products(self, pc: int, i: Instruction, index: Int, r: Int, pointers: tuple[int, ...]) -> Int:
        """What the instruction adds to the accumulators; `pointers` are the weight pointers of the rows of a matrix."""
        lanes = self.config.lanes
        vector, state = self.state.banks[Space.VECTOR], self.state
        parity = state.parity[index] if i.x_par else None
        if i.op == Op.DOT:
            rows = i.x + np.arange(-(-i.cols // lanes))
            x = vector.read(index, rows, parity).reshape(len(index), -1)[:, : i.cols]
            # Sums stay within 2**15 * 2**7 * 2**8.
            sums = arithmetic.matrix_product(x.astype(np.float64), self.shared.weight_block(pointers, i.cols))
            return sums.reshape(len(index), len(r), lanes)
        if i.op == Op.SPARSE:
            # A column's deltas add up to less than 2**15 * 2**8.
            moved = self.lists.operands(pc, i, index)
            sums = arithmetic.matrix_product(moved, self.shared.weight_block(pointers, i.cols))
            return sums.reshape(len(index), len(r), lanes)
        if i.op == Op.TERM:
            x = vector.read(index, i.x + (r if i.indexed else 0 * r), parity)
            scalar = state.banks[Space.S].per_sequence(state.batch)[index, i.w & 255]
            return x * scalar[:, None, None]
        return np.zeros((len(index), len(r), lanes), np.int64)

    def check(self, pc: int, accumulators: Int) -> None:
        """Raise GoldenError if an accumulator would wrap."""
        if accumulators.min() < -ACCUMULATOR_LIMIT or accumulators.max() >= ACCUMULATOR_LIMIT:
            raise GoldenError(f"instruction at pc {pc}: an accumulator leaves its 32 bits")

    def scales(self, pointer: int) -> Int:
        """Row shifts from the weight word at `pointer`: (lanes,)."""
        return self.shared.weights[pointer % self.config.weight_words].astype(np.int64) & arithmetic.SHIFT_MAX

    def _inputs(self, index: Int, shape: tuple[int, ...]) -> Int:
        """The next words of the frames' inputs, 0 past their end."""
        words, state = self.frames.words, self.state
        count = shape[1] * shape[2]
        at = state.taken[index][:, None] + np.arange(count)
        valid = at < words.shape[2]
        q = words[index[:, None], self.frames.current[index][:, None], np.where(valid, at, 0)]
        state.taken[index] = np.minimum(state.taken[index] + count, words.shape[2])
        return np.where(valid, arithmetic.signed16(q), 0).reshape(shape)

    def _pre(self, pc: int, f: Finish, index: Int, rows: Int, acc: Int, scale: Int, events: Events) -> Int:
        """Steps 1 to 3 of the document: narrow, add, function. Returns f."""
        state = self.state
        if f.source:
            q = self._inputs(index, acc.shape)
        else:
            n: Int | int
            if f.row_scaled:
                n = scale
            elif f.dynamic:
                n, negative = shift_count(f.narrow, split_code(state.controller.step_code[index])[0])
                n = n[:, None, None]
                events.add(negative[:, None, None], f.quiet_pre)
            else:
                n = min(f.narrow, arithmetic.SHIFT_MAX)
            q = self._saturate(arithmetic.rshift(acc, n), f.quiet_pre, events)
        if f.a_sel == AddSource.MEMORY:
            q = self._saturate(q + state.banks[Space.A].read(index, f.a + rows), f.quiet_pre, events)
        elif f.a_sel == AddSource.LOG_DT:
            q = self._saturate(q + state.log2_dt[index][:, None, None], f.quiet_pre, events)
        elif f.a_sel == AddSource.LOG_STEP and self.config.column_skip:
            log2_step = arithmetic.log2_step(state.controller.step_code[index])
            q = self._saturate(q + log2_step[:, None, None], f.quiet_pre, events)
        if f.mode != Mode.IDENTITY:
            table, rise = self.shared.table(pc, f.table)
            q, clamped = arithmetic.function_unit(q, f.mode, table, rise, self.config.state_frac_bits)
            if clamped is not None:
                events.add(clamped, f.quiet_pre)
        return arithmetic.exp2(q) if f.exp2 else q

    @staticmethod
    def _saturate(wide: Int, quiet: int, events: Events) -> Int:
        result = sat16(wide)
        if not quiet:
            events.add(result != wide, 0)
        return result

    def _scaled(self, f: Finish, index: Int, rows: Int, d: Int, events: Events) -> Int:
        """Step 5: d times its factor."""
        state = self.state
        mantissa: Int | int = MANTISSA_ONE
        exponent: Int | int = 0
        if f.c_sel == Factor.MEMORY:
            exponent, mantissa = split_code(state.banks[Space.C].read(index, f.c + rows))
        elif f.c_sel == Factor.STEP:
            mantissa = split_code(state.controller.step_code[index])[1][:, None, None]
        elif f.c_sel == Factor.POOL:
            e, m = split_code(state.pool[index])
            exponent, mantissa = e[:, None, None], m[:, None, None]
        elif f.c_shift == 11:
            return self._saturate(d, f.quiet_post, events)  # times 1
        n, negative = shift_count(f.c_shift, exponent)
        events.add(negative, f.quiet_post)
        return self._saturate(arithmetic.multiply(d, mantissa, n), f.quiet_post, events)

    def finish(self, pc: int, f: Finish, index: Int, r: Int, acc: Int, scale: Int) -> None:
        """Apply a finish word to finished rows; `scale` broadcasts to (n, rows, lanes)."""
        state, events = self.state, Events(acc.shape)
        rows = r if f.indexed else 0 * r
        parity = state.parity[index]
        if f.keep:
            acc = self.lists.keep(f.keep, f.m + rows, index, acc)
        d = self._pre(pc, f, index, rows, acc, scale, events)
        if f.sub or f.add:
            base = state.banks[Space.B].read(index, f.b + rows, parity if f.b_par else None)
        change = out = self._scaled(f, index, rows, d - base if f.sub else d, events)
        if f.add:
            out = self._saturate(out + base, f.quiet_post, events)
        if f.v_en:
            state.banks[Space.VECTOR].write(index, f.v + rows, out, parity if f.v_par else None)
        for bit, space in enumerate(_ELEMENT_SPACES):
            if f.e_mask >> bit & 1:
                state.banks[space].write(index, f.e + rows, out, parity if f.e_par else None)
        if f.out:
            self.push(pc, index, out.reshape(len(index), -1))
        c = state.controller
        if f.norm:
            y = np.abs(out if f.norm == Norm.OUT else change)
            squares = np.minimum(y >> NORM_CHANGE_SHIFT if f.norm == Norm.CHANGE_16 else y, NORM_CLAMP) ** 2
            c.norm[index] = (c.norm[index] + squares.sum(axis=(1, 2))) & NORM_MASK
        if f.peak:
            c.peak[index] |= np.bitwise_or.reduce(np.minimum(np.abs(out), HIGH), axis=(1, 2))
        count = events.per_sequence()
        if count is not None:
            state.saturations[index] += count
            state.status[index] |= np.where(count > 0, int(Status.SATURATED), 0)
            c.saturated[index] |= count > 0
        if f.track:
            self.lists.track(pc, f.track, f.t + rows, rows, index, out)

    def push(self, pc: int, index: Int, words: Int) -> None:
        """`words` (n, k) to the output FIFOs."""
        frames = self.frames.current[index]
        if frames.min(initial=0) < 0:
            raise GoldenError(f"instruction at pc {pc}: a word is pushed before the first frame")
        self.log.push(index, frames, words)
