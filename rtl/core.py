# SPDX-License-Identifier: BSD-2-Clause
"""The core: memories, lanes, element pipeline, step controller and sequencer, between two streams."""

from __future__ import annotations

from amaranth.hdl import Cat, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from .config import LiquidConfig
from .counters import Counters
from .element_pipeline import ElementPipeline
from .fetch import Fetch
from .isa import E_A, E_B, E_C, E_S, FINISH_HALF_BITS, HEADER_WORDS, ISSUE_BITS, STEP_RECORD_WORDS, Space
from .lane_path import LanePath
from .memory import HOST_ADDRESS, PART, Fifo, Ram, SinglePortRam, host_row, read_cycles
from .norm import ErrorNorm
from .sequencer import Sequencer
from .step_controller import StepController
from .tracker import Tracker

# The last words of S, among which are all of the step controller's (isa.Param).
CONSTANTS = 32


class Core(wiring.Component):
    """The machine without its registers.

    frames, results     streams of 16-bit words (docs/isa.md, streams), each behind a FIFO
    run, idle, starved, illegal   see Sequencer
    host_*              a word of a memory: space, address; write in one cycle, or read with data HOST_READ_CYCLES after
                        the address; only while `idle`
    near                with `gate_clock`: high with host_write, and while a memory's word is read
    in_room, out_level  of the FIFOs
    active              high while lanes, element pipeline and tracker are clocked

    With `gate_clock` lanes, element pipeline and tracker have their clock enabled only from a frame's beginning until
    the next frame is waited for, and while the host asks for something: same cycles, same words, less power.
    """

    def __init__(self, config: LiquidConfig, vendor: str = "portable", gate_clock: bool = False) -> None:
        self.config, self.vendor, self.gate_clock = config, vendor, gate_clock
        level = range(config.fifo_words + 1)
        super().__init__(
            {
                "frames": In(stream.Signature(16)),
                "results": Out(stream.Signature(16)),
                "run": In(1),
                "near": In(1),
                "active": Out(1),
                "idle": Out(1),
                "starved": Out(1),
                "illegal": Out(1),
                "in_room": Out(level),
                "out_level": Out(level),
                "host_space": In(4),
                "host_address": In(HOST_ADDRESS),
                "host_write": In(1),
                "host_write_data": In(16),
                "host_read_data": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = Sequencer(config, self.vendor)
        lanes, elements = LanePath(config, self.vendor), ElementPipeline(config, self.vendor)
        m.submodules.controller = controller = StepController()
        m.submodules.norm = norm = ErrorNorm(self.vendor)
        m.submodules.counters = counters = Counters()
        m.submodules.fifo_in = fifo_in = Fifo(config.fifo_words, self.vendor)
        m.submodules.fifo_out = fifo_out = Fifo(config.fifo_words, self.vendor)

        tracker = Tracker(config, self.vendor) if config.column_skip else None
        # Between two frames nothing is under way in them: with their clock disabled they are as they were left.
        m.d.comb += self.active.eq(~sequencer.idle | self.near if self.gate_clock else 1)
        gate = EnableInserter(self.active) if self.gate_clock else (lambda block: block)
        m.submodules.lanes, m.submodules.elements = gate(lanes), gate(elements)
        m.d.comb += lanes.enable.eq(self.active)
        started = Signal()
        m.d.sync += started.eq(sequencer.frame_start)
        if tracker is not None:
            m.submodules.tracker = gate(tracker)
            self._track(m, tracker, sequencer, elements)

        # ---- Memories
        m.submodules.fetch = fetch = Fetch(config, self.vendor)
        m.submodules.finish = finish = Ram(
            config.program_words, FINISH_HALF_BITS // PART, vendor=self.vendor, registered=True
        )
        m.submodules.vector = vector = Ram(config.vector_rows, config.lanes, vendor=self.vendor, registered=True)
        m.submodules.weights = weights = SinglePortRam(config.weight_words, config.weight_part_words, self.vendor)
        element_memories = {
            Space.A: Ram(config.add_elements, vendor=self.vendor, registered=True),
            Space.B: Ram(config.base_elements, vendor=self.vendor, registered=True),
            Space.C: Ram(config.gate_elements, vendor=self.vendor, registered=True),
            Space.S: Ram(config.scalar_elements, vendor=self.vendor),
        }
        for space, ram in element_memories.items():
            m.submodules[f"memory_{space.name.lower()}"] = ram

        # Where S is made of look-up tables, the controller's address would come late to all of them: it has a copy of
        # the words that it reads.
        shares_s = read_cycles(self.vendor) == 1
        scalars = element_memories[Space.S]
        scalar_address, controller_data = Signal(8), Signal(PART)
        m.d.comb += scalar_address.eq(sequencer.s_address | (controller.s_address if shares_s else 0))
        if shares_s:
            m.d.comb += controller_data.eq(scalars.read_data)
        else:
            m.submodules.constants = constants = Ram(CONSTANTS, vendor=self.vendor)
            m.d.comb += [
                constants.read_row.eq(controller.s_address),
                controller_data.eq(constants.read_data),
                constants.write_row.eq(scalars.write_row),
                constants.write_data.eq(scalars.write_data),
                constants.write_parts.eq(scalars.write_parts & scalars.write_row[exact_log2(CONSTANTS) :].all()),
            ]
        read_rows: dict[Space, Value] = {
            Space.FINISH: Cat(elements.high, sequencer.finish_pc),
            Space.VECTOR: sequencer.v_row,
            Space.A: elements.a_address,
            Space.B: elements.b_address,
            Space.C: elements.c_address,
            Space.S: scalar_address,
        }
        lane_bits = len(elements.write_lane)
        masks = {Space.A: E_A, Space.B: E_B, Space.C: E_C, Space.S: E_S}
        shared: dict[Space, Ram] = {
            Space.FINISH: finish,
            Space.VECTOR: vector,
            **element_memories,
        }
        answers: list[tuple[Space, Value]] = []
        for space, ram in shared.items():
            stride = 1 << (ram.parts - 1).bit_length()
            row, part = host_row(self.host_address, stride)
            chosen = self.host_write & (self.host_space == space)
            m.d.comb += [
                ram.read_row.eq(Mux(self.idle, row, read_rows[space])),
                ram.write_row.eq(row),
                ram.write_data.eq(self.host_write_data.replicate(ram.parts)),
                ram.write_parts.eq(Mux(chosen, 1 << part, 0)),
            ]
            if space == Space.VECTOR:
                m.d.comb += [lanes.host.eq(self.idle), lanes.host_part.eq(part)]
                answers.append((space, lanes.element))
            else:
                answers.append((space, ram.read_data.word_select(part, PART) if ram.parts > 1 else ram.read_data))
            if space == Space.VECTOR:
                with m.If(~self.idle):
                    m.d.comb += [
                        ram.write_row.eq(elements.write_v_row),
                        ram.write_data.eq(elements.write_data.as_unsigned().replicate(ram.parts)),
                        ram.write_parts.eq(Mux(elements.write_v, 1 << elements.write_lane, 0)),
                    ]
            elif space in masks:
                row_bits = len(ram.write_row) - lane_bits
                written = elements.write_e_row[:row_bits]
                flipped = Cat(written[:-1], written[-1] ^ elements.write_e_parity)
                with m.If(~self.idle):
                    m.d.comb += [
                        ram.write_row.eq(Cat(elements.write_lane, flipped)),
                        ram.write_data.eq(elements.write_data),
                        ram.write_parts.eq((elements.write_e & masks[space]) != 0),
                    ]
            if space == Space.S:
                if tracker is not None:
                    with m.If(~self.idle & tracker.s_claim):
                        m.d.comb += [
                            ram.write_row.eq(tracker.s_row),
                            ram.write_data.eq(tracker.s_data),
                            ram.write_parts.eq(tracker.s_write),
                        ]
                with m.If(controller.s_write):
                    m.d.comb += [
                        ram.write_row.eq(controller.s_address),
                        ram.write_data.eq(controller.s_write_data),
                        ram.write_parts.eq(1),
                    ]
        # A fetch at address 0 must be under way when the sequencer leaves its idle state, so the program is not the
        # host's while it runs.
        issue_row, issue_part = host_row(self.host_address, 4)
        issue_written = self.host_write & (self.host_space == Space.ISSUE)
        m.d.comb += [
            fetch.fetch.eq(sequencer.fetch),
            fetch.again.eq(sequencer.again),
            fetch.jump.eq(sequencer.jumping),
            fetch.taken.eq(sequencer.taken),
            fetch.begin_loop.eq(sequencer.begin_loop),
            fetch.first.eq(sequencer.stopped),
            fetch.host.eq(sequencer.stopped & ~self.run),
            fetch.host_row.eq(issue_row),
            fetch.write_row.eq(issue_row),
            fetch.write_data.eq(self.host_write_data.replicate(ISSUE_BITS // PART)),
            fetch.write_parts.eq(Mux(issue_written, 1 << issue_part, 0)),
            sequencer.pc.eq(fetch.pc),
        ]
        answers.append((Space.ISSUE, fetch.issue.word_select(issue_part, PART)))

        weight_row, weight_part = host_row(self.host_address, config.weight_part_words)
        m.d.comb += [
            weights.row.eq(Mux(self.idle, weight_row, sequencer.w_row)),
            weights.write_data.eq(self.host_write_data.replicate(weights.parts)),
            weights.write_parts.eq(Mux(self.host_write & (self.host_space == Space.WEIGHT), 1 << weight_part, 0)),
        ]
        answers.append((Space.WEIGHT, weights.read_data.word_select(weight_part, PART)))
        m.d.comb += [
            elements.host.eq(self.idle),
            elements.host_index.eq(self.host_address),
            elements.host_write.eq(self.host_write & (self.host_space == Space.TABLE)),
            elements.host_write_data.eq(self.host_write_data),
        ]
        answers.append((Space.TABLE, elements.host_read_data))
        chosen_answer = Signal(16)
        with m.Switch(self.host_space):
            for space, answer in answers:
                with m.Case(space):
                    m.d.comb += chosen_answer.eq(answer)
        m.d.sync += self.host_read_data.eq(chosen_answer)

        # ---- Streams
        m.d.comb += [
            self.frames.ready.eq(~fifo_in.level[-1]),
            fifo_in.write.eq(self.frames.valid),
            fifo_in.write_data.eq(self.frames.payload),
            fifo_in.read.eq(sequencer.header.any() | elements.input_take),
            self.results.valid.eq(fifo_out.valid),
            self.results.payload.eq(fifo_out.read_data),
            fifo_out.read.eq(self.results.ready),
            self.in_room.eq(fifo_in.room),
            self.out_level.eq(fifo_out.level),
        ]
        # Who pushes is known late: the FIFO hears of it in the next cycle.
        m.d.sync += [
            fifo_out.write.eq(sequencer.emit | counters.push | elements.write_out),
            fifo_out.write_data.eq(
                Mux(counters.push, counters.word, Mux(sequencer.emit, sequencer.emit_word, elements.write_data))
            ),
        ]
        flags, log_dt, pool = Signal(2), Signal(16), Signal(16)
        for index, target in ((0, flags), (3, log_dt), (4, pool)):
            with m.If(sequencer.header[index]):
                m.d.sync += target.eq(fifo_in.read_data)
        headed = Signal()  # the header is complete
        m.d.sync += headed.eq(sequencer.header[HEADER_WORDS - 1])

        # ---- Between the blocks
        overflow = tracker.overflow if tracker is not None else 0
        judged = Signal()
        with m.If(sequencer.plan | sequencer.decide | sequencer.judge):
            m.d.sync += judged.eq(sequencer.decide)
        traced = flags[1] & judged
        m.d.comb += [
            sequencer.run.eq(self.run),
            sequencer.issue.eq(fetch.issue),
            sequencer.in_level.eq(fifo_in.level),
            sequencer.out_level.eq(fifo_out.level),
            sequencer.flags.eq(flags),
            sequencer.input_take.eq(elements.input_take),
            sequencer.controller_done.eq(Mux(traced, counters.sent, controller.done)),
            sequencer.time_left.eq(controller.time_left),
            sequencer.toggle.eq(controller.accepted),
            sequencer.trailer_sent.eq(counters.sent),
            self.idle.eq(sequencer.idle),
            self.starved.eq(sequencer.starved),
            self.illegal.eq(sequencer.illegal),
            sequencer.within.eq(controller.within),
            sequencer.hand_on.eq(lanes.start),
            lanes.slot.eq(sequencer.slot),
            # What an abort left in the sums is gone before the first product.
            lanes.clear.eq(started),
            lanes.vector_data.eq(vector.read_data),
            lanes.weight_data.eq(weights.read_data),
            lanes.scalar_data.eq(scalars.read_data),
            elements.start.eq(lanes.start),
            elements.sum.eq(lanes.sum),
            elements.scale.eq(lanes.scale),
            elements.finish.eq(finish.read_data),
            elements.row.eq(sequencer.row),
            elements.parity.eq(sequencer.parity),
            elements.input_data.eq(fifo_in.read_data),
            elements.input_left.eq(sequencer.inputs_left),
            elements.log_dt.eq(log_dt),
            sequencer.log_dt.eq(log_dt),
            elements.step.eq(controller.step),
            elements.pool.eq(pool),
            elements.a_data.eq(element_memories[Space.A].read_data),
            elements.b_data.eq(element_memories[Space.B].read_data),
            elements.c_data.eq(element_memories[Space.C].read_data),
            norm.measured.eq(elements.measured),
            norm.sixteenth.eq(elements.sixteenth),
            norm.square.eq(elements.square),
            norm.watch.eq(elements.watch),
            norm.clear.eq(controller.clear),
            controller.plan.eq(sequencer.plan),
            controller.jump.eq(sequencer.jump),
            controller.decide.eq(sequencer.decide),
            controller.judge.eq(sequencer.judge),
            controller.frame_start.eq(sequencer.frame_start),
            controller.fresh.eq(headed & flags[0]),
            controller.load_time.eq(sequencer.header[1:3]),
            controller.dt.eq(fifo_in.read_data),
            controller.norm.eq(norm.norm),
            controller.peak.eq(norm.peak),
            controller.clamped.eq(elements.clamped | overflow),
            controller.s_data.eq(controller_data),
            counters.frame_start.eq(sequencer.frame_start),
            counters.frame_done.eq(sequencer.frame_done),
            counters.rhs.eq(sequencer.count_rhs),
            counters.mac.eq(sequencer.count_mac),
            counters.accepted.eq(controller.accepted),
            counters.rejected.eq(controller.rejected),
            counters.limited.eq(controller.limited),
            counters.halted.eq(controller.halted),
            counters.clamped.eq(elements.clamped),
            counters.overflow.eq(overflow),
            counters.skip.eq(sequencer.count_skip),
            counters.skip_count.eq(sequencer.skip_count),
            counters.flag.eq(sequencer.flag),
            counters.flag_bits.eq(sequencer.imm),
            counters.lag.eq(sequencer.lag),
            counters.left.eq(controller.left),
            counters.record.eq(controller.done & traced),
            # The words of a frame take at most half of the FIFO: records leave that half free.
            counters.record_room.eq(fifo_out.level <= config.fifo_words // 2 - STEP_RECORD_WORDS),
            counters.record_flags.eq(controller.record_flags),
            counters.step.eq(controller.step),
            counters.norm.eq(norm.norm),
        ]
        return m

    def _track(self, m: Module, tracker: Tracker, sequencer: Sequencer, elements: ElementPipeline) -> None:
        """What the tracker hears from the pipeline and the sequencer, and what they hear from it."""
        m.d.comb += [
            tracker.value.eq(elements.write_data),
            tracker.track.eq(elements.track),
            tracker.x_read.eq(elements.track_read),
            tracker.x_write.eq(elements.track_write),
            tracker.column.eq(elements.track_column),
            tracker.index.eq(sequencer.list_index),
            elements.offset.eq(tracker.offset),
            sequencer.column.eq(tracker.column_of),
            sequencer.list_first.eq(tracker.first),
            sequencer.list_more.eq(tracker.more),
            sequencer.list_some.eq(tracker.some),
        ]
        for name in ("take", "begin", "follow", "list", "target", "imm"):
            m.d.comb += getattr(tracker, name).eq(getattr(sequencer, name))
