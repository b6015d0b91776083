# SPDX-License-Identifier: BSD-2-Clause
"""Explicit Runge-Kutta methods, written from their tableaus: the same code for every one, embedded pair or plain.

    k_i = F(y_i);  y_i = h + T sum_j a_ij k_j
    h' = h + T sum_i b_i k_i;  error = T sum_i e_i k_i, measured in units of atol + rtol |h|

T, the step, is mantissa times power of two: the coefficients are multiplied by the mantissa once a step, the power goes
into the narrowing of the sums. h' stands in h's other parity until the step is accepted. Where the last stage is the
first of the next step its slope stands in k_1's other parity likewise. Without an error estimate T is the frame's dt,
and the coefficients are divided by the steps of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from liquid_accel.compiler import tables
from liquid_accel.compiler.builder import finish, place, terms, to_element, to_vector
from liquid_accel.compiler.coefficients import Coefficients, Scales, StepScalars
from liquid_accel.compiler.controller import ERROR_FRAC, HALT_NEVER, LARGEST, check_norm, halt_word, set_parameters
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.steps import again, attempts, begin
from liquid_accel.compiler.target import Tracking
from liquid_accel.compiler.writer import FLOAT_SHIFT, Writer
from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS
from liquid_accel.rtl.isa import Control, Factor, Norm, Space
from liquid_accel.rtl.tableaus import ButcherTableau


class Slopes(Protocol):
    """A right-hand side F: a state h in the vector and the B memory (parity pairs), and the writer of F(y)."""

    name: str
    size: int
    h: Slot
    base: Slot
    frac_bits: int
    tracking: Tracking | None
    slope_frac: int

    def write_slope(
        self, vector: Slot, base: Slot, other: bool, slope: Slot, slope_other: bool, peak: bool, comment: str
    ) -> None:
        """F(y) with y in `vector` and `base` (`other` half), into `slope`; its largest magnitude watched if `peak`."""


class RungeKutta:
    """`emit` writes a frame's steps."""

    def __init__(self, writer: Writer, tableau: ButcherTableau):
        self.writer, self.tableau = writer, tableau
        self.steps = 1 if tableau.adaptive else writer.options.steps

    def emit(self, field: Slopes) -> None:
        self.field = field
        self._place()
        if self.tableau.adaptive:
            self._adaptive()
        else:
            self._fixed()

    def _place(self) -> None:
        tableau, target, size = self.tableau, self.writer.target, self.field.size
        stages, fsal = tableau.stages, tableau.fsal and tableau.adaptive
        first = target.take(Space.VECTOR, "slope k1", size, pair=fsal)
        self.k = [first] + [target.take(Space.VECTOR, f"slope k{i + 1}", size) for i in range(1, stages - fsal)]
        if stages > 1 + fsal:
            self.y = target.take(Space.VECTOR, "stage y", size)
            self.y_base = target.take(Space.B, "stage y", size)
        divided = [[weight / self.steps for weight in row] for row in (*tableau.a[1:], tableau.b)]
        stage = Coefficients(divided)
        error = Coefficients([tableau.error]) if tableau.error is not None else None
        self.scales = Scales(self.writer, self.field, stage, error)
        self.scalars = StepScalars(self.writer, stage, error)

    # ---- The two kinds of frames

    def _fixed(self) -> None:
        writer, field, builder = self.writer, self.field, self.writer.builder
        # A first step longer than any frame: PLAN cuts it to the frame.
        set_parameters(writer, 1, norm=1.0, first=LARGEST)
        writer.longest_frame = min(writer.longest_frame, (1 << (self.scales.longest >> FLOAT_MANTISSA_BITS) + 1) - 1)
        builder.control(Control.PLAN, "T = dt")
        self.scalars.write()
        label = f"{field.name}.step"
        if self.steps > 1:
            builder.control(Control.REPEAT, f"{self.steps} steps", imm=self.steps - 1)
            writer.mark(label)
        self._slope(0, field.h, field.base, False)
        for stage in range(1, self.tableau.stages):
            self._combine(self.tableau.a[stage], False, f"y{stage + 1}")
            self._slope(stage, self.y, self.y_base, False)
        self._combine(self.tableau.b, True, "new h")
        builder.control(Control.SWAP, "the new h")
        if self.steps > 1:
            writer.again(label)

    def _adaptive(self) -> None:
        writer, field, tableau = self.writer, self.field, self.tableau
        options, stages, fsal = writer.options, tableau.stages, tableau.fsal
        check_norm(field.size)
        units = float(field.size << 2 * ERROR_FRAC)
        halt = halt_word(field.slope_frac, options.atol) if options.early_halt else HALT_NEVER
        set_parameters(writer, tableau.step_order, norm=units, largest=self.scales.longest, halt=halt)
        self.scale = writer.target.take(Space.C, "error scale", field.size)
        label = f"{field.name}.step"
        tries = attempts(options.budget, int(fsal), stages - fsal) if options.budget else None
        if fsal:
            self._slope(0, field.h, field.base, False)
        begin(writer, label, tries, jump=tableau.jumps)
        self.scalars.write()
        table = tables.error_table(options.rtol, options.atol, field.frac_bits)
        fields = {**writer.table(table), "exp2": 1, **to_element(self.scale)}
        body = writer.copy(field.h, 1, fields, "1 / (atol + rtol |h|)")
        writer.loop(field.h.rows, body, "error scale")
        if not fsal:
            self._retrack()
            self._slope(0, field.h, field.base, False)
        for stage in range(1, stages):
            solution = fsal and stage == stages - 1
            self._combine(tableau.a[stage], solution, f"y{stage + 1}")
            vector, base = (field.h, field.base) if solution else (self.y, self.y_base)
            self._slope(stage, vector, base, solution)
        if not fsal:
            self._combine(tableau.b, True, "new h", tracked=False)
        self._error()
        writer.builder.control(Control.DECIDE, "accept: the new h, time passes; reject: again, smaller")
        # A frame that is cut short leaves the moves of a stage in M; the next begins with the accepted h.
        again(writer, label, tries, self._retrack if fsal else None)

    # ---- Parts

    def _slope_at(self, stage: int) -> tuple[Slot, bool]:
        """Rows of a stage's slope, and whether they are those of the other parity."""
        if self.tableau.adaptive and self.tableau.fsal and stage == self.tableau.stages - 1:
            return self.k[0], True
        return self.k[stage], False

    def _slope(self, stage: int, vector: Slot, base: Slot, other: bool) -> None:
        slot, parity = self._slope_at(stage)
        self.writer.take(self.field.tracking)
        peak = self.tableau.adaptive and stage == self.tableau.stages - 1
        self.field.write_slope(vector, base, other, slot, parity, peak, f"k{stage + 1} = F(y{stage + 1})")

    def _retrack(self) -> None:
        """h again as what is multiplied, where the last stage was another vector."""
        tracking = self.field.tracking
        if tracking is not None:
            body = self.writer.copy(self.field.h, 1, self.writer.tracked(tracking), "moves of h")
            self.writer.loop(self.field.h.rows, body, "moves of h", tracking=tracking)

    def _sum(self, weights: Sequence[Fraction], error: bool) -> list[tuple[Slot, bool, int]]:
        """Slopes with a weight other than 0, each with its scalar."""
        divide = 1 if error else self.steps
        return [
            (*self._slope_at(stage), self.scalars.address(weight / divide, error))
            for stage, weight in enumerate(weights)
            if weight
        ]

    def _combine(self, weights: Sequence[Fraction], solution: bool, name: str, tracked: bool = True) -> None:
        """h + T sum_j a_j k_j into the vector and the B memory."""
        field = self.field
        vector, base = (field.h, field.base) if solution else (self.y, self.y_base)
        tracking = field.tracking if tracked else None
        fields = {**place("b", field.base), **to_vector(vector, solution), **to_element(base, solution)}
        done = finish(fields, self.writer.tracked(tracking), narrow=self.scales.stage_narrow, dynamic=1, add=1)
        text = " + ".join(f"{weight} k{stage + 1}" for stage, weight in enumerate(weights) if weight)
        body = terms(self._sum(weights, False), done, f"h + T ({text})")
        self.writer.loop(field.h.rows, body, name, tracking=tracking)

    def _error(self) -> None:
        """The error in units of its tolerance into the norm. What passes `HEAD_ROOM` units is clamped, quietly."""
        fields = {
            "c": self.scale.row, "c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT + self.scales.error_frac - ERROR_FRAC,
            "norm": Norm.OUT, "quiet_pre": 1, "quiet_post": 1,
        }  # fmt: skip
        done = finish(fields, narrow=self.scales.error_narrow, dynamic=1)
        body = terms(self._sum(self.tableau.error or (), True), done, "T sum e k / tolerance")
        self.writer.loop(self.field.h.rows, body, "error")
