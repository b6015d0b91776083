# SPDX-License-Identifier: BSD-2-Clause
"""Functional coverage: bins come from the tables, each that is said to be out of reach is, and a report tells holes."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from golden_programs import done, frame, header, machine, run, trailer

from liquid_accel.rtl.isa import Cond, Control, Instruction, Mode, Op, Status
from liquid_accel.sim.golden import arithmetic, control

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "soak"))

import bins
import coverage_report

STATE_FORMATS = range(8, 15)
ALL_WORDS = np.arange(-(1 << 15), 1 << 15)


def test_every_instruction_condition_mode_and_status_has_bins() -> None:
    groups = bins.all_bins()
    assert set(groups["instruction"]) == {op.name for op in Op if op != Op.CONTROL} | {kind.name for kind in Control}
    assert len(groups["condition"]) == 2 * len(Cond)
    assert len(groups["status"]) == 2 * len(Status)
    for name, kind in bins.SELECTIONS.items():
        assert {f"{name} {value.name}" for value in kind} <= set(groups["selection"])
    for names in groups.values():
        assert len(set(names)) == len(names)
    assert {name.split()[-1] for name in groups["transition"]} >= {"READY", "IDLE", "JUMP", "ROOM", "ILLEGAL"}


@pytest.mark.parametrize("state_frac_bits", STATE_FORMATS)
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode != Mode.IDENTITY])
def test_a_function_clamps_where_it_can_and_nowhere_else(mode: Mode, state_frac_bits: int) -> None:
    """Over all words, with tables that stand at both ends of their range and run from one to the other."""
    ends = [np.full(256, -32768), np.full(256, 32767), np.clip(np.arange(256) * 1023 - 130_000, -32768, 32767)]
    ends.append(ends[-1][::-1])
    found = set()
    for table in ends:
        f, clamped = arithmetic.function_unit(ALL_WORDS, mode, table, arithmetic.rises(table), state_frac_bits)
        if clamped is not None:
            found |= {"high" if value > 0 else "low" for value in f[clamped].tolist()}
        else:
            between = np.stack((table, np.append(table[1:], table[-1])))
            assert between.min() <= f.min()
            assert f.max() <= between.max()
    possible = ("high", "low")
    never = {o for o in possible if ("narrowing", f"function {mode.name}: {o}") in bins.UNREACHABLE}
    assert found == {*possible} - never


def test_a_jump_that_asks_for_nothing_is_taken() -> None:
    m = machine([frame(), *done()])
    assert control.jumps(Instruction(control=Control.JUMP, cond=Cond.ALWAYS), np.zeros(1, np.int64), m.state).all()
    assert ("condition", "ALWAYS not taken") in bins.UNREACHABLE


def test_the_shortest_frame_takes_time() -> None:
    assert trailer(run(machine([frame(), *done(0)]), header())[0])["cycles"] > 0
    assert ("counter", "cycles zero") in bins.UNREACHABLE


def test_each_bin_that_is_out_of_reach_has_a_reason_and_one_of_these_tests() -> None:
    held = ("function ", "ALWAYS ", "cycles ")
    for (group, name), why in bins.UNREACHABLE.items():
        assert len(why) > 10
        assert name.startswith(held), f"{group}: {name} has no test that it cannot be reached"


def test_a_report_names_holes_and_what_was_hit_against_all_reason() -> None:
    everything = Counter(dict.fromkeys(bins.every_bin(), 2))
    for at in bins.UNREACHABLE:
        del everything[at]
    full = coverage_report.record(everything, 7)
    assert (full["holes"], full["refuted"], full["hit"]) == ([], [], full["bins"] - len(bins.UNREACHABLE))
    assert coverage_report.merged(full) == everything
    del everything["status", "BUDGET set"]
    everything["condition", "ALWAYS not taken"] = 1
    found = coverage_report.record(everything, 7)
    assert found["holes"] == [["status", "BUDGET set"]]
    assert found["refuted"] == [["condition", "ALWAYS not taken"]]
    assert "hole: status: BUDGET set" in coverage_report.table(found)
    assert "- status: BUDGET set" in coverage_report.markdown(found)
    assert sum(line.startswith("| ") for line in coverage_report.markdown(found)) > len(bins.all_bins())


def test_a_host_fills_bins_of_its_own_and_of_transitions() -> None:
    found = coverage_report.from_host({"stopped": 2, "stopped in a frame": 2, "frame by frame": 3})
    assert found["host", "stopped in a frame"] == 2
    assert found["transition", "READY to IDLE"] == 2
    assert found["transition", "IDLE to READY"] == 3
    assert set(found) <= set(bins.every_bin())
