# SPDX-License-Identifier: BSD-2-Clause
"""A frame's cycles by unit, and by the phases of its program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from liquid_accel.image import Image
from liquid_accel.rtl.isa import Control, Mode, Op, Timing
from liquid_accel.sim.golden.trace import Executed, FrameTrace

Bools = npt.NDArray[np.bool_]

CONTROLLER = (Control.PLAN, Control.DECIDE, Control.JUDGE, Control.LAG)
# A phase of their own; other control instructions belong to the phase that they prepare.
OWN_PHASE = (*CONTROLLER, Control.FRAME, Control.DONE)
# Rows of the Gantt diagram, and what they say.
UNITS = {
    "products": "lanes: matrix products",
    "algebra": "lanes: solver algebra",
    "elements": "element pipeline",
    "function": "function unit",
    "controller": "step controller",
    "nothing": "nothing under way",
}


@dataclass(frozen=True)
class Phase:
    """Consecutive instructions [start, start + cycles): a loop and what prepares it, or one step of the controller.

    `lanes` cycles with a slot of a product or a term, `idle` cycles without one and without an element in the pipeline
    (as `FrameTrace.idle`), `waiting` cycles in which an instruction stalls.
    """

    name: str
    start: int
    cycles: int
    lanes: int
    idle: int
    waiting: int


@dataclass(frozen=True)
class Timeline:
    """`busy`: by the keys of UNITS, whether the unit is at work in each cycle (cycles,). `lanes_wait`: why no product
    is under way, in cycles: "row ends" (a snapshot's slot, and the padding of a short sparse row), "stalls" of the
    schedule, "control" instructions, "inputs" on their way in. The function unit counts from a row's first element past
    the memory A to its last before B."""

    cycles: int
    busy: dict[str, Bools]
    phases: tuple[Phase, ...]
    lanes_wait: dict[str, int]
    reads: dict[str, int]
    function_evaluations: int
    idle: int

    def share(self, unit: str) -> float:
        """Fraction of the cycles in which a unit is at work."""
        return float(self.busy[unit].mean())

    def as_dict(self) -> dict[str, object]:
        """For JSON: cycles by unit and by phase, without the cycle-by-cycle record."""
        return {
            "cycles": self.cycles,
            "units": {name: int(busy.sum()) for name, busy in self.busy.items()},
            "lanes_wait": dict(self.lanes_wait),
            "idle": self.idle,
            "function_evaluations": self.function_evaluations,
            "reads": dict(self.reads),
            "phases": [vars(phase) for phase in self.phases],
        }


@dataclass
class _Group:
    name: str
    rows: list[Executed] = field(default_factory=list)


def timeline(image: Image, trace: FrameTrace) -> Timeline:
    """The timeline of a traced frame of `image`."""
    lanes, cycles = image.config.lanes, trace.cycles
    busy = {name: np.zeros(cycles, np.bool_) for name in UNITS}
    wait = {"stalls": 0, "row ends": 0, "control": 0, "inputs": 0}
    counted = [e for e in trace.executed if e.start < cycles]
    for e in counted:
        i, first, end = e.instruction, e.start + e.stall, e.start + e.cycles
        wait["stalls"] += e.stall
        if i.op == Op.CONTROL:
            wait["control"] += e.cycles - e.stall
            if i.control in CONTROLLER:
                busy["controller"][first:end] = True
            continue
        slots = {Op.DOT: i.cols, Op.TERM: 1, Op.SPARSE: e.entries}.get(i.op, 0)
        busy["algebra" if i.op == Op.TERM else "products"][first : first + slots] = True
        wait["inputs" if i.op == Op.IN else "row ends"] += end - first - slots
        if i.last:
            stage0 = end - 1 + Timing.SNAPSHOT_TO_STAGE0
            busy["elements"][stage0 : stage0 + Timing.WRITE + lanes] = True
            if i.finish.mode != Mode.IDENTITY or i.finish.exp2:
                busy["function"][stage0 + Timing.READ_A + 1 : stage0 + Timing.READ_B + lanes] = True
    worked = busy["products"] | busy["algebra"]
    idle = ~(worked | busy["elements"])
    busy["nothing"] = idle & ~busy["controller"]
    stalled = np.zeros(cycles, np.bool_)
    for e in counted:
        stalled[e.start : e.start + e.stall] = True
    phases = []
    for group in _groups(image.comments, counted):
        start, end = group.rows[0].start, group.rows[-1].start + group.rows[-1].cycles
        here = slice(start, end)
        sums = (int(each[here].sum()) for each in (worked, idle, stalled))
        phases.append(Phase(group.name, start, end - start, *sums))
    return Timeline(
        cycles, busy, tuple(phases), wait, dict(trace.reads), trace.function_evaluations, int(idle.sum())
    )  # fmt: skip


def _groups(comments: Sequence[str], executed: Sequence[Executed]) -> Iterator[_Group]:
    """Instructions by phase, in order. A phase begins at a LOOP, with the control instructions before it; outside a
    loop, where what product instructions do changes its name."""
    waiting: list[Executed] = []  # control instructions that belong to what follows
    group = _Group("")
    for e in executed:
        i, name = e.instruction, comments[e.pc]
        own = i.op == Op.CONTROL and i.control in OWN_PHASE
        if i.op == Op.CONTROL and not own and i.control != Control.LOOP and not _within(group, e):
            waiting.append(e)
            continue
        begins = own or (i.op == Op.CONTROL and i.control == Control.LOOP)
        if not group.rows or begins or (waiting and not _within(group, e)):
            if group.rows:
                yield group
            title = i.control.name if i.control in (Control.FRAME, Control.DONE) else f"{i.control.name}: {name}"
            group = _Group(title.partition("; ")[0] if own else name, waiting)
            waiting = []
        group.rows.append(e)
    group.rows.extend(waiting)
    if group.rows:
        yield group


def _within(group: _Group, e: Executed) -> bool:
    """Whether an instruction belongs to the loop that the group is: between its LOOP and its last `loop_end`."""
    loops = [g for g in group.rows if g.instruction.op == Op.CONTROL and g.instruction.control == Control.LOOP]
    if not loops:
        return False
    rounds = loops[-1].instruction.imm & 0xFF
    return sum(g.instruction.loop_end for g in group.rows) < rounds and e.pc > loops[-1].pc
