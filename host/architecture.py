# SPDX-License-Identifier: BSD-2-Clause
"""Which network to train: its cell, its widths, and what else each kind of cell leaves open."""

from dataclasses import asdict, dataclass, fields
from typing import Any

from liquid_accel import layers
from liquid_accel.errors import UserError

CELLS = tuple(cell.kind for cell in layers.CELLS)
MAX_HIDDEN_SIZE = 4096  # far beyond any machine's weights; the recurrent matrix then takes 64 MB
MAX_DEPTH = 16


@dataclass(frozen=True)
class Architecture:
    """Linear + tanh of width `projection`, `depth` cells of `hidden_size`, the mean over time, Linear.

    `projection` None is the width of the cells, 0 none at all; `mean` "all" pools every cell, "last" the last. Of ltc
    alone: `form`, and `tau_recurrent`, with which the state moves the time constants. Of ltc-synaptic alone: `density`,
    the fraction of pairs with a synapse. Of cfc alone: `mode`. Raises `UserError` naming the field.
    """

    cell: str = "ltc"
    form: str = "input"
    hidden_size: int = 64
    depth: int = 1
    projection: int | None = None
    mean: str = "last"
    tau_recurrent: bool = False
    density: float = 1.0
    mode: str = "default"

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise UserError(f"cell '{self.cell}' is unknown; available: {', '.join(CELLS)}")
        if self.form not in layers.FORMS:
            raise UserError(f"form is '{self.form}'; expected {' or '.join(layers.FORMS)}")
        if not 1 <= self.hidden_size <= MAX_HIDDEN_SIZE:
            raise UserError(f"hidden size is {self.hidden_size}; expected 1 to {MAX_HIDDEN_SIZE}")
        if not 1 <= self.depth <= MAX_DEPTH:
            raise UserError(f"layers is {self.depth}; expected 1 to {MAX_DEPTH} cells")
        if self.projection is not None and not 0 <= self.projection <= MAX_HIDDEN_SIZE:
            raise UserError(f"projection is {self.projection}; expected 1 to {MAX_HIDDEN_SIZE}, or 0 for none")
        if self.mean not in layers.MEANS:
            raise UserError(f"mean is '{self.mean}'; expected {' or '.join(layers.MEANS)}")
        if self.mode not in layers.CFC_MODES:
            raise UserError(f"mode is '{self.mode}'; expected {' or '.join(layers.CFC_MODES)}")
        if not 0 < self.density <= 1:
            raise UserError(f"density is {self.density}; expected above 0, at most 1")
        owners = {"form": "ltc", "tau_recurrent": "ltc", "density": "ltc-synaptic", "mode": "cfc"}
        for name in self.changes():
            if owners.get(name, self.cell) != self.cell:
                raise UserError(f"{name.replace('_', ' ')} belongs to cell '{owners[name]}', not '{self.cell}'")

    @property
    def plain(self) -> bool:
        """Whether it is the network that `LiquidClassifier` is."""
        return self.changes().keys() <= {"form", "hidden_size"}

    def changes(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}

    def cell_options(self) -> dict[str, Any]:
        """What the cell's own class takes."""
        options: dict[str, dict[str, Any]] = {
            "ltc": {"form": self.form, "tau_recurrent": self.tau_recurrent},
            "ltc-synaptic": {"density": self.density},
            "cfc": {"mode": self.mode, "backbone_units": self.hidden_size},
        }
        return options.get(self.cell, {})
