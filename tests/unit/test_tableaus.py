# SPDX-License-Identifier: BSD-2-Clause
"""Tableaus: order conditions against written ones, coefficients against scipy, and what is refused."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from math import factorial, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import RK23, RK45

from liquid_accel.rtl.tableaus import (
    BOGACKI_SHAMPINE32,
    DORMAND_PRINCE54,
    EULER,
    FEHLBERG54,
    FIXED_TABLEAUS,
    HEUN,
    HEUN21,
    RK4,
    TABLEAUS,
    ButcherTableau,
    Tree,
    density,
    rooted_trees,
    size,
)

ALL = [*TABLEAUS.values(), *FIXED_TABLEAUS.values()]
HALF = Fraction(1, 2)


def embedded(tableau: ButcherTableau) -> ButcherTableau:
    """The method that is inside a pair, as one of its own."""
    assert tableau.error is not None
    assert tableau.embedded_order is not None
    b = tuple(b - e for b, e in zip(tableau.b, tableau.error, strict=True))
    return ButcherTableau("embedded", tableau.embedded_order, tableau.a, b, None, False, tableau.source)


def test_rooted_trees_are_as_many_as_there_are() -> None:
    """OEIS A000081; densities of table II.2.2 of Hairer, Norsett, Wanner."""
    trees = list(rooted_trees(8))
    assert len(set(trees)) == len(trees)
    assert Counter(map(size, trees)) == {1: 1, 2: 1, 3: 2, 4: 4, 5: 9, 6: 20, 7: 48, 8: 115}
    assert sorted(density(t) for t in trees if size(t) == 4) == [4, 8, 12, 24]
    assert sorted(density(t) for t in trees if size(t) == 5) == [5, 10, 15, 20, 20, 30, 40, 60, 120]


def symmetry(tree: Tree) -> int:
    """sigma(t): permutations of equal branches, over all nodes."""
    product = 1
    for child, count in Counter(tree).items():
        product *= factorial(count) * symmetry(child) ** count
    return product


@pytest.mark.parametrize("nodes", range(1, 8))
def test_labelled_trees_are_factorially_many(nodes: int) -> None:
    """sum of n! / (sigma gamma) over the trees of n nodes is (n - 1)! (Hairer et al., II.2)."""
    trees = [tree for tree in rooted_trees(nodes) if size(tree) == nodes]
    assert sum(Fraction(factorial(nodes), symmetry(t) * density(t)) for t in trees) == factorial(nodes - 1)


def written_out(a: list[list[Fraction]], b: list[Fraction]) -> list[tuple[Fraction, Fraction]]:
    """The 17 conditions up to order 5, each sum and its value 1/gamma as books list them."""
    n, c = len(b), [sum(row, Fraction(0)) for row in a]

    def inner(values: list[Fraction]) -> list[Fraction]:
        return [sum((a[i][j] * values[j] for j in range(i)), Fraction(0)) for i in range(n)]

    def total(*factors: list[Fraction]) -> Fraction:
        return sum((b[i] * prod([f[i] for f in factors], start=Fraction(1)) for i in range(n)), Fraction(0))

    def times(*factors: list[Fraction]) -> list[Fraction]:
        return [prod([f[i] for f in factors], start=Fraction(1)) for i in range(n)]

    ac, acc = inner(c), inner(times(c, c))
    aac, accc = inner(ac), inner(times(c, c, c))
    left = [
        total(), total(c), total(c, c), total(ac), total(c, c, c), total(c, ac), total(acc), total(aac),
        total(c, c, c, c), total(c, c, ac), total(ac, ac), total(c, acc), total(accc), total(c, aac),
        total(inner(times(c, ac))), total(inner(acc)), total(inner(aac)),
    ]  # fmt: skip
    right = [1, 2, 3, 6, 4, 8, 12, 24, 5, 10, 20, 15, 20, 30, 40, 60, 120]
    return [(value, Fraction(1, number)) for value, number in zip(left, right, strict=True)]


@pytest.mark.parametrize("tableau", [*ALL, *map(embedded, TABLEAUS.values())], ids=lambda t: f"{t.name}{t.order}")
def test_each_method_has_its_order_and_no_more(tableau: ButcherTableau) -> None:
    orders = [1, 2, *[3] * 2, *[4] * 4, *[5] * 9]
    a, b = [list(row) for row in tableau.a], list(tableau.b)
    holds = [value == expected for value, expected in written_out(a, b)]
    assert all(ok for ok, order in zip(holds, orders) if order <= tableau.order)
    if tableau.order < 5:
        assert not all(ok for ok, order in zip(holds, orders) if order == tableau.order + 1)
        with pytest.raises(ValueError, match="order"):
            ButcherTableau("more", tableau.order + 1, tableau.a, tableau.b, None, False, "")


@settings(max_examples=60)
@given(st.sampled_from(ALL), st.data())
def test_a_coefficient_that_is_off_is_found(tableau: ButcherTableau, data: st.DataObject) -> None:
    """Whichever single weight is changed, and by whatever."""
    off = data.draw(st.fractions(max_denominator=1000).filter(bool))
    stage = data.draw(st.integers(0, tableau.stages - 1))
    b = tuple(w + off * (i == stage) for i, w in enumerate(tableau.b))
    with pytest.raises(ValueError, match=r"sum b_i is .*, 1 was expected for order 1 of"):
        replace(tableau, b=b)
    if tableau.error is not None:
        error = tuple(w + off * (i == stage) for i, w in enumerate(tableau.error))
        with pytest.raises(ValueError, match="the error weights must be"):
            replace(tableau, error=error)


def test_a_condition_that_fails_is_named() -> None:
    halves = ((), (HALF,))
    with pytest.raises(ValueError, match=r"tableau mine: sum b_i c_i is 1/4, 1/2 was expected for order 2 of 2"):
        ButcherTableau("mine", 2, halves, (HALF, HALF), None, False, "")
    with pytest.raises(ValueError, match=r"sum b_i \(sum a_ij c_j\) is 1/12, 1/6 was expected for order 3 of 4"):
        replace(RK4, a=(*RK4.a[:2], (HALF, Fraction(0)), RK4.a[3]))
    with pytest.raises(ValueError, match=r"sum \(b - error\)_i c_i is 0, 1/2 was expected for order 2 of 2"):
        replace(HEUN21, embedded_order=2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a": ((), ())}, "strictly lower triangular with 2 rows"),
        ({"b": ()}, "strictly lower triangular with 0 rows"),
        ({"b": (0.5, 0.5)}, "b holds 0.5; expected exact numbers"),
        ({"a": ((), (1.0,))}, r"a\[1\] holds 1.0; expected exact"),
        ({"order": 0}, "order is 0; expected a whole number of at least 1"),
        ({"order": 2.0}, "order is 2.0"),
        ({"order": 3}, "order 3 with 2 stages; an explicit method has at most one a stage"),
        ({"fsal": True}, r"first-same-as-last needs a\[-1\] == b\[:-1\]"),
        ({"error": (Fraction(0), Fraction(0))}, "must be 2 numbers, not all 0, that sum to 0"),
        ({"error": (HALF,)}, "must be 2 numbers"),
        ({"error": None}, "embedded_order is 1 but error is None"),
        ({"embedded_order": 0}, "embedded_order is 0; expected at least 1"),
    ],
)
def test_a_tableau_of_the_wrong_shape_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=f"tableau heun21: .*{words}"):
        replace(HEUN21, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("tableau", "theirs"), [(BOGACKI_SHAMPINE32, RK23), (DORMAND_PRINCE54, RK45)])
def test_coefficients_are_those_of_scipy(tableau: ButcherTableau, theirs: type[RK23] | type[RK45]) -> None:
    """scipy gives its pairs' error weights either sign."""
    stages = tableau.stages - 1
    a = np.array([[float(x) for x in row] + [0.0] * (stages - len(row)) for row in tableau.a[:-1]])
    np.testing.assert_allclose(a[:, : theirs.A.shape[1]], theirs.A, rtol=1e-15)
    np.testing.assert_allclose([float(x) for x in tableau.b[:-1]], theirs.B, rtol=1e-15)
    np.testing.assert_allclose([float(x) for x in tableau.c[:-1]], theirs.C, rtol=1e-15)
    error = np.array([float(x) for x in tableau.error or ()])
    np.testing.assert_allclose(error * np.sign(error @ theirs.E), theirs.E, rtol=1e-13)


def test_the_tables_hold_what_users_write() -> None:
    assert list(TABLEAUS) == ["heun21", "bs32", "rkf45", "dopri5"]
    assert list(FIXED_TABLEAUS) == ["euler", "heun", "rk4"]
    assert all(t.adaptive for t in TABLEAUS.values())
    assert not any(t.adaptive for t in FIXED_TABLEAUS.values())
    assert {t.name: t.error_order for t in TABLEAUS.values()} == {"heun21": 2, "bs32": 3, "rkf45": 5, "dopri5": 5}
    assert [t.fsal for t in TABLEAUS.values()] == [False, True, False, True]
    assert (EULER.stages, HEUN.stages, RK4.stages, FEHLBERG54.stages) == (1, 2, 4, 6)
    with pytest.raises(ValueError, match="rk4: it has no error estimate"):
        _ = RK4.error_order
