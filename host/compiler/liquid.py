# SPDX-License-Identifier: BSD-2-Clause
"""The cells LTC and CT-RNN: time constants and input term once a frame, then the solver."""

from __future__ import annotations

from functools import partial

from liquid_accel.compiler import formats
from liquid_accel.compiler.builder import to_element
from liquid_accel.compiler.cell import CellWriter
from liquid_accel.compiler.exponential import ExponentialPair
from liquid_accel.compiler.gated import GatedSolver
from liquid_accel.compiler.implicit import ImplicitSolver
from liquid_accel.compiler.layer import Layer, Solver, TauProduct, both_halves, settle
from liquid_accel.compiler.memory import Slot
from liquid_accel.compiler.network import Liquid
from liquid_accel.compiler.quantise import WORD_MAX, WORD_MIN
from liquid_accel.compiler.runge_kutta import RungeKutta
from liquid_accel.compiler.slopes import LiquidSlopes
from liquid_accel.compiler.tables import activation_table
from liquid_accel.compiler.target import Operand
from liquid_accel.compiler.writer import WORD_BOUND, Writer, function_bound
from liquid_accel.rtl.isa import Cond, Space
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, GATES, IMPLICIT


class ExplicitSolver(Solver):
    """A Runge-Kutta method on a liquid layer."""

    def __init__(self, writer: Writer, size: int, tau_frac: int):
        self._slopes = LiquidSlopes(writer, size, tau_frac)
        super().__init__(writer, self._slopes)
        self._method = RungeKutta(writer, writer.options.method)

    def emit(self, layer: Layer) -> None:
        self._slopes.attach(layer)
        self._method.emit(self._slopes)


def solver_of(name: str) -> type[GatedSolver] | type[ImplicitSolver] | type[ExponentialPair] | type[ExplicitSolver]:
    """The writer of a solver's steps."""
    if name in GATES:
        return GatedSolver
    if name in IMPLICIT:
        return ImplicitSolver
    return ExponentialPair if name in EXPONENTIAL_PAIRS else ExplicitSolver


class LiquidCell(CellWriter):
    """tau dh/dt = -h + act(W h + [U x] + b), tau = softplus(V x + [R h] + c)."""

    def __init__(self, writer: Writer, cell: Liquid):
        super().__init__(writer, cell.name, cell.size)
        self.cell = cell
        target, size, name = writer.target, cell.size, cell.name
        self.kind = solver_of(writer.options.solver)
        self.h = target.take(Space.VECTOR, f"{name} state h", size, pair=True)
        self.base = target.take(Space.B, f"{name} state h", size, pair=True)
        both_halves(writer, (self.h, self.base), f"{name} h = 0")
        kept = self.kind is ExponentialPair or (self.kind is ExplicitSolver and writer.keeps_first_slope(size))
        self.tracking = writer.tracking(
            f"{name} state", name, size, writer.state_frac, double=self.kind.double_list, always=kept
        )

    def write(self, x: Operand) -> None:
        """A frame's code."""
        writer, cell, target, extents = self.writer, self.cell, self.writer.target, self.writer.ranges.extents
        name, rows = cell.name, self.h.rows
        slow = extents[f"{name}.tau.pre"]
        tau_frac = formats.function_frac(slow)
        if cell.tau_recurrent is not None:
            parts = extents[f"{name}.tau.drive"], extents[f"{name}.tau.recurrent"]
            tau_frac = min(tau_frac, formats.function_frac(*parts))
        # Each of the two terms must fit; where their sum does not the activation is flat.
        terms = {"input term u": extents[f"{name}.drive"], "product W h": extents[f"{name}.recurrent"]}
        pre_frac = writer.activation_frac(cell.activation, *terms.values())
        if cell.tau is not None:
            target.formats.append(formats.described(f"{name} tau pre-activation", tau_frac, slow))
        target.formats.extend(formats.described(f"{name} {text}", pre_frac, part) for text, part in terms.items())
        whole = formats.described(f"{name} pre-activation W h + u", pre_frac, extents[f"{name}.pre"], flat=True)
        target.formats.append(whole)
        target.formats.append(formats.entry(f"{name} state h", writer.state_frac, 1.0, "bound"))

        solver = self.kind(writer, cell.size, tau_frac)
        table = activation_table(cell.activation, pre_frac, writer.state_frac)
        bound = WORD_BOUND if solver.overshoots else function_bound(table, writer.state_frac)
        state = Operand(self.h, cell.size, writer.state_frac, bound, self.tracking)
        writer.take(x.tracking)
        tau = self._time_constants(x, state, solver, tau_frac)

        # Where sigmoid is the activation a padded unit is driven to its lower end, and tanh's to 0.
        drive = target.bias(f"{name}.bias", cell.bias, pre_frac, 0 if cell.activation == "tanh" else WORD_MIN)
        if cell.input_weight is not None:
            product = writer.matrix(f"{name}.input_weight", cell.input_weight, x, pre_frac)
            bias, drive = drive, target.take(Space.A, f"{name} input term u", cell.size)
            writer.loop(rows, writer.product(product, bias, to_element(drive), "u = U x + b"), "input term")
        recurrent = writer.matrix(f"{name}.recurrent_weight", cell.recurrent, state, pre_frac)
        end = f"{name}.end"
        writer.builder.jump(Cond.NO_TIME_LEFT, end, "dt = 0: nothing moves")
        solver.emit(
            Layer(
                name, cell.size, self.h, self.base, drive, recurrent, writer.table(table), writer.state_frac,
                self.tracking, tau,
            )
        )  # fmt: skip
        settle(writer, self.h, self.base)
        writer.mark(end)

    def _time_constants(self, x: Operand, state: Operand, solver: Solver, tau_frac: int) -> TauProduct | None:
        """V x + c as the solver wants it, or what the state adds to it at each evaluation."""
        writer, cell, target = self.writer, self.cell, self.writer.target
        names = f"{cell.name}.tau_weight", f"{cell.name}.tau_bias"
        if cell.tau is None:
            solver.rates.constant(cell.time_constants)
            return None
        product = writer.matrix(names[0], cell.tau.weight, x, tau_frac)
        # A padded unit has the longest time constant, so that it hardly moves.
        bias = target.bias(names[1], cell.tau.bias, tau_frac, pad=WORD_MAX)
        if cell.tau_recurrent is None:
            solver.write_rates(partial(writer.product, product, bias), self.h.rows, cell.name)
            return None
        drive: Slot = target.take(Space.A, f"{cell.name} V x + c", cell.size)
        writer.loop(self.h.rows, writer.product(product, bias, to_element(drive), "V x + c"), "tau's input term")
        recurrent = writer.matrix(f"{cell.name}.tau_recurrent_weight", cell.tau_recurrent, state, tau_frac)
        return TauProduct(recurrent, drive, solver.rates.done())
