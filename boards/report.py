# SPDX-License-Identifier: BSD-2-Clause
"""What a build found: does it fit, is the clock reached, what holds it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from liquid_accel.boards.board import Board
from liquid_accel.boards.pll import MHZ
from liquid_accel.boards.timing import Placement, Usage
from liquid_accel.rtl.config import LiquidConfig


@dataclass(frozen=True)
class Report:
    """Figures of one build. `placements` is empty where the design does not fit.

    asked_mhz is the PLL's output, which is what the chip runs at.
    """

    board: Board
    config: LiquidConfig
    asked_mhz: float
    usage: dict[str, Usage]
    tools: dict[str, str]
    placements: tuple[Placement, ...] = ()
    bitstream: str | None = None

    def with_placements(self, placements: list[Placement]) -> Report:
        """The same with what placement found."""
        return replace(self, placements=tuple(placements))

    def with_bitstream(self, name: str) -> Report:
        """The same with the file that was written."""
        return replace(self, bitstream=name)

    @property
    def named_usage(self) -> dict[str, Usage]:
        """Cells by the words that people have for them, those of the family that are worth printing."""
        return {text: self.usage[name] for name, text in self.board.part.family.cells.items() if name in self.usage}

    @property
    def excess(self) -> dict[str, int]:
        """Kinds of cells of which more are needed than there are, and how many more; every kind counts."""
        names = self.board.part.family.cells
        return {
            names.get(name, name): found.used - found.available
            for name, found in self.usage.items()
            if found.used > found.available
        }

    @property
    def fits(self) -> bool:
        """Whether there are cells enough."""
        return not self.excess

    @property
    def best(self) -> Placement | None:
        """The fastest placement."""
        return max(self.placements, key=lambda placement: placement.clock_mhz, default=None)

    @property
    def clock_mhz(self) -> float:
        """The clock that was reached; 0 where nothing was placed."""
        return self.best.clock_mhz if self.best else 0.0

    @property
    def meets_clock(self) -> bool:
        """Whether the chip runs at what the PLL gives it."""
        return self.clock_mhz >= self.asked_mhz

    @property
    def macs_per_second(self) -> float:
        """Multiplications with addition that the lanes do in a second, at the clock that was asked for."""
        return self.config.lanes * self.asked_mhz * MHZ

    def faults(self) -> list[str]:
        """What falls short, a sentence each."""
        part = self.board.part.name
        found = [f"{self.board.name}: {n:,} more {name} are needed than {part} has" for name, n in self.excess.items()]
        if self.fits and not self.meets_clock:
            short = self.asked_mhz - self.clock_mhz
            found.append(
                f"{self.board.name}: the clock of {self.asked_mhz:g} MHz is missed by {short:.1f} MHz; "
                f"{self.clock_mhz:.1f} MHz was reached"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """The report for programs."""
        best = self.best
        return {
            "board": self.board.name,
            "part": self.board.part.name,
            "config": asdict(self.config),
            "config_hash": f"0x{self.config.config_hash:08x}",
            "asked_mhz": self.asked_mhz,
            "clock_mhz": self.clock_mhz,
            "clocks_mhz": best.clocks_mhz if best else {},
            "clock_by_seed_mhz": {str(placement.seed): placement.clock_mhz for placement in self.placements},
            "seed": best.seed if best else None,
            "cells": {name: asdict(found) for name, found in self.named_usage.items()},
            "macs_per_second": self.macs_per_second,
            "worst_path": [asdict(span) for span in best.path] if best else [],
            "bitstream": self.bitstream,
            "note": self.board.part.family.note,
            "tools": self.tools,
            "fits": self.fits,
            "meets_clock": self.meets_clock,
            "faults": self.faults(),
        }
