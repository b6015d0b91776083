# SPDX-License-Identifier: BSD-2-Clause
"""The gated recurrent unit: three products a frame and one gated update.

    r = s(W_r x + U_r h + b_r);  z = s(W_z x + U_z h + b_z);  n = tanh(W_n x + b_n + r (U_n h + c_n))
    h' = h + (1 - z) (n - h)

Loops over the rows: r and 1 - z as float codes in C; r (U_n h + c_n) + b_n in A; then W_n x + that, tanh, update.
"""

from __future__ import annotations

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import place, to_element, to_vector
from liquid_accel.compiler.cell import CellWriter
from liquid_accel.compiler.gates import GateProducts, bias, gate_frac, open_gate
from liquid_accel.compiler.network import Other
from liquid_accel.compiler.tables import activation_table
from liquid_accel.compiler.target import Operand
from liquid_accel.compiler.writer import FLOAT_SHIFT, Writer, function_bound
from liquid_accel.rtl.isa import Factor, Space

LETTERS = "rzn"


class GruCell(CellWriter):
    """One update a frame, whatever its dt."""

    def __init__(self, writer: Writer, cell: Other):
        super().__init__(writer, cell.name, cell.size)
        self.cell = cell
        self.h = writer.target.take(Space.VECTOR, f"{cell.name} state h", cell.size)
        self.base = writer.target.take(Space.B, f"{cell.name} state h", cell.size)
        for slot in (self.h, self.base):
            writer.at_start(slot, f"{cell.name} h = 0")
        self.tracking = writer.tracking(f"{cell.name} state", cell.name, cell.size, writer.state_frac)

    def write(self, x: Operand) -> None:
        """A frame's code."""
        writer, cell, target, extents = self.writer, self.cell, self.writer.target, self.writer.ranges.extents
        name, rows = cell.name, self.h.rows
        terms = [extents[f"{name}.{part}_n"] for part in ("pre", "input", "recurrent")]
        gates, candidate = gate_frac(writer, cell, "rz"), writer.activation_frac("tanh", *terms)
        apart = formats.value_frac(terms[2])
        for letter in "rz":
            found = extents[f"{name}.pre_{letter}"]
            target.formats.append(formats.described(f"{name} gate {letter} pre-activation", gates, found, flat=True))
        target.formats.append(formats.described(f"{name} product U_n h + c_n", apart, terms[2]))
        target.formats.append(formats.described(f"{name} candidate n pre-activation", candidate, terms[0], flat=True))
        target.formats.append(formats.entry(f"{name} state h", writer.state_frac, 1.0, "bound"))

        table = activation_table("tanh", candidate, writer.state_frac)
        h = Operand(self.h, cell.size, writer.state_frac, function_bound(table, writer.state_frac), self.tracking)
        fracs = {"r": gates, "z": gates, "n": candidate}
        products = GateProducts(writer, cell, LETTERS, x, h, fracs, {"n": apart})
        codes = {letter: target.take(Space.C, f"{name} gate {letter}", cell.size) for letter in "rz"}
        products.begin()
        for letter, text in (("r", "r = s(W x + U h + b)"), ("z", "1 - z = s(-(W x + U h + b))")):
            own = bias(writer, cell, LETTERS, letter, gates, "bias_ih", "bias_hh")
            done = open_gate(writer, codes[letter], gates, closing=letter == "z")
            writer.loop(rows, products.body(letter, own, done, text), f"gate {letter}")

        inner = target.take(Space.A, f"{name} r (U h + c) + b", cell.size)
        outer = target.bias(
            f"{name}.bias_ih", cell.tensors["bias_ih"][2 * cell.size :], candidate, space=Space.B,
            whole=cell.tensors["bias_ih"].shape, row=2 * cell.size,
        )  # fmt: skip
        own = bias(writer, cell, LETTERS, "n", apart, "bias_hh")
        done = {
            "c": codes["r"].row, "c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT + apart - candidate,
            **place("b", outer), "add": 1, **to_element(inner),
        }  # fmt: skip
        writer.loop(rows, products.recurrent("n", own, done, "r (U h + c) + b"), "recurrent part of n")
        writer.take(x.tracking)
        done = {
            **writer.table(table), "quiet_pre": 1, **place("b", self.base), "sub": 1, "add": 1,
            "c": codes["z"].row, "c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT,
            **to_vector(self.h), **to_element(self.base), **writer.tracked(self.tracking),
        }  # fmt: skip
        body = products.given("n", inner, done, "h + (1 - z) (tanh(W x + r (U h + c) + b) - h)")
        writer.loop(rows, body, "update", rhs=True, tracking=self.tracking)
