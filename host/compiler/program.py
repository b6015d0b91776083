# SPDX-License-Identifier: BSD-2-Clause
"""The program of a model: a frame in, its layers, the solver, the running mean, the read-out, a frame out.

    FRAME; on a sequence's first frame h = 0, m = 0
    x -> dense layers -> tau product, input term u
    no time left? skip the solver
    solver: gated steps or an adaptive pair
    m += (h - m) / frames so far; dense layers of m -> output; DONE; when traced, h -> output
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from liquid_accel.compiler import formats
from liquid_accel.compiler.adaptive import AdaptiveSolver
from liquid_accel.compiler.builder import finish, place, to_element, to_vector
from liquid_accel.compiler.formats import Ranges
from liquid_accel.compiler.gated import GatedSolver
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Network
from liquid_accel.compiler.options import CompileOptions
from liquid_accel.compiler.quantise import WORD_MAX, WORD_MIN
from liquid_accel.compiler.tables import ACTIVATION_TABLES
from liquid_accel.compiler.target import Operand, Target
from liquid_accel.compiler.writer import FLOAT_SHIFT, WORD_BOUND, Layer, Writer, function_bound
from liquid_accel.errors import UserError
from liquid_accel.rtl.isa import (
    HEADER_WORDS,
    MARK_VECTOR,
    TRAILER_WORDS,
    Cond,
    Control,
    Factor,
    Instruction,
    Op,
    Space,
)  # fmt: skip
from liquid_accel.rtl.tableaus import TABLEAUS

MEAN_FRAC = 14  # the running mean of |h| < 2 gathers rounding over many frames, so that it has finer words than h
ROOM_UNIT = 4  # words, of the room that FRAME asks for
ROOM_MAX = 255
VECTOR_MAX = 0xFFF  # words that a mark can announce


@dataclass(frozen=True)
class Program:
    """Instructions without stalls, and the formats that the driver needs."""

    code: list[Instruction]
    input_frac_bits: int
    output_frac_bits: int
    output_words: int
    state_words: int


def write(target: Target, network: Network, ranges: Ranges, options: CompileOptions, unit: float) -> Program:
    """Write the program of `network` and all it needs into `target`. `unit`: the machine's time unit in the model's."""
    writer = Writer(target, network, ranges, options, unit)
    builder, liquid = writer.builder, network.liquid
    inputs = (network.before[0] if network.before else liquid.tau).weight.shape[1]
    # Pairs first: they take the same rows of both halves of a memory.
    h = target.take(Space.VECTOR, "state h", liquid.size, pair=True)
    base = target.take(Space.B, "state h", liquid.size, pair=True)
    mean = target.take(Space.VECTOR, "mean m", liquid.size) if network.pooled else h
    mean_base = target.take(Space.B, "mean m", liquid.size) if network.pooled else base

    builder.control(Control.FRAME, "flags, dt, log2 dt, weight of the mean, inputs")
    builder.jump(Cond.NOT_FIRST, "frame", "goes on with a sequence?")
    writer.clear(h, base, "h = 0")
    if network.pooled:
        writer.clear(mean, mean_base, "m = 0")
    builder.mark("frame")
    x = _inputs(writer, inputs)
    for dense in network.before:
        x = writer.dense(dense, x)
    _solve(writer, x, h, base)
    builder.mark("read-out")
    y = Operand(h, liquid.size, writer.state_frac, WORD_BOUND)
    if network.pooled:
        y = _running_mean(writer, h, mean, mean_base)
    outputs, output_frac = _read_out(writer, y)
    output_words, state_words = outputs * target.lanes, h.rows * target.lanes
    _trace(writer, h, state_words)
    room = -(-(1 + output_words + TRAILER_WORDS) // ROOM_UNIT)
    _check_fifo(target, HEADER_WORDS + inputs, room)
    code = builder.finished()
    code[0] = replace(code[0], imm=HEADER_WORDS + inputs, target=room)
    return Program(code, x_frac(target), output_frac, output_words, state_words)


def x_frac(target: Target) -> int:
    """Fraction bits of an input word: the first format that was chosen."""
    return target.formats[0].frac_bits


def _inputs(writer: Writer, inputs: int) -> Operand:
    bound = writer.ranges.extents["input"].bound
    frac = formats.finest(formats.MARGIN * bound)
    writer.target.formats.append(formats.entry("input", frac, bound, "range"))
    slot = writer.target.take(Space.VECTOR, "input x", inputs)
    body = [Instruction(Op.IN, last=1, cols=writer.target.lanes, comment="x", finish=finish(to_vector(slot), source=1))]
    writer.loop(slot.rows, body, f"inputs: {inputs} features")
    return Operand(slot, inputs, frac, WORD_BOUND)


def _solve(writer: Writer, x: Operand, h: Slot, base: Slot) -> None:
    """Tau and input products, and the solver."""
    target, liquid, extents, options = writer.target, writer.network.liquid, writer.ranges.extents, writer.options
    tau = liquid.tau
    tau_frac = formats.function_frac(extents[f"{tau.name}.pre"])
    # Each of the two terms must fit; where their sum does not the activation is flat.
    parts = {"input term u": extents[f"{liquid.name}.drive"], "product W h": extents[f"{liquid.name}.recurrent"]}
    pre_frac = formats.function_frac(*parts.values())
    target.formats.append(formats.described("tau pre-activation", tau_frac, extents[f"{tau.name}.pre"]))
    target.formats.extend(formats.described(name, pre_frac, extent) for name, extent in parts.items())
    whole = formats.described("pre-activation W h + u", pre_frac, extents[f"{liquid.name}.pre"], flat=True)
    target.formats.append(whole)
    target.formats.append(formats.entry("state h", writer.state_frac, 1.0, "bound"))

    solver: GatedSolver | AdaptiveSolver
    if options.adaptive:
        solver = AdaptiveSolver(writer, liquid.size, tau_frac, TABLEAUS[options.solver])
    else:
        solver = GatedSolver(writer, liquid.size, tau_frac)
    names = f"{liquid.name}.tau_weight", f"{liquid.name}.tau_bias"
    matrix = writer.matrix(names[0], tau.weight, x, tau_frac)
    # A padded unit has the longest time constant, so that it hardly moves.
    bias = target.bias(names[1], tau.bias, tau_frac, pad=WORD_MAX)
    body = writer.product(matrix, x, bias, solver.rate(), solver.rate_comment)
    writer.loop(h.rows, body, "time constants")

    # Where sigmoid is the activation a padded unit is driven to its lower end, and tanh's to 0.
    pad = 0 if liquid.activation == "tanh" else WORD_MIN
    drive = target.bias(f"{liquid.name}.bias", liquid.bias, pre_frac, pad)
    if liquid.input_weight is not None:
        matrix = writer.matrix(f"{liquid.name}.input_weight", liquid.input_weight, x, pre_frac)
        bias, drive = drive, target.take(Space.A, "input term u", liquid.size)
        writer.loop(h.rows, writer.product(matrix, x, bias, to_element(drive), "u = U x + b"), "input term")

    table = ACTIVATION_TABLES[liquid.activation](pre_frac, writer.state_frac)
    # A gated step ends between h and f, so that h never passes the function's own bound.
    bound = WORD_BOUND if options.adaptive else function_bound(table, writer.state_frac)
    state = Operand(h, liquid.size, writer.state_frac, bound)
    recurrent = writer.matrix(f"{liquid.name}.recurrent_weight", liquid.recurrent, state, pre_frac)
    writer.builder.jump(Cond.NO_TIME_LEFT, "read-out", "dt = 0: nothing moves")
    solver.emit(Layer(liquid.size, h, base, drive, recurrent, writer.table(table), writer.state_frac))


def _running_mean(writer: Writer, h: Slot, mean: Slot, mean_base: Slot) -> Operand:
    frac = max(MEAN_FRAC, writer.state_frac)
    writer.target.formats.append(formats.entry("mean m", frac, 1.0, "bound"))
    done = {
        **to_vector(mean), **to_element(mean_base), **place("b", mean_base), "sub": 1, "add": 1, "c_sel": Factor.POOL,
        "c_shift": FLOAT_SHIFT,
    }  # fmt: skip
    body = writer.copy(h, 1 << (frac - writer.state_frac), done, "m + (h - m) / frames so far")
    writer.loop(h.rows, body, "running mean")
    return Operand(mean, writer.network.liquid.size, frac, WORD_BOUND)


def _read_out(writer: Writer, y: Operand) -> tuple[int, int]:
    """The output vector; returns its rows and fraction bits."""
    target, after = writer.target, writer.network.after
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
