# SPDX-License-Identifier: BSD-2-Clause
"""What is read of Verilator's counts."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "coverage"))

from covered import Point, bit_of, points

SOURCE = """module liquid;
  if (\\$auto$verilog_backend.cc:2505:dump_module$2 ) begin end
  if (go) begin
  8'h04:
endmodule
"""


def entry(page: str, line: int, what: str, place: str, count: int) -> str:
    fields = {"f": "liquid.v", "l": line, "page": f"{page}/liquid", "o": what, "h": f"TOP.liquid{place}"}
    return "C '" + "".join(f"\1{key}\2{value}" for key, value in fields.items()) + f"' {count}"


def test_points() -> None:
    data = "\n".join((
        "# SystemC::Coverage-3",
        entry("v_toggle", 1, "rst:0->1", "", 7), entry("v_branch", 3, "if", ".core", 0),
        entry("v_branch", 2, "if", ".core", 0), entry("v_line", 4, "case", ".registers", 3),
    ))  # fmt: skip
    assert dict(points(data, SOURCE)) == {
        Point("toggle", "", 1, "rst:0->1"): 7,
        Point("branch", "core", 3, "if (go) begin"): 0,
        Point("line", "registers", 4, "8'h04:"): 3,
    }  # fmt: skip  # the condition that yosys writes never to be true is no point


def test_bits() -> None:
    assert bit_of(Point("toggle", "core", 1, "rst:0->1")) == ("core", "rst", 0)
    assert bit_of(Point("toggle", "core", 1, "write___05Fdata[12]:1->0")) == ("core", "write__data", 12)
    assert bit_of(Point("toggle", "", 1, "more__02418[3]:1->0")) == ("", "more$18", 3)
