# SPDX-License-Identifier: BSD-2-Clause
"""The float reference against scipy and against sums written out: orders, time, means, and life without torch."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from liquid_accel import checkpoint
from liquid_accel.checkpoint import Checkpoint, Features, Linear, Ltc, Mean, Task
from liquid_accel.data import Dataset, from_arrays
from liquid_accel.errors import UserError
from liquid_accel.shipped import shipped
from liquid_accel.sim import reference

HIDDEN = 6


def model(form: str = "input", seed: int = 0, inputs: int = 3, classes: int = 2) -> Checkpoint:
    """A small network with time constants of about half a frame to a few."""
    draw = np.random.default_rng(seed)
    tensors = {
        "proj.weight": draw.normal(size=(HIDDEN, inputs)), "proj.bias": draw.normal(size=HIDDEN) / 4,
        "ltc.recurrent_weight": draw.normal(size=(HIDDEN, HIDDEN)) / 2, "ltc.bias": draw.normal(size=HIDDEN) / 4,
        "ltc.tau_weight": draw.normal(size=(HIDDEN, HIDDEN)) / 6, "ltc.tau_bias": draw.uniform(0.3, 2.0, HIDDEN),
        "classifier.weight": draw.normal(size=(classes, HIDDEN)), "classifier.bias": draw.normal(size=classes),
    }  # fmt: skip
    if form == "input":
        tensors["ltc.input_weight"] = draw.normal(size=(HIDDEN, HIDDEN)) / 2
    layers = (Linear("proj", "tanh"), Ltc("ltc", form), Mean(), Linear("classifier"))
    features = Features((0.5,) * inputs, (2.0,) * inputs, ((-8.0, 8.0),) * inputs)
    narrow = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    return Checkpoint(layers, narrow, features, Task("classification", classes))


def sequences(batch: int = 3, frames: int = 4, seed: int = 0, **more: np.ndarray) -> Dataset:
    return from_arrays({"x": np.random.default_rng(seed).normal(size=(batch, frames, 3)) * 2, **more})


def by_hand(net: Checkpoint, data: Dataset, row: int) -> tuple[np.ndarray, np.ndarray]:
    """States and logits of one sequence from the article's equation and scipy, frame by frame, with plain sums."""
    p = {name: tensor.astype(np.float64) for name, tensor in net.tensors.items()}
    h, states, logits = np.zeros(HIDDEN), [], []
    for frame in range(data.lengths[row]):
        x = (data.x[row, frame].astype(np.float64) - 0.5) / 2.0
        x = np.tanh(p["proj.weight"] @ x + p["proj.bias"])
        tau = np.log(1 + np.exp(p["ltc.tau_weight"] @ x + p["ltc.tau_bias"]))
        drive = p["ltc.bias"] + (p["ltc.input_weight"] @ x if "ltc.input_weight" in p else 0.0)

        def slope(_: float, h: np.ndarray, tau: np.ndarray = tau, drive: np.ndarray = drive) -> np.ndarray:
            return (np.tanh(p["ltc.recurrent_weight"] @ h + drive) - h) / tau

        if data.dt[row, frame] > 0:
            h = solve_ivp(slope, (0, data.dt[row, frame]), h, "LSODA", rtol=1e-11, atol=1e-12).y[:, -1]
        states.append(h)
        logits.append(p["classifier.weight"] @ np.mean(states, 0) + p["classifier.bias"])
    return np.array(states), np.array(logits)


@pytest.mark.parametrize("form", ["input", "literal"])
def test_exact_is_the_article_s_equation(form: str) -> None:
    net, data = model(form), sequences(dt=np.array([1.0, 0.3, 0.0, 2.0]), lengths=np.array([4, 2, 3]))
    run = reference.run(net, data, "exact")
    for row in range(3):
        states, logits = by_hand(net, data, row)
        np.testing.assert_allclose(run.states[row, : len(states)], states, atol=1e-7)
        np.testing.assert_allclose(run.outputs[row, : len(logits)], logits, atol=1e-6)
        assert not run.outputs[row, len(states) :].any()


def test_the_adaptive_error_follows_the_tolerance() -> None:
    net, data = model(), sequences(8, 10, dt=np.random.default_rng(1).uniform(0.1, 2, (8, 10)))
    exact = reference.run(net, data, "exact").states
    previous, evals = np.inf, 0.0
    for tolerance in (3e-2, 1e-3, 1e-5):
        run = reference.run(net, data, reference.SolverSettings("bs32", rtol=tolerance, atol=tolerance))
        error = float(np.sqrt(np.mean((run.states - exact) ** 2)))
        assert error < min(previous, 3 * tolerance)
        assert run.rhs_evals_per_frame > evals
        # One evaluation opens a frame, three more follow for each attempt.
        np.testing.assert_array_equal(run.rhs_evals, 1 + 3 * (run.accepted + run.rejected))
        previous, evals = error, run.rhs_evals_per_frame


def test_each_sequence_has_its_own_steps() -> None:
    net, data = model(), sequences(6, 5, dt=np.random.default_rng(2).uniform(0, 3, (6, 5)))
    settings_ = reference.SolverSettings("bs32", rtol=1e-3, atol=1e-4)
    together = reference.run(net, data, settings_)
    for row in range(6):
        alone = reference.run(net, data.subset(slice(row, row + 1)), settings_)
        np.testing.assert_allclose(alone.states[0], together.states[row], atol=1e-12)
        np.testing.assert_array_equal(alone.accepted[0], together.accepted[row])


def test_a_tiny_frame_does_not_lower_the_carried_step() -> None:
    net = model()
    x = np.repeat(np.random.default_rng(3).normal(size=(1, 1, 3)), 6, 1)
    run = reference.run(net, from_arrays({"x": x, "dt": np.array([4, 4, 4, 1e-6, 1e-6, 4.0])}), "bs32")
    assert run.accepted[0, 5] <= run.accepted[0, 2]
    assert run.accepted[0, 3:5].tolist() == [1, 1]


SETTINGS = [*((name, 4) for name in ("fused", "expeuler", "rk4")), ("bs32", 1), ("exact", 1)]


@pytest.mark.parametrize(("solver", "steps"), SETTINGS)
def test_dt_of_zero_advances_nothing_but_counts_in_the_mean(solver: str, steps: int) -> None:
    run = reference.run(model(), sequences(dt=np.array([1.0, 0.0, 1.0, 0.0])), solver, steps=steps)
    np.testing.assert_array_equal(run.states[:, 1], run.states[:, 0])
    np.testing.assert_array_equal(run.states[:, 3], run.states[:, 2])
    assert not run.rhs_evals[:, [1, 3]].any()
    means = np.cumsum(run.states, 1) / np.arange(1, 5)[None, :, None]
    tensors = {name: tensor.astype(np.float64) for name, tensor in model().tensors.items()}
    np.testing.assert_allclose(run.outputs, means @ tensors["classifier.weight"].T + tensors["classifier.bias"])


@pytest.mark.parametrize("solver", ["exact", "bs32"])
def test_a_frame_may_be_cut_anywhere_where_the_input_is_held(solver: str) -> None:
    """dt = a then b under one input is dt = a + b: to the solution's accuracy, whatever the cut."""
    x = np.random.default_rng(4).normal(size=(2, 3, 3))
    settings_ = reference.SolverSettings(solver, rtol=1e-8, atol=1e-9)
    whole = reference.run(model(), from_arrays({"x": x}), settings_)
    cut_ = np.tile([0.3, 0.7], 3)
    parts = reference.run(model(), from_arrays({"x": np.repeat(x, 2, 1), "dt": cut_}), settings_)
    np.testing.assert_allclose(parts.states[:, 1::2], whole.states, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["fused", "expeuler", "rk4"]), st.integers(1, 4), st.floats(1e-3, 1.0))
def test_two_half_frames_are_one_frame_of_twice_the_steps(solver: str, steps: int, dt: float) -> None:
    x = np.random.default_rng(5).normal(size=(2, 3, 3))
    whole = reference.run(model(), from_arrays({"x": x, "dt": np.array(dt)}), solver, steps=2 * steps)
    halves = from_arrays({"x": np.repeat(x, 2, 1), "dt": np.array(dt / 2)})
    parts = reference.run(model(), halves, solver, steps=steps)
    np.testing.assert_allclose(parts.states[:, 1::2], whole.states, atol=1e-9)


def test_the_literal_form_ignores_an_input_term() -> None:
    data = sequences()
    net = model("literal")
    weights: dict[str, np.ndarray] = {**net.tensors, "ltc.input_weight": np.full((HIDDEN, HIDDEN), 9.0)}
    with_term = reference.run(net, data, weights=weights)
    np.testing.assert_array_equal(with_term.outputs, reference.run(net, data).outputs)
    assert np.abs(reference.run(model("input"), data).states - with_term.states).max() > 0.1


def test_other_weights_may_stand_in() -> None:
    net, data = model(), sequences()
    doubled = {name: np.round(tensor * 16) / 16 for name, tensor in net.tensors.items()}
    rounded = Checkpoint(net.layers, {k: v.astype(np.float32) for k, v in doubled.items()}, net.features, net.task)
    np.testing.assert_array_equal(
        reference.run(net, data, weights=doubled).outputs, reference.run(rounded, data).outputs
    )
    with pytest.raises(UserError, match=r"'ltc\.bias' is missing"):
        reference.run(net, data, weights={k: v for k, v in doubled.items() if k != "ltc.bias"})


def test_seconds_become_the_model_s_unit() -> None:
    net, x = model(), np.random.default_rng(6).normal(size=(2, 3, 3))
    timed = Checkpoint(net.layers, net.tensors, net.features, net.task, time_unit_s=0.01)
    in_seconds = reference.run(timed, from_arrays({"x": x, "dt": np.array(0.005)}))
    in_frames = reference.run(net, from_arrays({"x": x, "dt": np.array(0.5)}))
    np.testing.assert_allclose(in_seconds.states, in_frames.states, atol=1e-14)
    # dt that the data does not hold is in the model's unit already.
    np.testing.assert_array_equal(
        reference.run(timed, from_arrays({"x": x}, 0.5)).states, reference.run(net, from_arrays({"x": x}, 0.5)).states
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: reference.run(model(inputs=4), sequences()), "x has 3 features; expected 4"),
        (lambda: reference.run(model(), sequences(), "magic"), "solver is 'magic'"),
        (lambda: reference.run(model(), sequences(), "fused", steps=0), "steps is 0"),
        (lambda: reference.SolverSettings("bs32", rtol=-1.0), "rtol and atol are -1.0"),
        (lambda: reference.SolverSettings("bs32", atol=0.0), "atol"),
    ],
)
def test_wrong_calls_are_refused_by_name(call: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        call()


def test_the_shipped_checkpoint_runs_without_torch() -> None:
    """The demo's float row: torch cannot be imported at all, and the accuracy is that of the trained network."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from liquid_accel import checkpoint, data\n"
        "from liquid_accel.shipped import shipped\n"
        "from liquid_accel.sim import reference\n"
        "model = checkpoint.load(shipped('checkpoints', 'japanese_vowels.safetensors'))\n"
        "test = data.load(shipped('data', 'japanese_vowels_test.npz'), model.default_dt)\n"
        "print(reference.run(model, test, 'fused', steps=4).accuracy(test.labels))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) >= 0.97


def test_the_shipped_time_constants_are_of_the_order_of_a_frame() -> None:
    net = checkpoint.load(shipped("checkpoints", "japanese_vowels.safetensors"))
    data = from_arrays({"x": np.random.default_rng(0).normal(size=(4, 5, 12)) * net.features.scale + net.features.mean})
    taus = reference.run(net, data).taus
    assert 0.01 < taus.min()
    assert taus.max() < 20
