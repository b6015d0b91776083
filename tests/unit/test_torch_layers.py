# SPDX-License-Identifier: BSD-2-Clause
"""What the layers LTC, CTRNN and NeuralODE share: layouts, states in and out, time of each sequence; the neural ODE."""

import io
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")

from torch import nn  # noqa: E402  (needs torch)

import liquid_accel  # noqa: E402
from liquid_accel import CTRNN, LTC, NeuralODE, models  # noqa: E402
from liquid_accel.models.ode import GRADIENTS  # noqa: E402


def field(inputs: int = 3, hidden: int = 5) -> nn.Module:
    return nn.Sequential(nn.Linear(hidden + inputs, 7), nn.Tanh(), nn.Linear(7, hidden))


BUILDERS = {
    "ltc": lambda **options: LTC(3, 5, **options),
    "ctrnn": lambda **options: CTRNN(3, 5, **options),
    "node": lambda **options: NeuralODE(field(), **options),
    "adaptive node": lambda **options: NeuralODE(field(), method="bs32", rtol=1e-6, atol=1e-7, **options),
}


def layer(name: str, **options: Any) -> Any:
    torch.manual_seed(1)
    return BUILDERS[name](**options)


@pytest.mark.parametrize("name", BUILDERS)
def test_layouts_and_what_is_returned(name: str) -> None:
    x, dt, start = torch.randn(2, 4, 3), torch.rand(2, 4), torch.randn(2, 5)
    states, last = layer(name, return_state=True)(x, dt, start)
    assert torch.equal(states[:, -1], last)
    assert torch.equal(layer(name)(x, dt, start), states)
    assert torch.equal(layer(name, return_sequences=False)(x, dt, start), last)
    pair = layer(name, return_sequences=False, return_state=True)(x, dt, start)
    assert torch.equal(pair[0], last)
    assert torch.equal(pair[1], last)
    turned, end = layer(name, batch_first=False, return_state=True)(x.transpose(0, 1), dt.t(), start)
    torch.testing.assert_close(turned.transpose(0, 1), states)
    torch.testing.assert_close(end, last)
    torch.testing.assert_close(layer(name, batch_first=False)(x.transpose(0, 1), dt[0]), layer(name)(x, dt[0])
                               .transpose(0, 1))  # fmt: skip


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("name", ["ltc", "ctrnn", "node"])
def test_a_single_sequence_goes_without_a_batch(name: str, batch_first: bool) -> None:
    x, dt = torch.randn(4, 3), torch.rand(4)
    one, end = layer(name, batch_first=batch_first, return_state=True)(x, dt)
    states, last = layer(name, return_state=True)(x[None], dt[None])
    torch.testing.assert_close(one, states[0])
    torch.testing.assert_close(end, last[0])


@pytest.mark.parametrize("name", BUILDERS)
def test_a_sequence_may_be_run_in_pieces(name: str) -> None:
    own, x, dt = layer(name, return_state=True), torch.randn(2, 6, 3), torch.rand(2, 6)
    states, last = own(x, dt)
    _, middle = own(x[:, :2], dt[:, :2])
    rest, end = own(x[:, 2:], dt[:, 2:], middle)
    torch.testing.assert_close(rest, states[:, 2:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(end, last, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", BUILDERS)
def test_each_sequence_runs_in_its_own_time(name: str) -> None:
    own, x, dt = layer(name), torch.randn(5, 4, 3), torch.rand(5, 4) + 0.1
    together = own(x, dt)
    alone = torch.cat([own(x[i : i + 1], dt[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("layout", [{}, {"batch_first": False}, {"return_sequences": False}], ids=str)
def test_a_script_of_the_article_s_layer_has_the_same_layouts(layout: dict[str, Any]) -> None:
    own, x, dt = layer("ltc", **layout), torch.randn(2, 4, 3), torch.rand(2, 4)
    script = torch.jit.script(own)
    file = io.BytesIO()
    torch.jit.save(script, file)
    file.seek(0)
    for one in (script, torch.jit.load(file)):
        torch.testing.assert_close(one(x, dt), own(x, dt))
        torch.testing.assert_close(one(x, 0.3), own(x, 0.3))


def test_a_linear_field_is_solved_as_its_exponential() -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy, of the extra `test`, is the source of what is expected")
    rhs = nn.Linear(5, 3, bias=False).double()
    own = NeuralODE(rhs, method="dopri5", rtol=1e-8, atol=1e-10)
    assert own.hidden_size == 3
    x, dt = torch.randn(1, 2, 2).double(), torch.tensor([[0.5, 1.5]]).double()
    matrix, expected = rhs.weight.detach().numpy(), np.zeros(3)
    for frame, span, state in zip(x[0].numpy(), dt[0].numpy(), own(x, dt)[0]):
        # d[h, x]/dt with x held: the exponential of the block matrix.
        block = np.zeros((5, 5))
        block[:3] = matrix
        expected = (linalg.expm(block * span) @ np.concatenate((expected, frame)))[:3]
        np.testing.assert_allclose(state.detach().numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("gradient", GRADIENTS[1:])
def test_gradients_reach_inputs_times_states_and_weights(gradient: str) -> None:
    x, dt, start = torch.randn(2, 3, 3).double(), (torch.rand(2, 3) + 0.1).double(), torch.randn(2, 5).double()
    found = []
    for way in ("backprop", gradient):
        own = layer("node", gradient=way, steps=20).double()
        given = [value.clone().requires_grad_() for value in (x, dt, start)]
        own(*given).sin().sum().backward()
        found.append([value.grad for value in (*given, *own.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(b, a, atol=1e-7 if gradient == "adjoint" else 1e-12, rtol=0)


def test_no_time_moves_nothing() -> None:
    own, start = layer("adaptive node"), torch.randn(2, 5)
    states = own(torch.randn(2, 2, 3), torch.tensor([0.0, 0.0]), start)
    assert torch.equal(states[:, 1], start)
    with pytest.raises(ValueError, match="dt must be finite and at least 0"):
        own(torch.randn(2, 2, 3), -1.0)


@pytest.mark.parametrize("method", ["euler", "heun", "heun21", "bs32", "dopri5"])
@pytest.mark.parametrize("kind", [LTC, CTRNN])
def test_liquid_layers_take_every_tableau(kind: Any, method: str) -> None:
    """All of them solve one equation: so does rk4 with many steps."""
    torch.manual_seed(1)
    own = kind(3, 5, solver=method, rtol=1e-7, atol=1e-9).double()
    own.steps = {"euler": 3000, "heun": 200}.get(method, 1)
    exact = kind(3, 5, solver="rk4", steps=100).double()
    exact.load_state_dict(own.state_dict())
    x, dt = torch.randn(2, 2, 3).double(), torch.rand(2, 2).double()
    torch.testing.assert_close(own(x, dt), exact(x, dt), atol=1e-3 if method == "euler" else 1e-5, rtol=0)


@pytest.mark.parametrize("gradient", GRADIENTS[1:])
@pytest.mark.parametrize("kind", [LTC, CTRNN])
def test_liquid_layers_have_all_ways_back(kind: Any, gradient: str) -> None:
    x, dt = torch.randn(2, 3, 3).double(), (torch.rand(2, 3) + 0.1).double()
    found = []
    for way in ("backprop", gradient):
        torch.manual_seed(1)
        own = kind(3, 5, solver="dopri5", rtol=1e-9, atol=1e-11, gradient=way).double()
        given = [value.clone().requires_grad_() for value in (x, dt)]
        own(*given).sin().sum().backward()
        found.append([value.grad for value in (*given, *own.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(b, a, atol=1e-6 if gradient == "adjoint" else 1e-12, rtol=0)


def test_tableaus_do_not_go_with_everything() -> None:
    with pytest.raises(ValueError, match="time constants that the state moves go with a solver of fused"):
        LTC(2, 3, solver="bs32", tau_recurrent=True)(torch.randn(1, 2, 2))
    for kind in (LTC, CTRNN):
        own = kind(2, 3, solver="bs32")
        own.skip_threshold = 0.1
        with pytest.raises(ValueError, match="skipped columns go with a solver of fused"):
            own(torch.randn(1, 2, 2))
    with pytest.raises(torch.jit.Error, match="has the solvers fused, expeuler and rk4, not 'bs32'"):
        torch.jit.script(LTC(2, 3, solver="bs32"))(torch.randn(1, 2, 2))
    with pytest.raises(ValueError, match="gradient is 'odd'"):
        LTC(2, 3, solver="bs32", gradient="odd")(torch.randn(1, 2, 2))


CELLS = {
    **{name: BUILDERS[name] for name in ("ltc", "ctrnn", "node")}, "cfc": lambda: models.CfC(3, 5),
    "synaptic": lambda: models.SynapticLTC(3, 5), "stack": lambda: models.NeuralODE(3, 5),
    "gru": lambda: models.GatedRNN(3, 5, "gru"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of what stays constant: the number of frames, and times from 0 to 1
@pytest.mark.parametrize("name", CELLS)
def test_traces_take_other_batches_and_times(name: str) -> None:
    own = CELLS[name]()
    trace = torch.jit.trace(own, (torch.randn(1, 4, 3), torch.rand(1, 4)), check_trace=False)
    x, dt = torch.randn(3, 4, 3), torch.rand(3, 4)
    torch.testing.assert_close(trace(x, dt), own(x, dt))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="expected hidden_size"):
        NeuralODE(nn.Tanh())
    assert NeuralODE(nn.Tanh(), 4).hidden_size == 4
    with pytest.raises(ValueError, match="method is 'magic'"):
        NeuralODE(field(), method="magic")
    with pytest.raises(ValueError, match="solver must be one of fused, expeuler, rk4, euler, .*, not 'magic'"):
        CTRNN(2, 3, solver="magic")


def test_names_at_the_top() -> None:
    from liquid_accel.models import ode

    assert liquid_accel.odeint is ode.odeint
    assert liquid_accel.ncps.LTC is liquid_accel.ncps.torch.LTC
    assert liquid_accel.ncps.wirings.AutoNCP(9, 2).units == 9
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = liquid_accel.ncps.nothing
