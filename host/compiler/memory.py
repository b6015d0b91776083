# SPDX-License-Identifier: BSD-2-Clause
"""Where things lie: an allocator of rows in the machine's memories."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from liquid_accel.errors import UserError
from liquid_accel.image import Region, space_rows
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Space


class Hidden(enum.Enum):
    """Memories that the host does not see: kept sums M, and the operands X that they were computed with."""

    KEPT = "KEPT"
    OPERANDS = "OPERANDS"


AnySpace = Space | Hidden
_FIELD: dict[AnySpace, str] = {
    Space.WEIGHT: "weight_words", Space.VECTOR: "vector_rows", Space.A: "add_elements", Space.B: "base_elements",
    Space.C: "gate_elements", Space.S: "scalar_elements", Space.TABLE: "tables", Space.ISSUE: "program_words",
    Hidden.KEPT: "kept_elements", Hidden.OPERANDS: "kept_elements",
}  # fmt: skip


def depth(config: LiquidConfig, space: AnySpace) -> int:
    """Rows of a memory."""
    return config.rows("K") if isinstance(space, Hidden) else space_rows(config, space)


@dataclass(frozen=True)
class Slot:
    """Rows [row, row + rows) of a memory. A `pair` has as many again with the top bit of the row inverted: `row` is the
    one that parity 0 addresses, `other` the one beside it."""

    space: AnySpace
    row: int
    rows: int
    pair: bool
    half: int

    @property
    def other(self) -> int:
        return self.row ^ self.half


class Allocator:
    """Hands out rows, first fit. What does not fit is placed beyond the end and reported, all at once, by `check`."""

    def __init__(self, config: LiquidConfig):
        self.config = config
        self.regions: list[Region] = []
        self._taken: dict[AnySpace, set[int]] = {space: set() for space in (*Space, *Hidden)}

    def take(self, space: AnySpace, name: str, rows: int, pair: bool = False) -> Slot:
        """`rows` rows, twice that for a parity pair."""
        rows_there = depth(self.config, space)
        half = rows_there // 2 if pair else 0
        taken = self._taken[space]
        top = half if pair else rows_there
        row = 0
        while row <= top - rows:
            wanted = {*range(row, row + rows), *range(row + half, row + half + rows)}
            clash = wanted & taken
            if not clash:
                break
            row = max(at % half if half else at for at in clash) + 1  # no row before it is free for so many
        else:
            start = max(rows_there, max(taken, default=0) + 1)
            row, wanted = start, set(range(start, start + rows * (1 + pair)))
        taken |= wanted
        self.regions.append(Region(space.name, row, rows, name))
        if pair:
            self.regions.append(Region(space.name, row ^ half, rows, f"{name} (other parity)"))
        return Slot(space, row, rows, pair, half)

    def reserve(self, space: Space, name: str, row: int, rows: int) -> None:
        """These very rows."""
        self._taken[space] |= set(range(row, row + rows))
        self.regions.append(Region(space.name, row, rows, name))

    def check(self) -> None:
        """`UserError` that says which memory is too small, and by how much."""
        complaints = []
        for space, field in _FIELD.items():
            rows, used = depth(self.config, space), self._taken[space]
            if max(used, default=-1) < rows:
                continue
            unit = getattr(self.config, field) // rows
            over = max(len(used) - rows, 1) * unit
            complaints.append(f"{field} {len(used) * unit} needed, {rows * unit} there, {over} too few")
        if complaints:
            raise UserError(f"the model does not fit the configuration: {'; '.join(complaints)}; expected a larger one")

    @property
    def memory_map(self) -> tuple[Region, ...]:
        order = {space.name: index for index, space in enumerate((*Space, *Hidden))}
        return tuple(sorted(self.regions, key=lambda region: (order[region.space], region.start)))
