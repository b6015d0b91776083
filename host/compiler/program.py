# SPDX-License-Identifier: BSD-2-Clause
"""The program of a model: a frame in, its layers, the running mean, the read-out, a frame out.

    FRAME; on a sequence's first frame clear the states
    x -> dense layers -> cell -> ... -> cell
    m += (h - m) / frames so far; dense layers of m -> output; DONE; when traced, h -> output
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import finish, place, to_element, to_vector
from liquid_accel.compiler.cells import cell_of
from liquid_accel.compiler.formats import Ranges
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Network, Other
from liquid_accel.compiler.options import CompileOptions
from liquid_accel.compiler.target import Operand, Target, Tracking
from liquid_accel.compiler.writer import FLOAT_SHIFT, WORD_BOUND, Writer
from liquid_accel.errors import UserError
from liquid_accel.layers import Gru, Lstm
from liquid_accel.rtl.isa import (
    HEADER_WORDS,
    LAG_WORDS,
    MARK_VECTOR,
    TRAILER_WORDS,
    Cond,
    Control,
    Factor,
    Instruction,
    Op,
    Space,
)  # fmt: skip

MEAN_FRAC = 14  # the running mean of |h| < 2 gathers rounding over many frames, so that it has finer words than h
ROOM_UNIT = 4  # words, of the room that FRAME asks for
ROOM_MAX = 255
VECTOR_MAX = 0xFFF  # words that a mark can announce
TRACKED_INPUT = 2.0  # an input that skipping looks at has a spare bit: the difference of two then fits in 16


@dataclass(frozen=True)
class Program:
    """Instructions without stalls, and the formats that the driver needs."""

    code: list[Instruction]
    input_frac_bits: int
    output_frac_bits: int
    state_frac_bits: int
    output_words: int
    state_words: int
    longest_frame: int
    regular_log_dt: int | None


def write(target: Target, network: Network, ranges: Ranges, options: CompileOptions, unit: float) -> Program:
    """Write the program of `network` and all it needs into `target`. `unit`: the machine's time unit in the model's."""
    writer = Writer(target, network, ranges, options, unit)
    # Pairs first: they take the same rows of both halves of a memory.
    cells = [cell_of(writer, cell) for cell in network.cells]
    builder = writer.builder
    builder.control(Control.FRAME, "flags, dt, log2 dt, weight of the mean, inputs")
    builder.jump(Cond.FIRST, "sequence", "the first frame of a sequence?")
    writer.mark("frame")
    x = _input(writer, network)
    for index, cell in enumerate(cells):
        cell.write(x)
        if index + 1 < len(cells):
            x = _handed_on(writer, cell.output, network.cells[index + 1].name)
    outputs, output_frac = _read_out(writer, [cell.output for cell in cells])
    state = cells[-1].traced
    output_words, state_words = outputs * target.lanes, state.slot.rows * target.lanes
    _trace(writer, state.slot, state_words)
    writer.mark("sequence")
    writer.write_start()
    builder.jump(Cond.ALWAYS, "frame", "on with the frame")
    room = -(-(1 + output_words + TRAILER_WORDS + (LAG_WORDS if options.budget else 0)) // ROOM_UNIT)
    _check_fifo(target, HEADER_WORDS + network.inputs, room)
    code = builder.finished()
    code[0] = replace(code[0], imm=HEADER_WORDS + network.inputs, target=room)
    frac = next(f.frac_bits for f in target.formats if f.name == "input")
    return Program(
        code, frac, output_frac, state.frac_bits, output_words, state_words, writer.longest_frame, writer.regular_log_dt
    )


def _input(writer: Writer, network: Network) -> Operand:
    """The frame's features through the dense layers before the first cell; what goes into the cell is tracked."""
    name, before = network.cells[0].name, network.before
    bound = writer.ranges.extents["input"].bound
    frac = formats.finest((formats.MARGIN if before else TRACKED_INPUT) * bound)
    writer.target.formats.append(formats.entry("input", frac, bound, "range"))
    tracking: Tracking | None = None
    if network.skips_inputs and (not before or before[-1].activation is not None):
        width = len(before[-1].bias) if before else network.inputs
        tracking = writer.tracking(f"{name} input", name, width, writer.state_frac if before else frac)
    slot = writer.target.take(Space.VECTOR, "input x", network.inputs)
    own = tracking if not before else None
    done = finish(to_vector(slot), writer.tracked(own), source=1)
    body = [Instruction(Op.IN, last=1, cols=writer.target.lanes, comment="x", finish=done)]
    writer.loop(slot.rows, body, f"inputs: {network.inputs} features", tracking=own)
    x = Operand(slot, network.inputs, frac, WORD_BOUND, own)
    for index, dense in enumerate(before):
        x = writer.dense(dense, x, tracking=tracking if index + 1 == len(before) else None)
    return x


def _handed_on(writer: Writer, h: Operand, name: str) -> Operand:
    """A cell's state as the input of the next: tracked anew, since the next sees it once a frame."""
    tracking = writer.tracking(f"{name} input", name, h.size, h.frac_bits)
    if tracking is None:
        return h
    body = writer.copy(h.slot, 1, writer.tracked(tracking), f"moves of the input of {name}")
    writer.loop(h.slot.rows, body, f"input of {name}", tracking=tracking)
    return replace(h, tracking=tracking)


def _read_out(writer: Writer, states: list[Operand]) -> tuple[int, int]:
    """The output vector; returns its rows and fraction bits."""
    target, network = writer.target, writer.network
    if network.pooled == "all":
        y = _running_mean(writer, states)
    elif network.pooled == "last":
        y = _running_mean(writer, states[-1:])
    else:
        y = states[-1]
    after = network.after
    for dense in after[:-1]:
        y = writer.dense(dense, y)
    rows = target.rows(len(after[-1].bias) if after else y.size)
    words = rows * target.lanes
    if words > VECTOR_MAX:
        raise UserError(f"the model has {words} output words; expected at most {VECTOR_MAX}")
    writer.builder.control(Control.EMIT, "output vector", imm=MARK_VECTOR | words)
    if after:
        y = writer.dense(after[-1], y, out=True)
    else:
        writer.loop(rows, writer.copy(y.slot, 1, {"out": 1}, "output"), "output")
    writer.builder.control(Control.DONE, "trailer with status and counters")
    return rows, y.frac_bits


def _running_mean(writer: Writer, states: list[Operand]) -> Operand:
    """m += (h - m) / frames so far, of the states one after the other."""
    lanes = writer.target.lanes
    if any(state.size % lanes for state in states[:-1]):
        raise UserError(f"the mean of several layers is read out; expected layers of a multiple of {lanes} units")
    size = sum(state.size for state in states)
    mean = writer.target.take(Space.VECTOR, "mean m", size)
    base = writer.target.take(Space.B, "mean m", size)
    for slot in (mean, base):
        writer.at_start(slot, "m = 0")
    largest = 1.0
    if any(isinstance(cell, Other) and not isinstance(cell.layer, Gru | Lstm) for cell in writer.network.cells):
        # The mean's words hold the states too, from which it is taken.
        bounds = (writer.ranges.extents[f"{cell.name}.state"].bound for cell in writer.network.cells)
        largest = max(formats.MARGIN * writer.ranges.extents["mean"].seen, *bounds)
    frac = max(formats.finest(largest, MEAN_FRAC), *(state.frac_bits for state in states))
    writer.target.formats.append(formats.entry("mean m", frac, largest, "bound" if largest == 1.0 else "calibration"))
    row = 0
    for state in states:
        rows = state.slot.rows
        part, part_base = replace(mean, row=mean.row + row, rows=rows), replace(base, row=base.row + row, rows=rows)
        done = {
            **to_vector(part), **to_element(part_base), **place("b", part_base), "sub": 1, "add": 1,
            "c_sel": Factor.POOL, "c_shift": FLOAT_SHIFT,
        }  # fmt: skip
        body = writer.copy(state.slot, 1 << (frac - state.frac_bits), done, "m + (h - m) / frames so far")
        writer.loop(rows, body, "running mean")
        row += rows
    return Operand(mean, size, frac, WORD_BOUND)


def _trace(writer: Writer, h: Slot, words: int) -> None:
    """The state vector when the frame is traced, in parts that the output FIFO holds."""
    builder, target = writer.builder, writer.target
    builder.jump(Cond.NOT_TRACE, "start", "next frame")
    if words > VECTOR_MAX:
        raise UserError(f"the layer has {words} state words; expected at most {VECTOR_MAX}")
    # ROOM waits for more than a whole number of its units, and the first part carries the mark.
    part = max(1, (target.config.fifo_words - ROOM_UNIT - 1) // target.lanes)
    for first in range(0, h.rows, part):
        rows = min(part, h.rows - first)
        builder.control(Control.ROOM, target=-(-(rows * target.lanes + (first == 0)) // ROOM_UNIT))
        if first == 0:
            builder.control(Control.EMIT, "state vector", imm=MARK_VECTOR | words)
        rest = replace(h, row=h.row + first)
        writer.loop(rows, writer.copy(rest, 1, {"out": 1}, "h"), "state")
    builder.jump(Cond.ALWAYS, "start", "next frame")


def _check_fifo(target: Target, words_in: int, room: int) -> None:
    depth = target.config.fifo_words
    if words_in > depth:
        raise UserError(f"a frame has {words_in} words with its header; expected at most fifo_words = {depth}")
    # Half of it, so that the records of a traced frame's steps never take the room of its output.
    if room > min(ROOM_MAX, depth // 2 // ROOM_UNIT):
        raise UserError(
            f"a frame has {room * ROOM_UNIT} words of output; expected at most half of fifo_words = {depth}"
        )
