# SPDX-License-Identifier: BSD-2-Clause
"""Every multiplication that a program issues, counted while the golden model runs it over a batch.

What counts, for each row of N elements that leaves the lanes, and for each slot of the lanes:

    matrix    N a slot of a dot or sparse product: a column times an element (mac_cycles * N)
    algebra   N a slot of a term: a vector times a scalar
    function  1 an element that passes a table (its interpolation), mode other than IDENTITY
    exp2      1 an element that becomes a float code (the interpolation of 2**x)
    gate      1 an element that is multiplied by a gate, c_sel other than ONE
    norm      1 an element whose square adds to the error's norm

"Issued" counts N lanes wherever a row is cut off by the end of a vector; "useful" only those that hold a unit. Shifts
and additions (of biases, of kept sums) are none, and neither is what the step controller does, which multiplies a few
times a step. What comes before FRAME and after DONE is not counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from liquid_accel.data import Dataset
from liquid_accel.driver.frames import encode
from liquid_accel.image import Image
from liquid_accel.rtl.isa import Factor, Finish, Instruction, Mode, Op, Space
from liquid_accel.sim.golden import GoldenMachine
from liquid_accel.sim.golden.arithmetic import Int
from liquid_accel.sim.golden.rows import RowUnit
from liquid_accel.sim.golden.state import SCALARS

KINDS = ("matrix", "algebra", "function", "exp2", "gate", "norm")
RECURRENT = ("recurrent_weight", "weight_hh")  # how tensors end that multiply the state


@dataclass
class Products:
    """Multiplications over all frames of a batch, by KINDS; `recurrent`: of the matrix products, the useful ones with
    the state."""

    issued: Counter[str] = field(default_factory=Counter)
    useful: Counter[str] = field(default_factory=Counter)
    recurrent: int = 0

    @property
    def total(self) -> int:
        """All that are issued."""
        return sum(self.issued.values())


class CountingRows(RowUnit):
    """The lanes and the element pipeline, counted."""

    def attach(self, image: Image) -> CountingRows:
        """Which rows of the memories hold units, from the image. Returns itself."""
        self.found = Products()
        lanes = image.config.lanes
        self._size = image.state_size
        self._real = np.full(image.config.weight_words, lanes, np.int64)
        self._recurrent = np.zeros(image.config.weight_words, np.int64)
        for place in image.tensors:
            if place.space != Space.WEIGHT.name:
                continue
            part, words = place.part or place.shape, place.columns + 1
            for group in range(-(-part[0] // lanes)):
                first = place.start + group * words + place.offset
                real = min(lanes, part[0] - group * lanes)
                self._real[first : first + part[1]] = real
                self._recurrent[first : first + part[1]] = real * place.name.endswith(RECURRENT)
        return self

    def products(self, pc: int, i: Instruction, index: Int, r: Int, pointers: tuple[int, ...]) -> Int:
        """As the machine's; rows `r` of the sequences `index`."""
        counted = index[self.state.counting[index]]
        if i.op == Op.TERM:
            self._elements("algebra", len(counted), r)
        elif i.op in (Op.DOT, Op.SPARSE):
            used = self._columns(i, counted)
            at = (np.asarray(pointers)[:, None] + np.arange(len(used))) % len(self._real)
            self.found.issued["matrix"] += int(used.sum()) * len(at) * self.config.lanes
            self.found.useful["matrix"] += int((self._real[at] @ used).sum())
            self.found.recurrent += int((self._recurrent[at] @ used).sum())
        return super().products(pc, i, index, r, pointers)

    def _columns(self, i: Instruction, index: Int) -> Int:
        """How often each column (columns,) of a product is used by the sequences `index`."""
        if i.op == Op.DOT:
            return np.full(i.cols, len(index), np.int64)
        state, entry = self.state, np.arange(SCALARS)
        taken = entry < state.taken_count[index][:, None]
        places = (state.taken_first[index][:, None] + entry) % SCALARS
        columns = np.take_along_axis(state.columns[index], places, axis=1)
        return np.bincount(columns[taken], minlength=SCALARS)

    def finish(self, pc: int, f: Finish, index: Int, r: Int, acc: Int, scale: Int) -> None:
        """As the machine's."""
        count = int(self.state.counting[index].sum())
        for kind, wanted in (
            ("function", f.mode != Mode.IDENTITY), ("exp2", f.exp2), ("gate", f.c_sel != Factor.ONE), ("norm", f.norm),
        ):  # fmt: skip
            if wanted:
                self._elements(kind, count, r)
        super().finish(pc, f, index, r, acc, scale)

    def _elements(self, kind: str, sequences: int, r: npt.NDArray[np.int64]) -> None:
        lanes = self.config.lanes
        self.found.issued[kind] += sequences * len(r) * lanes
        within = r.max() < -(-self._size // lanes)
        real = np.clip(self._size - r * lanes, 0, lanes).sum() if within else len(r) * lanes
        self.found.useful[kind] += sequences * int(real)


def count_products(image: Image, batch: Dataset) -> Products:
    """All multiplications that `image` issues over the frames of `batch`."""
    golden = GoldenMachine(image.config, len(batch.x))
    for space, words in image.sections.items():
        golden.load(Space(space), 0, words)
    rows = CountingRows(golden.config, golden.shared, golden.state).attach(image)
    golden.rows = rows
    dt = image.data_dt(batch.dt, batch.dt_given)
    golden.run(
        [
            encode(image, batch.x[b, :n], dt[b, :n], np.arange(1, n + 1), name=batch.name).words
            for b, n in enumerate(batch.lengths)
        ]
    )
    return rows.found
