# SPDX-License-Identifier: BSD-2-Clause
"""A finish word as C: what happens to each of the `LANES` sums of a row (docs/isa.md, finish steps 0 to 8).

Steps that cannot change anything are left out: a clamp of what has 16 bits, a product with 1.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from liquid_accel.export.memories import KEPT, OPERANDS
from liquid_accel.image import Image
from liquid_accel.rtl import formats
from liquid_accel.rtl.isa import AddSource, Factor, Finish, Keep, Mode, Norm, Space, Track

ELEMENT_MEMORIES = "abcs"  # in the order of the bits of e_mask
WORD_LOW, WORD_HIGH = -(1 << (formats.WORD - 1)), (1 << (formats.WORD - 1)) - 1

# (memory, row, whether paired) -> the C expression of its first word, `r` included.
Place = Callable[[str, int, bool], str]


class Kind(enum.Enum):
    """What a lane's sum is as an expression of C."""

    WORD = enum.auto()  # a number of 16 bits
    SIGNED = enum.auto()
    UNSIGNED = enum.auto()  # 32 bits, to be taken as signed


@dataclass
class Element:
    """Statements of one row: `before` its lanes, and `lane` for each of them; `events` are variables that it sets."""

    before: list[str] = field(default_factory=list)
    lane: list[str] = field(default_factory=list)
    events: set[str] = field(default_factory=set)


def tables(image: Image) -> npt.NDArray[np.int64]:
    """Entries of the function tables, (tables, 256)."""
    return image.sections[Space.TABLE].view(np.int16).astype(np.int64).reshape(-1, 256)


def element(image: Image, f: Finish, total: str, kind: Kind, place: Place, indexed: bool) -> Element:
    """Statements for finish word `f`; `total` is the C expression of a lane's sum; `indexed`: `r` is the row's."""
    return _Writer(image, f, place, indexed).write(total, kind)


class _Writer:
    def __init__(self, image: Image, f: Finish, place: Place, indexed: bool) -> None:
        self.image, self.f, self.place, self.indexed = image, f, place, indexed
        self.out = Element()

    def _event(self, quiet: int) -> str:
        name = "ignored" if quiet else "event"
        self.out.events.add(name)
        return f"&{name}"

    def _clamp(self, text: str, quiet: int) -> str:
        return f"sat16({text})" if quiet else f"clamp({text}, {self._event(0)})"

    def _pointer(self, name: str, memory: str, row: int, paired: int, written: bool = False) -> str:
        kind = {KEPT: "uint32_t"}.get(memory, "int16_t")
        const = "" if written else "const "
        self.out.before.append(f"{const}{kind} *const {name} = {self.place(memory, row, bool(paired))};")
        return f"{name}[l]"

    def write(self, total: str, kind: Kind) -> Element:
        f, lane = self.f, self.out.lane
        self._narrow(*self._keep(total, kind))
        self._function()
        wide = bool(f.sub)
        base = self._pointer("base", "b", f.b, f.b_par) if f.sub or f.add else ""
        if f.sub:
            lane.append(f"y -= {base};")
        self._scale(wide)
        if f.norm in (Norm.CHANGE, Norm.CHANGE_16):
            lane.append(f"add_norm(m, y, {formats.NORM_CHANGE_SHIFT if f.norm == Norm.CHANGE_16 else 0});")
        if f.add:
            lane.append(f"y = {self._clamp(f'y + {base}', f.quiet_post)};")
        self._store()
        return self.out

    def _keep(self, total: str, kind: Kind) -> tuple[str, Kind]:
        """Step 0."""
        f = self.f
        if f.keep == Keep.NONE:
            return total, kind
        kept = self._pointer("kept", KEPT, f.m, 0, written=f.keep != Keep.READ)
        if kind != Kind.UNSIGNED:
            total = f"(uint32_t)({total})" if total != "0" else "0u"
        if f.keep == Keep.READ:
            return f"{kept} + {total}", Kind.UNSIGNED
        self.out.lane.append(f"{kept} {'+=' if f.keep == Keep.ADD else '='} {total};")
        return kept, Kind.UNSIGNED

    def _narrow(self, total: str, kind: Kind) -> None:
        """Steps 1 and 2."""
        f, lane = self.f, self.out.lane
        if f.source:
            lane.append(f"int32_t y = taken < {self.image.inputs} ? input[taken++] : 0;")
        elif kind == Kind.WORD and not f.row_scaled and not f.dynamic and f.narrow == 0:
            lane.append(f"int32_t y = {total};")
        else:
            whole = f"signed32({total})" if kind == Kind.UNSIGNED else total
            if f.row_scaled:
                n = f"(unsigned)scale[l] & {formats.ACCUMULATOR - 1}u"
            elif f.dynamic:
                n = f"distance({f.narrow} - (int)(m->step_code >> 11), {self._event(f.quiet_pre)})"
            else:
                n = str(min(f.narrow, formats.ACCUMULATOR - 1))
            lane.append(f"int32_t y = {self._clamp(f'rshift({whole}, {n})', f.quiet_pre)};")
        if f.a_sel == AddSource.MEMORY:
            lane.append(f"y = {self._clamp('y + ' + self._pointer('a', 'a', f.a, 0), f.quiet_pre)};")
        elif f.a_sel == AddSource.LOG_DT:
            lane.append(f"y = {self._clamp('y + m->log2_dt', f.quiet_pre)};")
        elif f.a_sel == AddSource.LOG_STEP and self.image.config.column_skip:
            self.out.before.append("const int32_t log_step = log2_step(m->step_code);")
            lane.append(f"y = {self._clamp('y + log_step', f.quiet_pre)};")

    def _function(self) -> None:
        """Step 3. What lies between two entries of a table is within them, so that few tables need a clamp."""
        f, lane = self.f, self.out.lane
        if f.mode != Mode.IDENTITY:
            table, entries = f"TABLES[{f.table}]", tables(self.image)[f.table]
            low, high = int(entries.min()), int(entries.max())
            one = 1 << self.image.config.state_frac_bits
            if f.mode == Mode.DIRECT:
                lane.append(f"y = direct({table}, y);")
            elif f.mode == Mode.EVEN:
                lane.append(f"y = magnitude_of({table}, y);")
            else:
                mirrored, fits = {
                    Mode.ODD: ("y < 0 ? -t : t", -low <= WORD_HIGH),
                    Mode.COMPLEMENT: (f"y < 0 ? {one} - t : t", WORD_LOW <= one - high and one - low <= WORD_HIGH),
                    Mode.SOFTPLUS: ("y < 0 ? t : y + t", False),
                }[f.mode]
                lane.append(f"const int32_t t = magnitude_of({table}, y);")
                lane.append(f"y = {mirrored if fits else self._clamp(mirrored, f.quiet_pre)};")
        if f.exp2:
            lane.append("y = exp2_code(y);")

    def _scale(self, wide: bool) -> None:
        """Step 5."""
        f = self.f
        if f.c_sel == Factor.ONE and f.c_shift == formats.FLOAT_MANTISSA_BITS:
            if wide:
                self.out.lane.append(f"y = {self._clamp('y', f.quiet_post)};")
            return
        if f.c_sel == Factor.MEMORY:
            code = f"(uint16_t){self._pointer('gate', 'c', f.c, 0)}"
        else:
            code = {Factor.ONE: "0", Factor.STEP: "m->step_code & 2047u", Factor.POOL: "m->pool"}[f.c_sel]
        product = f"times(y, {code}, {f.c_shift}, {self._event(f.quiet_post)})"
        self.out.lane.append(f"y = {self._clamp(product, f.quiet_post)};")

    def _store(self) -> None:
        """Steps 7 and 8, and what the element counts for."""
        f, lane = self.f, self.out.lane
        if f.v_en:
            lane.append(f"{self._pointer('to_v', 'v', f.v, f.v_par, True)} = (int16_t)y;")
        for bit, name in enumerate(ELEMENT_MEMORIES):
            if f.e_mask >> bit & 1:
                lane.append(f"{self._pointer('to_' + name, name, f.e, f.e_par, True)} = (int16_t)y;")
        if f.out:
            lane.append(f"if (pushed < {self.image.outputs}) output[pushed++] = (int16_t)y;")
        if f.norm == Norm.OUT:
            lane.append("add_norm(m, y, 0);")
        if f.peak:
            lane.append("add_peak(m, y);")
        if not (f.v_en or f.e_mask or f.out or f.norm or f.peak or f.track):
            lane.append("(void)y;")  # all that is wanted of it is whether it had to be clamped
        if "event" in self.out.events:
            lane.append("count_event(m, event);")
        lane[:0] = [f"unsigned {name} = 0;" for name in sorted(self.out.events)]
        if f.track != Track.NONE:
            self._pointer("used", OPERANDS, f.t, 0, True)
            row = "r * LANES + l" if self.indexed else "l"
            moved = f"moved(m, &used[l], y, m->track_offset * LANES + {row});"
            lane.append(moved if f.track == Track.MOVED else "used[l] = (int16_t)y;")


def written(f: Finish) -> list[tuple[str, int, bool]]:
    """(memory, row, whether paired) of every row that a finish word writes."""
    rows = [("v", f.v, bool(f.v_par))] if f.v_en else []
    rows += [(name, f.e, bool(f.e_par)) for bit, name in enumerate(ELEMENT_MEMORIES) if f.e_mask >> bit & 1]
    if f.keep in (Keep.ADD, Keep.SET):
        rows.append((KEPT, f.m, False))
    if f.track != Track.NONE:
        rows.append((OPERANDS, f.t, False))
    return rows


def read(f: Finish) -> list[tuple[str, int, bool]]:
    """(memory, row, whether paired) of every row that a finish word reads."""
    rows = [("a", f.a, False)] if f.a_sel == AddSource.MEMORY else []
    rows += [("b", f.b, bool(f.b_par))] if f.sub or f.add else []
    rows += [("c", f.c, False)] if f.c_sel == Factor.MEMORY else []
    rows += [(KEPT, f.m, False)] if f.keep == Keep.READ else []
    return rows


def controls_steps(f: Finish) -> bool:
    """Whether a finish word uses words of the step controller."""
    return bool(f.dynamic or f.norm or f.peak or f.c_sel == Factor.STEP or f.a_sel == AddSource.LOG_STEP)
