# SPDX-License-Identifier: BSD-2-Clause
"""The products of gated units, W x + U h a gate, with or without columns skipped; and gates as float codes.

A gate's two products add up in one accumulator, or in one set of kept sums where columns are skipped: both give the
same integer. An operand whose moves are listed costs a pass over its moved columns; the sums of that pass wait in M.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from liquid_accel.compiler import formats, tables
from liquid_accel.compiler.builder import finish, sparse, to_element, to_kept
from liquid_accel.compiler.formats import Extent
from liquid_accel.compiler.joint import Block, Chain, chain, quantise, stack
from liquid_accel.compiler.memory import Hidden, Slot
from liquid_accel.compiler.network import Other
from liquid_accel.compiler.target import Operand, Product
from liquid_accel.compiler.writer import Writer
from liquid_accel.rtl.isa import Instruction, Keep


class GateProducts:
    """W x + U h of the gates `letters`, in the order of the tensors, to words of `fracs`; those in `apart` hold U h to
    words of so many fraction bits of its own. `begin` comes first in a frame."""

    def __init__(
        self,
        writer: Writer,
        cell: Other,
        letters: str,
        x: Operand,
        h: Operand,
        fracs: Mapping[str, int],
        apart: Mapping[str, int] | None = None,
    ):
        self.writer, self.cell, self.letters, self.x, self.h = writer, cell, letters, x, h
        self.apart, bits = dict(apart or {}), writer.options.weight_bits
        self.rows = writer.target.rows(cell.size)
        self._skips = h.tracking is not None
        self._chains: dict[str, Chain] = {}
        given, recurrent, given_parts, recurrent_parts = [], [], [], []
        for index, letter in enumerate(letters):
            w, u = self._block("weight_ih", index, x), self._block("weight_hh", index, h)
            if letter in self.apart:
                parts = [*quantise([w], fracs[letter], bits), *quantise([u], self.apart[letter], bits)]
            else:
                parts = quantise([w, u], fracs[letter], bits)
                if not self._skips:
                    self._chains[letter] = chain(writer, [w, u], parts)
                    continue
            given.append(w)
            recurrent.append(u)
            given_parts.append(parts[0])
            recurrent_parts.append(parts[1])
        names = [letter for letter in letters if letter not in self._chains]
        self._joined = [letter for letter in names if letter not in self.apart]
        kept = self._kept(names) if self._skips else {}
        x_tracked = x.tracking is not None
        if names:
            found = stack(writer, given, given_parts, x_tracked), stack(writer, recurrent, recurrent_parts, self._skips)
            self._x = {n: Product(m, x, kept.get(n) if x_tracked or n not in self.apart else None)
                       for n, m in zip(names, found[0], strict=True)}  # fmt: skip
            self._h = {n: Product(m, h, kept.get(f"{n} of h", kept.get(n)))
                       for n, m in zip(names, found[1], strict=True)}  # fmt: skip

    def _block(self, tensor: str, index: int, source: Operand) -> Block:
        whole, size = self.cell.tensors[tensor], self.cell.size
        rows = whole[index * size : (index + 1) * size]
        return Block(f"{self.cell.name}.{tensor}", whole.shape, rows, source, index * size)

    def _kept(self, names: list[str]) -> dict[str, Slot]:
        """Sums of every gate in the order of the passes, and of those of h that stand apart."""
        sets = [*names, *(f"{name} of h" for name in names if name in self.apart)]
        text = f"sums of the gates of {self.cell.name}"
        whole = self.writer.target.take(Hidden.KEPT, text, len(sets) * self.rows * self.writer.target.lanes)
        self.writer.at_start(whole, f"{text} = 0")
        rows = self.rows
        return {name: replace(whole, row=whole.row + i * rows, rows=rows) for i, name in enumerate(sets)}

    # ---- Code

    def begin(self) -> None:
        """What moved goes into the kept sums, as far as no gate's own pass does it."""
        writer = self.writer
        if self.x.tracking is not None:
            writer.take(self.x.tracking)
            self._add(self._x, list(self._x), "moves of x")
        writer.take(self.h.tracking)
        if self._skips and self.x.tracking is None:
            self._add(self._h, self._joined, "moves of h")

    def _add(self, sets: Mapping[str, Product], names: list[str], comment: str) -> None:
        if not names:
            return
        first = sets[names[0]]
        assert first.kept is not None
        done = finish(to_kept(first.kept, Keep.ADD), quiet_pre=1)
        self.writer.loop(len(names) * self.rows, sparse(first.matrix, done, f"M += products with {comment}"), comment)

    def body(self, letter: str, bias: Slot, done: Mapping[str, Any], comment: str) -> list[Instruction]:
        """A row group of W x + U h + b."""
        if letter in self._chains:
            return self._chains[letter].body(self.writer, bias, done, comment)
        if self.x.tracking is not None:
            return self.writer.product(self._h[letter], bias, done, comment)
        return self.writer.product(self._x[letter], bias, done, comment, keep=Keep.READ)

    def recurrent(self, letter: str, bias: Slot, done: Mapping[str, Any], comment: str) -> list[Instruction]:
        """A row group of U h + b of a gate that stands apart."""
        return self.writer.product(self._h[letter], bias, done, comment)

    def given(self, letter: str, bias: Slot, done: Mapping[str, Any], comment: str) -> list[Instruction]:
        """A row group of W x + b of a gate that stands apart; behind a TAKE of x, whose moves are in M by now."""
        return self.writer.product(self._x[letter], bias, done, comment, keep=Keep.READ)


def bias(writer: Writer, cell: Other, letters: str, letter: str, frac_bits: int, *tensors: str) -> Slot:
    """The biases of a gate in `tensors` added up, in the A memory, named after the first."""
    first, size = letters.index(letter) * cell.size, cell.size
    values = np.sum([cell.tensors[name][first : first + size] for name in tensors], axis=0)
    slot = writer.target.bias(
        f"{cell.name}.{tensors[0]}", values, frac_bits, whole=cell.tensors[tensors[0]].shape, row=first
    )
    for other in tensors[1:]:
        writer.target.folded(f"{cell.name}.{other}", cell.tensors[other].shape)
    return slot


def gate_frac(writer: Writer, cell: Other, letters: str) -> int:
    """Fraction bits in front of the sigmoid, the same for the gates `letters`: for their sums with and without bias."""
    extents = writer.ranges.extents
    largest = max(float(np.abs(bias).max()) for name, bias in cell.tensors.items() if bias.ndim == 1)
    found = list[Extent]()
    for letter in letters:
        whole = extents[f"{cell.name}.pre_{letter}"]
        found += [whole, Extent(whole.bound + 2 * largest, whole.seen + 2 * largest)]
    return formats.function_frac(*found)


def open_gate(writer: Writer, slot: Slot, frac_bits: int, closing: bool = False) -> dict[str, Any]:
    """How a row becomes sigmoid(s), or with `closing` 1 - sigmoid(s), as float codes in the C memory."""
    table = tables.log_sigmoid_table(frac_bits, closing)
    return {**writer.table(table), "exp2": 1, "quiet_pre": 1, **to_element(slot)}
