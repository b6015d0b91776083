# SPDX-License-Identifier: BSD-2-Clause
"""Gated steps: h += g(z) (f - h) with z = dt / (steps tau), the gate from a table of log2 g over log2 z."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from liquid_accel.compiler import tables
from liquid_accel.compiler.builder import place, to_element, to_vector
from liquid_accel.compiler.layer import Layer, RowsAs, Solver, right_hand_side, time_constants
from liquid_accel.compiler.quantise import WORD_MAX, WORD_MIN
from liquid_accel.compiler.writer import FLOAT_SHIFT, Floats, Writer
from liquid_accel.rtl.formats import LOG2
from liquid_accel.rtl.isa import AddSource, Cond, Control, Factor, Instruction, Space
from liquid_accel.rtl.tableaus import GATES

FASTEST = 2.0**4 - 2.0**-6  # log2 of 1/tau: just below the end of Q4.11


class LogRates:
    """log2 of 1/(tau steps) of a layer's units, in machine units, Q4.11, in the vector memory."""

    def __init__(self, writer: Writer, size: int, tau_frac: int, steps: int = 1):
        self.writer, self.steps = writer, steps
        # Everything constant goes into the table.
        self.offset = math.log2(writer.unit) - math.log2(steps)
        self._rate = tables.rate_table(tau_frac, self.offset, FASTEST)
        self.slot = writer.target.take(Space.VECTOR, "log2 1/tau", size)

    def done(self) -> dict[str, Any]:
        """How a tau product is finished."""
        return {**self.writer.table(self._rate), **to_vector(self.slot)}

    def constant(self, tau: Floats) -> None:
        """Time constants that do not change, in the model's unit."""
        words = np.rint((self.offset - np.log2(tau)) * 2**LOG2.frac_bits)
        self.writer.target.fill(self.slot, np.clip(words, WORD_MIN, WORD_MAX).astype(np.int64), pad=WORD_MIN)

    @property
    def comment(self) -> str:
        return "log2 1/tau" if self.steps == 1 else f"log2 1/(tau * {self.steps})"


class Gates:
    """The rows that make gates of log2 z: a table of log2 g, then 2**f as a float code, in the C memory."""

    def __init__(self, writer: Writer, rates: LogRates, size: int, table: tables.Table, name: str, log_time: AddSource):
        self.writer, self.rates = writer, rates
        self.slot = writer.target.take(Space.C, name, size)
        # Clamping log2 z is harmless: beyond its ends the gate is 1, or moves nothing.
        self._fields = {
            **writer.table(table), "a_sel": log_time, "exp2": 1, "quiet_pre": 1, **to_element(self.slot),
        }  # fmt: skip

    def body(self, comment: str) -> list[Instruction]:
        return self.writer.copy(self.rates.slot, 1, self._fields, comment)


class GatedSolver(Solver):
    """`emit` writes the gates and the steps."""

    double_list = True  # a new h is listed row by row while the moves of the old one are still used
    overshoots = False  # h stays between itself and f

    def __init__(self, writer: Writer, size: int, tau_frac: int):
        self._log_rates = LogRates(writer, size, tau_frac, writer.options.steps)
        super().__init__(writer, self._log_rates)
        self.name = writer.options.solver
        table = tables.gate_table(self.name)
        self.gates = Gates(writer, self._log_rates, size, table, "gate", AddSource.LOG_DT)
        self._tau_frac, self._gated = tau_frac, False

    def write_rates(self, product: RowsAs, rows: int, name: str) -> None:
        """Frames of the regular spacing go from the tau product to the gates in one table; for others log2 dt is added
        to log2 1/tau, and a second table makes gates of it."""
        writer, rates, equation = self.writer, self._log_rates, f"g = {GATES[self.name].equation}"
        regular = writer.regular_log_dt
        if regular is None:
            super().write_rates(product, rows, name)
            return
        writer.builder.jump(Cond.LOG_DT, f"{name}.regular", "the usual dt?", imm=regular & 0xFFFF)
        writer.loop(rows, product(rates.done(), rates.comment), "time constants")
        writer.loop(rows, self.gates.body(equation), "gates")
        writer.builder.jump(Cond.ALWAYS, f"{name}.gated")
        writer.mark(f"{name}.regular")
        log_time = regular / 2**LOG2.frac_bits + rates.offset
        table = tables.regular_gate_table(self.name, self._tau_frac, log_time)
        fields = {**writer.table(table), "exp2": 1, **to_element(self.gates.slot)}
        writer.loop(rows, product(fields, f"{equation} at the usual dt"), "time constants and gates")
        writer.mark(f"{name}.gated")
        self._gated = True

    def emit(self, layer: Layer) -> None:
        writer, steps = self.writer, self.writer.options.steps
        equation = f"g = {GATES[self.name].equation}"
        if layer.tau is None and not self._gated:
            writer.loop(layer.rows, self.gates.body(equation), "gates")
        for step in range(steps):
            comment = f"step {step + 1}: h + g (f - h)"
            writer.take(layer.tracking)
            if layer.tau is not None:
                time_constants(writer, layer, layer.h)
                writer.loop(layer.rows, self.gates.body(equation), "gates")
            right_hand_side(
                writer, layer, layer.h, layer.base, False, self.update(layer), comment, tracking=layer.tracking
            )
            writer.builder.control(Control.SWAP, "the new h")

    def update(self, layer: Layer) -> dict[str, Any]:
        return {
            **place("b", layer.base), "add": 1, "c": self.gates.slot.row, "c_sel": Factor.MEMORY,
            "c_shift": FLOAT_SHIFT, **to_vector(layer.h, other=True), **to_element(layer.base, other=True),
            **self.writer.tracked(layer.tracking),
        }  # fmt: skip
