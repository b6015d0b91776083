# SPDX-License-Identifier: BSD-2-Clause
"""Gradients through `odeint` in three ways: against differences, torchdiffeq and each other, and what each keeps."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the solvers are written in it")

from torch import nn  # noqa: E402  (needs torch)

from liquid_accel.bench.memory import peak_saved  # noqa: E402
from liquid_accel.models.ode import GRADIENTS, odeint  # noqa: E402
from liquid_accel.models.ode.gradients import Kept  # noqa: E402

METHODS = ("rk4", "heun21", "bs32", "rkf45", "dopri5")


class Field(nn.Module):
    """dy/dt of 3 numbers that depends on time; one parameter is not used and one is frozen."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
        self.unused = nn.Parameter(torch.ones(2).double())
        self.net[0].bias.requires_grad_(False)

    def forward(self, t: Any, y: Any) -> Any:
        return self.net(torch.cat((y, t.expand(len(y), 1)), 1))


TIMES = torch.tensor([0.0, 0.4, 0.5, 1.5]).double()


def gradients(solve: Callable[[Any, Any], Any], field: Field) -> list[Any]:
    """Of y0 and of every parameter that has one, for a loss on all outputs, the first too."""
    y0 = torch.linspace(-1, 1, 6).reshape(2, 3).double().requires_grad_()
    weights = torch.linspace(1, 2, 24).reshape(4, 2, 3).double()
    wanted = [y0, *(p for p in field.parameters() if p.requires_grad)]
    return torch.autograd.grad((solve(field, y0) * weights).sum(), wanted, allow_unused=True)


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("method", METHODS)
def test_gradients_agree_with_those_of_torchdiffeq(method: str, gradient: str) -> None:
    other = pytest.importorskip("torchdiffeq", reason="torchdiffeq, of the extra `bench`, is what is compared with")
    field = Field()
    tolerance = {"heun21": 1e-6, "bs32": 1e-8}.get(method, 1e-9)
    found = gradients(
        lambda f, y: odeint(f, y, TIMES, tolerance, tolerance, method, steps=40, gradient=gradient), field
    )
    expected = gradients(lambda f, y: other.odeint(f, y, TIMES, rtol=1e-11, atol=1e-11), field)
    for got, wanted in zip(found, expected, strict=True):
        wanted = torch.zeros_like(field.unused) if wanted is None else wanted
        got = torch.zeros_like(field.unused) if got is None else got
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_gradients_agree_with_differences(gradient: str) -> None:
    field, y0 = Field(), torch.randn(1, 3).double().requires_grad_()
    weights = [p for p in field.net.parameters() if p.requires_grad]

    def outputs(y: Any, *changed: Any) -> Any:
        return odeint(field, y, TIMES, 1e-10, 1e-10, "dopri5", gradient=gradient)

    assert torch.autograd.gradcheck(outputs, (y0, *weights))


@pytest.mark.parametrize("method", ["euler", "bs32"])
def test_checkpoints_give_the_gradients_of_backpropagation_to_rounding(method: str) -> None:
    """Also where the solver is far from the solution: these are gradients of the steps themselves."""
    field = Field()
    for steps in (1, 2, 3, 7, 30):
        both = [
            gradients(lambda f, y, n=steps, w=way: odeint(f, y, TIMES, 1e-2, 1e-2, method, steps=n, gradient=w), field)
            for way in ("backprop", "checkpoint")
        ]
        for a, b in zip(*both, strict=True):
            if a is not None:
                torch.testing.assert_close(b, a, atol=1e-12, rtol=1e-12)


def test_outputs_do_not_depend_on_the_way_back() -> None:
    field, y0 = Field(), torch.randn(2, 3).double()
    a, b, c = (odeint(field, y0, TIMES, 1e-5, 1e-5, "bs32", gradient=gradient) for gradient in GRADIENTS)
    assert torch.equal(a, b)
    assert torch.equal(a, c)


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint"])
def test_a_second_derivative_is_refused(gradient: str) -> None:
    field, y0 = Field(), torch.randn(1, 3).double().requires_grad_()
    y = odeint(field, y0, TIMES, method="rk4", gradient=gradient)
    with pytest.raises(RuntimeError, match="no second derivative of this solver"):
        torch.autograd.grad(y.sum(), y0, create_graph=True)


@pytest.mark.parametrize("gradient", ["checkpoint", "adjoint"])
def test_parameters_of_a_function_are_handed_in(gradient: str) -> None:
    rate = torch.tensor(0.7).double().requires_grad_()
    y = odeint(
        lambda t, y: -rate * y, torch.ones(1).double(), torch.tensor([0.0, 1.0]), method="rk4", steps=20,
        gradient=gradient, parameters=[rate],
    )  # fmt: skip
    y[-1].sum().backward()
    assert float(rate.grad) == pytest.approx(-float(torch.exp(-rate.detach())), abs=1e-6)


def test_states_are_kept_as_the_square_root_of_the_steps() -> None:
    for count in (1, 2, 3, 4, 5, 17, 100, 1000, 5000):
        kept = Kept()
        for index in range(count):
            kept((float(index), 1.0, None), torch.tensor(index))
        starts = [int(state) for state in kept.states]
        assert starts == list(range(0, count, kept.spacing))
        assert len(starts) <= 2 * kept.spacing
        assert kept.spacing <= max(1, 2 * count**0.5)
        assert [step for number in range(len(starts)) for step in kept.segment(number)] == kept.steps


def test_memory_grows_with_the_steps_with_their_root_or_not_at_all() -> None:
    """Peak bytes that autograd holds, forward and backward, of 64 and 16 times as many steps."""
    peaks = {gradient: [peak_saved(gradient, steps) for steps in (64, 1024)] for gradient in GRADIENTS}
    growth = {gradient: many / few for gradient, (few, many) in peaks.items()}
    assert growth["backprop"] == pytest.approx(16, rel=0.1)
    assert 2 < growth["checkpoint"] < 6  # 4 = sqrt(16)
    assert growth["adjoint"] == pytest.approx(1, rel=0.01)
    assert peaks["checkpoint"][1] < peaks["backprop"][1] / 4
