# SPDX-License-Identifier: BSD-2-Clause
"""Synapses as rows of lanes: which synapse stands where, and the weight words that make sigma (v - mu) of each.

A row holds at most `lanes` synapses, whose targets are `lanes` neighbours, lane by lane, and whose sources stand in one
row of the vector memory: lane l has some v_j of that row to the neuron l of the group. So a dot over `lanes` columns
feeds a row, and the sum over the synapses of a group is a dot whose weights stand on a diagonal: a cycle a synapse.
Groups of neurons that no synapse joins take no row. Two further columns, whose operands are constants, add -sigma mu;
they hide in the cycles that the lanes' scales take to load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from liquid_accel.compiler.quantise import SCALE_MAX, weight_max
from liquid_accel.errors import UserError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

COARSE, FINE = 1 << 14, 1 << 7  # operands of the two columns of a bias
BIAS_MAX = 127  # weight of a bias column
NONE = -1


@dataclass(frozen=True)
class Block:
    """Rows of synapses from one group of `lanes` neurons (or inputs) to another; `sources` (rows, lanes): the number of
    each lane's source, `NONE` where there is no synapse; `first`: the first of its rows among all."""

    source: int
    target: int
    sources: Integers
    first: int

    @property
    def rows(self) -> int:
        return len(self.sources)


def blocks(mask: npt.NDArray[np.bool_], lanes: int) -> list[Block]:
    """The blocks of a wiring `mask` (from, to), those of one target group next to each other."""
    found: list[Block] = []
    first = 0
    for target in range(0, mask.shape[1], lanes):
        for source in range(0, mask.shape[0], lanes):
            part = mask[source : source + lanes, target : target + lanes]
            rows = int(part.sum(axis=0).max())
            if not rows:
                continue
            sources = np.full((rows, lanes), NONE, np.int64)
            for lane, column in enumerate(part.T):
                chosen = np.flatnonzero(column)
                sources[: len(chosen), lane] = source + chosen
            found.append(Block(source // lanes, target // lanes, sources, first))
            first += rows
    return found


def push_words(
    name: str, block: Block, sigma: Floats, bias: Floats, frac_in: int, frac_out: int, bits: int
) -> npt.NDArray[np.int8]:
    """Weight words of a block (rows x (lanes + 3), lanes): for each row a column a source, two of the bias, the scales.

    The push is sigma v + bias, (from, to) both; v in `frac_in` fraction bits, the push in `frac_out`. Each synapse has
    a scale of its own. `UserError` where no scale holds one.
    """
    lanes = block.sources.shape[1]
    words = np.zeros((block.rows, lanes + 3, lanes), np.int64)
    for row, lane in zip(*np.nonzero(block.sources != NONE), strict=True):
        source = int(block.sources[row, lane])
        at = source, block.target * lanes + int(lane)
        weight, coarse, fine, scale = _synapse(name, float(sigma[at]), float(bias[at]), frac_in, frac_out, bits)
        words[row, source % lanes, lane] = weight
        words[row, lanes:, lane] = coarse, fine, scale
    return words.reshape(-1, lanes).astype(np.int8)


def _synapse(name: str, sigma: float, bias: float, frac_in: int, frac_out: int, bits: int) -> tuple[int, int, int, int]:
    """Weight, coarse and fine part of the bias, shift. The bias follows the rounding of sigma, so that the push is 0
    where it should be."""
    shift, top = frac_out - frac_in, weight_max(bits)
    exponent = SCALE_MAX + shift
    if sigma:
        exponent = min(exponent, int(np.floor(np.log2(top + 0.5) - np.log2(abs(sigma)))))
        exponent -= round(abs(sigma) * 2.0**exponent) > top
    if bias:
        exponent = min(exponent, int(np.floor(np.log2(BIAS_MAX * COARSE) - np.log2(abs(bias)))) - frac_in)
    if exponent < shift:
        raise UserError(
            f"layer '{name}': a synapse has sigma {sigma:.4g} and sigma mu {-bias:.4g}; expected less than "
            f"{top * 2.0**-shift:.4g} and {BIAS_MAX * COARSE * 2.0 ** -(shift + frac_in):.4g}"
        )
    weight = round(sigma * 2.0**exponent)
    if sigma and weight:
        bias *= weight / (sigma * 2.0**exponent)
    target = bias * 2.0 ** (exponent + frac_in)
    coarse = max(-BIAS_MAX, min(BIAS_MAX, round(target / COARSE)))
    fine = max(-BIAS_MAX, min(BIAS_MAX, round((target - coarse * COARSE) / FINE)))
    return weight, coarse, fine, exponent - shift


def diagonal(found: list[Block], target: int, values: Floats) -> Floats:
    """The matrix (lanes, lanes x rows) that sums the synapses of a target group, `values` (from, to) times each."""
    parts = [block for block in found if block.target == target]
    lanes = parts[0].sources.shape[1]
    matrix = np.zeros((lanes, lanes * sum(block.rows for block in parts)))
    column = 0
    for block in parts:
        for row in block.sources:
            for lane in np.flatnonzero(row != NONE):
                matrix[lane, column + lane] = values[row[lane], target * lanes + lane]
            column += lanes
    return matrix
