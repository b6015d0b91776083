# SPDX-License-Identifier: BSD-2-Clause
"""Long short-term memory: four products a frame and one update of cell and state.

    i, f, o = s(W x + U h + b);  g = tanh(W_g x + U_g h + b_g);  c' = f c + i g;  h' = o tanh(c')

Loops over the rows: i, f and o as float codes in C; f c in B; the product of g, tanh, times i and f c added; tanh c'
times o. The cell, which has no bound, is held in the format that the calibration data ask for.
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

LETTERS = "ifgo"


class LstmCell(CellWriter):
    """One update a frame, whatever its dt."""

    def __init__(self, writer: Writer, cell: Other):
        super().__init__(writer, cell.name, cell.size)
        self.cell = cell
        self.h = writer.target.take(Space.VECTOR, f"{cell.name} state h", cell.size)
        self.c = writer.target.take(Space.VECTOR, f"{cell.name} cell c", cell.size)
        writer.at_start(self.h, f"{cell.name} h = 0")
        writer.at_start(self.c, f"{cell.name} c = 0")
        self.tracking = writer.tracking(f"{cell.name} state", cell.name, cell.size, writer.state_frac)

    def write(self, x: Operand) -> None:
        """A frame's code."""
        writer, cell, target, extents = self.writer, self.cell, self.writer.target, self.writer.ranges.extents
        name, rows = cell.name, self.h.rows
        candidate, held = extents[f"{name}.pre_g"], extents[f"{name}.cell"]
        gates, inner = gate_frac(writer, cell, "ifo"), writer.activation_frac("tanh", candidate)
        cell_frac = formats.finest(formats.MARGIN * held.seen)
        for letter in "ifo":
            found = extents[f"{name}.pre_{letter}"]
            target.formats.append(formats.described(f"{name} gate {letter} pre-activation", gates, found, flat=True))
        target.formats.append(formats.described(f"{name} candidate g pre-activation", inner, candidate, flat=True))
        target.formats.append(formats.described(f"{name} cell c", cell_frac, held))
        target.formats.append(formats.entry(f"{name} state h", writer.state_frac, 1.0, "bound"))

        table = activation_table("tanh", inner, writer.state_frac)
        h = Operand(self.h, cell.size, writer.state_frac, function_bound(table, writer.state_frac), self.tracking)
        products = GateProducts(writer, cell, LETTERS, x, h, {**dict.fromkeys("ifo", gates), "g": inner})
        codes = {letter: target.take(Space.C, f"{name} gate {letter}", cell.size) for letter in "ifo"}
        products.begin()
        for letter in "ifo":
            own = bias(writer, cell, LETTERS, letter, gates, "bias_ih", "bias_hh")
            done = open_gate(writer, codes[letter], gates)
            writer.loop(rows, products.body(letter, own, done, f"{letter} = s(W x + U h + b)"), f"gate {letter}")

        kept = target.take(Space.B, f"{name} f c", cell.size)
        times = {"c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT}
        writer.loop(rows, writer.copy(self.c, 1, {"c": codes["f"].row, **times, **to_element(kept)}, "f c"), "f c")
        tanh = {**writer.table(table), "quiet_pre": 1}
        own = bias(writer, cell, LETTERS, "g", inner, "bias_ih", "bias_hh")
        done = {
            **tanh, "c": codes["i"].row, **times, "c_shift": FLOAT_SHIFT + writer.state_frac - cell_frac,
            **place("b", kept), "add": 1, **to_vector(self.c),
        }  # fmt: skip
        writer.loop(rows, products.body("g", own, done, "c = f c + i tanh(W x + U h + b)"), "cell")
        done = {
            **tanh, "c": codes["o"].row, **times, "narrow": max(cell_frac - inner, 0),
            **to_vector(self.h), **writer.tracked(self.tracking),
        }  # fmt: skip
        body = writer.copy(self.c, 1 << max(inner - cell_frac, 0), done, "h = o tanh(c)")
        writer.loop(rows, body, "state", rhs=True, tracking=self.tracking)
