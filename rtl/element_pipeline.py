# SPDX-License-Identifier: BSD-2-Clause
"""The element pipeline: what happens to a finished row, one element a cycle (docs/isa.md, finish)."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import LiquidConfig
from .formats import ACCUMULATOR, FLOAT_MANTISSA_BITS, WORD
from .function_unit import FunctionUnit
from .gate_unit import GateUnit
from .isa import (
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    FINISH_HALF_BITS,
    AddSource,
    Factor,
    Keep,
    Mode,
    Norm,
    Timing,
    Track,
)
from .kept_sums import KeptSums
from .log_step import LogStep
from .memory import read_cycles
from .narrow import Narrow, SaturatingAdd, shift_amount
from .staging import Staging, Standing
from .tracker import INDEX

# Stages, from the latencies of the blocks: kept sums, narrow, + A, function, gate, write.
SUM = -1
INPUT = 2
ADD = INPUT + 1
GATE = ADD + 9
OUT = GATE + GateUnit.latency
WRITE = OUT + 1
# Memories are addressed two cycles before their words are wanted; those without an output register hear of it a cycle
# later than this, which is as good.
READ_A, READ_B, READ_C = ADD - 2, GATE - 2, GATE - 1
assert (READ_A, READ_B, READ_C, WRITE) == (Timing.READ_A, Timing.READ_B, Timing.READ_C, Timing.WRITE)
# The finish word stands from this stage on, in time to address M.
READ_M = SUM - 2


def start_stage(vendor: str) -> int:
    """Where element 0 is while `start` is high: a cycle later the half of the finish word is chosen."""
    return READ_M - 1 - read_cycles(vendor)


_SHAPES = {
    "mode": Mode, "a_sel": AddSource, "c_sel": Factor, "keep": Keep, "norm": Norm, "track": Track,
}  # fmt: skip
LOW_LAYOUT, HIGH_LAYOUT = (
    data.StructLayout({name: _SHAPES.get(name, width) for name, width in half})
    for half in (FINISH_FIELDS_LOW, FINISH_FIELDS_HIGH)
)


def _bits(depth: int) -> int:
    return (depth - 1).bit_length()


def low_cycles(lanes: int) -> int:
    """Cycles of a row's `lanes` in which the low half of its finish word stands, from READ_M on; then the high half.

    The low half has most of what is wanted early, C's row is wanted at READ_C - 1.
    """
    return min(lanes - 2, READ_C - 1 - READ_M)


class ElementPipeline(wiring.Component):
    """narrow -> + A -> function -> - B -> * factor -> + B -> memories, one element a cycle, `Timing.WRITE` stages.

    start            high while element 0 is at `start_stage`
    sum, scale       the row's sums and shifts, element by element at stage SUM
    high             which half of the finish word is to stand in the next cycle
    finish           that half: for `lanes` cycles from stage READ_M on, the low half for `low_cycles` of them
    row, parity      loop index and parity, in the cycle of stage READ_M
    input_*          the input FIFO's visible word; taken with input_take, while `input_left`
    x_address, x_data  reads of A, B, C: data `read_cycles` of the vendor after the address
    write_*          what to write where: lane, data, V row and enable, row and mask of A, B, C, S, FIFO
    square, measured, sixteenth, watch     what is written, to the norm: of measured, or a sixteenth of it; to the peak
    track, track_*   what is written, to the tracker: address in X `read_cycles` earlier and with it; its column
    offset           of the tracked list, in rows
    clamped          one cycle, with the write, for an element with a counted clamp event
    table_*          the host's way to the function tables
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable") -> None:
        self.config, self.vendor = config, vendor
        lane = _bits(config.lanes)
        index = _bits(config.tables * 256)
        super().__init__(
            {
                "start": In(1),
                "sum": In(signed(ACCUMULATOR)),
                "scale": In(5),
                "high": Out(1),
                "finish": In(FINISH_HALF_BITS),
                "row": In(8),
                "parity": In(1),
                "input_data": In(signed(WORD)),
                "input_left": In(1),
                "input_take": Out(1),
                "log_dt": In(signed(WORD)),
                "step": In(WORD),
                "pool": In(WORD),
                "a_address": Out(_bits(config.add_elements)),
                "a_data": In(signed(WORD)),
                "b_address": Out(_bits(config.base_elements)),
                "b_data": In(signed(WORD)),
                "c_address": Out(_bits(config.gate_elements)),
                "c_data": In(WORD),
                "write_lane": Out(lane),
                "write_data": Out(signed(WORD)),
                "write_v_row": Out(_bits(config.vector_rows)),
                "write_v": Out(1),
                "write_e_row": Out(7),
                "write_e_parity": Out(1),
                "write_e": Out(4),
                "write_out": Out(1),
                "square": Out(1),
                "measured": Out(signed(WORD)),
                "sixteenth": Out(1),
                "watch": Out(1),
                "track": Out(Track),
                "track_read": Out(_bits(config.kept_elements)),
                "track_write": Out(_bits(config.kept_elements)),
                "track_column": Out(INDEX),
                "offset": In(8),
                "clamped": Out(1),
                "host": In(1),
                "host_index": In(index),
                "host_write": In(1),
                "host_write_data": In(WORD),
                "host_read_data": Out(WORD),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lanes, kept = self.config.lanes, self.config.column_skip
        reading = read_cycles(self.vendor)
        start = start_stage(self.vendor)
        stages = Staging(m, self.start, lanes, start)
        low, high = (data.View(layout, self.finish[: layout.size]) for layout in (LOW_LAYOUT, HIGH_LAYOUT))
        low_last = READ_M + low_cycles(lanes) - 1
        low_over = stages.token(low_last - reading)
        with m.If(stages.token(start)):
            m.d.sync += self.high.eq(0)
        with m.Elif(low_over):
            m.d.sync += self.high.eq(1)

        def field(name: str) -> Standing:
            """A field of the finish word, and when it stands at the memory's output."""
            if name in dict(FINISH_FIELDS_LOW):
                return Standing(name, low[name], READ_M, low_last)
            return Standing(name, high[name], low_last + 1, READ_M + lanes - 1)

        def at(name: str, stage: int) -> Value:
            return stages.held(field(name), stage)

        index = Mux(low.indexed, self.row, 0)
        added_row, odd = Signal(len(self.row)), Signal()
        with m.If(stages.token(READ_M)):
            m.d.sync += [added_row.eq(index), odd.eq(self.parity)]

        def row_at(base: Standing, stage: int, bits: int, parity: str | None = None) -> Value:
            """Row of a memory for the elements at `stage`: base, plus the loop index, the top bit flipped by parity."""
            total = Signal(bits, name=f"{base.name}_row")
            m.d.comb += total.eq(base.value + added_row)
            flip = field(parity).value & odd if parity is not None else 0
            first = max(base.first, READ_M + 1)
            last = min(base.last, READ_M + lanes)
            return stages.held(Standing(f"{base.name}_row", Cat(total[:-1], total[-1] ^ flip), first, last), stage)

        exponent = Mux(low.dynamic, self.step[FLOAT_MANTISSA_BITS:], 0)
        amount, negative = shift_amount(m, low.narrow, exponent, "row_shift")
        shift = Standing("shift", Cat(amount, negative & ~low.row_scaled, low.row_scaled), READ_M, low_last)

        # Stage -1: kept sums. Without them there is a cycle more for narrowing.
        m.submodules.narrow = narrow = Narrow(ACCUMULATOR, latency=2 if kept else 3)
        row_shift = stages.held(shift, INPUT - narrow.latency)
        if kept:
            m.submodules.kept_sums = kept_sums = KeptSums(self.config, self.vendor)
            m.d.comb += [
                kept_sums.start.eq(stages.token(READ_M - 1)),
                kept_sums.row.eq(low.m + index),
                kept_sums.keep.eq(low.keep),
                kept_sums.sum.eq(self.sum),
                narrow.x.eq(kept_sums.total),
            ]
        else:
            m.d.comb += narrow.x.eq(self.sum)
        scale = stages.delay(self.scale, INPUT - narrow.latency - SUM, "scale")
        # Up to stage 2: narrow, or take an input.
        m.d.comb += narrow.amount.eq(Mux(row_shift[6], scale, row_shift[:5]))
        underflow = stages.delay(row_shift[5], narrow.latency, "underflow")
        is_input, lane_i = at("source", INPUT), stages.lane(INPUT)
        m.d.comb += self.input_take.eq(is_input & self.input_left & stages.valid(INPUT, lane_i))
        q3, clamped3 = Signal(signed(WORD)), Signal()
        with m.If(is_input):
            m.d.sync += [q3.eq(Mux(self.input_left, self.input_data, 0)), clamped3.eq(0)]
        with m.Else():
            m.d.sync += [q3.eq(narrow.q), clamped3.eq(narrow.clamped | underflow)]
        stage_a, stage_b, stage_c = (stage + 2 - reading for stage in (READ_A, READ_B, READ_C))
        lane_a = lane_i if stage_a == INPUT else stages.lane(stage_a)
        m.d.comb += self.a_address.eq(Cat(lane_a, row_at(field("a"), stage_a, len(self.a_address) - len(lane_a))))

        # + A.
        m.submodules.function = function = FunctionUnit(self.config.tables, self.config.state_frac_bits, self.vendor)
        stage_f = GATE - function.latency
        # Where the function takes a cycle less, this sum takes it.
        m.submodules.add = add = SaturatingAdd(latency=stage_f - ADD - 1)
        m.d.comb += add.a.eq(q3)
        with m.Switch(at("a_sel", ADD)):
            with m.Case(AddSource.MEMORY):
                m.d.comb += add.b.eq(self.a_data)
            with m.Case(AddSource.LOG_DT):
                m.d.comb += add.b.eq(self.log_dt)
            if self.config.column_skip:
                m.submodules.log_step = log_step = LogStep()
                m.d.comb += log_step.step.eq(self.step)
                with m.Case(AddSource.LOG_STEP):
                    m.d.comb += add.b.eq(log_step.log)
        s4, clamped4 = Signal(signed(WORD)), Signal()
        clamped_q = stages.delay(clamped3, add.latency, "clamped_input")
        m.d.sync += [s4.eq(add.s), clamped4.eq(add.clamped | clamped_q)]

        # The function.
        m.d.comb += [
            function.s.eq(s4),
            function.table.eq(at("table", stage_f)),
            function.mode.eq(at("mode", stage_f)),
            function.exp2.eq(at("exp2", stage_f)),
            function.host.eq(self.host),
            function.host_index.eq(self.host_index),
            function.host_write.eq(self.host_write),
            function.host_write_data.eq(self.host_write_data),
            self.host_read_data.eq(function.host_read_data),
        ]
        clamped_f = stages.delay(clamped4, function.latency, "clamped_sum") | function.clamped

        # The gate, which needs C a stage later than B.
        m.submodules.gate = gate = GateUnit(self.vendor)
        lane_b, lane_c = stages.lane(stage_b), stages.lane(stage_c)
        m.d.comb += [
            self.b_address.eq(Cat(lane_b, row_at(field("b"), stage_b, len(self.b_address) - len(lane_b), "b_par"))),
            self.c_address.eq(Cat(lane_c, row_at(field("c"), stage_c, len(self.c_address) - len(lane_c)))),
            gate.f.eq(function.f),
            gate.base.eq(self.b_data),
            gate.subtract.eq(at("sub", GATE)),
            gate.add.eq(at("add", GATE)),
            gate.factor.eq(at("c_sel", GATE + 1)),
            gate.shift.eq(at("c_shift", GATE + 1)),
            gate.code.eq(self.c_data),
            gate.step.eq(self.step),
            gate.pool.eq(self.pool),
        ]
        clamped_out = stages.delay(clamped_f, gate.latency, "clamped_function")

        # Written.
        lane_o = stages.lane(OUT)
        lane_w = stages.delay(lane_o, 1, "lane_out")
        valid_w = stages.valid(WRITE, lane_w)
        counted = Signal()
        change = (at("norm", OUT) == Norm.CHANGE) | (at("norm", OUT) == Norm.CHANGE_16)
        m.d.sync += [
            self.write_data.eq(gate.out),
            self.measured.eq(Mux(change, gate.change, gate.out)),
            counted.eq((clamped_out & ~at("quiet_pre", OUT)) | (gate.clamped & ~at("quiet_post", OUT))),
        ]
        e_parity = Standing("e_parity", high.e_par & odd, low_last + 1, READ_M + lanes - 1)
        m.d.comb += [
            self.write_lane.eq(lane_w),
            self.write_v_row.eq(row_at(field("v"), WRITE, len(self.write_v_row), "v_par")),
            self.write_v.eq(at("v_en", WRITE) & valid_w),
            self.write_e_row.eq(row_at(field("e"), WRITE, 7)),
            self.write_e_parity.eq(stages.held(e_parity, WRITE)),
            self.write_e.eq(Mux(valid_w, at("e_mask", WRITE), 0)),
            self.write_out.eq(at("out", WRITE) & valid_w),
            self.square.eq((at("norm", WRITE) != Norm.NONE) & valid_w),
            self.sixteenth.eq(at("norm", WRITE) == Norm.CHANGE_16),
            self.watch.eq(at("peak", WRITE) & valid_w),
            self.clamped.eq(counted & valid_w),
        ]
        if kept:
            x_bits = len(self.track_read) - len(lane_w)
            lane_x = lane_o if WRITE - reading == OUT else stages.lane(WRITE - reading)
            column = Standing("column", self.offset, READ_M + 1, READ_M + lanes)
            m.d.comb += [
                self.track.eq(Mux(valid_w, at("track", WRITE), Track.NONE)),
                self.track_read.eq(Cat(lane_x, row_at(field("t"), WRITE - reading, x_bits))),
                self.track_write.eq(Cat(lane_w, row_at(field("t"), WRITE, x_bits))),
                self.track_column.eq(Cat(lane_w, row_at(column, WRITE, INDEX - len(lane_w)))),
            ]
        return m
