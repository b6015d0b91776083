# SPDX-License-Identifier: BSD-2-Clause
"""The right-hand side of a liquid layer as a slope, for Runge-Kutta methods: F(y) = r (act(W y + u) - y), r = 1/tau."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from liquid_accel.compiler import formats, tables
from liquid_accel.compiler.builder import to_element, to_vector
from liquid_accel.compiler.coefficients import SLOPE_MARGIN
from liquid_accel.compiler.gated import FASTEST
from liquid_accel.compiler.layer import Layer, right_hand_side, time_constants
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.quantise import WORD_MAX
from liquid_accel.compiler.target import Tracking
from liquid_accel.compiler.writer import FLOAT_SHIFT, Floats, Writer
from liquid_accel.rtl.formats import float_code
from liquid_accel.rtl.isa import Factor, Space

RATE_MARGIN = 2.0  # of the fastest 1/tau that was seen


class LiquidSlopes:
    """1/tau of a layer's units as float codes in the C memory, and the slope that it gives."""

    comment = "r = 1/tau"

    def __init__(self, writer: Writer, size: int, tau_frac: int):
        self.writer, self.size = writer, size
        seen = writer.ranges.fastest * writer.unit
        self.slope_frac = formats.finest(SLOPE_MARGIN * RATE_MARGIN * seen)
        # No slope of a state within bounds is ever clamped: 1/tau is held where one might be.
        self._fastest = min(math.log2(WORD_MAX / 2.0**self.slope_frac / SLOPE_MARGIN), FASTEST)
        self._rate = tables.rate_table(tau_frac, math.log2(writer.unit), self._fastest)
        self.slot = writer.target.take(Space.C, "1/tau", size)
        largest = SLOPE_MARGIN * 2.0**self._fastest
        # Fast units make coarse words; in slow ones half of such a word then moves the state all the time.
        drift = 2.0 ** -(self.slope_frac + 1) * float(np.median(writer.ranges.dts)) / writer.unit
        if drift > writer.options.atol:
            writer.target.warnings.append(
                f"slope k: time constants differ so much that rounding moves the slowest units by up to {drift:.2g} a "
                f"frame, and atol is {writer.options.atol:g}; fused, expeuler, beuler and etd21 have no slopes"
            )
        writer.target.formats.append(formats.entry("slope k", self.slope_frac, largest, "bound"))

    def done(self) -> dict[str, Any]:
        """How a tau product is finished."""
        return {**self.writer.table(self._rate), "exp2": 1, **to_element(self.slot)}

    def constant(self, tau: Floats) -> None:
        """Time constants that do not change, in the model's unit."""
        rates = np.minimum(self.writer.unit / tau, 2.0**self._fastest)
        self.writer.target.fill(self.slot, np.array([float_code(rate) for rate in rates], np.int64))

    def attach(self, layer: Layer) -> None:
        """The layer, once it is placed."""
        self.layer = layer
        self.name, self.h, self.base, self.frac_bits = layer.name, layer.h, layer.base, layer.frac_bits
        self.tracking: Tracking | None = layer.tracking

    def write_slope(
        self, vector: Slot, base: Slot, other: bool, slope: Slot, slope_other: bool, peak: bool, comment: str
    ) -> None:
        """k = r (act(W y + u) - y)."""
        time_constants(self.writer, self.layer, vector, other)
        done = {
            "c": self.slot.row, "c_sel": Factor.MEMORY, "c_shift": FLOAT_SHIFT + self.frac_bits - self.slope_frac,
            **to_vector(slope, slope_other), "peak": int(peak),
        }  # fmt: skip
        text = f"{comment} = (f(y) - y) / tau"
        right_hand_side(self.writer, self.layer, vector, base, other, done, text)
