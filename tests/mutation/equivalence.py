# SPDX-License-Identifier: BSD-2-Clause
"""Whether a mutant can be told from the machine at all: a proof over all states, inputs and memories, with z3.

The machine with all its mutants is one netlist, of which the original and a mutant are two readings, with 0 and with
the mutant's number on the input. Registers in which the two differ after a cycle are let differ from then on, in any
way, and so is all that is read from a memory whose contents may differ: they are added to a set until nothing else
differs. If none of the machine's outputs does, nothing that ever happens on the bus tells the mutant from the original:
equality of all state but that set is kept by every cycle (a simulation relation).
"""

from collections.abc import Iterator
from typing import Any

import z3
from cell_graph import Netlist, Word
from cells import CELLS, STATE, Cell

TIMEOUT_MS = 10_000  # of one comparison; what is not proved by then counts as different
MOST = 25  # registers that may differ: of more, something comes to an output
Key = tuple[str, str]  # cell and port, or "" and an input


class Reading:
    """The netlist's words as expressions of its state and inputs, with `mutant` on its input and cells of state of its
    `own`. What a reading shares with the `original` is the same expression, so that it need not be compared.
    """

    def __init__(self, netlist: Netlist, mutant: int = 0, own: frozenset[str] = frozenset(),
                 original: "Reading | None" = None) -> None:  # fmt: skip
        self.netlist, self.mutant, self.own, self.original = netlist, mutant, own, original
        self._made: dict[Key, Any] = {}
        self.differs: set[str] = set()
        if original is not None:
            start = [bit for name in own for bit in netlist.cells[name].output]
            self.differs = netlist.ahead([*netlist.inputs["mutant"], *start])

    def word(self, bits: Word) -> Any:
        """The value of some nets, lowest first; no nets are 0."""
        if not bits:
            return z3.BitVecVal(0, 1)
        parts: list[Any] = []
        for source, low, width in self.netlist.slices(bits):
            if isinstance(source, int):
                parts.append(z3.BitVecVal(source, width))
                continue
            whole = self._output(*source)
            parts.append(z3.Extract(low + width - 1, low, whole) if width < whole.size() else whole)
        return parts[0] if len(parts) == 1 else z3.Concat(*reversed(parts))

    def _output(self, name: str, port: str) -> Any:
        if self.original is not None and (name or port != "mutant"):
            shared = self.netlist.cells[name].type in STATE if name in self.differs else True
            if shared and name not in self.own:
                return self.original._output(name, port)
        key = name, port
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._make(*key)
        return found

    def _make(self, name: str, port: str) -> Any:
        if not name:
            width = len(self.netlist.inputs.get(port, (0,)))
            return z3.BitVecVal(self.mutant, width) if port == "mutant" else z3.BitVec(port, width)
        cell = self.netlist.cells[name]
        if cell.type not in STATE:
            return CELLS[cell.type](cell, {p: self.word(bits) for p, bits in cell.ports.items() if p != "Y"})
        return z3.BitVec(f"{'mutant ' * (self.original is not None)}{name}", len(cell.output))


class Prover:
    """Proofs about the mutants of one netlist."""

    def __init__(self, netlist: Netlist) -> None:
        self.netlist, self.original = netlist, Reading(netlist)

    def differing(self, number: int) -> frozenset[str] | None:
        """The cells of state in which mutant `number` may differ from the original without anything else ever
        differing: a proof that nothing tells the two apart. None where there is no such set, or no proof."""
        own: frozenset[str] = frozenset()
        while len(own) <= MOST:
            more = set(self._different(Reading(self.netlist, number, own, self.original)))
            if not more:
                return own
            if "" in more:
                return None
            own |= more
        return None

    def _different(self, reading: Reading) -> Iterator[str]:
        """State beyond its own in which a reading may differ after a cycle, "" for an output that does in it."""
        original = self.original
        for bits in self.netlist.outputs.values():
            if not self._same([(original.word(bits), reading.word(bits))]):
                yield ""
                return
        for name in sorted(reading.differs - reading.own):
            cell = self.netlist.cells[name]
            if cell.type not in STATE:
                continue
            pairs = [(original.word(cell.ports[p]), reading.word(cell.ports[p])) for p in cell.read]
            if not self._same(pairs, self._written(cell, original, reading)):
                if cell.type == "$memwr_v2":
                    yield from self.netlist.readers_of[cell.memory] - reading.own
                else:
                    yield name

    @staticmethod
    def _written(cell: Cell, original: Reading, reading: Reading) -> Any:
        """Whether a port is used: address and data of a write count where something is written."""
        if cell.type != "$memwr_v2":
            return z3.BoolVal(True)
        return z3.Or([r.word(cell.ports["EN"]) != 0 for r in (original, reading)])

    @staticmethod
    def _same(pairs: list[tuple[Any, Any]], used: Any = True) -> bool:
        different = [a != b for a, b in pairs if not a.eq(b)]
        if not different:
            return True
        solver = z3.SolverFor("QF_BV")
        solver.set("timeout", TIMEOUT_MS)
        solver.add(used, z3.Or(different))
        return bool(solver.check() == z3.unsat)
