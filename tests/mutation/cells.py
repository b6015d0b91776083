# SPDX-License-Identifier: BSD-2-Clause
"""yosys' word-level cells as expressions of z3."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import z3

Ports = Mapping[str, Any]
# What a cycle ends in: registers and ports of memories, all of one clock, and what they look at in it.
STATE: Mapping[str, tuple[str, ...]] = {
    "$dff": ("D",),
    "$memrd_v2": ("ADDR", "EN", "ARST", "SRST"),
    "$memwr_v2": ("ADDR", "DATA", "EN"),
}


@dataclass(frozen=True)
class Cell:
    """A cell: its type, the nets of its ports, and its parameters as integers."""

    name: str
    type: str
    ports: dict[str, tuple[Any, ...]]
    parameters: dict[str, int]
    memory: str = ""  # that a port belongs to

    @classmethod
    def of(cls, name: str, raw: dict[str, Any]) -> "Cell":
        numbers = {key: int(text, 2) for key, text in raw["parameters"].items() if set(text) <= {"0", "1"} and text}
        return cls(name, raw["type"], {p: tuple(bits) for p, bits in raw["connections"].items()}, numbers,
                   str(raw["parameters"].get("MEMID", "")))  # fmt: skip

    @property
    def result(self) -> str:
        """The port that the cell drives; "" for a port that writes to a memory."""
        return {"$dff": "Q", "$memrd_v2": "DATA", "$memwr_v2": ""}.get(self.type, "Y")

    @property
    def output(self) -> tuple[Any, ...]:
        return self.ports.get(self.result, ())

    @property
    def read(self) -> tuple[str, ...]:
        """Of a cell of state: the ports that say what it will hold."""
        return STATE[self.type]

    @property
    def width(self) -> int:
        return len(self.output)


def is_set(word: Any) -> Any:
    """Whether any bit of a word is 1."""
    return word != 0


def _bit(condition: Any, width: int) -> Any:
    one = z3.If(condition, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1))
    return one if width == 1 else z3.ZeroExt(width - 1, one)


def _fit(word: Any, width: int, signed: int) -> Any:
    """Extended, or cut, to a width."""
    if word.size() >= width:
        return word if word.size() == width else z3.Extract(width - 1, 0, word)
    return (z3.SignExt if signed else z3.ZeroExt)(width - word.size(), word)


def _both(cell: Cell, ports: Ports, width: int) -> tuple[Any, Any]:
    signed = cell.parameters["A_SIGNED"] & cell.parameters["B_SIGNED"]
    return _fit(ports["A"], width, signed), _fit(ports["B"], width, signed)


def _arithmetic(operation: Callable[[Any, Any], Any]) -> Callable[[Cell, Ports], Any]:
    return lambda cell, ports: operation(*_both(cell, ports, cell.width))


def _unary(operation: Callable[[Any], Any]) -> Callable[[Cell, Ports], Any]:
    return lambda cell, ports: operation(_fit(ports["A"], cell.width, cell.parameters["A_SIGNED"]))


def _compare(signed: Callable[[Any, Any], Any], unsigned: Callable[[Any, Any], Any]) -> Callable[[Cell, Ports], Any]:
    def made(cell: Cell, ports: Ports) -> Any:
        a, b = _both(cell, ports, max(ports["A"].size(), ports["B"].size()))
        both = cell.parameters["A_SIGNED"] & cell.parameters["B_SIGNED"]
        return _bit((signed if both else unsigned)(a, b), cell.width)

    return made


def _logic(operation: Callable[..., Any]) -> Callable[[Cell, Ports], Any]:
    return lambda cell, p: _bit(operation(*(is_set(p[name]) for name in ("A", "B") if name in p)), cell.width)


def _shifted(cell: Cell, ports: Ports) -> Any:
    """$shl, $shr, $sshl, $sshr, and $shift and $shiftx, of which B may be negative."""
    wide = max(cell.width, ports["A"].size(), ports["B"].size()) + 1
    word = _fit(ports["A"], max(cell.width, ports["A"].size()), cell.parameters["A_SIGNED"])
    word = _fit(word, wide, cell.parameters["A_SIGNED"] and cell.type == "$sshr")
    amount = _fit(ports["B"], wide, cell.parameters["B_SIGNED"])
    if cell.type in ("$shl", "$sshl"):
        made = word << amount
    elif cell.type == "$sshr" and cell.parameters["A_SIGNED"]:
        made = word >> amount
    else:
        made = z3.LShR(word, amount)
        if cell.type in ("$shift", "$shiftx") and cell.parameters["B_SIGNED"]:
            made = z3.If(amount < 0, word << -amount, made)
    return _fit(made, cell.width, 0)


def _chosen(cell: Cell, ports: Ports) -> Any:
    """$mux and $pmux; of two bits set in S, which must not be, the lower one counts here."""
    width, made = cell.width, ports["A"]
    for k in reversed(range(ports["S"].size())):
        part = ports["B"] if ports["B"].size() == width else z3.Extract((k + 1) * width - 1, k * width, ports["B"])
        made = z3.If(z3.Extract(k, k, ports["S"]) == 1, part, made)
    return made


CELLS: Mapping[str, Callable[[Cell, Ports], Any]] = {
    "$not": _unary(lambda a: ~a),
    "$pos": _unary(lambda a: a),
    "$neg": _unary(lambda a: -a),
    "$add": _arithmetic(lambda a, b: a + b),
    "$sub": _arithmetic(lambda a, b: a - b),
    "$mul": _arithmetic(lambda a, b: a * b),
    "$and": _arithmetic(lambda a, b: a & b),
    "$or": _arithmetic(lambda a, b: a | b),
    "$xor": _arithmetic(lambda a, b: a ^ b),
    "$xnor": _arithmetic(lambda a, b: ~(a ^ b)),
    "$eq": _compare(lambda a, b: a == b, lambda a, b: a == b),
    "$ne": _compare(lambda a, b: a != b, lambda a, b: a != b),
    "$lt": _compare(lambda a, b: a < b, z3.ULT),
    "$le": _compare(lambda a, b: a <= b, z3.ULE),
    "$gt": _compare(lambda a, b: a > b, z3.UGT),
    "$ge": _compare(lambda a, b: a >= b, z3.UGE),
    "$logic_not": _logic(z3.Not),
    "$logic_and": _logic(z3.And),
    "$logic_or": _logic(z3.Or),
    "$reduce_or": _logic(lambda a: a),
    "$reduce_bool": _logic(lambda a: a),
    "$reduce_and": lambda cell, ports: _bit(~ports["A"] == 0, cell.width),
    "$shl": _shifted,
    "$shr": _shifted,
    "$sshl": _shifted,
    "$sshr": _shifted,
    "$shift": _shifted,
    "$shiftx": _shifted,
    "$mux": _chosen,
    "$pmux": _chosen,
}
