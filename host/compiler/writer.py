# SPDX-License-Identifier: BSD-2-Clause
"""What the parts of a program share: the target, the builder, and the pieces that every cell and solver is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import (
    Builder,
    dot,
    finish,
    sparse,
    terms,
    to_element,
    to_kept,
    to_operands,
    to_vector,
)
from liquid_accel.compiler.formats import Ranges
from liquid_accel.compiler.memory import Hidden, Slot
from liquid_accel.compiler.network import Dense, Liquid, Network
from liquid_accel.compiler.options import CompileOptions
from liquid_accel.compiler.quantise import WORD_MIN, quantise_matrix
from liquid_accel.compiler.tables import Table, activation_table
from liquid_accel.compiler.target import Operand, Product, Target, Tracking
from liquid_accel.errors import UserError
from liquid_accel.rtl.formats import FLOAT_BIAS, FLOAT_MANTISSA_BITS, LOG2, TIME_WIDTH
from liquid_accel.rtl.isa import LISTS, AddSource, Cond, Control, Instruction, Keep, Space, Track
from liquid_accel.rtl.tableaus import GATES

Floats = npt.NDArray[np.float64]

# A product with a float code has this shift when factor and result are on the same scale.
FLOAT_SHIFT = FLOAT_BIAS + FLOAT_MANTISSA_BITS
LOOP_ROWS = 255  # of one loop
WORD_BOUND = 1 << 15  # magnitude of a word about which nothing else is known
LIST_COLUMNS = 255  # columns that a list can hold


class Writer:
    """A target and a builder while one network is written."""

    def __init__(self, target: Target, network: Network, ranges: Ranges, options: CompileOptions, unit: float):
        self.target, self.network, self.ranges, self.options = target, network, ranges, options
        self.unit = unit  # the machine's time unit in the model's
        self.builder = Builder()
        self.state_frac = target.config.state_frac_bits
        self.longest_frame = 2**TIME_WIDTH - 1  # ticks
        if self._pads_sigmoids():
            ranges.function_fracs["sigmoid"] = formats.FUNCTION_FRACS[-1]
        self.regular_log_dt = self._regular_log_dt()
        self._tracked: Tracking | None = None  # what the last TRACK chose, where every way to here is known
        self._lists: list[Tracking] = []
        self._cleared: list[tuple[Slot, str]] = []

    def _pads_sigmoids(self) -> bool:
        """Whether a layer whose moves may be listed has padded units behind a sigmoid. They are driven to its lower
        end, which has to be 0 to the word: a list has no columns for them."""
        sizes = [
            *(cell.size for cell in self.network.cells if isinstance(cell, Liquid) and cell.activation == "sigmoid"),
            *(len(dense.bias) for dense in self.network.before[-1:] if dense.activation == "sigmoid"),
        ]
        return any(size % self.target.lanes for size in sizes)

    def _regular_log_dt(self) -> int | None:
        """log2 of the data's usual dt, as frames carry it, where a gated layer has a table to spare for it."""
        cell = self.network.cells[0]
        gated = self.options.solver in GATES and isinstance(cell, Liquid) and len(self.network.cells) == 1
        tables = len(self.ranges.function_fracs) + 3  # rates, gates, and the gates at the usual dt
        dts = self.ranges.dts[self.ranges.dts > 0]
        if not gated or not dts.size or tables > self.target.config.tables:
            return None
        usual, count = np.unique(np.rint(np.log2(dts / self.unit) * 2**LOG2.frac_bits), return_counts=True)
        return int(usual[count.argmax()]) if count.max() > dts.size / 2 else None

    def keeps_first_slope(self, size: int) -> bool:
        """Whether a pair's sums of W h are kept though no columns are to be skipped: where its last stage is the first
        of the next step, a frame's first slope then costs no product. With a threshold of 0 no result changes."""
        method, config = self.options.method, self.target.config
        return (
            method.adaptive and method.fsal and config.column_skip and size <= min(LIST_COLUMNS, config.kept_elements)
        )

    # ---- Control

    def mark(self, label: str) -> None:
        """The next instruction is where jumps to `label` go."""
        self.builder.mark(label)
        self._tracked = None

    def loop(
        self, rows: int, body: Sequence[Instruction], comment: str, rhs: bool = False, tracking: Tracking | None = None
    ) -> None:
        """`body` once a row, its tracked results into the list of `tracking`; `UserError` where the rows are more than
        a loop counts."""
        if rows > LOOP_ROWS:
            lanes = self.target.lanes
            raise UserError(f"{comment}: {rows} rows of {lanes} words; expected a layer of at most {LOOP_ROWS} rows")
        if tracking is not None and tracking != self._tracked:
            self.builder.control(
                Control.TRACK, f"moves of {tracking.name}", list=tracking.number, imm=tracking.threshold
            )
            self._tracked = tracking
        self.builder.loop(rows, body, comment, rhs)

    def again(self, label: str) -> None:
        """Back to `label` while the count of REPEAT lasts."""
        self.builder.jump(Cond.AGAIN, label, "again?")

    # ---- Column skipping

    def tracking(
        self, name: str, layer: str, size: int, frac_bits: int, double: bool = False, always: bool = False
    ) -> Tracking | None:
        """A list of the moves of an operand of `size` words, where `layer` skips columns, or `always`; `double` where
        the list is written while the one before it is still read."""
        threshold = self.options.threshold(layer)
        if threshold is None and not always:
            return None
        threshold = threshold or 0.0
        if not self.target.config.column_skip:
            raise UserError(
                "a threshold for column skipping asks for a machine that keeps sums; expected one with kept_elements, "
                "such as up5k-skip"
            )
        if len(self._lists) == LISTS:
            raise UserError(f"{name} would be list {LISTS + 1} of moved columns; expected at most {LISTS}")
        if size > LIST_COLUMNS:
            raise UserError(f"{name} has {size} columns; expected at most {LIST_COLUMNS} where columns are skipped")
        deltas = self.target.take(Space.S, f"moves of {name}", size, pair=double)
        operands = self.target.take(Hidden.OPERANDS, name, size)
        words = min(int(threshold * 2.0**frac_bits), (1 << 15) - 1)
        found = Tracking(name, len(self._lists), operands, deltas, words)
        self._lists.append(found)
        self.at_start(operands, f"{name} = 0")
        return found

    def tracked(self, tracking: Tracking | None) -> dict[str, int]:
        """Fields of a finish whose results are tracked."""
        return {} if tracking is None else to_operands(tracking.operands, Track.MOVED)

    def take(self, tracking: Tracking | None) -> None:
        """What moved goes into the following products."""
        if tracking is not None:
            self.builder.control(
                Control.TAKE, f"moves of {tracking.name}", list=tracking.number, imm=int(tracking.deltas.pair)
            )

    # ---- The start of a sequence

    def at_start(self, slot: Slot, comment: str) -> None:
        """Zero at the start of a sequence; a pair in the half that parity 0 addresses."""
        self._cleared.append((slot, comment))

    def write_start(self) -> None:
        """Clears all that `at_start` named: several memories in one pass, where they have as many rows."""
        for tracking in self._lists:
            address = tracking.deltas.row * self.target.lanes
            self.builder.control(Control.LIST, f"moves of {tracking.name}: none", list=tracking.number, imm=address)
        left = list(self._cleared)
        while left:
            rows, names = left[0][0].rows, list[str]()
            fields: dict[str, Any] = {}
            for slot, comment in list(left):
                one = _cleared(slot)
                if slot.rows != rows or fields.keys() & one.keys():
                    continue
                fields |= one
                names.append(comment)
                left.remove((slot, comment))
            self.loop(rows, self.nothing(finish(fields), "; ".join(names)), "; ".join(names))

    def nothing(self, done: Any, comment: str) -> list[Instruction]:
        """A row of zeros as `done` finishes it."""
        return terms([(Slot(Space.VECTOR, 0, 1, False, 0), False, self.target.scalar(0))], done, comment)

    # ---- Products

    def table(self, table: Table) -> dict[str, Any]:
        """Fields that read a table."""
        return {"table": self.target.table(table), "mode": table.mode}

    def matrix(self, tensor: str, weight: Floats, source: Operand, frac_bits: int) -> Product:
        """Quantise and place a matrix that takes `source` to words of `frac_bits` fraction bits; with kept sums where
        the moves of `source` are listed."""
        quantised = quantise_matrix(tensor, weight, source.frac_bits, frac_bits, self.options.weight_bits)
        tracked = source.tracking is not None
        matrix = self.target.matrix(quantised, source.word_bound, weight.shape, moves=tracked)
        kept = None
        if tracked:
            kept = self.target.take(Hidden.KEPT, f"sums of {tensor}", len(weight))
            self.at_start(kept, f"sums of {tensor} = 0")
        return Product(matrix, source, kept)

    def product(
        self,
        product: Product,
        bias: Slot | None,
        done: Mapping[str, Any],
        comment: str,
        source: Slot | None = None,
        other: bool = False,
        keep: Keep = Keep.ADD,
    ) -> list[Instruction]:
        """A row group of act(A x + a) as `done` finishes it, A x over all columns, or over those that moved where the
        moves of x are listed; `source` where x is elsewhere than the product's operand, `other` for the other half of a
        pair. Kept sums take part by `keep`: READ has them as they are, behind a TAKE of a list whose moves are in."""
        fields: dict[str, Any] = {"row_scaled": 1}
        if bias is not None:
            fields |= {"a": bias.row, "a_sel": AddSource.MEMORY}
        if product.kept is not None:
            fields |= to_kept(product.kept, keep)
        word = finish(done, fields)
        if product.source.tracking is not None:
            return sparse(product.matrix, word, comment, counted=keep != Keep.READ)
        return dot(product.matrix, source or product.source.slot, word, self.target.lanes, comment, other)

    def dense(self, layer: Dense, source: Operand, out: bool = False, tracking: Tracking | None = None) -> Operand:
        """act(A x + a) into new rows of the vector memory, or with `out` to the output FIFO."""
        size, extent = len(layer.bias), self.ranges.extents[f"{layer.name}.pre"]
        fields: dict[str, Any] = self.tracked(tracking)
        if layer.activation is None:
            frac, frac_out, bound = formats.value_frac(extent), formats.value_frac(extent), WORD_BOUND
        else:
            frac, frac_out = self.activation_frac(layer.activation, extent), self.state_frac
            table = activation_table(layer.activation, frac, frac_out)
            # Where the pre-activation is clamped the function is flat.
            fields |= {**self.table(table), "quiet_pre": 1}
            bound = function_bound(table, frac_out)
        flat = layer.activation is not None
        self.target.formats.append(formats.described(f"{layer.name} pre-activation", frac, extent, flat))
        matrix = self.matrix(f"{layer.name}.weight", layer.weight, source, frac)
        pad = WORD_MIN if layer.activation == "sigmoid" else 0
        bias = self.target.bias(f"{layer.name}.bias", layer.bias, frac, pad)
        slot = source.slot
        if out:
            fields["out"] = 1
        else:
            slot = self.target.take(Space.VECTOR, layer.name, size)
            fields |= to_vector(slot)
        function = layer.activation or "identity"
        body = self.product(matrix, bias, fields, f"{function}(A x + a)")
        self.loop(self.target.rows(size), body, f"{layer.name}: {size} units", tracking=tracking)
        return Operand(slot, size, frac_out, bound, tracking)

    def activation_frac(self, activation: str, *extents: formats.Extent) -> int:
        """Fraction bits of what goes into an activation: the same for all that share a function, where that holds them
        all, so that they share a table."""
        shared = self.ranges.function_fracs.get(activation, formats.FUNCTION_FRACS[0])
        return min(formats.function_frac(*extents), shared)

    def copy(self, source: Slot, scalar: int, done: Mapping[str, Any], comment: str) -> list[Instruction]:
        """A row of source times a constant as `done` finishes it."""
        return terms([(source, False, self.target.scalar(scalar))], finish(done), comment)


def _cleared(slot: Slot) -> dict[str, Any]:
    """Fields that write a zero row to the slot."""
    if slot.space is Hidden.KEPT:
        return to_kept(slot, Keep.SET)
    if slot.space is Hidden.OPERANDS:
        return to_operands(slot, Track.SET)
    if slot.space == Space.VECTOR:
        return to_vector(slot)
    return to_element(slot)


def function_bound(table: Table, frac_bits: int) -> int:
    """Largest magnitude that an activation's table gives."""
    return max(1 << frac_bits, max(abs(word) for word in table.words))
