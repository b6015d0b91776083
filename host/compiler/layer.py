# SPDX-License-Identifier: BSD-2-Clause
"""A liquid layer, placed in the machine, and the evaluation of its right-hand side."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from liquid_accel.compiler.builder import place, to_element, to_vector
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.target import Product, Tracking
from liquid_accel.compiler.writer import Floats, Writer
from liquid_accel.rtl.isa import Instruction
from liquid_accel.rtl.tableaus import IMPLICIT

RowsAs = Callable[[dict[str, Any], str], list[Instruction]]  # a row group of a product: its finish, a comment


@dataclass(frozen=True)
class TauProduct:
    """The part of the time constants that the state moves: R, the rows of A that hold V x + c, and how a row of the
    sum is finished."""

    product: Product
    drive: Slot
    done: Mapping[str, Any]


@dataclass(frozen=True)
class Layer:
    """tau dh/dt = -h + act(W h + u): h in the vector and the B memory (parity pairs), u in the A memory, the product
    with W, the fields that read the activation's table, the list of h's moves, and the state's part of tau."""

    name: str
    size: int
    h: Slot
    base: Slot
    drive: Slot
    recurrent: Product
    activation: Mapping[str, Any]
    frac_bits: int
    tracking: Tracking | None
    tau: TauProduct | None

    @property
    def rows(self) -> int:
        return self.h.rows


class Rates(Protocol):
    """Time constants as a solver wants them."""

    @property
    def comment(self) -> str: ...

    def done(self) -> dict[str, Any]:
        """How a tau product is finished."""

    def constant(self, tau: Floats) -> None:
        """Time constants that do not change, in the model's unit."""


class Solver(ABC):
    """A writer of the steps of a layer's frame.

    double_list   results are listed row by row while the list before is still read
    overshoots    a state may leave the range of the activation
    """

    double_list = False
    overshoots = True

    def __init__(self, writer: Writer, rates: Rates):
        self.writer, self.rates = writer, rates

    def write_rates(self, product: RowsAs, rows: int, name: str) -> None:
        """The loop of the tau product of layer `name`, `product` its rows as fields finish them."""
        self.writer.loop(rows, product(self.rates.done(), self.rates.comment), "time constants")

    @abstractmethod
    def emit(self, layer: Layer) -> None:
        """The steps of a frame."""


def time_constants(writer: Writer, layer: Layer, source: Slot, other: bool = False) -> None:
    """Where the time constants see the state: their rows anew, for y in `source`."""
    if layer.tau is not None:
        body = writer.product(layer.tau.product, layer.tau.drive, layer.tau.done, "tau(V x + R y + c)", source, other)
        writer.loop(layer.rows, body, "time constants")


def right_hand_side(
    writer: Writer,
    layer: Layer,
    source: Slot,
    base: Slot,
    other: bool,
    done: Mapping[str, Any],
    comment: str,
    tracking: Tracking | None = None,
) -> None:
    """A loop of (act(W y + u) - y) as `done` finishes it; y in `source` and `base`, counted as an evaluation. Its moves
    have been taken; `tracking` is the list that the results go to."""
    fields = {**layer.activation, **place("b", base, other), "sub": 1, "quiet_pre": 1}
    body = writer.product(layer.recurrent, layer.drive, {**fields, **done}, comment, source, other)
    writer.loop(layer.rows, body, comment, rhs=True, tracking=tracking)


def parity_turns(writer: Writer) -> bool:
    """Whether a layer's frame may leave the parity turned, and another layer's state with it in its other half."""
    halves = [cell for cell in writer.network.cells if cell.in_halves]
    odd = writer.options.solver in IMPLICIT or writer.options.steps % 2 == 1
    return len(halves) > 1 and (odd or any(cell.turns for cell in halves))


def both_halves(writer: Writer, slots: Sequence[Slot], comment: str) -> None:
    """Zero at the start of a sequence, in both halves where the parity may have turned when the layer comes to run."""
    for slot in slots:
        writer.at_start(slot, comment)
        if parity_turns(writer):
            writer.at_start(replace(slot, row=slot.other), comment)


def settle(writer: Writer, h: Slot, base: Slot | None = None) -> None:
    """At the end of a layer's frame: its state where both parities find it, if other layers turn the parity."""
    if parity_turns(writer):
        done = to_vector(h, other=True)
        if base is not None:
            done |= to_element(base, other=True)
        writer.loop(h.rows, writer.copy(h, 1, done, "h for either parity"), "h for either parity")
