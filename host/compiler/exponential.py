# SPDX-License-Identifier: BSD-2-Clause
"""etd21, the adaptive exponential pair whose step costs one product, with first-same-as-last.

    z = T/tau;  g = 1 - e^-z;  c = (z - 1 + e^-z) / z
    h* = h + g (f - h);  f* = act(W h* + u);  h' = h* + c (f* - f)

c (f* - f) is the correction and the estimate of the error, f* the f of the next step. The sums M = W h* are kept, so
that a frame begins with f = act(M + u) for its new u and no product. After a reject nothing is rolled back: f at the
step's start stands, and M stays the product with what X holds. (Cox and Matthews, J. Comput. Phys. 176, 2002: ETD1 and
the correction of ETD2RK.)
"""

from __future__ import annotations

from liquid_accel.compiler import tables
from liquid_accel.compiler.builder import finish, place, terms, to_element, to_vector
from liquid_accel.compiler.controller import change_norm, set_parameters
from liquid_accel.compiler.gated import Gates, LogRates
from liquid_accel.compiler.layer import Layer, Solver
from liquid_accel.compiler.steps import again, attempts, begin
from liquid_accel.compiler.writer import FLOAT_SHIFT, Writer
from liquid_accel.errors import UserError
from liquid_accel.rtl.isa import AddSource, Control, Factor, Keep, Norm, Space
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS


class ExponentialPair(Solver):
    """`emit` writes the loop over the steps of a frame."""

    def __init__(self, writer: Writer, size: int, tau_frac: int):
        if not writer.target.config.column_skip:
            raise UserError("solver 'etd21' keeps the sums of its product; expected a machine with kept_elements")
        rates = LogRates(writer, size, tau_frac)
        super().__init__(writer, rates)
        self.size = size
        log_step = AddSource.LOG_STEP
        self.gate = Gates(writer, rates, size, tables.gate_table("expeuler"), "gate g", log_step)
        self.correction = Gates(writer, rates, size, tables.correction_table(), "correction c", log_step)
        target = writer.target
        self.f = target.take(Space.VECTOR, "f", size, pair=True)
        self.predicted = target.take(Space.VECTOR, "h*", size)
        self.predicted_base = target.take(Space.B, "h*", size)

    def emit(self, layer: Layer) -> None:
        writer, options = self.writer, self.writer.options
        if layer.tau is not None:
            raise UserError("solver 'etd21' needs time constants that the state does not move; expected another solver")
        one, minus = writer.target.scalar(1), writer.target.scalar(-1)
        # |h| is at most 1: its root mean square over the data stands for it in the tolerance.
        tolerance = (options.atol + options.rtol * writer.ranges.state_rms) * 2.0**layer.frac_bits
        shift, limit = change_norm(self.size, tolerance)
        norm = Norm.CHANGE_16 if shift else Norm.CHANGE
        set_parameters(writer, EXPONENTIAL_PAIRS[options.solver].error_order, norm=limit)
        label = f"{layer.name}.step"
        tries = attempts(options.budget, 0, 1) if options.budget else None

        writer.take(layer.tracking)
        fields = {**layer.activation, "quiet_pre": 1, **to_vector(self.f)}
        body = writer.product(layer.recurrent, layer.drive, fields, "f = act(M + u)", keep=Keep.READ)
        writer.loop(layer.rows, body, "f with the new input")
        begin(writer, label, tries, jump=False)
        writer.loop(layer.rows, self.gate.body("g = 1 - exp(-z)"), "gates")
        writer.loop(layer.rows, self.correction.body("c = (z - 1 + exp(-z)) / z"), "corrections")
        done = finish(
            {**place("b", layer.base), "sub": 1, "add": 1, "c": self.gate.slot.row, "c_sel": Factor.MEMORY},
            {"c_shift": FLOAT_SHIFT, **to_vector(self.predicted), **to_element(self.predicted_base)},
            writer.tracked(layer.tracking),
        )
        body = terms([(self.f, False, one)], done, "h* = h + g (f - h)")
        writer.loop(layer.rows, body, "prediction", tracking=layer.tracking)
        writer.take(layer.tracking)
        self._evaluate(layer)
        done = finish(
            {**place("b", self.predicted_base), "add": 1, "c": self.correction.slot.row, "c_sel": Factor.MEMORY},
            {"c_shift": FLOAT_SHIFT, "norm": norm},
            {**to_vector(layer.h, other=True), **to_element(layer.base, other=True)},
        )
        body = terms([(self.f, True, one), (self.f, False, minus)], done, "h' = h* + c (f* - f)")
        writer.loop(layer.rows, body, "correction")
        writer.builder.control(Control.DECIDE, "accept: the new h and f, time passes; reject: again, smaller")
        again(writer, label, tries)

    def _evaluate(self, layer: Layer) -> None:
        fields = {**layer.activation, "quiet_pre": 1, **to_vector(self.f, other=True)}
        body = self.writer.product(layer.recurrent, layer.drive, fields, "f* = act(W h* + u)")
        self.writer.loop(layer.rows, body, "f*", rhs=True)
