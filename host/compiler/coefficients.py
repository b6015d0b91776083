# SPDX-License-Identifier: BSD-2-Clause
"""A tableau's weights as words: constants of the vector memory, times the step's mantissa as scalars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

import numpy as np

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import to_element
from liquid_accel.compiler.controller import HEAD_ROOM, LARGEST, MANTISSA
from liquid_accel.compiler.quantise import WORD_MAX, prove_accumulator
from liquid_accel.compiler.writer import WORD_BOUND, Writer
from liquid_accel.image import Bound
from liquid_accel.rtl.formats import ACCUMULATOR, FLOAT_MANTISSA_BITS, TICK_BITS, TIME_WIDTH
from liquid_accel.rtl.isa import Factor, Space

MANTISSA_MAX = 2 - 2.0**-FLOAT_MANTISSA_BITS
SLOPE_MARGIN = 2.25  # |f - y| <= 2 where |f|, |y| <= 1; a stage may overshoot a little


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


class Scaled(Protocol):
    """What has slopes of `slope_frac` fraction bits and a state of `frac_bits`."""

    slope_frac: int
    frac_bits: int


class Scales:
    """Shifts of the stage and error sums at a step of one tick, the error's format, and the longest step for which no
    narrowing would have to shift left (`longest`, a pseudo-logarithm)."""

    def __init__(self, writer: Writer, field: Scaled, stage: Coefficients, error: Coefficients | None):
        target, options = writer.target, writer.options
        self.stage_narrow = field.slope_frac + stage.frac_bits - field.frac_bits + TICK_BITS
        top = min(self.stage_narrow, TIME_WIDTH - 1)
        sums = [("stage", stage)]
        if error is not None:
            tolerance = options.atol + options.rtol * SLOPE_MARGIN
            self.error_frac = formats.finest(HEAD_ROOM * tolerance, 40)
            self.error_narrow = field.slope_frac + error.frac_bits - self.error_frac + TICK_BITS
            top = min(top, self.error_narrow)
            target.formats.append(formats.entry("error", self.error_frac, HEAD_ROOM * tolerance, "bound"))
            sums.append(("error", error))
        self.longest = min((top << FLOAT_MANTISSA_BITS) | MANTISSA, LARGEST)
        for name, weights in sums:
            prove_accumulator(f"{options.solver}: {name} sums", weights.accumulator)
            limit = 2.0 ** (ACCUMULATOR - 1)
            target.bounds.append(Bound(f"{name} sums: accumulator", weights.accumulator, limit, "integer"))


class StepScalars:
    """The coefficients times the mantissa of the step, in the S memory."""

    def __init__(self, writer: Writer, stage: Coefficients, error: Coefficients | None):
        self.writer, target = writer, writer.target
        parts = [(False, stage), *([(True, error)] if error is not None else [])]
        keys = [(is_error, weight) for is_error, part in parts for weight in part.words]
        words = [part.words[weight] for _, part in parts for weight in part.words]
        self.constants = target.take(Space.VECTOR, "coefficients", len(keys))
        target.fill(self.constants, np.array(words, np.int64))
        self.slot = target.take(Space.S, "coefficients of the step", len(keys))
        self._at = {key: index for index, key in enumerate(keys)}

    def write(self) -> None:
        """The rows that multiply them, once a step."""
        done = {"c_sel": Factor.STEP, "c_shift": FLOAT_MANTISSA_BITS, **to_element(self.slot)}
        body = self.writer.copy(self.constants, 1, done, "a * mantissa of T")
        self.writer.loop(self.constants.rows, body, "coefficients")

    def address(self, weight: Fraction, error: bool) -> int:
        """Of a coefficient's scalar."""
        return self.slot.row * self.writer.target.lanes + self._at[error, weight]
