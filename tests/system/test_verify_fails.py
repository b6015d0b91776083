# SPDX-License-Identifier: BSD-2-Clause
"""`liquid verify` can fail: with one bit of the gateware broken on purpose it exits 1 and shows where.

Each breakage puts a block of the machine into a wrapper that inverts a single bit of a single port.
"""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from amaranth import Module, Value
from amaranth.lib.wiring import In
from simulators import need
from system.small import files

from liquid_accel.cli import main

FIRST = re.compile(
    r"^first: sequence (\d+), frame (\d+), (?P<what>[\w ]+): golden (?P<golden>-?\d+), device (?P<device>-?\d+)$", re.M
)


def broken(block: Any, port: str, bit: int) -> Any:
    """The class `block` with bit `bit` of `port` inverted, be it one that goes in or out."""

    class Broken(block):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._whole = block(*arguments, **options)

        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.submodules.whole = self._whole
            for name, member in self.signature.members.items():
                inside, outside = (Value.cast(getattr(side, name)) for side in (self._whole, self))
                mask = 1 << bit if name == port else 0
                m.d.comb += inside.eq(outside ^ mask) if member.flow == In else outside.eq(inside ^ mask)
            return m

    return Broken


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, lanes: int) -> Path:
    need("cxxrtl")
    folder = tmp_path_factory.mktemp("broken")
    model, held = files(folder)
    for solver in ("fused", "bs32"):
        command = ["compile", model, "--data", held, "--preset", "test", "--lanes", lanes, "--solver", solver, "-o"]
        assert main([str(part) for part in [*command, folder / f"{solver}.liquid"]]) == 0
    return folder


BREAKAGES = {
    # name: (where the machine takes the block from, block, port, bit, solver, kinds of words that may differ, first)
    "the function's last bit": ("element_pipeline", "FunctionUnit", "f", 0, "fused", None, r"(state|output) word \d+"),
    "clipped in a step record": ("core", "StepController", "record_flags", 3, "bs32", {"steps"}, r"step 0 clipped"),
    "the event of the counter": ("core", "Counters", "rejected", 0, "bs32", {"steps_rejected"}, "steps_rejected"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_bit_is_found_and_shown(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module, block, port, bit, solver, kinds, what = BREAKAGES[name]
    owner = import_module(f"liquid_accel.rtl.{module}")
    monkeypatch.setattr(owner, block, broken(getattr(owner, block), port, bit))
    command = ["verify", str(folder / f"{solver}.liquid"), str(folder / "data.npz"), "--jobs", "1"]

    assert main(command) == 1
    printed = capsys.readouterr().out
    found = FIRST.search(printed)
    assert found is not None, printed
    assert re.fullmatch(what, found["what"])
    assert found["golden"] != found["device"]
    assert re.search(r"^[1-9][\d,]* of [\d,]+ words differ$", printed, re.M)

    assert main([*command, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["mismatches"] == sum(report["by_kind"].values()) > 0
    assert kinds is None or report["by_kind"].keys() == kinds
    first = report["first"]
    text = f"first: sequence {first['sequence']}, frame {first['frame']}, {first['what']}: "
    assert text + f"golden {first['golden']}, device {first['device']}" in printed


def test_a_whole_machine_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that it is the bit that was found."""
    assert main(["verify", str(folder / "bs32.liquid"), str(folder / "data.npz")]) == 0
    assert FIRST.search(capsys.readouterr().out) is None
