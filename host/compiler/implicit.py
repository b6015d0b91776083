# SPDX-License-Identifier: BSD-2-Clause
"""Backward Euler, iterated to a tolerance on chip.

    h' = h + dt/(steps tau) (f(h') - h'), that is h' = h + g (f(h') - h) with g = z / (1 + z), z = dt / (steps tau)
    y_0 = h;  y_{m+1} = h + g (f(y_m) - h)  until  rms_i(y_{m+1} - y_m) <= atol + rtol rms(h)

The iteration converges where g times the Lipschitz constant of f is below 1, and every iterate lies between h and f,
so that no step is too long for it to stay bounded. Where the iterations of a step are used up the last iterate is taken
and the frame says NOT_CONVERGED. (Hairer, Wanner: Solving Ordinary Differential Equations II, 1996, section IV.8.)
"""

from __future__ import annotations

from typing import Any

from liquid_accel.compiler import tables
from liquid_accel.compiler.builder import finish, place, terms, to_element, to_vector
from liquid_accel.compiler.controller import change_norm, check_norm, set_parameters
from liquid_accel.compiler.gated import Gates, LogRates
from liquid_accel.compiler.layer import Layer, Solver, right_hand_side, time_constants
from liquid_accel.compiler.network import Liquid
from liquid_accel.compiler.writer import FLOAT_SHIFT, Writer
from liquid_accel.rtl.isa import AddSource, Cond, Control, Factor, Norm, Space, Status


class ImplicitSolver(Solver):
    """`emit` writes the iterations of a frame's steps."""

    double_list = True
    overshoots = False

    def __init__(self, writer: Writer, size: int, tau_frac: int):
        rates = LogRates(writer, size, tau_frac, writer.options.steps)
        super().__init__(writer, rates)
        self.size = size
        self.gates = Gates(writer, rates, size, tables.gate_table("fused"), "gate", AddSource.LOG_DT)
        self.y = writer.target.take(Space.VECTOR, "iterate y", size, pair=True)

    def emit(self, layer: Layer) -> None:
        """The iterates alternate between the halves of y: SWAP turns h and y over together, so that h is written to its
        other half as well, where it stands when the parity has turned back or not."""
        writer, builder, options = self.writer, self.writer.builder, self.writer.options
        one, minus = writer.target.scalar(1), writer.target.scalar(-1)
        tolerance = (options.atol + options.rtol * writer.ranges.state_rms) * 2.0**layer.frac_bits
        # One limit for all layers: that of the narrowest, so that no other is judged less strictly than asked.
        narrowest = min(cell.size for cell in writer.network.cells if isinstance(cell, Liquid))
        shift, limit = change_norm(narrowest, tolerance)
        check_norm(self.size)
        set_parameters(writer, 1, norm=limit)
        if layer.tau is None:
            writer.loop(layer.rows, self.gates.body("g = z / (1 + z)"), "gates")
        for step in range(options.steps):
            label = f"{layer.name}.step{step}"
            # y_0 = h, and h where both parities find it.
            fields = {**to_vector(self.y), **to_element(layer.base, other=True), **writer.tracked(layer.tracking)}
            writer.loop(layer.rows, writer.copy(layer.h, 1, fields, "y = h"), "first iterate", tracking=layer.tracking)
            builder.control(Control.REPEAT, f"at most {options.iterations} iterations", imm=options.iterations - 1)
            writer.mark(label)
            writer.take(layer.tracking)
            if layer.tau is not None:
                time_constants(writer, layer, self.y)
                writer.loop(layer.rows, self.gates.body("g = z / (1 + z)"), "gates")
            right_hand_side(
                writer, layer, self.y, layer.base, False, self._update(layer), "y' = h + g (f(y) - h)",
                tracking=layer.tracking,
            )  # fmt: skip
            done = finish(norm=Norm.OUT, narrow=shift, quiet_pre=1)
            body = terms([(self.y, True, one), (self.y, False, minus)], done, "y' - y")
            writer.loop(layer.rows, body, "change")
            builder.control(Control.SWAP, "the new y")
            builder.control(Control.JUDGE, "within the tolerance?")
            builder.jump(Cond.OK, f"{label}.done")
            writer.again(label)
            builder.control(Control.FLAG, "NOT_CONVERGED", imm=Status.NOT_CONVERGED)
            writer.mark(f"{label}.done")
            fields = {**to_vector(layer.h), **to_element(layer.base)}
            writer.loop(layer.rows, writer.copy(self.y, 1, fields, "h = y"), "new h")

    def _update(self, layer: Layer) -> dict[str, Any]:
        return {
            **place("b", layer.base), "add": 1, "c": self.gates.slot.row, "c_sel": Factor.MEMORY,
            "c_shift": FLOAT_SHIFT, **to_vector(self.y, other=True), **self.writer.tracked(layer.tracking),
        }  # fmt: skip
