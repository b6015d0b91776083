# SPDX-License-Identifier: BSD-2-Clause
"""Butcher tableaus and the liquid layer's own updates: solvers as data.

A tableau is checked when it is built: every order condition, in exact fractions, of the solution and of the method that
is embedded in it. A user's own is a `ButcherTableau` like those below; it needs no entry in a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import prod
from numbers import Rational

# A rooted tree is the tuple of the trees below its root, in a fixed order; () is a root alone.
Tree = tuple["Tree", ...]


@dataclass(frozen=True)
class ButcherTableau:
    """An explicit Runge-Kutta method, embedded pair or plain.

    y_{n+1} = y_n + dt sum_i b_i k_i,  k_i = f(t + c_i dt, y_n + dt sum_{j<i} a_ij k_j),  error = dt sum_i e_i k_i.

    name            as users write it
    order           of the solution that is carried on
    a               rows of the strictly lower triangle: a[i] has i entries, a[0] is empty
    b               weights of the solution
    error           b minus the embedded weights; None for a method without an estimate
    fsal            the last stage is the first of the next step (then a[-1] == b[:-1], b[-1] == 0)
    source          where the coefficients come from
    embedded_order  of the method with weights b - error; None: order - 1 where there is an error

    Raises ValueError that names the condition which does not hold. Orders follow Butcher's conditions, one a rooted
    tree t: sum_i b_i phi_i(t) = 1 / gamma(t) (Hairer, Norsett, Wanner: Solving Ordinary Differential Equations I,
    theorem II.2.13); there are 17 up to order 5.
    """

    name: str
    order: int
    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    error: tuple[Fraction, ...] | None
    fsal: bool
    source: str
    embedded_order: int | None = None

    def __post_init__(self) -> None:
        stages = len(self.b)
        if not stages or len(self.a) != stages or any(len(row) != i for i, row in enumerate(self.a)):
            raise self._wrong(f"a must be strictly lower triangular with {stages} rows, one a weight of b")
        for name, row in (*((f"a[{i}]", row) for i, row in enumerate(self.a)), ("b", self.b), ("error", self.error)):
            for number in row or ():
                if not isinstance(number, Rational):
                    raise self._wrong(f"{name} holds {number!r}; expected exact numbers, as Fraction('1/3')")
        if isinstance(self.order, bool) or not isinstance(self.order, int) or self.order < 1:
            raise self._wrong(f"order is {self.order!r}; expected a whole number of at least 1")
        self._check_order(self.b, self.order, "b")
        if self.fsal and (stages < 2 or self.a[-1] != self.b[:-1] or self.b[-1] != 0):
            raise self._wrong("first-same-as-last needs a[-1] == b[:-1] and b[-1] == 0")
        if self.error is None:
            if self.embedded_order is not None:
                raise self._wrong(f"embedded_order is {self.embedded_order} but error is None; expected error weights")
            return
        if len(self.error) != stages or not any(self.error) or sum(self.error) != 0:
            raise self._wrong(f"the error weights must be {stages} numbers, not all 0, that sum to 0")
        if self.embedded_order is None:
            # A frozen dataclass has no other way to derive a field from its fellows.
            object.__setattr__(self, "embedded_order", self.order - 1)
        if self.embedded_order is None or self.embedded_order < 1:
            raise self._wrong(f"embedded_order is {self.embedded_order}; expected at least 1")
        embedded = tuple(b - e for b, e in zip(self.b, self.error, strict=True))
        self._check_order(embedded, self.embedded_order, "(b - error)")

    def _wrong(self, what: str) -> ValueError:
        return ValueError(f"tableau {self.name}: {what}")

    def _check_order(self, weights: Sequence[Fraction], order: int, name: str) -> None:
        if order > self.stages:
            raise self._wrong(f"order {order} with {self.stages} stages; an explicit method has at most one a stage")
        for tree in rooted_trees(order):
            found, expected = elementary_weight(tree, self.a, weights), Fraction(1, density(tree))
            if found != expected:
                text = f"sum {name}_i{' ' if tree else ''}{_text(tree)}"
                raise self._wrong(f"{text} is {found}, {expected} was expected for order {size(tree)} of {order}")

    @property
    def c(self) -> tuple[Fraction, ...]:
        """Nodes: the row sums of a."""
        return tuple(sum(row, Fraction(0)) for row in self.a)

    @property
    def stages(self) -> int:
        return len(self.b)

    @property
    def adaptive(self) -> bool:
        return self.error is not None

    @property
    def error_order(self) -> int:
        """q, where the error estimate is of the size dt^q: one more than the lower of the two methods' orders."""
        if self.embedded_order is None:
            raise self._wrong("it has no error estimate")
        return min(self.order, self.embedded_order) + 1

    @property
    def step_order(self) -> int:
        """k of the filters in `FILTERS`: one above the estimate's order changes sizes less, which serves pairs of order
        3. In those of higher order an error of a sixteenth of the tolerance, the least that the machine's norm tells
        apart, would let a step grow by little. (Measured: tests/bench/step_controllers.py, `liquid bench`.)"""
        return self.error_order + (self.error_order == 3)

    @property
    def jumps(self) -> bool:
        """Whether a frame's first step has a memory of its own unless asked otherwise: it saves pairs of low order
        evaluations. Those of higher order take a step or two a frame, and it would hold them at half frames."""
        return self.error_order <= 3


# ---- Order conditions ------------------------------------------------------------------------------------------------


def rooted_trees(order: int) -> Iterator[Tree]:
    """Every rooted tree of up to `order` nodes, the small ones first: 1, 1, 2, 4, 9, 20, ... of 1, 2, 3, ... nodes."""
    for nodes in range(1, order + 1):
        yield from _trees(nodes)


@cache
def _trees(nodes: int) -> tuple[Tree, ...]:
    return tuple(_forests(nodes - 1, nodes - 1, None))


def _forests(nodes: int, largest: int, below: Tree | None) -> Iterator[Tree]:
    """Multisets of trees with `nodes` nodes together, in descending order, none of them after `below`."""
    if nodes == 0:
        yield ()
        return
    for first in range(min(nodes, largest), 0, -1):
        for tree in _trees(first):
            if below is None or (first, tree) <= (size(below), below):
                for rest in _forests(nodes - first, first, tree):
                    yield (tree, *rest)


def size(tree: Tree) -> int:
    """Nodes of a tree."""
    return 1 + sum(map(size, tree))


def density(tree: Tree) -> int:
    """gamma(t): the product, over all nodes, of the size of the tree below each."""
    return size(tree) * prod(map(density, tree))


def elementary_weight(tree: Tree, a: Sequence[Sequence[Fraction]], b: Sequence[Fraction]) -> Fraction:
    """sum_i b_i phi_i(t) with phi_i(t) = prod over the subtrees s of sum_j a_ij phi_j(s)."""

    def phi(tree: Tree) -> list[Fraction]:
        below = [phi(child) for child in tree]
        sums = [[sum((x * y for x, y in zip(row, values)), Fraction(0)) for values in below] for row in a]
        return [prod(row, start=Fraction(1)) for row in sums]

    return sum((weight * value for weight, value in zip(b, phi(tree), strict=True)), Fraction(0))


def _text(tree: Tree, index: str = "i") -> str:
    """What a tree's condition sums, for messages: c_i where a branch is a leaf."""
    inner = chr(ord(index) + 1)
    return " ".join(f"(sum a_{index}{inner} {_text(child, inner)})" if child else f"c_{index}" for child in tree)


# ---- Runge-Kutta methods ---------------------------------------------------------------------------------------------


def _fractions(*texts: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(text) for text in texts)


EULER = ButcherTableau(
    name="euler", order=1, a=(_fractions(),), b=_fractions("1"), error=None, fsal=False,
    source="Euler: Institutiones calculi integralis, 1768",
)  # fmt: skip

HEUN = ButcherTableau(
    name="heun", order=2, a=(_fractions(), _fractions("1")), b=_fractions("1/2", "1/2"), error=None, fsal=False,
    source="Heun: Neue Methoden zur approximativen Integration, Z. Math. Phys. 45, 1900",
)  # fmt: skip

RK4 = ButcherTableau(
    name="rk4",
    order=4,
    a=(_fractions(), _fractions("1/2"), _fractions("0", "1/2"), _fractions("0", "0", "1")),
    b=_fractions("1/6", "1/3", "1/3", "1/6"),
    error=None,
    fsal=False,
    source="Kutta: Beitrag zur näherungsweisen Integration totaler Differentialgleichungen, Z. Math. Phys. 46, 1901",
)

# Heun's solution is carried on; Euler's, from the first stage, is the embedded one.
HEUN21 = ButcherTableau(
    name="heun21",
    order=2,
    a=HEUN.a,
    b=HEUN.b,
    error=_fractions("-1/2", "1/2"),
    fsal=False,
    source="Heun 1900 with Euler's method embedded; Hairer, Norsett, Wanner, 1993, section II.4",
)

BOGACKI_SHAMPINE32 = ButcherTableau(
    name="bs32",
    order=3,
    a=(_fractions(), _fractions("1/2"), _fractions("0", "3/4"), _fractions("2/9", "1/3", "4/9")),
    b=_fractions("2/9", "1/3", "4/9", "0"),
    error=_fractions("-5/72", "1/12", "1/9", "-1/8"),
    fsal=True,
    source="Bogacki, Shampine: A 3(2) pair of Runge-Kutta formulas, Appl. Math. Lett. 2(4), 1989",
)

# The solution of order 5 is carried on, as in Shampine's and Watts's code RKF45; Fehlberg carried that of order 4.
FEHLBERG54 = ButcherTableau(
    name="rkf45",
    order=5,
    a=(
        _fractions(),
        _fractions("1/4"),
        _fractions("3/32", "9/32"),
        _fractions("1932/2197", "-7200/2197", "7296/2197"),
        _fractions("439/216", "-8", "3680/513", "-845/4104"),
        _fractions("-8/27", "2", "-3544/2565", "1859/4104", "-11/40"),
    ),
    b=_fractions("16/135", "0", "6656/12825", "28561/56430", "-9/50", "2/55"),
    error=_fractions("1/360", "0", "-128/4275", "-2197/75240", "1/50", "2/55"),
    fsal=False,
    source="Fehlberg: Low-order classical Runge-Kutta formulas with stepsize control, NASA TR R-315, 1969, table III",
)

DORMAND_PRINCE54 = ButcherTableau(
    name="dopri5",
    order=5,
    a=(
        _fractions(),
        _fractions("1/5"),
        _fractions("3/40", "9/40"),
        _fractions("44/45", "-56/15", "32/9"),
        _fractions("19372/6561", "-25360/2187", "64448/6561", "-212/729"),
        _fractions("9017/3168", "-355/33", "46732/5247", "49/176", "-5103/18656"),
        _fractions("35/384", "0", "500/1113", "125/192", "-2187/6784", "11/84"),
    ),
    b=_fractions("35/384", "0", "500/1113", "125/192", "-2187/6784", "11/84", "0"),
    error=_fractions("71/57600", "0", "-71/16695", "71/1920", "-17253/339200", "22/525", "-1/40"),
    fsal=True,
    source="Dormand, Prince: A family of embedded Runge-Kutta formulae, J. Comput. Appl. Math. 6(1), 1980",
)

# Pairs with an error estimate, for adaptive steps, and methods for fixed steps, by the names that users write.
TABLEAUS: dict[str, ButcherTableau] = {
    t.name: t for t in (HEUN21, BOGACKI_SHAMPINE32, FEHLBERG54, DORMAND_PRINCE54)
}  # fmt: skip
FIXED_TABLEAUS: dict[str, ButcherTableau] = {t.name: t for t in (EULER, HEUN, RK4)}


# ---- The liquid layer's own updates ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """A liquid update h += g(z) (f - h) with z = dt / tau, given as log2 g as a function of q = log2 z.

    name       as users write it
    equation   of g(z)
    order      of the method in dt
    """

    name: str
    equation: str
    order: int
    source: str


@dataclass(frozen=True)
class Implicit:
    """A step y = h + g(z) (f(y) - h), z = dt / tau, found by iterating its equation from y = h.

    The first iterate is the explicit gated step. Each costs one right-hand side; they converge where g times the
    Lipschitz constant of f is below 1.
    """

    name: str
    equation: str
    order: int
    source: str


@dataclass(frozen=True)
class ExponentialPair:
    """An adaptive step of the exponential kind: a prediction, one evaluation, a correction that is the error estimate.

    name         as users write it
    predictor    h* from h and f, z = dt / tau
    correction   h' - h*, from f* = f(h*), which starts the next step in f's place
    order        of the corrected solution in dt
    error_order  q, where the correction is of the size dt^q
    """

    name: str
    predictor: str
    correction: str
    order: int
    error_order: int
    source: str


GATES: dict[str, Gate] = {
    "fused": Gate("fused", "z / (1 + z)", 1, "Hasani et al., Liquid Time-constant Networks, AAAI 2021, algorithm 1"),
    "expeuler": Gate("expeuler", "1 - exp(-z)", 1, "Hochbruck, Ostermann: Exponential integrators, Acta Numerica 2010"),
}

IMPLICIT: dict[str, Implicit] = {
    "beuler": Implicit(
        "beuler", "z / (1 + z)", 1, "Hairer, Wanner: Solving Ordinary Differential Equations II, 1996, section IV.8"
    ),
}

EXPONENTIAL_PAIRS: dict[str, ExponentialPair] = {
    "etd21": ExponentialPair(
        name="etd21",
        predictor="f + (h - f) exp(-z)",
        correction="(f* - f) (z - 1 + exp(-z)) / z",
        order=2,
        error_order=2,
        source="ETD2RK of Cox, Matthews: Exponential time differencing for stiff systems, J. Comput. Phys. 176, 2002, "
        "eq. (22), with f* in place of the next step's evaluation",
    ),
}


# ---- Step control ----------------------------------------------------------------------------------------------------

# (beta1, beta2, alpha2) by name: for an error estimate of order k the step changes by 2**x with x = log2(safety) -
# beta1 e1 / k - beta2 e2 / k - alpha2 c, e1 and e2 log2 of the last two scaled errors, c the last x. Elementary and PI
# of Gustafsson (ACM TOMS 17, 1991), H211b with b = 4 of Soderlind (ACM TOMS 29, 2003).
FILTERS: dict[str, tuple[float, float, float]] = {
    "i": (1.0, 0.0, 0.0), "pi": (0.7, -0.4, 0.0), "h211": (0.25, 0.25, 0.25),
}  # fmt: skip
