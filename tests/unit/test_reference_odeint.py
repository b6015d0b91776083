# SPDX-License-Identifier: BSD-2-Clause
"""The twin of torchdiffeq against the package itself: the same steps, accepted and rejected, and the same states."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel import checkpoint, data
from liquid_accel.checkpoint import Ltc
from liquid_accel.errors import UserError
from liquid_accel.shipped import shipped
from liquid_accel.sim import reference
from liquid_accel.sim.reference_odeint import METHODS, next_size, odeint

torch = pytest.importorskip("torch", reason="torchdiffeq runs on torch, of the extra train")
torchdiffeq = pytest.importorskip("torchdiffeq", reason="of the extra test")
Function = Callable[[float, np.ndarray], np.ndarray]


@dataclass
class Recorded(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A NumPy right-hand side as torchdiffeq takes it; it counts, and hears of each step."""

    function: Function
    evals: int = 0
    sizes: list[float] = field(default_factory=list)
    accepted: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, t: object, y: object) -> object:
        self.evals += 1
        return torch.from_numpy(self.function(float(t), y.numpy()))

    def callback_step(self, t0: object, y0: object, dt: object) -> None:
        self.sizes.append(float(dt))

    def callback_accept_step(self, t0: object, y0: object, dt: object) -> None:
        self.accepted += 1

    __hash__ = object.__hash__


def theirs(function: Function, y0: np.ndarray, times: list[float], rtol: float, atol: float, method: str):
    model = Recorded(function)
    states = torchdiffeq.odeint(
        model, torch.from_numpy(y0), torch.tensor(times, dtype=torch.float64), rtol=rtol, atol=atol, method=method
    )
    return model, states.numpy()


def check(function: Function, y0: np.ndarray, times: list[float], rtol: float, atol: float, method: str) -> None:
    """Every decision is the same, and every size but for rounding: an error estimate is a difference of near equals."""
    model, states = theirs(function, y0, times, rtol, atol, method)
    ours = odeint(function, y0, times, rtol, atol, method)
    assert ours.rhs_evals == model.evals
    assert (ours.accepted, ours.accepted + ours.rejected) == (model.accepted, len(model.sizes))
    np.testing.assert_allclose(ours.sizes, model.sizes, rtol=1e-5)
    np.testing.assert_allclose(ours.states, states, rtol=1e-5, atol=1e-2 * atol)


def pendulum(t: float, y: np.ndarray) -> np.ndarray:
    return np.array([y[1], -np.sin(y[0])])


def forced(t: float, y: np.ndarray) -> np.ndarray:
    return -50.0 * (y - np.cos(t))


def oscillator(t: float, y: np.ndarray) -> np.ndarray:
    """Van der Pol's, with sudden changes that make steps be rejected."""
    return np.array([y[1], 20.0 * (1.0 - y[0] ** 2) * y[1] - y[0]])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("function", [pendulum, forced], ids=lambda f: f.__name__)
def test_the_steps_are_those_of_torchdiffeq(method: str, tolerance: float, function: Function) -> None:
    check(function, np.array([2.0, 0.5]), [0.0, 1.5, 2.0, 10.0], tolerance, tolerance, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-5, 1e-7])
def test_where_stability_limits_the_step_rounding_grows_but_not_beyond_a_twentieth(
    method: str, tolerance: float
) -> None:
    """On van der Pol's slow branch sizes swing about the stability limit, which drives rounding apart in 200 steps."""
    call = (oscillator, np.array([2.0, 0.5]), [0.0, 1.5, 2.0, 10.0], tolerance, tolerance, method)
    (model, states), ours = theirs(*call), odeint(*call)
    same = min(100, len(model.sizes) // 2)
    np.testing.assert_allclose(ours.sizes[:same], model.sizes[:same], rtol=1e-6)
    assert ours.rhs_evals == pytest.approx(model.evals, rel=0.05)
    np.testing.assert_allclose(ours.states, states, atol=100 * tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-6])
def test_they_are_so_on_the_liquid_layer_too(method: str, tolerance: float) -> None:
    """Frames of the shipped network, each solved anew from where the last one ended, as its users do."""
    net = checkpoint.load(shipped("checkpoints", "japanese_vowels.safetensors"))
    test = data.load(shipped("data", "japanese_vowels_test.npz"), net.default_dt).subset(slice(0, 2))
    tensors = {name: tensor.astype(np.float64) for name, tensor in net.tensors.items()}
    layer = next(layer for layer in net.layers if isinstance(layer, Ltc))
    x = np.tanh(net.features.normalise(test.x) @ tensors["proj.weight"].T + tensors["proj.bias"])
    equation = reference.ltc_field(layer, x, tensors)
    for row in range(2):
        h = np.zeros(layer_size := equation.drive.shape[2])
        assert layer_size == 64
        for frame in range(4):

            def slope(_: float, h: np.ndarray, row: int = row, frame: int = frame) -> np.ndarray:
                return equation.slope(h[None], frame, np.array([row]))[0]

            check(slope, h, [0.0, 1.0], tolerance, tolerance, method)
            h = odeint(slope, h, [0.0, 1.0], tolerance, tolerance, method).states[-1]


@pytest.mark.parametrize("method", METHODS)
def test_a_start_at_rest_takes_the_smallest_first_step(method: str) -> None:
    check(lambda t, y: np.ones_like(y) * t, np.zeros(3), [0.0, 1.0], 1e-4, 1e-4, method)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(METHODS)), st.floats(0.1, 5.0), st.floats(-2, 2), st.floats(1e-6, 1e-2), st.integers(0, 99)
)  # fmt: skip
def test_random_linear_systems_too(method: str, rate: float, start: float, tolerance: float, seed: int) -> None:
    matrix = np.random.default_rng(seed).normal(size=(4, 4)) - rate * np.eye(4)
    check(lambda t, y: matrix @ y, np.full(4, start), [0.0, 0.7, 3.0], tolerance, tolerance, method)


@settings(max_examples=100)
@given(st.floats(1e-6, 1e3), st.floats(0, 1e6), st.integers(2, 6))
def test_the_next_size_is_theirs(size: float, error: float, order: int) -> None:
    from torchdiffeq._impl.misc import _optimal_step_size

    values = [torch.tensor(value, dtype=torch.float64) for value in (size, error, 0.9, 10.0, 0.2)]
    assert next_size(size, error, order) == pytest.approx(float(_optimal_step_size(*values, order)), rel=1e-12)


def test_wrong_calls_and_ends_are_named() -> None:
    one = np.ones(1)
    with pytest.raises(UserError, match="method is 'euler'; expected bosh3 or dopri5"):
        odeint(lambda t, y: y, one, [0.0, 1.0], 1e-3, 1e-3, "euler")
    with pytest.raises(UserError, match="times are not ascending"):
        odeint(lambda t, y: y, one, [0.0, 0.0], 1e-3, 1e-3, "bosh3")
    # y = 1 / (1 - t) ends at t = 1.
    with pytest.raises(ArithmeticError, match="bosh3 stopped at t = 1"), np.errstate(all="ignore"):
        odeint(lambda t, y: y * y, one, [0.0, 2.0], 1e-6, 1e-6, "bosh3")
