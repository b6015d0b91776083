# SPDX-License-Identifier: BSD-2-Clause
"""Functional coverage: what random programs have to come to, as bins that are derived from the tables of rtl/isa.py.

A new instruction, mode, condition, status or field makes new bins by itself. A bin is (group, name). Those that nothing
can reach are in UNREACHABLE, each with the reason; tests/unit/test_coverage.py holds the reasons against the machine.
"""

from dataclasses import fields
from enum import IntEnum

from liquid_accel.rtl.isa import (
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    LISTS,
    MAC_FIELDS,
    AddSource,
    Cond,
    Control,
    Factor,
    Finish,
    Flag,
    Keep,
    Mode,
    Norm,
    Op,
    Param,
    Status,
    Track,
)

Bin = tuple[str, str]
PRODUCTS = tuple(op for op in Op if op != Op.CONTROL)
SIGNS = ("-", "0", "+")
OUTCOMES = ("exact", "high", "low")
DISTANCES = ("least", "one more", "more")
SELECTIONS = {f.name: type(f.default) for f in fields(Finish) if isinstance(f.default, IntEnum)}
NARROWS = ("fixed", "row scaled", "dynamic")
# Control instructions that wait for rows before them (docs/isa.md, "Hazards").
WAITING = (
    Control.FRAME, Control.PLAN, Control.DECIDE, Control.JUDGE, Control.LAG, Control.DONE, Control.TAKE, Control.LIST,
    Control.TRACK, Control.EMIT, Control.ROOM,
)  # fmt: skip
# Memory reads that may come too early after a write, and who makes them.
READS = (
    "DOT reads V", "TERM reads V", "TERM reads S", "SPARSE reads S", "a row reads A", "a row reads B", "a row reads C",
)  # fmt: skip
COUNTERS = ("cycles", "rhs_evals", "accepted", "rejected", "mac_cycles", "saturations", "skipped")
# Of the sequencer, as the executed instructions and the host show them.
TRANSITIONS = {
    "IDLE to READY": "RUN", "READY to HEADER": "FRAME", "HEADER to READY": "FRAME", "READY to JUMP": "JUMP",
    "JUMP to READY": "JUMP", "READY to ROOM": "ROOM", "ROOM to READY": "ROOM", "READY to CONTROLLER": "PLAN",
    "CONTROLLER to READY": "PLAN", "READY to TRAILER": "DONE", "TRAILER to READY": "DONE", "READY to IDLE": "stopped",
    "READY to ILLEGAL": "stopped by an instruction that does not exist",
    "ILLEGAL to IDLE": "stopped by an instruction that does not exist",
}  # fmt: skip
HOST = (
    "frame by frame", "ahead", "pieces", "full", "stop", "input full", "input starved in a header",
    "input starved in the inputs", "output read in a frame", "a frame waits for room",
    "a record or ROOM waits for room", "stopped in a frame", "stopped between frames",
    "stopped by an instruction that does not exist",
)  # fmt: skip
PLANS = (
    "first of a sequence", "carried", "first after a jump", "second after a jump", "whole", "clipped", "halved",
    "time left is the step", "time left is 1", "exponent 0", "exponent 31",
)  # fmt: skip
DECISIONS = (
    "accepted", "rejected", "rejected by saturation", "accepted at the smallest step", "early halt", "no early halt",
    "time used up", "time left", "change at CHANGE_MIN", "change at CHANGE_MAX", "change at CHANGE_REJECT",
    "change within", "size at LOG_MIN", "size at LOG_MAX", "size within", "size of a clipped step kept", "norm 0",
    "norm at its limit", "opening step accepted", "opening step rejected", "without history", "with history",
)  # fmt: skip
JUDGEMENTS = ("within", "norm too large", "saturated")


def _sites() -> list[str]:
    """Every place where a number is narrowed."""
    return [
        *(f"narrow {kind}" for kind in NARROWS),
        *(f"add {source.name}" for source in AddSource if source != AddSource.NONE),
        *(f"function {mode.name}" for mode in Mode if mode != Mode.IDENTITY),
        *(f"factor {factor.name}" for factor in Factor), "add B",
        *(f"{site} in {mode.name}" for site in ("narrow", "add", "factor", "add B") for mode in Mode),
    ]  # fmt: skip


def all_bins() -> dict[str, tuple[str, ...]]:
    """The bins of each group."""
    finish_fields = (*FINISH_FIELDS_LOW, *FINISH_FIELDS_HIGH)
    flags = [f"finish {name}" for name, width in finish_fields if width == 1]
    flags += [f"issue {name}" for name, width in MAC_FIELDS if width == 1]
    parities = [flag for flag in flags if flag.endswith("_par")]
    signs = [f"{op} {a}{b}" for op in ("DOT", "TERM", "SPARSE") for a in SIGNS for b in SIGNS]
    signs += [f"factor {factor.name} {a}" for factor in Factor for a in SIGNS]
    signs += [f"interpolation in {mode.name} {a}" for mode in Mode if mode != Mode.IDENTITY for a in SIGNS]
    signs += [f"{name} {a}{b}" for name in ("BETA1", "BETA2", "ALPHA2") for a in SIGNS for b in SIGNS]
    signs += [f"extremes of {op}" for op in ("DOT", "TERM", "SPARSE", "factor")]
    return {
        "instruction": tuple(op.name for op in PRODUCTS) + tuple(kind.name for kind in Control),
        "condition": tuple(f"{cond.name} {taken}" for cond in Cond for taken in ("taken", "not taken")),
        "selection": tuple(f"{name} {value.name}" for name, kind in SELECTIONS.items() for value in kind),
        "field": tuple(f"{flag} {value}" for flag in flags for value in (0, 1)),
        "parity": tuple(f"{flag} at {p}" for flag in parities for p in (0, 1)),
        "memory written": ("V", "A", "B", "C", "S", "M", "X", "output"),
        "hazard": tuple(
            f"{what}: {distance}"
            for what in (*READS, *(kind.name for kind in WAITING), *(f"row after a {op.name}" for op in PRODUCTS),
                         "S after a tracked row")
            for distance in DISTANCES
        ),
        "narrowing": tuple(f"{site}: {outcome}" for site in _sites() for outcome in OUTCOMES),
        "shift": tuple(f"{site} {what}" for site in ("narrow", "factor") for what in ("below 0", "0", "31", "past 31")),
        "quiet": tuple(f"{part} {how}" for part in ("pre", "post") for how in ("counted", "quiet")),
        "sign": tuple(signs),
        "norm": ("peak", *(f"{n.name} {size}" for n in Norm if n for size in ("zero", "small", "clamped"))),
        "status": tuple(f"{status.name} {value}" for status in Status for value in ("clear", "set")),
        "flag": tuple(f"{flag.name} {value}" for flag in Flag for value in ("clear", "set")),
        "counter": tuple(f"{name} {value}" for name in COUNTERS for value in ("zero", "some", "largest")),
        "transition": tuple(TRANSITIONS),
        "loop": tuple(f"{rows} rows" for rows in ("1", "2", "3 to 254", "255"))
        + ("one instruction", "several", "counted", "not counted")
        + tuple(f"ends with {what}" for what in ("a product", "NOP", "SWAP", "EMIT")),
        "list": tuple(f"list {n} {size}" for n in range(LISTS) for size in ("empty", "one", "many"))
        + ("other half", "same half", "no element moved", "some moved", "all moved", "past 16 bits, high",
           "past 16 bits, low", "column numbers wrap", "skips counted", "skips not counted", "threshold 0",
           "threshold largest", "a column twice"),
        "track": tuple(f"{keep.name} and {track.name}" for keep in Keep for track in Track),
        "plan": PLANS, "decide": DECISIONS, "judge": JUDGEMENTS,
        "host": HOST,
    }  # fmt: skip


def every_bin() -> list[Bin]:
    return [(group, name) for group, names in all_bins().items() for name in names]


_NO_CLAMP = "entries and what lies between them have 16 bits"
UNREACHABLE: dict[Bin, str] = {
    ("condition", "ALWAYS not taken"): "it is always taken",
    **{
        ("narrowing", f"function {mode}: {outcome}"): _NO_CLAMP
        for mode in ("EVEN", "DIRECT") for outcome in ("high", "low")
    },
    ("narrowing", "function ODD: low"): "the least of t and -t is -32768, which fits",
    ("narrowing", "function COMPLEMENT: low"): "1 - t is -32767 + 1 or more, and t fits",
    ("narrowing", "function SOFTPLUS: low"): "what is added to t is not negative",
    ("counter", "cycles zero"): "a frame takes FRAME and DONE at least",
}  # fmt: skip
assert set(UNREACHABLE) <= set(every_bin())
assert {Param.BETA1, Param.BETA2, Param.ALPHA2} <= set(Param)
