# SPDX-License-Identifier: BSD-2-Clause
"""Adaptive steps with an embedded pair, written from its tableau: the same code for every explicit pair.

    k_i = r (act(W y_i + u) - y_i), r = 1/tau;  y_i = h + T sum_j a_ij k_j
    h' = h + T sum_i b_i k_i;  error = T sum_i e_i k_i, measured in units of atol + rtol |h|

T, the step, is mantissa times power of two: the coefficients are multiplied by the mantissa once a step, the power goes
into the narrowing of the sums. h' stands in h's other parity until the step is accepted. Where the last stage is the
first of the next step its slope stands in k_1's other parity likewise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from liquid_accel.compiler import formats, tables
from liquid_accel.compiler.builder import finish, place, terms, to_element, to_vector
from liquid_accel.compiler.controller import ERROR_FRAC, HEAD_ROOM, Scales, set_parameters
from liquid_accel.compiler.gated import FASTEST
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.quantise import WORD_MAX, prove_accumulator
from liquid_accel.compiler.writer import FLOAT_SHIFT, WORD_BOUND, Layer, Writer
from liquid_accel.errors import UserError
from liquid_accel.image import Bound
from liquid_accel.rtl.formats import ACCUMULATOR, FLOAT_MANTISSA_BITS, TICK_BITS
from liquid_accel.rtl.isa import Cond, Control, Factor, Space
from liquid_accel.rtl.tableaus import ButcherTableau

MANTISSA_MAX = 2 - 2.0**-FLOAT_MANTISSA_BITS
# |f - y| <= 2 where |f|, |y| <= 1; a stage may overshoot a little.
SLOPE_MARGIN = 2.25
RATE_MARGIN = 2.0  # of the fastest 1/tau that was seen
NORM_UNITS = 258  # squares of 255 that 24 bits hold


class Coefficients:
    """Weights of a tableau as words of the vector memory, and times the step's mantissa as scalars.

    `frac_bits` is such that neither a scalar nor an accumulator of any of the sums overflows.
    """

    def __init__(self, rows: Sequence[Sequence[Fraction]]):
        largest = max(abs(float(weight)) for row in rows for weight in row)
        total = max(sum(abs(float(weight)) for weight in row) for row in rows)
        by_word = math.log2(WORD_MAX / (largest * MANTISSA_MAX))
        by_sum = math.log2((2.0 ** (ACCUMULATOR - 1) / WORD_BOUND - len(rows)) / (total * MANTISSA_MAX))
        self.frac_bits = math.floor(min(by_word, by_sum))
        self.words = {weight: round(weight * 2**self.frac_bits) for row in rows for weight in row if weight}
        worst = max(sum(math.ceil(abs(self.words[w]) * MANTISSA_MAX) for w in row if w) for row in rows)
        self.accumulator = worst * WORD_BOUND


class AdaptiveSolver:
    """`rate` says how the tau product is finished; `emit` writes the loop over the steps of a frame."""

    def __init__(self, writer: Writer, layer_size: int, tau_frac: int, tableau: ButcherTableau):
        if tableau.error is None:
            raise UserError(f"solver '{tableau.name}' estimates no error; expected one that does")
        if layer_size > NORM_UNITS:
            raise UserError(f"the layer has {layer_size} units; expected at most {NORM_UNITS} with an adaptive solver")
        self.writer, self.tableau, self.size = writer, tableau, layer_size
        target, options = writer.target, writer.options
        seen = writer.ranges.fastest * writer.unit
        slope_frac = formats.finest(SLOPE_MARGIN * RATE_MARGIN * seen)
        # No slope of a state within bounds is ever clamped: 1/tau is held where one might be.
        fastest = math.log2(WORD_MAX / 2.0**slope_frac / SLOPE_MARGIN)
        self._rate = tables.rate_table(tau_frac, math.log2(writer.unit), min(fastest, FASTEST))
        self._rate_slot = target.take(Space.C, "1/tau", layer_size)
        tolerance = options.atol + options.rtol * SLOPE_MARGIN
        self.error_frac = formats.finest(HEAD_ROOM * tolerance, 40)
        self.stage_weights = Coefficients([*tableau.a[1:], tableau.b])
        self.error_weights = Coefficients([tableau.error])
        state_frac = writer.state_frac
        self.scales = Scales(
            slope_frac,
            slope_frac + self.stage_weights.frac_bits - state_frac + TICK_BITS,
            slope_frac + self.error_weights.frac_bits - self.error_frac + TICK_BITS,
        )
        target.formats.append(formats.entry("slope k", slope_frac, SLOPE_MARGIN * 2.0**fastest, "bound"))
        target.formats.append(formats.entry("error", self.error_frac, HEAD_ROOM * tolerance, "bound"))
        for name, weights in (("stage", self.stage_weights), ("error", self.error_weights)):
            prove_accumulator(f"{tableau.name}: {name} sums", weights.accumulator)
            limit = 2.0 ** (ACCUMULATOR - 1)
            target.bounds.append(Bound(f"{name} sums: accumulator", weights.accumulator, limit, "integer"))

    def rate(self) -> dict[str, Any]:
        return {**self.writer.table(self._rate), "exp2": 1, **to_element(self._rate_slot)}

    rate_comment = "r = 1/tau"

    def emit(self, layer: Layer) -> None:
        writer, tableau, builder = self.writer, self.tableau, self.writer.builder
        target, size = writer.target, layer.size
        stages, fsal = tableau.stages, tableau.fsal
        first = target.take(Space.VECTOR, "slope k1", size, pair=fsal)
        self.k = [first] + [target.take(Space.VECTOR, f"slope k{i + 1}", size) for i in range(1, stages - fsal)]
        self.y = target.take(Space.VECTOR, "stage y", size)
        self.y_base = target.take(Space.B, "stage y", size)
        self.scale = target.take(Space.C, "error scale", size)
        first_step = writer.ranges.first_step / writer.unit
        set_parameters(target, self.scales, size, tableau, writer.options, first_step)
        if fsal:
            self._slope(layer, 0, layer.h, layer.base, False)
        builder.mark("step")
        builder.control(Control.PLAN, "the next step T")
        self._scale_coefficients()
        table = tables.error_table(writer.options.rtol, writer.options.atol, layer.frac_bits)
        fields = {**writer.table(table), "exp2": 1, **to_element(self.scale)}
        body = writer.copy(layer.h, 1, fields, "1 / (atol + rtol |h|)")
        writer.loop(layer.rows, body, "error scale")
        if not fsal:
            self._slope(layer, 0, layer.h, layer.base, False)
        for stage in range(1, stages):
            solution = fsal and stage == stages - 1
            self._combine(layer, tableau.a[stage], solution, f"y{stage + 1}")
            vector, base = self._stage(layer, solution)
            self._slope(layer, stage, vector, base, solution)
        if not fsal:
            self._combine(layer, tableau.b, True, "new h")
        self._error(layer)
        builder.control(Control.DECIDE, "accept: the new h, time passes; reject: again, smaller")
        builder.jump(Cond.TIME_LEFT, "step", "time left in the frame?")

    # ---- Parts

    def _slope_at(self, stage: int) -> tuple[Slot, bool]:
        """Rows of a stage's slope, and whether they are those of the other parity."""
        if self.tableau.fsal and stage == self.tableau.stages - 1:
            return self.k[0], True
        return self.k[stage], False

    def _slope(self, layer: Layer, stage: int, vector: Slot, base: Slot, other: bool) -> None:
        """k_i = r (act(W y + u) - y)."""
        slot, parity = self._slope_at(stage)
        done = {
            "c": self._rate_slot.row, "c_sel": Factor.MEMORY,
            "c_shift": FLOAT_SHIFT + layer.frac_bits - self.scales.slope_frac, **to_vector(slot, parity),
        }  # fmt: skip
        if stage == self.tableau.stages - 1:
            done["peak"] = 1
        self.writer.right_hand_side(layer, vector, base, other, done, f"k{stage + 1} = (f(y) - y) / tau")

    def _stage(self, layer: Layer, solution: bool) -> tuple[Slot, Slot]:
        """Where a stage vector stands: beside h if it is the solution."""
        return (layer.h, layer.base) if solution else (self.y, self.y_base)

    def _scale_coefficients(self) -> None:
        """Coefficients times the step's mantissa into the S memory."""
        target, writer = self.writer.target, self.writer
        keys = [(False, weight) for weight in self.stage_weights.words]
        keys += [(True, weight) for weight in self.error_weights.words]
        words = [(self.error_weights if error else self.stage_weights).words[weight] for error, weight in keys]
        constants = target.take(Space.VECTOR, "coefficients", len(keys))
        target.fill(constants, np.array(words, np.int64))
        scalars = target.take(Space.S, "coefficients of the step", len(keys))
        done = {"c_sel": Factor.STEP, "c_shift": FLOAT_MANTISSA_BITS, **to_element(scalars)}
        writer.loop(constants.rows, writer.copy(constants, 1, done, "a * mantissa of T"), "coefficients")
        self.scalars = {key: scalars.row * target.lanes + index for index, key in enumerate(keys)}

    def _sum(self, weights: Sequence[Fraction], error: bool) -> list[tuple[Slot, bool, int]]:
        """Slopes with a weight other than 0, each with its scalar."""
        return [
            (*self._slope_at(stage), self.scalars[error, weight]) for stage, weight in enumerate(weights) if weight
        ]

    def _combine(self, layer: Layer, weights: Sequence[Fraction], solution: bool, name: str) -> None:
        """h + T sum_j a_j k_j into the vector and the B memory."""
        vector, base = self._stage(layer, solution)
        fields = {**place("b", layer.base), **to_vector(vector, solution), **to_element(base, solution)}
        done = finish(fields, narrow=self.scales.stage_narrow, dynamic=1, add=1)
        text = " + ".join(f"{weight} k{stage + 1}" for stage, weight in enumerate(weights) if weight)
        body = terms(self._sum(weights, False), done, f"h + T ({text})")
        self.writer.loop(layer.rows, body, name)

    def _error(self, layer: Layer) -> None:
        """The error in units of its tolerance into the norm. What passes `HEAD_ROOM` units is clamped, quietly."""
        fields = {
            "c": self.scale.row, "c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT + self.error_frac - ERROR_FRAC,
            "norm": 1, "quiet_pre": 1, "quiet_post": 1,
        }  # fmt: skip
        done = finish(fields, narrow=self.scales.error_narrow, dynamic=1)
        body = terms(self._sum(self.tableau.error or (), True), done, "T sum e k / tolerance")
        self.writer.loop(layer.rows, body, "error")
