# SPDX-License-Identifier: BSD-2-Clause
"""The neural ODE: dh/dt = act_n(W_n ... act_1(W_0 h + U x + b_0)), integrated by any Runge-Kutta method.

U x + b_0 is computed once a frame, into A; a slope is a chain of products, the layers between in the vector memory.
"""

from __future__ import annotations

import math
from typing import Any

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import to_element, to_vector
from liquid_accel.compiler.cell import CellWriter
from liquid_accel.compiler.layer import both_halves, settle
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Other
from liquid_accel.compiler.quantise import WORD_MIN
from liquid_accel.compiler.runge_kutta import RungeKutta
from liquid_accel.compiler.tables import activation_table
from liquid_accel.compiler.target import Operand, Product
from liquid_accel.compiler.writer import WORD_BOUND, Writer, function_bound
from liquid_accel.layers import Node
from liquid_accel.rtl.isa import Cond, Space

STAGE_MARGIN = 2.0  # of the largest slope that was seen at the ends of frames: stages may go beyond
FLAT = ("tanh", "sigmoid")  # where a pre-activation is clamped, these change no more
NEVER_ZERO = ("sigmoid", "softplus")  # a padded unit is driven to where they vanish


class NodeCell(CellWriter):
    """A right-hand side as the Runge-Kutta methods want it (`runge_kutta.Slopes`), and the frame around it."""

    def __init__(self, writer: Writer, cell: Other):
        assert isinstance(cell.layer, Node)
        super().__init__(writer, cell.name, cell.size)
        self.cell, self.activations = cell, cell.layer.activations
        self.extent = writer.ranges.extents[f"{cell.name}.state"]
        # h has no bound: its words are as coarse as the calibration data ask for.
        self.frac_bits = min(self.frac_bits, formats.finest(self.extent.bound))
        self.method = RungeKutta(writer, writer.options.method)
        self.h = writer.target.take(Space.VECTOR, f"{cell.name} state h", cell.size, pair=True)
        self.base = writer.target.take(Space.B, f"{cell.name} state h", cell.size, pair=True)
        both_halves(writer, (self.h, self.base), f"{cell.name} h = 0")
        self.tracking = writer.tracking(f"{cell.name} state", cell.name, cell.size, self.frac_bits)
        self.slope_frac = 0
        self._products: list[Product] = []
        self._adds: list[Slot] = []
        self._dones: list[dict[str, Any]] = []

    def write(self, x: Operand) -> None:
        """A frame's code."""
        writer, target = self.writer, self.writer.target
        target.formats.append(formats.entry(f"{self.name} state h", self.frac_bits, self.extent.seen, "calibration"))
        self._place()
        writer.take(x.tracking)
        frac = self._pre_fracs[0]
        given = writer.matrix(f"{self.name}.input_weight", self.cell.tensors["input_weight"], x, frac)
        bias, drive = self._adds[0], target.take(Space.A, f"{self.name} input term", len(self._bias(0)))
        self._adds[0] = drive
        writer.loop(drive.rows, writer.product(given, bias, to_element(drive), "U x + b"), "input term")
        end = f"{self.name}.end"
        writer.builder.jump(Cond.NO_TIME_LEFT, end, "dt = 0: nothing moves")
        self.method.emit(self)
        settle(writer, self.h, self.base)
        writer.mark(end)

    def write_slope(
        self, vector: Slot, base: Slot, other: bool, slope: Slot, slope_other: bool, peak: bool, comment: str
    ) -> None:
        """k = act_n(W_n ... act_1(W_0 y + U x + b_0)); the last loop counts the evaluation."""
        writer, last = self.writer, len(self.activations) - 1
        for index, (product, add, done) in enumerate(zip(self._products, self._adds, self._dones, strict=True)):
            fields = dict(done)
            if index == last:
                fields |= {**to_vector(slope, slope_other), "peak": int(peak)}
            text = comment if index == last else f"layer {index} of {comment}"
            source = (vector, other) if index == 0 else (None, False)
            body = writer.product(product, add, fields, text, *source)
            writer.loop(add.rows, body, text, rhs=index == last)

    # ---- Formats and places

    def _bias(self, index: int) -> Any:
        return self.cell.tensors[f"layers.{index}.bias"]

    def _place(self) -> None:
        """Matrices, biases, tables and vectors between the layers."""
        writer, target, last = self.writer, self.writer.target, len(self.activations) - 1
        source = Operand(self.h, self.size, self.frac_bits, WORD_BOUND, self.tracking)
        self._pre_fracs: list[int] = []
        for index, activation in enumerate(self.activations):
            frac, frac_out = self._fracs(index)
            self._pre_fracs.append(frac)
            size, name, bound = len(self._bias(index)), f"{self.name}.layers.{index}", WORD_BOUND
            done: dict[str, Any] = {"quiet_pre": int(activation in FLAT)}
            if activation is not None:
                table = activation_table(activation, frac, frac_out)
                done |= writer.table(table)
                bound = function_bound(table, frac_out) if activation in FLAT else WORD_BOUND
            self._products.append(
                writer.matrix(f"{name}.weight", self.cell.tensors[f"layers.{index}.weight"], source, frac)
            )
            pad = WORD_MIN if index == last and activation in NEVER_ZERO else 0
            self._adds.append(target.bias(f"{name}.bias", self._bias(index), frac, pad))
            if index < last:
                slot = target.take(Space.VECTOR, f"{self.name} layer {index}", size)
                done |= to_vector(slot)
                source = Operand(slot, size, frac_out, bound)
            self._dones.append(done)

    def _fracs(self, index: int) -> tuple[int, int]:
        """Fraction bits in front of and behind a layer's activation; the slope's for the machine's unit of time."""
        writer, target, extents = self.writer, self.writer.target, self.writer.ranges.extents
        activation, last = self.activations[index], index == len(self.activations) - 1
        terms = [extents[f"{self.name}.layer{index}"]]
        if index == 0:
            terms.append(extents[f"{self.name}.input"])
        flat = activation in FLAT
        if flat and activation is not None:
            frac = writer.activation_frac(activation, *terms)
        elif last:
            frac = formats.finest(STAGE_MARGIN * max(term.seen for term in terms))
        else:
            frac = min(formats.value_frac(term) for term in terms)
        if last and activation in NEVER_ZERO and self.size % target.lanes:
            frac = min(frac, formats.FUNCTION_FRACS[-1])
        target.formats.append(formats.described(f"{self.name} layer {index} pre-activation", frac, terms[0], flat))
        frac_out = writer.state_frac if flat else frac
        if last:
            self.slope_frac = frac_out - round(math.log2(writer.unit))
            target.formats.append(formats.described(f"{self.name} slope", frac_out, extents[f"{self.name}.slope"]))
        return frac, frac_out
