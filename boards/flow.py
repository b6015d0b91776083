# SPDX-License-Identifier: BSD-2-Clause
"""The stages from top.il to a bitstream, in a folder; what did not change is taken from the last time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from amaranth.back import rtlil

from liquid_accel.boards import tools
from liquid_accel.boards.family import Part
from liquid_accel.boards.timing import Placement, Usage, read_placement

AT_A_TIME = 2  # placements; each takes a processor and up to 1 GB
UTILISATION = re.compile(r"^Info:\s+(\w+):\s*(\d+)/\s*(\d+)\s+\d+%", re.MULTILINE)


def tool_versions(part: Part) -> dict[str, str]:
    """Versions of everything that a build of this part runs. Raises `tools.ToolError` where one is missing."""
    return tools.versions([tools.YOSYS, part.family.place, part.family.packer])


def write_design(top: Any, folder: Path) -> None:
    """An Amaranth component without pins of a board to top.il."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "top.il").write_text(rtlil.convert(top, name="top", emit_src=False))


def synthesise(part: Part, folder: Path, clock_mhz: float) -> None:
    """top.il to a netlist, top.json, with yosys. Raises `tools.ToolError`."""
    script = part.family.script.format(picoseconds=round(part.family.depth * 1e6 / clock_mhz))
    version = tools.versions([tools.YOSYS])[tools.YOSYS.package]
    key = tools.digest((folder / "top.il").read_bytes(), script, version)

    def work() -> None:
        (folder / "top.ys").write_text(script)
        tools.run(tools.YOSYS, ["-q", "-s", "top.ys"], folder, "yosys.log")

    tools.once(folder, "netlist", key, ["top.json"], work)


def pack(part: Part, folder: Path) -> dict[str, Usage]:
    """Cells of the netlist once look-up tables, carries and flip-flops share logic cells, without placing it."""
    text = tools.run(part.family.place, [*_arguments(part, folder), "--pack-only"], folder, "pack.log")
    return {name: Usage(int(used), int(has)) for name, used, has in UTILISATION.findall(text)}


def place(part: Part, folder: Path, clock_mhz: float, seed: int) -> Placement:
    """Place and route with one seed."""
    family = part.family
    placed, report = f"placed-{seed}.{family.placed[0]}", f"placed-{seed}.json"
    arguments = [*_arguments(part, folder), "--freq", f"{clock_mhz:g}", "--seed", str(seed), "--timing-allow-fail"]
    arguments += ["--report", report, family.placed[1], placed]
    pins = folder / f"top.{family.constraints[0]}"
    inputs = [(folder / "top.json").read_bytes(), pins.read_bytes() if pins.is_file() else b""]
    key = tools.digest(*inputs, "\n".join(arguments), tools.versions([family.place])[family.place.package])
    tools.once(
        folder, f"placed-{seed}", key, [placed, report],
        lambda: tools.run(family.place, arguments, folder, f"place-{seed}.log"),
    )  # fmt: skip
    return read_placement(seed, json.loads((folder / report).read_text()), (folder / "top.il").read_text())


def place_all(part: Part, folder: Path, clock_mhz: float, seeds: Iterable[int]) -> list[Placement]:
    """Place with each seed, AT_A_TIME at a time."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(lambda seed: place(part, folder, clock_mhz, seed), seeds))


def bitstream(part: Part, folder: Path, seed: int, name: str) -> None:
    """Pack a placement to the file `name`."""
    placed = f"placed-{seed}.{part.family.placed[0]}"
    tools.run(part.family.packer, part.family.pack(part, placed, name), folder, "bitstream.log")


def _arguments(part: Part, folder: Path) -> list[str]:
    suffix, with_pins, without = part.family.constraints
    pins = with_pins if (folder / f"top.{suffix}").is_file() else without
    return [*part.arguments, "--json", "top.json", *pins]
