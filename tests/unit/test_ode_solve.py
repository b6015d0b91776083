# SPDX-License-Identifier: BSD-2-Clause
"""`odeint` against closed forms, scipy and torchdiffeq: orders, tolerances, directions, and what it refuses."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the solvers are written in it")

from liquid_accel.models.ode import odeint  # noqa: E402  (needs torch)
from liquid_accel.models.ode.method import ALIASES, METHODS  # noqa: E402
from liquid_accel.rtl.tableaus import FIXED_TABLEAUS, TABLEAUS, ButcherTableau  # noqa: E402

ADAPTIVE = tuple(TABLEAUS)


def riccati(t: Any, y: Any) -> Any:
    """y' = -2 t y^2, y(0) = 1: y = 1 / (1 + t^2)."""
    return -2 * t * y**2


ONE = torch.ones(1, dtype=torch.double)


@pytest.mark.parametrize("name", [*FIXED_TABLEAUS, *TABLEAUS])
def test_the_observed_order_is_that_of_the_tableau(name: str) -> None:
    tableau = FIXED_TABLEAUS.get(name) or TABLEAUS[name]
    # As a method of fixed steps: the error estimate left out.
    fixed = ButcherTableau(name, tableau.order, tableau.a, tableau.b, None, tableau.fsal, tableau.source)
    errors = []
    for steps in (40, 80):
        y = odeint(lambda t, y: torch.cos(t) * y, ONE, torch.tensor([0.0, 4.0]), method=fixed, steps=steps)[-1]
        errors.append(abs(float(y) - math.exp(math.sin(4.0))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(tableau.order, abs=0.2)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_smaller_tolerance_is_a_smaller_error(name: str) -> None:
    t = torch.tensor([0.0, 0.3, 2.0, 5.0])
    exact = 1 / (1 + t.double() ** 2)
    errors = [
        float((odeint(riccati, ONE, t, tol, tol, name)[:, 0] - exact).abs().max()) for tol in (1e-3, 1e-5, 1e-7)
    ]
    assert errors[0] < 1e-2
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 5


@pytest.mark.parametrize("name", ADAPTIVE)
def test_time_may_run_backwards(name: str) -> None:
    y = odeint(riccati, ONE / 5, torch.tensor([2.0, 1.0, 0.0]), 1e-7, 1e-9, name)
    torch.testing.assert_close(y[:, 0], torch.tensor([0.2, 0.5, 1.0]).double(), atol=1e-5, rtol=0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9999), st.sampled_from(ADAPTIVE))
def test_linear_systems_are_their_exponential(seed: int, name: str) -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy, of the extra `test`, is the source of what is expected")
    draw = np.random.default_rng(seed)
    matrix, y0 = draw.normal(size=(3, 3)), draw.normal(size=3)
    tensor = torch.from_numpy(matrix)
    y = odeint(lambda t, y: tensor @ y, torch.from_numpy(y0), torch.tensor([0.0, 0.4, 1.1]), 1e-6, 1e-8, name)
    for got, time in zip(y, (0.0, 0.4, 1.1)):
        expected = linalg.expm(matrix * time) @ y0
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-4 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(("ours", "theirs"), [("euler", "euler"), ("rk4", "rk4"), ("bosh3", "bosh3"),
                                              ("dopri5", "dopri5"), ("adaptive_heun", "adaptive_heun")])  # fmt: skip
def test_the_call_of_torchdiffeq_gives_what_it_gives(ours: str, theirs: str) -> None:
    other = pytest.importorskip("torchdiffeq", reason="torchdiffeq, of the extra `bench`, is what is compared with")
    adaptive = ours not in FIXED_TABLEAUS
    # Between the ends of its steps it interpolates, and ours end at every time.
    t, y0 = torch.linspace(0, 2, 2 if adaptive else 21).double(), torch.rand(3, 2).double()
    # Its rk4 is the 3/8 rule: both are within the error of their step.
    bound = 1e-4 if adaptive else 1e-12 if ours == "euler" else 1e-5
    expected = other.odeint(riccati, y0, t, rtol=1e-6, atol=1e-8, method=theirs)
    torch.testing.assert_close(odeint(riccati, y0, t, rtol=1e-6, atol=1e-8, method=ours), expected, atol=bound, rtol=0)


def test_aliases_are_the_methods_that_they_name() -> None:
    t = torch.tensor([0.0, 1.0])
    for alias, name in ALIASES.items():
        assert torch.equal(odeint(riccati, ONE, t, method=alias), odeint(riccati, ONE, t, method=name))
    assert set(METHODS) == {*FIXED_TABLEAUS, *TABLEAUS, *ALIASES}


def test_a_tableau_of_one_s_own() -> None:
    half = Fraction(1, 2)
    midpoint = ButcherTableau("midpoint", 2, ((), (half,)), (Fraction(0), Fraction(1)), None, False, "Runge")
    y = odeint(lambda t, y: t, ONE * 0, torch.tensor([0.0, 1.0]), method=midpoint)
    assert float(y[-1]) == 0.5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"method": "magic"}, "method is 'magic'; expected one of euler"), ({"gradient": "odd"}, "gradient is 'odd'"),
        ({"steps": 0}, "steps and max_steps"), ({"rtol": -1.0}, "rtol and atol"), ({"rtol": 0.0, "atol": 0.0}, "rtol"),
        ({"t": torch.tensor([0.0])}, "at least two times"), ({"t": torch.tensor([0.0, 1.0, 0.5])}, "rise or fall"),
        ({"t": torch.tensor([0.0, float("nan")])}, "rise or fall"),
        ({"t": torch.tensor([0.0, 1.0], requires_grad=True)}, "times have none"),
        ({"gradient": "adjoint"}, "needs the parameters of rhs"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        odeint(**{"rhs": riccati, "y0": ONE, "t": torch.tensor([0.0, 1.0]), **wrong})


def test_what_has_no_solution_is_said() -> None:
    t = torch.tensor([0.0, 2.0])
    with pytest.raises(RuntimeError, match="the tolerance cannot be met"):
        odeint(lambda t, y: y**2, ONE, t)  # y = 1 / (1 - t)
    with pytest.raises(RuntimeError, match="more than 3 steps between t = 0 and 2"):
        odeint(riccati, ONE, t, 1e-9, 1e-9, max_steps=3)
    with pytest.raises(RuntimeError, match="the tolerance cannot be met"):
        odeint(lambda t, y: y * float("nan"), ONE, t)
