# SPDX-License-Identifier: BSD-2-Clause
"""The LTC with a synapse for each pair of neurons (`layers.Synaptic`): a function a synapse, once an unfold.

    S_ji = s(sigma_ji (v_j - mu_ji));  D_i = gleak_i + sum_j w_ji S_ji;  E_i = gleak_i vleak_i + sum_j w_ji erev_ji S_ji
    v' = (cm v n/dt + E) / (cm n/dt + D) = v + g(z D) (E / D - v),  z = dt / (n cm),  g(q) = q / (1 + q)

n unfolds a frame; synapses from the inputs, in D and E as well, count once a frame. D goes through its logarithm: then
1/D and the gate are powers of two, and neither a long frame nor a short one leaves a format. (Hasani et al., Liquid
Time-constant Networks, 2021, equation 3 and algorithm 1.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from liquid_accel.compiler import formats, tables
from liquid_accel.compiler.builder import dot, finish, place, terms, to_element, to_vector
from liquid_accel.compiler.cell import CellWriter
from liquid_accel.compiler.formats import Extent
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Other
from liquid_accel.compiler.quantise import WORD_MAX, WORD_MIN, pack_weights, prove_accumulator, quantise_matrix
from liquid_accel.compiler.synapses import COARSE, FINE, Block, blocks, diagonal, push_words
from liquid_accel.compiler.tables import activation_table
from liquid_accel.compiler.target import Matrix, Operand
from liquid_accel.compiler.writer import FLOAT_SHIFT, WORD_BOUND, Floats, Writer
from liquid_accel.errors import UserError
from liquid_accel.layers import Synaptic
from liquid_accel.rtl.formats import LOG2
from liquid_accel.rtl.isa import AddSource, Cond, Control, Factor, Instruction, Space

PLAIN_FRAC = 12  # of the values that synapses see, at most: their biases are made for it


class Synapses:
    """The synapses of one kind, from the inputs ("sensory_") or the neurons (""): where they lie, what they sum."""

    opened: Slot  # rows of the vector memory that hold S; both kinds may share them

    def __init__(self, writer: Writer, cell: Other, prefix: str):
        self.writer, self.cell = writer, cell
        self.what = "sensory synapses" if prefix else "synapses"
        own = cell.tensors
        self.weight = own[f"{prefix}w"] * own[f"{prefix}mask"]
        self.current = self.weight * own[f"{prefix}erev"]
        self.sigma, self.bias = own[f"{prefix}sigma"], -own[f"{prefix}sigma"] * own[f"{prefix}mu"]
        if prefix:  # the map of the inputs goes into the synapses
            self.bias = self.bias + self.sigma * own["input_b"][:, None]
            self.sigma = self.sigma * own["input_w"][:, None]
        self.blocks = blocks(self.weight != 0, writer.target.lanes)

    def write(self, source: Slot, frac_in: int, push_frac: int, function: dict[str, Any]) -> None:
        """S of every synapse; `source` holds each group's row and behind it that of the constants."""
        writer, name = self.writer, self.cell.name
        for index, block in enumerate(self.blocks):
            words = push_words(name, block, self.sigma, self.bias, frac_in, push_frac, writer.options.weight_bits)
            start = writer.target.words(f"{name} {self.what} {index}", words)
            matrix = Matrix(start, block.rows, writer.target.lanes + 2)
            done = finish(function, to_vector(self._opened(block)), row_scaled=1, quiet_pre=1)
            body = dot(matrix, _row(source, 2 * block.source), done, writer.target.lanes, "S = s(sigma (v - mu))")
            writer.loop(block.rows, body, f"{self.what}, {block.rows} rows")

    def sums(self, values: Floats, frac_bits: int, text: str, done: Callable[[int], dict[str, Any]]) -> None:
        """The sum of `values` S of each neuron, a group as `done` finishes it."""
        writer, lanes = self.writer, self.writer.target.lanes
        for group in range(writer.target.rows(self.cell.size)):
            parts = [block for block in self.blocks if block.target == group]
            if not parts:
                writer.builder.rows(writer.nothing(finish(done(group)), f"{text}: none"))
                continue
            weight = diagonal(self.blocks, group, values)
            name = f"{self.cell.name} {self.what} {text} {group}"
            start = _place(writer, name, weight, writer.state_frac, frac_bits, 1 << writer.state_frac)
            matrix = Matrix(start, 1, weight.shape[1])
            body = dot(matrix, self._opened(parts[0]), finish(done(group), row_scaled=1), lanes, text)
            writer.builder.rows(body)

    def _opened(self, block: Block) -> Slot:
        return replace(self.opened, row=self.opened.row + block.first, rows=block.rows)


class SynapticCell(CellWriter):
    """`unfolds` updates a frame; a frame with dt = 0 makes none."""

    def __init__(self, writer: Writer, cell: Other):
        if writer.options.threshold(cell.name) is not None:
            raise UserError(f"layer '{cell.name}' (ltc-synaptic) has no columns to skip; expected no threshold for it")
        assert isinstance(cell.layer, Synaptic)
        super().__init__(writer, cell.name, cell.size)
        self.cell, self.unfolds = cell, cell.layer.unfolds
        self.v = self._with_constants("state v", cell.size)
        self.base = writer.target.take(Space.B, f"{cell.name} state v", cell.size)
        for slot in (self.base, *(_row(self.v, row) for row in range(0, self.v.rows, 2))):
            writer.at_start(slot, f"{cell.name} v = 0")
        self.h = writer.target.take(Space.VECTOR, f"{cell.name} state v", cell.size)
        self.outgoing = writer.target.take(Space.VECTOR, f"{cell.name} output", cell.size)
        self.output_frac = 0

    @property
    def output(self) -> Operand:
        """The map of the state, output_w v + output_b."""
        return Operand(self.outgoing, self.cell.size, self.output_frac, WORD_BOUND)

    def write(self, x: Operand) -> None:
        """A frame's code."""
        writer, cell, target = self.writer, self.cell, self.writer.target
        name, size, own = cell.name, cell.size, cell.tensors
        extents, rows = writer.ranges.extents, target.rows(size)
        most, limit = _largest_state(own), WORD_MAX / 2.0**writer.state_frac
        if most > limit:
            raise UserError(f"layer '{name}' has vleak or erev up to {most:.4g}; expected at most {limit:.4g}")
        sensory, recurrent = Synapses(writer, cell, "sensory_"), Synapses(writer, cell, "")
        needed = max(sum(block.rows for block in part.blocks) for part in (sensory, recurrent))
        sensory.opened = recurrent.opened = target.take(Space.VECTOR, f"{name} S", max(needed, 1) * target.lanes)
        pushes = [extents[key] for key in (f"{name}.sensory", f"{name}.synapse") if key in extents]
        push_frac = writer.activation_frac("sigmoid", *pushes) if pushes else PLAIN_FRAC
        function = writer.table(activation_table("sigmoid", push_frac, writer.state_frac))
        pull_frac, leak_frac = self._formats(push_frac, pushes, sensory, recurrent)

        # Once a frame: what the inputs do, and log2 of z.
        end, one, minus = f"{name}.end", target.scalar(1), target.scalar(-1)
        writer.builder.jump(Cond.NO_TIME_LEFT, end, "dt = 0: nothing moves")
        seen, frac = self._inputs(x)
        sensory.write(seen, frac, push_frac, function)
        leak, pull = (
            self._with_leak(sensory, *what)
            for what in (
                (sensory.weight, own["gleak"] + Synaptic.epsilon, leak_frac, "D"),
                (sensory.current, own["gleak"] * own["vleak"], pull_frac, "E"),
            )
        )
        with np.errstate(divide="ignore"):
            logs = np.rint((np.log2(writer.unit / self.unfolds) - np.log2(own["cm"])) * 2**LOG2.frac_bits)
        constants = target.take(Space.VECTOR, f"{name} log2 1/(n cm)", size)
        target.fill(constants, np.clip(logs, WORD_MIN, WORD_MAX).astype(np.int64), pad=WORD_MIN)
        log_z = target.take(Space.A, f"{name} log2 z", size)
        done = {"a_sel": AddSource.LOG_DT, "quiet_pre": 1, **to_element(log_z)}
        writer.loop(rows, writer.copy(constants, 1, done, "log2 z = log2 dt/(n cm)"), "log2 z")

        # Each unfold.
        log_d = target.take(Space.VECTOR, f"{name} log2 D", size)
        toward = target.take(Space.VECTOR, f"{name} E/D", size)
        gate, inverse = (target.take(Space.C, f"{name} {what}", size) for what in ("gate", "1/D"))
        log_table = writer.table(tables.log2_table(leak_frac))
        fields = {**writer.table(tables.gate_table("fused")), "exp2": 1, "quiet_pre": 1, **_memory(log_z)}
        label = f"{name}.unfold"
        writer.builder.control(Control.REPEAT, f"{self.unfolds} unfolds", imm=self.unfolds - 1)
        writer.mark(label)
        recurrent.write(self.v, writer.state_frac, push_frac, function)
        recurrent.sums(
            recurrent.weight, leak_frac, "log2 D",
            lambda group: {**_memory(_row(leak, group)), **log_table, **to_vector(_row(log_d, group))},
        )  # fmt: skip
        body = terms([(log_d, False, one)], finish(fields, to_element(gate)), "g(z D)")
        writer.loop(rows, body, "gates", rhs=True)
        writer.loop(rows, terms([(log_d, False, minus)], finish(to_element(inverse), exp2=1), "1/D"), "1/D")
        divide = {"c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT + pull_frac - writer.state_frac}
        recurrent.sums(
            recurrent.current, pull_frac, "E / D",
            lambda group: {
                **_memory(_row(pull, group)), **divide, "c": inverse.row + group, **to_vector(_row(toward, group)),
            },
        )  # fmt: skip
        for group in range(rows):
            writer.builder.rows(self._update(group, toward, gate, one))
        writer.again(label)
        writer.mark(end)
        self._finish(rows)

    # ---- Parts

    def _with_constants(self, what: str, size: int) -> Slot:
        """Rows of the vector memory, behind each a row of the operands of biases."""
        target = self.writer.target
        rows = target.rows(size)
        slot = target.take(Space.VECTOR, f"{self.name} {what}, constants", 2 * rows * target.lanes)
        words = np.zeros((2 * rows, target.lanes), np.int64)
        words[1::2, :2] = COARSE, FINE
        target.fill(slot, words.reshape(-1))
        return slot

    def _inputs(self, x: Operand) -> tuple[Slot, int]:
        """The inputs with constants between them, and their fraction bits."""
        writer = self.writer
        seen, frac = self._with_constants("inputs", x.size), min(x.frac_bits, PLAIN_FRAC)
        for row in range(x.slot.rows):
            done = finish(to_vector(_row(seen, 2 * row)), narrow=x.frac_bits - frac)
            one = writer.target.scalar(1)
            writer.builder.rows(terms([(_row(x.slot, row), False, one)], done, "x beside the constants"))
        return seen, frac

    def _with_leak(self, sensory: Synapses, values: Floats, constant: Floats, frac: int, text: str) -> Slot:
        """The constant and the sensory part of a sum, in the A memory."""
        target = self.writer.target
        bias = target.take(Space.A, f"{self.name} {text}: leak", self.cell.size)
        words = np.rint(constant * 2.0**frac)
        target.fill(bias, np.clip(words, WORD_MIN, WORD_MAX).astype(np.int64), pad=1 << frac)
        slot = target.take(Space.A, f"{self.name} {text}: leak and inputs", self.cell.size)
        sensory.sums(values, frac, text, lambda group: {**_memory(_row(bias, group)), **to_element(_row(slot, group))})
        return slot

    def _update(self, group: int, toward: Slot, gate: Slot, one: int) -> list[Instruction]:
        base = _row(self.base, group)
        done = finish(
            {**place("b", base), "sub": 1, "add": 1, "c": gate.row + group, "c_sel": Factor.MEMORY},
            {"c_shift": FLOAT_SHIFT, **to_vector(_row(self.v, 2 * group)), **to_element(base)},
        )
        return terms([(_row(toward, group), False, one)], done, "v + g (E/D - v)")

    def _finish(self, rows: int) -> None:
        """The state in rows side by side, and the layer's output."""
        writer, own = self.writer, self.cell.tensors
        done = finish(place("b", self.base), to_vector(self.h), add=1)
        writer.loop(rows, writer.nothing(done, "v"), "state v")
        extent = writer.ranges.extents[f"{self.name}.state"]
        most = min(_largest_state(own), formats.MARGIN * extent.seen)
        largest = float((np.abs(own["output_w"]) * most + np.abs(own["output_b"])).max())
        self.output_frac = min(formats.finest(largest), writer.state_frac)
        writer.target.formats.append(formats.entry(f"{self.name} output", self.output_frac, largest, "calibration"))
        bias = writer.target.bias(f"{self.name}.output_b", own["output_b"], self.output_frac)
        name, weight = f"{self.name} output map", np.diag(own["output_w"])
        start = _place(writer, name, weight, writer.state_frac, self.output_frac, WORD_BOUND)
        fields = finish(_memory(bias), to_vector(self.outgoing), row_scaled=1)
        matrix = Matrix(start, rows, self.cell.size)
        writer.loop(rows, dot(matrix, self.h, fields, writer.target.lanes, "output_w v + output_b"), "output")

    def _formats(
        self, push_frac: int, pushes: Sequence[Extent], sensory: Synapses, recurrent: Synapses
    ) -> tuple[int, int]:
        """Fraction bits of the numerator E and of the denominator D."""
        name, own, writer = self.name, self.cell.tensors, self.writer
        extents, listed = writer.ranges.extents, writer.target.formats
        summed = [
            sum((np.abs(values).sum(axis=0) for values in parts), np.abs(leak)).max()
            for parts, leak in (
                ((sensory.current, recurrent.current), own["gleak"] * own["vleak"]),
                ((sensory.weight, recurrent.weight), own["gleak"]),
            )
        ]
        current, conductance = (
            Extent(float(bound), seen.seen, seen.low, seen.high)
            for bound, seen in zip(summed, (extents[f"{name}.current"], extents[f"{name}.conductance"]), strict=True)
        )
        pull_frac = formats.value_frac(current)
        # A logarithm needs fine words; a sum past what was seen is clamped, and says so.
        leak_frac = formats.finest(min(conductance.bound, formats.MARGIN * conductance.seen))
        for extent in pushes[:1]:
            widest = max(extent.seen for extent in pushes)
            listed.append(formats.described(f"{name} push", push_frac, replace(extent, seen=widest), flat=True))
        listed.append(formats.described(f"{name} current E", pull_frac, current))
        listed.append(formats.described(f"{name} conductance D", leak_frac, conductance))
        listed.append(formats.entry(f"{name} state v", writer.state_frac, _largest_state(own), "bound"))
        return pull_frac, leak_frac


def _largest_state(own: Any) -> float:
    """A state from 0 on stays among 0, vleak and the erev: each update is a mean of those and of itself."""
    return max(float(np.abs(own[name]).max()) for name in ("vleak", "erev", "sensory_erev"))


def _row(slot: Slot, row: int) -> Slot:
    return replace(slot, row=slot.row + row, rows=1)


def _memory(slot: Slot) -> dict[str, Any]:
    """Fields that add a row of the A memory."""
    return {"a": slot.row, "a_sel": AddSource.MEMORY}


def _place(writer: Writer, name: str, weight: Floats, frac_in: int, frac_out: int, word_bound: int) -> int:
    """Quantise and place a matrix that stands for no tensor of the checkpoint; its first word."""
    quantised = quantise_matrix(name, weight, frac_in, frac_out, writer.options.weight_bits)
    prove_accumulator(name, quantised.accumulator_bound(word_bound))
    return writer.target.words(name, pack_weights(quantised, writer.target.lanes))
