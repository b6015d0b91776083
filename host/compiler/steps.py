# SPDX-License-Identifier: BSD-2-Clause
"""The frame of an adaptive solver's steps: first step, next step, the end of the frame or of its budget."""

from __future__ import annotations

from collections.abc import Callable

from liquid_accel.compiler.writer import Writer
from liquid_accel.errors import UserError
from liquid_accel.rtl.isa import Cond, Control, Status

REPEAT_MAX = 255


def attempts(budget: int, first: int, step: int) -> int:
    """Steps that a frame may try: `first` right-hand sides before them, `step` a step; `UserError` for none."""
    found = (budget - first) // step
    if found < 1:
        least = first + step
        raise UserError(f"budget is {budget} right-hand sides a frame; expected at least {least}, those of one step")
    return min(found, REPEAT_MAX + 1)


def begin(writer: Writer, label: str, tries: int | None, jump: bool) -> None:
    """PLAN a frame's first step, and `label` the PLAN of the others; at most `tries` steps in a frame. `jump`: the
    first step has a memory of its own, unless the options say otherwise."""
    builder = writer.builder
    if tries is not None:
        builder.control(Control.REPEAT, f"at most {tries} steps", imm=tries - 1)
    if jump if writer.options.jump is None else writer.options.jump:
        builder.control(Control.PLAN, "the first step T after the input's jump", imm=1)
        builder.jump(Cond.ALWAYS, f"{label}.planned")
    writer.mark(label)
    builder.control(Control.PLAN, "the next step T")
    writer.mark(f"{label}.planned")


def again(writer: Writer, label: str, tries: int | None, cut: Callable[[], None] | None = None) -> None:
    """Behind DECIDE: on to the next step while there is time, and within the budget; `cut` writes what a frame that was
    cut short has to do."""
    builder = writer.builder
    if tries is None:
        builder.jump(Cond.TIME_LEFT, label, "time left in the frame?")
        return
    end = f"{label}.end"
    builder.jump(Cond.NO_TIME_LEFT, end, "time left in the frame?")
    builder.jump(Cond.AGAIN, label, "within the budget?")
    builder.control(Control.FLAG, "BUDGET", imm=Status.BUDGET)
    builder.control(Control.LAG, "time left and error of the last try")
    if cut is not None:
        cut()
    writer.mark(end)
