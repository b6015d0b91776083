# SPDX-License-Identifier: BSD-2-Clause
"""Products that add up before they are rounded: A x + B h as one row of one accumulator.

The weights of a row share their scale, so that the sum is an exact integer; an operand of other fraction bits has the
difference in its weights. A sum with columns skipped is then the same integer, and rounded the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from liquid_accel.compiler.builder import dots, finish
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.quantise import Quantised, quantise_matrix
from liquid_accel.compiler.target import Matrix, Operand
from liquid_accel.compiler.writer import Floats, Writer
from liquid_accel.image import TensorPlace
from liquid_accel.rtl.isa import AddSource, Instruction, Space


@dataclass(frozen=True)
class Block:
    """A part of a matrix and what it multiplies: `values` (rows, columns) stand in tensor `name` of `shape` from
    (`row`, `column`) on."""

    name: str
    shape: tuple[int, ...]
    values: Floats
    source: Operand
    row: int = 0
    column: int = 0

    def place(self, start: int, columns: int, shift: int, offset: int = 0) -> TensorPlace:
        """Where it lies in the weight memory: in row groups of `columns` words, from word `offset` of a group on."""
        return TensorPlace(
            self.name, Space.WEIGHT.name, start, self.shape, columns, shift, self.row, self.column, self.values.shape,
            offset,
        )  # fmt: skip


def quantise(blocks: Sequence[Block], frac_out: int, bits: int) -> list[Quantised]:
    """Blocks side by side, of one scale a row."""
    frac = blocks[-1].source.frac_bits
    scaled = [block.values * 2.0 ** (frac - block.source.frac_bits) for block in blocks]
    whole = quantise_matrix(blocks[-1].name, np.concatenate(scaled, axis=1), frac, frac_out, bits)
    edges = np.cumsum([block.values.shape[1] for block in blocks])[:-1]
    parts = np.split(whole.weight, edges, axis=1)
    return [
        Quantised(block.name, part, whole.scale, frac_out - block.source.frac_bits)
        for block, part in zip(blocks, parts, strict=True)
    ]


@dataclass(frozen=True)
class Chain:
    """A row group as a chain of dot instructions, one or more an operand."""

    matrix: Matrix
    sources: tuple[Operand, ...]

    def body(self, writer: Writer, bias: Slot | None, done: Mapping[str, Any], comment: str) -> list[Instruction]:
        """A row group of A x + B h + a as `done` finishes it."""
        fields: dict[str, Any] = {"row_scaled": 1}
        if bias is not None:
            fields |= {"a": bias.row, "a_sel": AddSource.MEMORY}
        parts = [(source.slot, source.size, False) for source in self.sources]
        return dots(self.matrix, parts, finish(done, fields), writer.target.lanes, comment)


def chain(writer: Writer, blocks: Sequence[Block], parts: Sequence[Quantised]) -> Chain:
    """Place blocks, quantised, whose row groups lie side by side."""
    whole = Quantised(
        ", ".join(dict.fromkeys(block.name for block in blocks)),
        np.concatenate([part.weight for part in parts], axis=1), parts[-1].scale, parts[-1].shift,
    )  # fmt: skip
    places, offset, columns = list[TensorPlace](), 0, whole.weight.shape[1]
    for block, part in zip(blocks, parts, strict=True):
        places.append(block.place(0, columns, part.shift, offset))
        offset += part.weight.shape[1]
    bound = max(block.source.word_bound for block in blocks)
    matrix = writer.target.matrix(whole, bound, whole.weight.shape, places=places)
    return Chain(matrix, tuple(block.source for block in blocks))


def joined(writer: Writer, blocks: Sequence[Block], frac_out: int) -> Chain:
    """Quantise and place blocks whose products add up, to words of `frac_out` fraction bits."""
    return chain(writer, blocks, quantise(blocks, frac_out, writer.options.weight_bits))


def stack(writer: Writer, blocks: Sequence[Block], parts: Sequence[Quantised], moves: bool) -> list[Matrix]:
    """Place blocks of one operand one below the other, each from a row group of its own on, so that one loop can run
    over all of them."""
    target, source = writer.target, blocks[0].source
    columns = source.size
    weights, scales, places, starts, start = list[Any](), list[Any](), list[TensorPlace](), list[int](), 0
    for block, part in zip(blocks, parts, strict=True):
        groups = target.rows(len(part.weight))
        spare = groups * target.lanes - len(part.weight)
        weights.append(np.pad(part.weight, ((0, spare), (0, 0))))
        scales.append(np.pad(part.scale, (0, spare)))
        places.append(block.place(start, columns, part.shift))
        starts.append(start)
        start += groups * (columns + 1)
    name = ", ".join(dict.fromkeys(block.name for block in blocks))
    whole = Quantised(name, np.concatenate(weights), np.concatenate(scales), 0)
    matrix = target.matrix(whole, source.word_bound, whole.weight.shape, moves, places)
    return [
        Matrix(matrix.start + start, target.rows(len(part.weight)), columns)
        for start, part in zip(starts, parts, strict=True)
    ]
