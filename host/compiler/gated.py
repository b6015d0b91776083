# SPDX-License-Identifier: BSD-2-Clause
"""Gated steps: h += g(z) (f - h) with z = dt / (steps tau), the gate from a table of log2 g over log2 z."""

from __future__ import annotations

import math
from typing import Any

from liquid_accel.compiler import tables
from liquid_accel.compiler.builder import place, to_element, to_vector
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.writer import FLOAT_SHIFT, Layer, Writer
from liquid_accel.rtl.isa import AddSource, Control, Factor, Space
from liquid_accel.rtl.tableaus import GATES

FASTEST = 2.0**4 - 2.0**-6  # log2 of 1/tau: just below the end of Q4.11


class GatedSolver:
    """`rate` says how the tau product is finished; `emit` writes the gate and the steps."""

    def __init__(self, writer: Writer, layer_size: int, tau_frac: int):
        self.writer = writer
        options = writer.options
        # log2 of dt/(steps tau) in machine units: everything constant goes into the table.
        offset = math.log2(writer.unit) - math.log2(options.steps)
        self._rate = tables.rate_table(tau_frac, offset, FASTEST)
        self._log_rate = writer.target.take(Space.VECTOR, "log2 1/tau", layer_size)

    def rate(self) -> dict[str, Any]:
        return {**self.writer.table(self._rate), **to_vector(self._log_rate)}

    @property
    def rate_comment(self) -> str:
        return f"log2 1/(tau * {self.writer.options.steps})"

    def emit(self, layer: Layer) -> None:
        writer, options = self.writer, self.writer.options
        gate = writer.target.take(Space.C, "gate", layer.size)
        # Clamping log2 z is harmless: beyond its ends the gate is 1, or moves nothing.
        fields = {
            **writer.table(tables.gate_table(options.solver)), "a_sel": AddSource.LOG_DT, "exp2": 1, "quiet_pre": 1,
            **to_element(gate),
        }  # fmt: skip
        equation = GATES[options.solver].equation
        writer.loop(layer.rows, writer.copy(self._log_rate, 1, fields, f"g = {equation}"), "gates")
        for step in range(options.steps):
            writer.right_hand_side(
                layer, layer.h, layer.base, False, self._update(layer, gate), f"step {step + 1}: h + g (f - h)"
            )
            writer.builder.control(Control.SWAP, "the new h")

    def _update(self, layer: Layer, gate: Slot) -> dict[str, Any]:
        return {
            **place("b", layer.base), "add": 1, "c": gate.row, "c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT,
            **to_vector(layer.h, other=True), **to_element(layer.base, other=True),
        }  # fmt: skip
