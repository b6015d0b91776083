# SPDX-License-Identifier: BSD-2-Clause
"""docs/isa.md, from which gateware and golden model are written, gives the latencies that the tables hold."""

import re
from pathlib import Path

from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import (
    FINISH_HALF_BITS,
    LAG_WORDS,
    TRAILER_WORDS,
    AddSource,
    Cond,
    Control,
    Factor,
    Keep,
    Norm,
    Op,
    Timing,
    Track,
)
from liquid_accel.sim.golden.state import State

TEXT = (Path(__file__).parents[2] / "docs" / "isa.md").read_text()


def test_the_table_of_costs_is_the_one_of_the_code() -> None:
    rows = {name: int(cycles) for name, cycles in re.findall(r"^\| ([A-Z_0-9]+) \| (\d+) \|", TEXT, re.MULTILINE)}
    assert rows == {name: value for name, value in vars(Timing).items() if name.isupper()}


def test_every_control_instruction_is_described() -> None:
    assert [c.name for c in Control if f"**{c.name}**" not in TEXT and f"### {c.name}" not in TEXT] == []


def test_every_product_and_every_selection_of_the_new_kinds_is_described() -> None:
    assert [op.name for op in Op if op != Op.CONTROL and f"- **{op.name.lower()}**" not in TEXT] == []
    for kind in (Keep, Track, Norm, AddSource, Factor):
        missing = [
            m.name for m in kind if m.name not in ("NONE", "MEMORY", "LOG_DT", "LOG_STEP") and m.name not in TEXT
        ]
        assert missing == [], kind
    assert [c.name for c in (Cond.AGAIN, Cond.OK, Cond.NOT_OK, Cond.TIME_LEFT) if c.name not in TEXT] == []


def test_the_words_of_the_trailer_and_of_the_lag_are_those_of_the_tables() -> None:
    """`x low, high` is two words, and so is `x low, x high`: each comma parts two."""
    for mark, words in (("MARK_DONE", TRAILER_WORDS), ("MARK_LAG", LAG_WORDS)):
        listed = re.search(rf"pushes(?: the trailer:)? ({mark}[^.]*)\.", TEXT)
        assert listed is not None
        assert len(listed[1].split(",")) == words, listed[1]


def test_finish_words_and_lists_have_the_sizes_of_the_document() -> None:
    assert f"the low {FINISH_HALF_BITS} bits" in TEXT
    assert "256 column numbers of 8 bits" in TEXT
    state = State(preset("test"), 1)
    assert state.columns.shape == (1, 256)
    assert state.list_start.shape == state.list_end.shape == (1, 4)
    assert "start[0..3], end[0..3]" in TEXT
