# SPDX-License-Identifier: BSD-2-Clause
"""The liquid layer in torch: the article's equation, its two forms, irregular time, and the float reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.checkpoint import Features
from liquid_accel.data import Dataset
from liquid_accel.errors import UserError
from liquid_accel.sim import reference

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layer is written in it")

from liquid_accel.models import LTC, LiquidClassifier  # noqa: E402  (needs torch)

FORMS = ("input", "literal")
SOLVERS = ("fused", "expeuler", "rk4")


def layer(form: str = "input", solver: str = "fused", steps: int = 4, inputs: int = 3, hidden: int = 5) -> LTC:
    torch.manual_seed(1)
    return LTC(inputs, hidden, form=form, solver=solver, steps=steps)


def test_the_article_s_call_works() -> None:
    ltc = LTC(in_features=64, out_features=64, activation=torch.tanh, tau_activation=torch.nn.functional.softplus)
    assert ltc(torch.randn(2, 7, 64), dt=0.01).shape == (2, 7, 64)
    assert ltc(torch.randn(7, 64)).shape == (7, 64)


@pytest.mark.parametrize("form", ["input", "literal"])
def test_one_fused_step_is_the_equation_written_out(form: str) -> None:
    ltc = layer(form, steps=1)
    x, dt = np.array([0.3, -1.0, 2.0]), 0.7
    p = {name: value.detach().double().numpy() for name, value in ltc.named_parameters()}
    h = np.array([0.1, -0.2, 0.3, 0.0, 0.5])
    tau = np.log(1 + np.exp(p["tau_weight"] @ x + p["tau_bias"]))
    drive = p["input_weight"] @ x if form == "input" else 0.0
    f = np.tanh(p["recurrent_weight"] @ h + drive + p["bias"])
    # Semi-implicit: h' = h + (dt/tau) (f - h'), solved for h'.
    expected = (h + dt / tau * f) / (1 + dt / tau)
    state = torch.tensor(h, dtype=torch.float32)[None]
    got = ltc(torch.tensor(x, dtype=torch.float32)[None, None], dt, state)[0, 0]
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=1e-6)


def test_the_literal_form_has_no_input_term() -> None:
    ltc = layer("literal")
    assert ltc.input_weight is None
    assert "input_weight" not in ltc.state_dict()
    # Where tau does not depend on the input either, the input does nothing.
    with torch.no_grad():
        ltc.tau_weight.zero_()
    assert torch.equal(ltc(torch.zeros(1, 4, 3)), ltc(torch.randn(1, 4, 3)))


def test_time_constants_are_born_between_a_fraction_of_a_frame_and_a_few() -> None:
    tau = LTC(8, 500).tau(torch.zeros(8))
    assert 0.19 < tau.min()
    assert tau.max() < 4.1


@pytest.mark.parametrize("solver", SOLVERS)
def test_two_half_frames_with_one_input_are_one_frame_of_twice_the_steps(solver: str) -> None:
    """The input is held, so a frame may be cut anywhere: n steps in each half are 2n steps in the whole."""
    x = torch.randn(2, 6, 3)
    whole = layer(solver=solver, steps=4)(x, dt=0.8)
    halves = layer(solver=solver, steps=2)(x.repeat_interleave(2, 1), dt=0.4)
    torch.testing.assert_close(halves[:, 1::2], whole, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_dt_is_a_number_or_a_tensor_per_step_or_per_sequence_and_step(solver: str) -> None:
    ltc, x = layer(solver=solver), torch.randn(2, 3, 3)
    expected = ltc(x, dt=0.5)
    for dt in (torch.tensor(0.5), torch.full((3,), 0.5), torch.full((2, 3), 0.5)):
        assert torch.equal(ltc(x, dt), expected)
    with pytest.raises(ValueError, match=r"dt must be a number, \(3,\) or \(2, 3\)"):
        ltc(x, torch.ones(4))


@pytest.mark.parametrize("solver", SOLVERS)
def test_dt_of_zero_advances_nothing(solver: str) -> None:
    states = layer(solver=solver)(torch.randn(1, 3, 3), dt=torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(states[:, 1], states[:, 0])
    assert torch.equal(states[:, 2], states[:, 0])


def test_a_sequence_may_be_run_in_pieces() -> None:
    ltc, x = layer(), torch.randn(2, 6, 3)
    ltc.return_state = True
    states, last = ltc(x)
    _, middle = ltc(x[:, :3])
    rest, end = ltc(x[:, 3:], state=middle)
    torch.testing.assert_close(rest, states[:, 3:])
    torch.testing.assert_close(end, last)


@pytest.mark.parametrize("form", ["input", "literal"])
def test_gradients_agree_with_differences(form: str) -> None:
    ltc = layer(form, steps=2).double()
    x = torch.randn(1, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: ltc(value, 0.5), (x,))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"form": "odd"}, "form"), ({"solver": "magic"}, "solver"), ({"steps": 0}, "steps"), ({"in_features": 0}, "in_f")],
)
def test_wrong_arguments_are_named(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        LTC(**{"in_features": 2, "out_features": 2, **wrong})


@pytest.mark.parametrize("bad", [-0.5, float("nan"), float("inf")])
def test_dt_that_is_no_time_is_refused(bad: float) -> None:
    layer, x = LTC(2, 3), torch.randn(2, 4, 2)
    with pytest.raises(ValueError, match="dt must be finite and at least 0"):
        layer(x, bad)
    spacing = torch.ones(2, 4)
    spacing[1, 2] = bad
    with pytest.raises(ValueError, match="dt must be finite and at least 0"):
        layer(x, spacing)
    traced = torch.jit.trace(layer, (x, torch.ones(2, 4)))
    torch.testing.assert_close(traced(x, torch.full((2, 4), 0.5)), layer(x, 0.5))


def features(count: int) -> Features:
    return Features((0.25,) * count, (1.5,) * count, ((-4.0, 4.0),) * count)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(FORMS), st.sampled_from(SOLVERS), st.sampled_from([1, 2, 4, 8]), st.integers(0, 99))
def test_torch_and_the_float_reference_agree(form: str, solver: str, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    model = LiquidClassifier(3, 8, 4, form=form).eval()
    model.ltc.solver, model.ltc.steps = solver, steps
    x = draw.normal(size=(5, 6, 3)).astype(np.float32)
    # Within the stability of rk4 at one step: taus are at least 0.1 or so.
    dt, lengths = draw.uniform(0, 0.2, (5, 6)), np.array([6, 1, 3, 5, 6], np.int32)
    data = Dataset(x, lengths, dt, None, True)
    run = reference.run(model.to_checkpoint(features(3)), data, solver, steps=steps)
    normalised = torch.from_numpy(features(3).normalise(x).astype(np.float32))
    with torch.no_grad():
        logits = model(normalised, torch.from_numpy(lengths), torch.from_numpy(dt.astype(np.float32)))
        states = model.ltc(torch.tanh(model.proj(normalised)), torch.from_numpy(dt.astype(np.float32)))
    np.testing.assert_allclose(run.final, logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(run.states[data.mask], states.numpy()[data.mask], atol=1e-5)


def test_a_classifier_survives_its_checkpoint() -> None:
    torch.manual_seed(3)
    model = LiquidClassifier(3, 8, 4, form="literal").eval()
    back = LiquidClassifier.from_checkpoint(model.to_checkpoint(features(3)))
    x = torch.randn(2, 5, 3)
    assert torch.equal(model(x), back(x))
    checkpoint = model.to_checkpoint(features(3))
    other = replace(checkpoint, layers=(*checkpoint.layers[:2], checkpoint.layers[3]))
    with pytest.raises(UserError, match="layers are linear, ltc, linear"):
        LiquidClassifier.from_checkpoint(other)
