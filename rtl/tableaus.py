# SPDX-License-Identifier: BSD-2-Clause
"""Butcher tableaus and liquid gates: solvers as data. Consistency is asserted when one is built."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class ButcherTableau:
    """An explicit Runge-Kutta method, embedded pair or plain.

    y_{n+1} = y_n + dt sum_i b_i k_i,  k_i = f(t + c_i dt, y_n + dt sum_{j<i} a_ij k_j),  error = dt sum_i e_i k_i.

    name     as users write it
    order    of the solution that is carried on
    a        rows of the strictly lower triangle: a[i] has i entries, a[0] is empty
    b        weights of the solution
    error    b minus the embedded weights; None for a method without an estimate
    fsal     the last stage is the first of the next step (then a[-1] == b[:-1], b[-1] == 0)
    source   where the coefficients come from
    """

    name: str
    order: int
    a: tuple[tuple[Fraction, ...], ...]
    b: tuple[Fraction, ...]
    error: tuple[Fraction, ...] | None
    fsal: bool
    source: str

    def __post_init__(self) -> None:
        stages = len(self.b)
        if len(self.a) != stages or any(len(row) != i for i, row in enumerate(self.a)):
            raise ValueError(f"tableau {self.name}: a must be strictly lower triangular with {stages} rows")
        if sum(self.b) != 1:
            raise ValueError(f"tableau {self.name}: b sums to {sum(self.b)}, 1 was expected")
        if self.order >= 2 and sum(b * c for b, c in zip(self.b, self.c, strict=True)) != Fraction(1, 2):
            raise ValueError(f"tableau {self.name}: sum b_i c_i is not 1/2, so its order is not {self.order}")
        if self.error is not None and (len(self.error) != stages or sum(self.error) != 0):
            raise ValueError(f"tableau {self.name}: the error weights must be {stages} numbers that sum to 0")
        if self.fsal and (self.a[-1] != self.b[:-1] or self.b[-1] != 0):
            raise ValueError(f"tableau {self.name}: first-same-as-last needs a[-1] == b[:-1] and b[-1] == 0")

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


def _fractions(*texts: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(text) for text in texts)


BOGACKI_SHAMPINE32 = ButcherTableau(
    name="bs32",
    order=3,
    a=(_fractions(), _fractions("1/2"), _fractions("0", "3/4"), _fractions("2/9", "1/3", "4/9")),
    b=_fractions("2/9", "1/3", "4/9", "0"),
    error=_fractions("-5/72", "1/12", "1/9", "-1/8"),
    fsal=True,
    source="Bogacki, Shampine: A 3(2) pair of Runge-Kutta formulas, Appl. Math. Lett. 2(4), 1989",
)

TABLEAUS: dict[str, ButcherTableau] = {t.name: t for t in (BOGACKI_SHAMPINE32,)}


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


GATES: dict[str, Gate] = {
    "fused": Gate("fused", "z / (1 + z)", 1, "Hasani et al., Liquid Time-constant Networks, AAAI 2021, algorithm 1"),
    "expeuler": Gate("expeuler", "1 - exp(-z)", 1, "Hochbruck, Ostermann: Exponential integrators, Acta Numerica 2010"),
}
