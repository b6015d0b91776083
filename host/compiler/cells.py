# SPDX-License-Identifier: BSD-2-Clause
"""Which writer makes the program of which cell."""

from __future__ import annotations

from liquid_accel.compiler.cell import CellWriter
from liquid_accel.compiler.cfc import CfcCell
from liquid_accel.compiler.gru import GruCell
from liquid_accel.compiler.liquid import LiquidCell
from liquid_accel.compiler.lstm import LstmCell
from liquid_accel.compiler.network import Cell, Liquid
from liquid_accel.compiler.node import NodeCell
from liquid_accel.compiler.synaptic import SynapticCell
from liquid_accel.compiler.writer import Writer
from liquid_accel.layers import Cfc, Gru, Lstm, Node


def cell_of(writer: Writer, cell: Cell) -> CellWriter:
    """The writer of a cell, its states placed."""
    if isinstance(cell, Liquid):
        return LiquidCell(writer, cell)
    if isinstance(cell.layer, Gru):
        return GruCell(writer, cell)
    if isinstance(cell.layer, Lstm):
        return LstmCell(writer, cell)
    if isinstance(cell.layer, Cfc):
        return CfcCell(writer, cell)
    if isinstance(cell.layer, Node):
        return NodeCell(writer, cell)
    return SynapticCell(writer, cell)
