# SPDX-License-Identifier: BSD-2-Clause
"""docs/isa.md, from which gateware and golden model are written, gives the latencies that the tables hold."""

import re
from pathlib import Path

from liquid_accel.rtl.isa import Control, Timing

TEXT = (Path(__file__).parents[2] / "docs" / "isa.md").read_text()


def test_the_table_of_costs_is_the_one_of_the_code() -> None:
    rows = {name: int(cycles) for name, cycles in re.findall(r"^\| ([A-Z_0-9]+) \| (\d+) \|", TEXT, re.MULTILINE)}
    assert rows == {name: value for name, value in vars(Timing).items() if name.isupper()}


def test_every_control_instruction_is_described() -> None:
    assert [c.name for c in Control if f"**{c.name}**" not in TEXT and f"### {c.name}" not in TEXT] == []
