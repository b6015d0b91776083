# SPDX-License-Identifier: BSD-2-Clause
"""What the program of a model sees of a recurrent layer while it is written."""

from __future__ import annotations

from abc import ABC, abstractmethod

from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.target import Operand
from liquid_accel.compiler.writer import WORD_BOUND, Writer


class CellWriter(ABC):
    """A recurrent layer: made before any code, in the order of the layers, its state placed as `h`.

    `frac_bits` are those of the state; `output` is what the next layer reads, `traced` what a traced frame pushes.
    """

    h: Slot

    def __init__(self, writer: Writer, name: str, size: int):
        self.writer, self.name, self.size, self.frac_bits = writer, name, size, writer.state_frac

    @property
    def traced(self) -> Operand:
        """The state at the end of a frame."""
        return Operand(self.h, self.size, self.frac_bits, WORD_BOUND)

    @property
    def output(self) -> Operand:
        """The same, unless the layer's output is a map of it."""
        return self.traced

    @abstractmethod
    def write(self, x: Operand) -> None:
        """A frame's code."""
