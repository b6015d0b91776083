# SPDX-License-Identifier: BSD-2-Clause
"""Weights of 8 bits with a power-of-two scale a row, biases of 16 bits, and the proof that no accumulator overflows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError
from liquid_accel.rtl import formats

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SCALE_MAX = 31  # a row's shift has 5 bits
ACCUMULATOR_LIMIT = 1 << (formats.ACCUMULATOR - 1)
WORD_MAX = (1 << (formats.WORD - 1)) - 1
WORD_MIN = -WORD_MAX - 1


@dataclass(frozen=True)
class Quantised:
    """w ~ weight / 2**(scale + shift), row by row: weight int (out, in), scale (out,) in 0..31.

    A product with inputs of `frac_in` fraction bits, shifted right by the row's scale, has `frac_in - shift` of them.
    """

    name: str
    weight: Integers
    scale: Integers
    shift: int

    def accumulator_bound(self, word_bound: int) -> int:
        """Largest magnitude that an accumulator can take while input words stay within `word_bound`."""
        return int(np.abs(self.weight).sum(axis=1).max()) * word_bound


def weight_max(bits: int) -> int:
    """Largest weight of so many bits; symmetric: the lowest word is not used, so that a product's bound is the same on
    both sides."""
    return (1 << bits - 1) - 1


def quantise_matrix(name: str, weight: Floats, frac_in: int, frac_out: int, bits: int = 8) -> Quantised:
    """Each row as finely as `bits` hold it; `UserError` where a weight is too large for a row shift of 0 or more."""
    shift, top = frac_out - frac_in, weight_max(bits)
    largest = np.abs(weight).max(axis=1)
    with np.errstate(divide="ignore"):
        exponent = np.floor(np.log2(top + 0.5) - np.log2(largest))
    exponent = np.where(largest > 0, exponent, SCALE_MAX + shift)
    exponent = np.minimum(exponent, SCALE_MAX + shift)
    # The logarithm is rounded, and half a unit above the largest weight rounds to the even number above it.
    exponent -= np.rint(largest * 2.0**exponent) > top
    scale = exponent.astype(np.int64) - shift
    if scale.min() < 0:
        row = int(np.argmin(scale))
        limit = top * 2.0**-shift
        raise UserError(
            f"tensor '{name}' reaches {largest[row]:.4g} in row {row}; expected weights of at most {limit:.4g} "
            f"between formats of {frac_in} and {frac_out} fraction bits"
        )
    return Quantised(name, np.rint(weight * 2.0 ** exponent[:, None]).astype(np.int64), scale, shift)


def quantise_words(name: str, values: Floats, frac_bits: int) -> Integers:
    """16-bit words with `frac_bits` fraction bits; `UserError` where one does not fit."""
    words = np.rint(values * 2.0**frac_bits)
    if words.size and (words.max() > WORD_MAX or words.min() < WORD_MIN):
        raise UserError(
            f"tensor '{name}' reaches {np.abs(values).max():.4g}; expected at most {WORD_MAX / 2.0**frac_bits:.4g} "
            f"in a word of {frac_bits} fraction bits"
        )
    return words.astype(np.int64)


def prove_accumulator(name: str, bound: int) -> None:
    """`UserError` where an accumulator might wrap."""
    if bound >= ACCUMULATOR_LIMIT:
        raise UserError(
            f"'{name}' may reach {bound} in an accumulator; expected less than 2**{formats.ACCUMULATOR - 1}, "
            "which a layer with fewer inputs keeps"
        )


def pack_weights(matrix: Quantised, lanes: int) -> npt.NDArray[np.int8]:
    """Words of the weight memory (rows, lanes): for each group of `lanes` outputs its columns, then its scales."""
    groups = -(-len(matrix.weight) // lanes)
    columns = matrix.weight.shape[1]
    padded = np.zeros((groups * lanes, columns), np.int64)
    padded[: len(matrix.weight)] = matrix.weight
    scales = np.zeros(groups * lanes, np.int64)
    scales[: len(matrix.scale)] = matrix.scale
    block = np.concatenate(
        [padded.reshape(groups, lanes, columns).transpose(0, 2, 1), scales.reshape(groups, 1, lanes)], axis=1
    )
    return block.reshape(-1, lanes).astype(np.int8)
