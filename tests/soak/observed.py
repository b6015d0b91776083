# SPDX-License-Identifier: BSD-2-Clause
"""The golden model with observers that fill the bins of tests/soak/bins.py. What it computes stays what it is."""

from collections import Counter
from typing import Any

import numpy as np
from bins import SIGNS, TRANSITIONS, WAITING, Bin

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS, LONG_COUNTER, NORM_CLAMP, SHORT_COUNTER
from liquid_accel.rtl.isa import (
    E_S,
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    MAC_FIELDS,
    AddSource,
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
    Status,
    Timing,
    Track,
)
from liquid_accel.sim.golden import GoldenMachine, arithmetic
from liquid_accel.sim.golden.arithmetic import HIGH, LOW, Int
from liquid_accel.sim.golden.hazards import _LONG_AGO, HazardChecker
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import COUNTERS, State

Bins = Counter[Bin]
_BITS = tuple(name for name, width in (*FINISH_FIELDS_LOW, *FINISH_FIELDS_HIGH) if width == 1)
_ISSUE_BITS = tuple(name for name, width in MAC_FIELDS if width == 1)
_SELECTIONS = ("keep", "a_sel", "mode", "c_sel", "norm", "track")
_TRANSITIONS: dict[str, list[str]] = {}
for _transition, _name in TRANSITIONS.items():
    _TRANSITIONS.setdefault(_name, []).append(_transition)


def sign(value: Any) -> str:
    return SIGNS[int(np.sign(value)) + 1]


class Distances(HazardChecker):
    """How many cycles more than the least were between instructions that keep a distance; it checks them too."""

    def __init__(self, config: LiquidConfig, bins: Bins) -> None:
        super().__init__(config)
        self.bins = bins
        self._by = ""

    def _note(self, what: str, more: int) -> None:
        self.bins["hazard", f"{what}: {('least', 'one more', 'more')[min(more, 2)]}"] += 1

    def _read(self, pc: int, cell: tuple[Space, int], cycle: int, lane: int) -> None:
        super()._read(pc, cell, cycle, lane)
        written = self._written.get(cell)
        if written is not None:
            self._note(f"{self._by} {'V' if cell[0] == Space.VECTOR else cell[0].name}", cycle - written[0] - lane - 1)

    def _control(self, pc: int, i: Instruction, first: int) -> None:
        super()._control(pc, i, first)
        drained, settled, listed, pushed = self._drained, self._settled, self._listed, self._pushed
        if i.control not in WAITING:
            return
        ready = {
            Control.DECIDE: max(drained, settled), Control.JUDGE: max(drained, settled),
            Control.LAG: max(pushed, settled), Control.DONE: max(drained, listed), Control.TAKE: listed,
            Control.LIST: listed, Control.TRACK: listed, Control.EMIT: pushed, Control.ROOM: pushed,
        }.get(i.control, drained)  # fmt: skip
        if ready > 0:
            self._note(i.control.name, first - ready)

    def _product(self, pc: int, i: Instruction, r: int, parity: int, first: int, taken: tuple[int, int]) -> None:
        self._by = f"{i.op.name} reads"
        super()._product(pc, i, r, parity, first, taken)

    def _finish(self, pc: int, i: Instruction, f: Finish, r: int, parity: int, snapshot: int) -> None:
        before, tracked, self._by = self._snapshot, self._tracked, "a row reads"
        super()._finish(pc, i, f, r, parity, snapshot)
        if before != _LONG_AGO:
            self._note(f"row after a {self._last.name}", snapshot - before - self.lanes)
        self._last = i.op
        if f.e_mask & E_S and tracked != _LONG_AGO and f.track != Track.MOVED:
            self._note("S after a tracked row", snapshot - tracked - self.lanes - Timing.TRACK)

    _last = Op.CONTROL


class Rows(RowUnit):
    """Rows whose operands, narrowings and lists are looked at."""

    def __init__(self, config: LiquidConfig, shared: Any, state: State, bins: Bins) -> None:
        super().__init__(config, shared, state)
        self.bins = bins
        self._sites: list[tuple[str, str]] = []  # where the row under way is narrowed, in short and in full
        self._mode, self._at, self._narrowed = Mode.IDENTITY, 0, np.zeros(0, np.int64)

    def products(self, pc: int, i: Instruction, index: Int, r: Int, pointers: tuple[int, ...]) -> Int:
        sums = super().products(pc, i, index, r, pointers)
        state, name = self.state, i.op.name
        if i.op == Op.TERM:
            rows = i.x + (r if i.indexed else 0 * r)
            x = state.banks[Space.VECTOR].read(index, rows, state.parity[index] if i.x_par else None)
            scalar = int(state.banks[Space.S].per_sequence(state.batch)[index[0], i.w & 255])
            for a in np.unique(np.sign(x)):
                self.bins["sign", f"TERM {sign(a)}{sign(scalar)}"] += 1
            self.bins["sign", "extremes of TERM"] += int(scalar in (LOW, HIGH) and bool(np.isin(x, (LOW, HIGH)).any()))
        elif i.op in (Op.DOT, Op.SPARSE):
            if i.op == Op.DOT:
                rows = i.x + np.arange(-(-i.cols // self.config.lanes))
                x = state.banks[Space.VECTOR].read(index, rows, state.parity[index] if i.x_par else None)
                x = x.reshape(-1)[: i.cols]
            else:
                x = self.lists.operands(pc, i, index)[0].astype(np.int64)
            weights = self.shared.weight_block(pointers, i.cols)
            for a in (-1, 0, 1):
                chosen = weights[np.sign(x) == a]
                for b, there in zip(SIGNS, ((chosen < 0).any(), (chosen == 0).any(), (chosen > 0).any())):
                    self.bins["sign", f"{name} {sign(a)}{b}"] += int(there)
            ends = weights[np.isin(x, (LOW, HIGH))]
            self.bins["sign", f"extremes of {name}"] += int(np.isin(ends, (-128, 127)).any())
        return sums

    def _outcome(self, site: str, clamped: Any, result: Int) -> None:
        for outcome, there in (
            ("exact", ~clamped), ("high", clamped & (result == HIGH)), ("low", clamped & (result == LOW)),
        ):  # fmt: skip
            self.bins["narrowing", f"{site}: {outcome}"] += int(np.count_nonzero(there))

    def _saturate(self, wide: Int, quiet: int, events: Any) -> Int:  # type: ignore[override]
        result = RowUnit._saturate(wide, quiet, events)
        short, full = self._sites[self._at]
        self._at += 1
        clamped = np.broadcast_to(result != wide, result.shape)
        self._outcome(f"{short} in {self._mode.name}", clamped, result)
        self._outcome(full, clamped, result)
        if clamped.any():
            part = "pre" if short in ("narrow", "add") else "post"
            self.bins["quiet", f"{part} {'quiet' if quiet else 'counted'}"] += 1
        self._narrowed = result
        return result

    def _shift(self, site: str, shift: Any) -> None:
        for name, there in (("below 0", shift < 0), ("0", shift == 0), ("31", shift == 31), ("past 31", shift > 31)):
            self.bins["shift", f"{site} {name}"] += int(np.any(there))

    def _pre(self, pc: int, f: Finish, index: Int, rows: Int, acc: Int, scale: Int, events: Any) -> Int:
        step = self.state.controller.step_code[index]
        added = f.a_sel != AddSource.NONE and (f.a_sel != AddSource.LOG_STEP or self.config.column_skip)
        kind = "row scaled" if f.row_scaled else "dynamic" if f.dynamic else "fixed"
        self._sites = [] if f.source else [("narrow", f"narrow {kind}")]
        self._sites += [("add", f"add {f.a_sel.name}")] if added else []
        self._sites += [("factor", f"factor {f.c_sel.name}")] + [("add B", "add B")] * f.add
        self._mode, self._at = f.mode, 0
        result = super()._pre(pc, f, index, rows, acc, scale, events)
        if not f.source:
            exponent = arithmetic.split_code(step)[0] if f.dynamic and not f.row_scaled else 0
            self._shift("narrow", (scale if f.row_scaled else f.narrow) - exponent)
        if f.mode != Mode.IDENTITY and self._at:
            self._function(pc, f, self._narrowed)
        return result

    def _function(self, pc: int, f: Finish, s: Int) -> None:
        table, rise = self.shared.table(pc, f.table)
        result, clamped = arithmetic.function_unit(s, f.mode, table, rise, self.config.state_frac_bits)
        clamped = np.zeros(s.shape, np.bool_) if clamped is None else clamped
        self._outcome(f"function {f.mode.name}", clamped, result)
        segment = s - LOW >> 8 if f.mode == Mode.DIRECT else np.minimum(np.abs(s), HIGH) >> 7
        for a in np.unique(np.sign(rise[segment])):
            self.bins["sign", f"interpolation in {f.mode.name} {sign(a)}"] += 1

    def _scaled(self, f: Finish, index: Int, rows: Int, d: Int, events: Any) -> Int:
        self._at = len(self._sites) - 1 - f.add
        code: Any = {Factor.MEMORY: None, Factor.POOL: self.state.pool[index]}.get(f.c_sel, 0)
        if code is None:
            code = self.state.banks[Space.C].read(index, f.c + rows)
        self._shift("factor", f.c_shift - arithmetic.split_code(code)[0] if f.c_sel in (Factor.MEMORY, Factor.POOL)
                    else np.int64(f.c_shift))  # fmt: skip
        for a in np.unique(np.sign(d)):
            self.bins["sign", f"factor {f.c_sel.name} {sign(a)}"] += 1
        if f.c_sel == Factor.MEMORY:
            far = (np.abs(d) > 65000) & (code & arithmetic.MANTISSA_MASK == arithmetic.MANTISSA_MASK)
            self.bins["sign", "extremes of factor"] += int(far.any())
        return super()._scaled(f, index, rows, d, events)

    def finish(self, pc: int, f: Finish, index: Int, r: Int, acc: Int, scale: Int) -> None:
        bins, parity, n = self.bins, int(self.state.parity[index[0]]), len(r)
        bins["track", f"{f.keep.name} and {f.track.name}"] += n
        for name in _SELECTIONS:
            bins["selection", f"{name} {getattr(f, name).name}"] += n
        for name in _BITS:
            bins["field", f"finish {name} {int(getattr(f, name))}"] += n
            if name.endswith("_par") and getattr(f, name):
                bins["parity", f"finish {name} at {parity}"] += n
        written = {
            "V": f.v_en, "A": f.e_mask & 1, "B": f.e_mask & 2, "C": f.e_mask & 4, "S": f.e_mask & 8, "output": f.out,
            "M": f.keep in (Keep.ADD, Keep.SET), "X": f.track == Track.SET,
        }  # fmt: skip
        for name, there in written.items():
            bins["memory written", name] += n * bool(there)
        super().finish(pc, f, index, r, acc, scale)
        if f.norm:
            y = np.abs(self._narrowed if f.norm == Norm.OUT or not f.add else 0) >> 4 * (f.norm == Norm.CHANGE_16)
            for name, there in (("zero", y == 0), ("small", (y > 0) & (y < NORM_CLAMP)), ("clamped", y > NORM_CLAMP)):
                bins["norm", f"{f.norm.name} {name}"] += int(np.any(there))
        bins["norm", "peak"] += f.peak


class Lists:
    """Counts what tracked rows did, around ListUnit.track."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.track = rows, rows.lists.track
        rows.lists.track = self  # type: ignore[method-assign, assignment]

    def __call__(self, pc: int, track: Track, row: Int, rows: Int, index: Int, out: Int) -> None:
        state, bins, lanes = self.rows.state, self.rows.bins, self.rows.config.lanes
        if track == Track.MOVED:
            delta = out - state.operands.read(index, row)
            threshold, offset = int(state.track_threshold[index[0]]), int(state.track_offset[index[0]])
            fits = (delta >= LOW) & (delta <= HIGH)
            moved = int(np.count_nonzero(fits & (np.abs(delta) > threshold)))
            bins["list", ("no element moved" if not moved else "all moved" if moved == out.size else "some moved")] += 1
            bins["list", "past 16 bits, high"] += int((delta > HIGH).any())
            bins["list", "past 16 bits, low"] += int((delta < LOW).any())
            bins["list", "threshold 0"] += threshold == 0
            bins["list", "threshold largest"] += threshold == HIGH
            bins["list", "column numbers wrap"] += int(bool(moved) and (offset + int(rows.max())) * lanes + lanes > 256)
        self.track(pc, track, row, rows, index, out)


class WatchedMachine(GoldenMachine):
    """A golden machine of one sequence that fills `bins` and checks every hazard."""

    def __init__(self, config: LiquidConfig, bins: Bins, limit: int = 1 << 20) -> None:
        super().__init__(config, limit=limit)
        self.bins = bins
        self.hazards, self.observed = Distances(config, bins), True
        self.rows = Rows(config, self.shared, self.state, bins)
        Lists(self.rows)

    def _observe(self, pc: int, i: Instruction, r: int, parity: int, cost: Int | int) -> None:
        super()._observe(pc, i, r, parity, cost)
        if i.op == Op.CONTROL:
            return
        bins = self.bins
        bins["instruction", i.op.name] += 1
        for name in _ISSUE_BITS:
            bins["field", f"issue {name} {int(getattr(i, name))}"] += 1
        if i.x_par:
            bins["parity", f"issue x_par at {parity}"] += 1
        if i.loop_end:
            bins["loop", "ends with a product"] += 1
        if i.op == Op.SPARSE:
            state, count = self.state, int(self.state.taken_count[0])
            bins["list", "skips not counted" if i.x & 1 else "skips counted"] += 1
            at = (int(state.taken_first[0]) + np.arange(count)) % 256
            bins["list", "a column twice"] += int(len(np.unique(state.columns[0, at])) < count)

    def _control(self, pc: int, i: Instruction, index: Int) -> None:
        state, bins, kind = self.state, self.bins, i.control
        before = state.controller.take(index)
        scalars = state.scalars(index)[0]
        counters = {name: int(getattr(state, name)[0]) for name in COUNTERS}
        ended = kind == Control.FRAME and int(self.rows.frames.current[0]) + 1 >= int(self.rows.frames.count[0])
        if kind == Control.TAKE:
            count = int((state.list_end[0, i.list] - state.list_start[0, i.list]) % 256)
            bins["list", f"list {i.list} {('empty', 'one', 'many')[min(count, 2)]}"] += 1
            bins["list", "other half" if i.imm & 1 else "same half"] += 1
        if kind == Control.LOOP:
            self._loop(pc, i)
        super()._control(pc, i, index)
        if ended:
            return
        bins["instruction", kind.name] += 1
        for name in _TRANSITIONS.get(kind.name, ()):
            bins["transition", name] += 1
        if i.loop_end:
            bins["loop", f"ends with {kind.name}"] += 1
        if kind == Control.JUMP:
            bins["condition", f"{i.cond.name} {'taken' if int(state.pc[0]) == i.target else 'not taken'}"] += 1
        elif kind == Control.FRAME:
            for flag in Flag:
                bins["flag", f"{flag.name} {'set' if state.flags[0] & flag else 'clear'}"] += 1
        elif kind == Control.DONE:
            self._done(counters)
        elif kind in (Control.PLAN, Control.DECIDE, Control.JUDGE):
            look = {Control.PLAN: self._plan, Control.DECIDE: self._decide, Control.JUDGE: self._judge}[kind]
            look(i, before, scalars)

    def _loop(self, pc: int, i: Instruction) -> None:
        rows, several = i.imm & 255, not self.shared.instruction(pc + 1).loop_end
        bins = self.bins
        bins["loop", f"{rows if rows in (1, 2, 255) else '3 to 254'} rows"] += 1
        bins["loop", "several" if several else "one instruction"] += 1
        bins["loop", "counted" if i.imm >> 15 else "not counted"] += 1

    def _done(self, counters: dict[str, int]) -> None:
        for status in Status:
            self.bins["status", f"{status.name} {'set' if counters['status'] & status else 'clear'}"] += 1
        for name in COUNTERS[:-1]:
            width = LONG_COUNTER if name in ("cycles", "mac_cycles", "skipped") else SHORT_COUNTER
            value = counters[name]
            size = "zero" if not value else "largest" if value >= (1 << width) - 1 else "some"
            self.bins["counter", f"{name} {size}"] += 1

    # ---- The step controller: `b` and `s` are its registers and the S memory before the instruction

    def _plan(self, i: Instruction, b: Any, s: Int) -> None:
        after, bins, left = self.state.controller, self.bins, int(b.remaining[0])
        jump = bool(i.imm & 1)
        source = "carried" if not jump else "second after a jump" if b.opening[0] else "first after a jump"
        bins["plan", "first of a sequence" if b.fresh[0] else source] += 1
        size = int(self.state.scalars(np.zeros(1, np.int64))[0, Param.SIZE]) & 0xFFFF
        exponent = size >> FLOAT_MANTISSA_BITS
        wanted = ((1 << FLOAT_MANTISSA_BITS) + size % (1 << FLOAT_MANTISSA_BITS) << 20) >> 31 - exponent
        cut = "whole" if not after.clipped[0] else "clipped" if int(after.step_ticks[0]) == left else "halved"
        bins["plan", cut] += 1
        bins["plan", "time left is the step"] += left == wanted
        bins["plan", "time left is 1"] += left == 1
        if exponent in (0, 31):
            bins["plan", f"exponent {exponent}"] += 1

    def _decide(self, i: Instruction, b: Any, s: Int) -> None:
        after, bins = self.state.controller, self.bins
        now = self.state.scalars(np.zeros(1, np.int64))[0]
        error = int(now[Param.ERROR_0 + (1 - int(b.newest[0]))])
        accepted = bool(after.history[0] and int(after.newest[0]) != int(b.newest[0]))
        note = [("accepted" if accepted else "rejected")]
        if b.saturated[0] and not accepted:
            note.append("rejected by saturation")
        if accepted and b.at_limit[0] and (b.saturated[0] or error > 0):
            note.append("accepted at the smallest step")
        spent = int(b.remaining[0] - b.step_ticks[0])
        if accepted and spent and s[Param.HALT]:
            note.append("no early halt" if after.remaining[0] else "early halt")
        if accepted:
            note.append("time left" if spent else "time used up")
        history = bool(b.history[0])
        note.append("with history" if history else "without history")
        low = {name: int((int(s[name]) + 128 & 255) - 128) for name in (Param.BETA1, Param.BETA2, Param.ALPHA2)}
        last, change = int(s[Param.ERROR_0 + int(b.newest[0])]), int(s[Param.CHANGE_LAST])
        wanted = int(s[Param.SAFETY]) - (low[Param.BETA1] * error >> 7)
        if history:
            wanted -= (low[Param.BETA2] * last >> 7) + (low[Param.ALPHA2] * change >> 7)
        largest = Param.CHANGE_MAX if accepted else Param.CHANGE_REJECT
        within = True
        for name, there in ((Param.CHANGE_MIN, wanted < int(s[Param.CHANGE_MIN])), (largest, wanted > int(s[largest]))):
            if there:
                note.append(f"change at {name.name}")
                within = False
        note += ["change within"] * within
        found = min(max(wanted, int(s[Param.CHANGE_MIN])), int(s[largest]))
        size = int(b.step_code[0]) + found
        if accepted and b.clipped[0] and size < (carried := int(s[Param.SIZE]) & 0xFFFF):
            note.append("size of a clipped step kept")
            size = carried
        smallest, most = int(s[Param.LOG_MIN]) & 0xFFFF, int(s[Param.LOG_MAX]) & 0xFFFF
        note.append("size at LOG_MIN" if size < smallest else "size at LOG_MAX" if size > most else "size within")
        note += ["norm 0"] * (not b.norm[0]) + ["norm at its limit"] * (int(b.norm[0]) >= 1 << 23)
        if b.opening[0]:
            note.append("opening step accepted" if accepted else "opening step rejected")
        for name in note:
            bins["decide", name] += 1
        bins["sign", f"BETA1 {sign(low[Param.BETA1])}{sign(error)}"] += 1
        if history:
            bins["sign", f"BETA2 {sign(low[Param.BETA2])}{sign(last)}"] += 1
            bins["sign", f"ALPHA2 {sign(low[Param.ALPHA2])}{sign(change)}"] += 1

    def _judge(self, i: Instruction, b: Any, s: Int) -> None:
        ok = bool(self.state.controller.judged[0])
        self.bins["judge", "within" if ok else "saturated" if b.saturated[0] else "norm too large"] += 1
