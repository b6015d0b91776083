# SPDX-License-Identifier: BSD-2-Clause
"""What the parts of a program share: the target, the builder, and the pieces that every solver is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import Builder, dot, finish, place, terms, to_element, to_vector
from liquid_accel.compiler.formats import Ranges
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Dense, Network
from liquid_accel.compiler.options import CompileOptions
from liquid_accel.compiler.quantise import quantise_matrix
from liquid_accel.compiler.tables import ACTIVATION_TABLES, Table
from liquid_accel.compiler.target import Matrix, Operand, Target
from liquid_accel.errors import UserError
from liquid_accel.rtl.formats import FLOAT_BIAS, FLOAT_MANTISSA_BITS
from liquid_accel.rtl.isa import AddSource, Instruction, Space

Floats = npt.NDArray[np.float64]

# A product with a float code has this shift when factor and result are on the same scale.
FLOAT_SHIFT = FLOAT_BIAS + FLOAT_MANTISSA_BITS
LOOP_ROWS = 255  # of one loop
WORD_BOUND = 1 << 15  # magnitude of a word about which nothing else is known


@dataclass(frozen=True)
class Layer:
    """The liquid layer, placed: h in the vector and the B memory (parity pairs), u in the A memory, W, and the fields
    that read the activation's table."""

    size: int
    h: Slot
    base: Slot
    drive: Slot
    recurrent: Matrix
    activation: Mapping[str, Any]
    frac_bits: int

    @property
    def rows(self) -> int:
        return self.h.rows


class Writer:
    """A target and a builder while one network is written."""

    def __init__(self, target: Target, network: Network, ranges: Ranges, options: CompileOptions, unit: float):
        self.target, self.network, self.ranges, self.options = target, network, ranges, options
        self.unit = unit  # the machine's time unit in the model's
        self.builder = Builder()
        self.state_frac = target.config.state_frac_bits

    def loop(self, rows: int, body: list[Instruction], comment: str, rhs: bool = False) -> None:
        """`body` once a row; `UserError` where the rows are more than a loop counts."""
        if rows > LOOP_ROWS:
            lanes = self.target.lanes
            raise UserError(f"{comment}: {rows} rows of {lanes} words; expected a layer of at most {LOOP_ROWS} rows")
        self.builder.loop(rows, body, comment, rhs)

    def table(self, table: Table) -> dict[str, Any]:
        """Fields that read a table."""
        return {"table": self.target.table(table), "mode": table.mode}

    def matrix(self, tensor: str, weight: Floats, source: Operand, frac_bits: int) -> Matrix:
        """Quantise and place a matrix that takes `source` to words of `frac_bits` fraction bits."""
        quantised = quantise_matrix(tensor, weight, source.frac_bits, frac_bits)
        return self.target.matrix(quantised, source.word_bound, weight.shape)

    def product(
        self, matrix: Matrix, source: Operand, bias: Slot, done: Mapping[str, Any], comment: str
    ) -> list[Instruction]:
        """A row group of act(A x + a) as `done` finishes it."""
        word = finish(done, {"row_scaled": 1, "a": bias.row, "a_sel": AddSource.MEMORY})
        return dot(matrix, source.slot, word, self.target.lanes, comment)

    def dense(self, layer: Dense, source: Operand, out: bool = False) -> Operand:
        """act(A x + a) into new rows of the vector memory, or with `out` to the output FIFO."""
        size, extent = len(layer.bias), self.ranges.extents[f"{layer.name}.pre"]
        fields: dict[str, Any] = {}
        if layer.activation is None:
            frac, frac_out, bound = formats.value_frac(extent), formats.value_frac(extent), WORD_BOUND
        else:
            frac, frac_out = formats.function_frac(extent), self.state_frac
            table = ACTIVATION_TABLES[layer.activation](frac, frac_out)
            # Where the pre-activation is clamped the function is flat.
            fields = {**self.table(table), "quiet_pre": 1}
            bound = function_bound(table, frac_out)
        flat = layer.activation is not None
        self.target.formats.append(formats.described(f"{layer.name} pre-activation", frac, extent, flat))
        matrix = self.matrix(f"{layer.name}.weight", layer.weight, source, frac)
        bias = self.target.bias(f"{layer.name}.bias", layer.bias, frac)
        slot = source.slot
        if out:
            fields["out"] = 1
        else:
            slot = self.target.take(Space.VECTOR, layer.name, size)
            fields |= to_vector(slot)
        function = layer.activation or "identity"
        body = self.product(matrix, source, bias, fields, f"{function}(A x + a)")
        self.loop(self.target.rows(size), body, f"{layer.name}: {size} units")
        return Operand(slot, size, frac_out, bound)

    def copy(self, source: Slot, scalar: int, done: Mapping[str, Any], comment: str) -> list[Instruction]:
        """A row of source times a constant as `done` finishes it."""
        return terms([(source, False, self.target.scalar(scalar))], finish(done), comment)

    def clear(self, vector: Slot, base: Slot, comment: str) -> None:
        """Zero in both memories."""
        self.loop(vector.rows, self.copy(vector, 0, {**to_vector(vector), **to_element(base)}, comment), comment)

    def right_hand_side(
        self, layer: Layer, source: Slot, base: Slot, other: bool, done: Mapping[str, Any], comment: str
    ) -> None:
        """A loop of (act(W y + u) - y) as `done` finishes it; y in `source` and `base`, counted as an evaluation."""
        fields = {
            **layer.activation, **place("b", base, other), "row_scaled": 1, "a": layer.drive.row,
            "a_sel": AddSource.MEMORY, "sub": 1, "quiet_pre": 1,
        }  # fmt: skip
        word = finish(fields, done)
        self.loop(layer.rows, dot(layer.recurrent, source, word, self.target.lanes, comment, other), comment, rhs=True)


def function_bound(table: Table, frac_bits: int) -> int:
    """Largest magnitude that an activation's table gives."""
    return max(1 << frac_bits, max(abs(word) for word in table.words))
