# SPDX-License-Identifier: BSD-2-Clause
"""The closed-form continuous-time cell: a backbone on [x, h], four heads, a gate of dt; no solver.

    z = backbone([x, h]);  t = s(a(z) dt + b(z))
    h' = f1 + t (f2 - f1), or f1 + t f2 ("no_gate");  f1 = tanh(F1 z), f2 = tanh(F2 z)

dt enters as 2**log2 dt, a float code in C, so that a(z) dt is one product with it: relative error at most 0.06 %, and 0
where dt is 0. The gate is a float code in C too, f1 stands in B.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import place, to_element, to_vector
from liquid_accel.compiler.cell import CellWriter
from liquid_accel.compiler.formats import Extent
from liquid_accel.compiler.gates import open_gate
from liquid_accel.compiler.joint import Block, Chain, joined
from liquid_accel.compiler.layer import both_halves, settle
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Other
from liquid_accel.compiler.tables import activation_table
from liquid_accel.compiler.target import Operand
from liquid_accel.compiler.writer import FLOAT_SHIFT, WORD_BOUND, Writer, function_bound
from liquid_accel.errors import UserError
from liquid_accel.layers import Cfc
from liquid_accel.rtl.formats import FLOAT_BIAS, TICK_BITS
from liquid_accel.rtl.isa import AddSource, Control, Factor, Space

TIME_FRAC = formats.FUNCTION_FRACS[-1]  # of a dt + b: +-16
FLAT = 8.0  # beyond it the gate is within 0.0004 of its end
RATE_TOP = 30  # fraction bits of a(z) at most: where dt is long it is small


class CfcCell(CellWriter):
    """One update a frame, at dt = 0 too. Raises `UserError` where columns are to be skipped: z moves as a whole."""

    def __init__(self, writer: Writer, cell: Other):
        assert isinstance(cell.layer, Cfc)
        super().__init__(writer, cell.name, cell.size)
        self.cell, self.layer = cell, cell.layer
        if writer.options.threshold(cell.name) is not None:
            raise UserError(f"layer '{cell.name}' (cfc) skips no columns; expected no delta_threshold for it")
        self.h = writer.target.take(Space.VECTOR, f"{cell.name} state h", cell.size, pair=cell.in_halves)
        if cell.in_halves:
            both_halves(writer, (self.h,), f"{cell.name} h = 0")
        else:
            writer.at_start(self.h, f"{cell.name} h = 0")

    def write(self, x: Operand) -> None:
        """A frame's code."""
        writer, cell, target, extents = self.writer, self.cell, self.writer.target, self.writer.ranges.extents
        name, rows = cell.name, self.h.rows
        z = self._backbone([x, self.output])
        gate = target.take(Space.C, f"{name} gate t", cell.size)
        self._gate(z, gate)

        heads = [extents[f"{name}.{head}"] for head in ("ff1", "ff2")]
        frac = writer.activation_frac("tanh", *heads)
        table = activation_table("tanh", frac, writer.state_frac)
        first = target.take(Space.B, f"{name} f1", cell.size)
        fields = {**writer.table(table), "quiet_pre": 1}
        for head, extent in zip(("ff1", "ff2"), heads, strict=True):
            target.formats.append(formats.described(f"{name} {head} pre-activation", frac, extent, flat=True))
        target.formats.append(formats.entry(f"{name} state h", writer.state_frac, self._largest, "bound"))
        body = self._head("ff1", z, frac).body(writer, self._bias("ff1", frac), {**fields, **to_element(first)}, "f1")
        writer.loop(rows, body, "f1 = tanh(F1 z)")
        blend = self.layer.mode == "default"
        done = {
            **fields, **place("b", first), "sub": int(blend), "add": 1, "c": gate.row, "c_sel": Factor.MEMORY,
            "c_shift": FLOAT_SHIFT, **to_vector(self.h, other=self.h.pair),
        }  # fmt: skip
        text = "f1 + t (tanh(F2 z) - f1)" if blend else "f1 + t tanh(F2 z)"
        body = self._head("ff2", z, frac).body(writer, self._bias("ff2", frac), done, text)
        writer.loop(rows, body, "update", rhs=True)
        if self.h.pair:
            writer.builder.control(Control.SWAP, "the new h")
            settle(writer, self.h)

    @property
    def _largest(self) -> float:
        return 1.0 if self.layer.mode == "default" else 2.0

    def _backbone(self, z: list[Operand]) -> list[Operand]:
        """What the heads multiply: the last backbone layer, or x and h."""
        writer, target, activation = self.writer, self.writer.target, self.layer.backbone_activation
        for index in range(self.layer.backbone_layers):
            text, extent = f"{self.name} backbone {index}", self.writer.ranges.extents[f"{self.name}.backbone{index}"]
            flat = activation != "relu"
            frac = writer.activation_frac(activation, extent) if flat else formats.value_frac(extent)
            table = activation_table(activation, frac, writer.state_frac if flat else frac)
            target.formats.append(formats.described(f"{text} pre-activation", frac, extent, flat))
            size = len(self.cell.tensors[f"backbone.{index}.bias"])
            slot = target.take(Space.VECTOR, text, size)
            done = {**writer.table(table), "quiet_pre": int(flat), **to_vector(slot)}
            product, bias = self._head(f"backbone.{index}", z, frac), self._bias(f"backbone.{index}", frac)
            writer.loop(slot.rows, product.body(writer, bias, done, f"{activation}(A z + a)"), text)
            bound = function_bound(table, writer.state_frac) if flat else WORD_BOUND
            z = [Operand(slot, size, table.frac_out, bound)]
        return z

    def _head(self, tensor: str, z: list[Operand], frac_bits: int) -> Chain:
        """The product of a tensor with z, placed."""
        weight, blocks, first = self.cell.tensors[f"{tensor}.weight"], list[Block](), 0
        for source in z:
            part = weight[:, first : first + source.size]
            blocks.append(Block(f"{self.name}.{tensor}.weight", weight.shape, part, source, 0, first))
            first += source.size
        return joined(self.writer, blocks, frac_bits)

    def _bias(self, tensor: str, frac_bits: int, space: Space = Space.A) -> Slot:
        bias = self.cell.tensors[f"{tensor}.bias"]
        return self.writer.target.bias(f"{self.name}.{tensor}.bias", bias, frac_bits, space=space)

    def _gate(self, z: list[Operand], gate: Slot) -> None:
        """t = s(a dt + b) as float codes."""
        writer, target, extents, name = self.writer, self.writer.target, self.writer.ranges.extents, self.name
        rate, offset, rows = extents[f"{name}.time_a"], extents[f"{name}.time_b"], self.h.rows
        rate_frac = formats.value_frac(rate, RATE_TOP)
        shift = FLOAT_SHIFT + rate_frac - TIME_FRAC - round(math.log2(writer.unit))
        # The longest dt whose product needs no shift to the left; its logarithm is rounded.
        longest = (4095 << max(shift + 1 - FLOAT_BIAS + TICK_BITS, 0)) >> 12
        writer.longest_frame = min(writer.longest_frame, longest)
        target.formats.append(formats.described(f"{name} rate a", rate_frac, rate))
        whole = Extent(np.inf, extents[f"{name}.time"].seen)
        target.formats.append(formats.described(f"{name} time a dt + b", TIME_FRAC, whole, flat=True))

        codes = target.take(Space.C, f"{name} dt", self.cell.size)
        done: dict[str, Any] = {"a_sel": AddSource.LOG_DT, "exp2": 1, "quiet_pre": 1, **to_element(codes)}
        writer.loop(rows, writer.copy(z[0].slot, 0, done, "dt = 2**log2 dt"), "dt")
        inner, own = target.take(Space.A, f"{name} a dt", self.cell.size), self._bias("time_b", TIME_FRAC, Space.B)
        # Where b is small beside the format, clamping a dt leaves the gate at its end.
        quiet = 2.0 ** (15 - TIME_FRAC) - formats.MARGIN * offset.seen >= FLAT
        done = {
            "c": codes.row, "c_sel": Factor.MEMORY, "c_shift": shift, **place("b", own), "add": 1,
            "quiet_post": int(quiet), **to_element(inner),
        }  # fmt: skip
        product, own = self._head("time_a", z, rate_frac), self._bias("time_a", rate_frac)
        writer.loop(rows, product.body(writer, own, done, "a dt + bias of b"), "rate times dt")
        product, done = self._head("time_b", z, TIME_FRAC), open_gate(writer, gate, TIME_FRAC)
        writer.loop(rows, product.body(writer, inner, done, "t = s(a dt + b)"), "gate t")
