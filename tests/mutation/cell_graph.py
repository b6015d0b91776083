# SPDX-License-Identifier: BSD-2-Clause
"""A flattened module as yosys writes it in JSON: its cells, who drives each net, and who reads it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from cells import STATE, Cell

Bit = int | str  # a net, or "0", "1" or "x"
Word = tuple[Bit, ...]
Source = int | tuple[str, str]  # the value of a constant, or cell and port, or "" and an input

WITHOUT_LOGIC = ("$scopeinfo", "$meminit_v2", "$meminit")


class Netlist:
    """Module `module` of the JSON `text`."""

    def __init__(self, text: str, module: str = "liquid") -> None:
        top = json.loads(text)["modules"][module]
        self.inputs = {n: tuple(p["bits"]) for n, p in top["ports"].items() if p["direction"] == "input"}
        self.outputs = {n: tuple(p["bits"]) for n, p in top["ports"].items() if p["direction"] == "output"}
        self.cells: dict[str, Cell] = {}
        self._driver = {bit: ("", name, k) for name, bits in self.inputs.items() for k, bit in enumerate(bits)}
        self._readers: defaultdict[Bit, list[str]] = defaultdict(list)
        for name, raw in top["cells"].items():
            if raw["type"] in WITHOUT_LOGIC:
                continue
            cell = self.cells[name] = Cell.of(name, raw)
            for port, bits in cell.ports.items():
                for k, bit in enumerate(bits):
                    if raw["port_directions"][port] == "output":
                        self._driver[bit] = name, port, k
                    else:
                        self._readers[bit].append(name)

    @cached_property
    def readers_of(self) -> dict[str, set[str]]:
        """The read ports of each memory."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for name, cell in self.cells.items():
            if cell.type == "$memrd_v2":
                found[cell.memory].add(name)
        return found

    def slices(self, bits: Word) -> Iterator[tuple[Source, int, int]]:
        """(source, lowest bit, width) of the parts of a word that come from one source each, lowest first."""
        at = 0
        while at < len(bits):
            bit, end = bits[at], at + 1
            if isinstance(bit, str):
                yield int(bit == "1"), 0, 1
            else:
                name, port, k = self._driver[bit]
                while end < len(bits) and self._driver.get(bits[end]) == (name, port, k + end - at):
                    end += 1
                yield (name, port), k, end - at
            at = end

    def ahead(self, nets: Iterable[Bit]) -> set[str]:
        """Cells that combinational logic from `nets` reaches, with the state that it ends in."""
        found: set[str] = set()
        waiting = list(nets)
        while waiting:
            for name in self._readers[waiting.pop()]:
                if name not in found:
                    found.add(name)
                    if self.cells[name].type not in STATE:
                        waiting += self.cells[name].output
        return found
