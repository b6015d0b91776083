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
from .isa import FINISH_FIELDS, AddSource, Factor, Mode, Timing
from .narrow import Narrow, SaturatingAdd, shift_amount
from .staging import Staging

# Stages, from the latencies of the blocks: narrow, + A, function, gate, write.
READ_A = 2
ADD = READ_A + 1
FUNCTION = ADD + 1
GATE = FUNCTION + FunctionUnit.latency
READ_B, READ_C = GATE - 1, GATE
OUT = GATE + GateUnit.latency
WRITE = OUT + 1
assert (READ_A, READ_B, READ_C, WRITE) == (Timing.READ_A, Timing.READ_B, Timing.READ_C, Timing.WRITE)

_SHAPES = {"mode": Mode, "a_sel": AddSource, "c_sel": Factor}
FINISH_LAYOUT = data.StructLayout({name: _SHAPES.get(name, width) for name, width in FINISH_FIELDS})


def _bits(depth: int) -> int:
    return (depth - 1).bit_length()


class ElementPipeline(wiring.Component):
    """narrow -> + A -> function -> - B -> * factor -> + B -> memories, one element a cycle, `Timing.WRITE` stages.

    start            high in the cycle before element 0 is at stage 0
    sum, scale       the row's sums and shifts, element by element at stage 0
    finish           the finish word, standing from stage 0 for `lanes` cycles
    row, parity      loop index and parity, standing from the cycle of `start` for `lanes` cycles
    input_*          the input FIFO's visible word; taken with input_take, while `input_left`
    x_address, x_data  reads of A, B, C: data one cycle after the address
    write_*          what to write where: lane, data, V row and enable, row and mask of A, B, C, S, FIFO
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
                "finish": In(FINISH_LAYOUT),
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
                "watch": Out(1),
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
        stages = Staging(m, self.start, self.config.lanes)
        finish = self.finish

        def at(name: str, stage: int) -> Value:
            return stages.held(name, finish[name], stage)

        added_row = Signal(len(self.row))
        with m.If(stages.token(0)):
            m.d.sync += added_row.eq(Mux(finish.indexed, self.row, 0))

        def row_at(name: str, stage: int, bits: int, parity: str | None) -> Signal:
            """Row of a memory for the elements at `stage`: base, plus the loop index, the top bit flipped by parity."""
            address = Signal(bits, name=f"{name}_row")
            total = Signal(bits, name=f"{name}_row_next")
            m.d.comb += total.eq(
                stages.before(name, finish[name], stage) + stages.before("added_row", added_row, stage, since=1)
            )
            flip: Value = Signal(name=f"{name}_flip")
            if parity is not None:
                odd = stages.before("parity", self.parity, stage, since=-1)
                m.d.comb += flip.eq(stages.before(parity, finish[parity], stage) & odd)
            with m.If(stages.token(stage - 1)):
                m.d.sync += address.eq(Cat(total[:-1], total[-1] ^ flip))
            return address

        # Stages 0 to 2: narrow, or take an input.
        exponent = Mux(finish.dynamic, self.step[FLOAT_MANTISSA_BITS:], 0)
        amount, negative = shift_amount(m, finish.narrow, exponent, "row_shift")
        m.submodules.narrow = narrow = Narrow(ACCUMULATOR)
        m.d.comb += [narrow.x.eq(self.sum), narrow.amount.eq(Mux(finish.row_scaled, self.scale, amount))]
        underflow = stages.delay(negative & ~finish.row_scaled, 2, "underflow")
        lane_a = stages.lane(READ_A)
        is_input = at("source", READ_A)
        m.d.comb += self.input_take.eq(is_input & self.input_left & stages.valid(READ_A, lane_a))
        q3, clamped3 = Signal(signed(WORD)), Signal()
        with m.If(is_input):
            m.d.sync += [q3.eq(Mux(self.input_left, self.input_data, 0)), clamped3.eq(0)]
        with m.Else():
            m.d.sync += [q3.eq(narrow.q), clamped3.eq(narrow.clamped | underflow)]
        m.d.comb += self.a_address.eq(Cat(lane_a, row_at("a", READ_A, len(self.a_address) - len(lane_a), None)))

        # + A.
        m.submodules.add = add = SaturatingAdd()
        m.d.comb += add.a.eq(q3)
        with m.Switch(at("a_sel", ADD)):
            with m.Case(AddSource.MEMORY):
                m.d.comb += add.b.eq(self.a_data)
            with m.Case(AddSource.LOG_DT):
                m.d.comb += add.b.eq(self.log_dt)
        s4, clamped4 = Signal(signed(WORD)), Signal()
        m.d.sync += [s4.eq(add.s), clamped4.eq(add.clamped | clamped3)]

        # The function.
        m.submodules.function = function = FunctionUnit(self.config.tables, self.config.state_frac_bits, self.vendor)
        m.d.comb += [
            function.s.eq(s4),
            function.table.eq(at("table", FUNCTION)),
            function.mode.eq(at("mode", FUNCTION)),
            function.exp2.eq(at("exp2", FUNCTION)),
            function.host.eq(self.host),
            function.host_index.eq(self.host_index),
            function.host_write.eq(self.host_write),
            function.host_write_data.eq(self.host_write_data),
            self.host_read_data.eq(function.host_read_data),
        ]
        clamped_f = stages.delay(clamped4, function.latency, "clamped_sum") | function.clamped

        # The gate. B is addressed one stage before it, C with it: the gate needs it a stage later.
        m.submodules.gate = gate = GateUnit(self.vendor)
        lane_b, lane_c = stages.lane(READ_B), stages.lane(READ_C)
        m.d.comb += [
            self.b_address.eq(Cat(lane_b, row_at("b", READ_B, len(self.b_address) - len(lane_b), "b_par"))),
            self.c_address.eq(Cat(lane_c, row_at("c", READ_C, len(self.c_address) - len(lane_c), None))),
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
        lane_w = stages.lane(WRITE)
        valid_w = stages.valid(WRITE, lane_w)
        counted = Signal()
        m.d.sync += [
            self.write_data.eq(gate.out),
            counted.eq((clamped_out & ~at("quiet_pre", OUT)) | (gate.clamped & ~at("quiet_post", OUT))),
        ]
        m.d.comb += [
            self.write_lane.eq(lane_w),
            self.write_v_row.eq(row_at("v", WRITE, len(self.write_v_row), "v_par")),
            self.write_v.eq(at("v_en", WRITE) & valid_w),
            self.write_e_row.eq(row_at("e", WRITE, 7, None)),
            self.write_e_parity.eq(at("e_par", WRITE) & stages.held("parity", self.parity, WRITE, since=-1)),
            self.write_e.eq(Mux(valid_w, at("e_mask", WRITE), 0)),
            self.write_out.eq(at("out", WRITE) & valid_w),
            self.square.eq(at("norm", WRITE) & valid_w),
            self.watch.eq(at("peak", WRITE) & valid_w),
            self.clamped.eq(counted & valid_w),
        ]
        return m
