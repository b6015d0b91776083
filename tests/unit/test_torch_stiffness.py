# SPDX-License-Identifier: BSD-2-Clause
"""Stiffness: which steps a method can take, how stiff a network is, and training that keeps it within reach."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from liquid_accel import checkpoint, stiffness, training
from liquid_accel.checkpoint import Checkpoint, Ctrnn, Features, Gru, Linear, Mean, Task
from liquid_accel.cli import main
from liquid_accel.data import Dataset, from_arrays
from liquid_accel.errors import UserError
from liquid_accel.sim import reference
from liquid_accel.stability import EXPLICIT, explicit, polynomial, real_limit, stable_steps

EULER, RK4 = EXPLICIT["euler"], EXPLICIT["rk4"]


@pytest.mark.parametrize("name", EXPLICIT)
def test_the_polynomial_is_the_exponential_up_to_the_order(name: str) -> None:
    found, order = polynomial(EXPLICIT[name]), EXPLICIT[name].order
    expected = 1 / np.cumprod([1.0, *range(1, order + 1)])
    np.testing.assert_allclose(found[: order + 1], expected, rtol=1e-12)


def test_limits_on_the_real_axis_are_those_of_the_books() -> None:
    for name, limit in (("euler", 2.0), ("heun", 2.0), ("rk4", 2.785), ("bs32", 2.513), ("dopri5", 3.307)):
        assert real_limit(EXPLICIT[name]) == pytest.approx(limit, abs=2e-3)
    with pytest.raises(UserError, match="solver is 'fused', which is not explicit; expected one of euler"):
        explicit("fused")


def test_stable_steps_by_hand() -> None:
    def steps(tableau: Any, *rates: complex) -> int | None:
        return stable_steps(tableau, np.array(rates, complex))

    assert steps(EULER, -10) == 5
    assert steps(EULER, -10.01) == 6
    assert steps(RK4, -27) == 10  # 27 / 2.785 = 9.7
    assert steps(EULER, -0.1 + 1j) == 6  # |lambda|^2 / (2 |Re lambda|) = 5.05
    assert steps(EULER, 3.0, -1.0) == 1  # what grows by itself no step makes decay
    assert steps(EULER, -1e6) is None


def net(weight: Any, taus: Any, cell: str = "ctrnn") -> Checkpoint:
    """A CT-RNN of these recurrent weights and time constants, without inputs or biases: h stays 0, where f' = 1."""
    units = len(taus)
    tensors = {
        "c.recurrent_weight": np.asarray(weight, np.float32), "c.input_weight": np.zeros((units, 1), np.float32),
        "c.bias": np.zeros(units, np.float32),
        "c.tau_bias": np.log(np.expm1(np.asarray(taus, np.float64))).astype(np.float32),
        "r.weight": np.ones((2, units), np.float32), "r.bias": np.zeros(2, np.float32),
    }  # fmt: skip
    features = Features((0.0,), (1.0,), ((-1.0, 1.0),))
    return Checkpoint((Ctrnn("c"), Mean(), Linear("r")), tensors, features, Task("classification", 2), None, 1.0, {})


def frames(dt: float = 1.0) -> Dataset:
    return from_arrays({"x": np.zeros((3, 4, 1)), "dt": np.full((3, 4), dt), "y": np.arange(3) % 2})


def test_the_fastest_mode_is_that_of_the_jacobian() -> None:
    weight, taus = np.array([[0.5, -1.0], [1.5, -0.25]]), np.array([0.1, 2.0])
    found = stiffness.measure(net(weight, taus), frames(0.5))
    assert found is not None
    rates = 0.5 * np.linalg.eigvals((weight - np.eye(2)) / taus[:, None])
    assert found["stiffness"] == pytest.approx(np.abs(rates).max(), rel=1e-5)
    assert found["tau_frames"] == pytest.approx([0.2, 2.1, 4.0], rel=1e-5)
    assert found["stable_steps"] == {name: stable_steps(EXPLICIT[name], rates) for name in ("euler", "heun", "rk4")}


@pytest.mark.parametrize("name", ["euler", "rk4"])
def test_stable_steps_are_where_the_reference_stops_growing(name: str) -> None:
    """A linear equation that is disturbed: with the steps told it dies away, with one fewer it grows."""
    stiff = net(np.zeros((1, 1)), [0.05])
    stiff.tensors["c.input_weight"][:] = 1e-3
    found = stiffness.measure(stiff, frames())
    assert found is not None
    least = found["stable_steps"][name]
    assert least == {"euler": 10, "rk4": 8}[name]
    x = np.zeros((1, 60, 1))
    x[0, 0] = 1.0
    pulse = from_arrays({"x": x})
    with np.errstate(all="ignore"):
        ends = [np.abs(reference.run(stiff, pulse, name, steps=n).states[0, -1]).max() for n in (least, least - 1)]
    assert ends[0] < 1e-3
    assert not ends[1] < 1.0


def test_a_network_that_is_no_equation_has_no_stiffness() -> None:
    draw = np.random.default_rng(0)
    shapes = {"weight_ih": (6, 1), "weight_hh": (6, 2), "bias_ih": (6,), "bias_hh": (6,)}
    tensors = {f"g.{name}": draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    base = net(np.zeros((2, 2)), [1.0, 1.0])
    tensors |= {name: value for name, value in base.tensors.items() if name.startswith("r.")}
    gru = replace(base, layers=(Gru("g"), Mean(), Linear("r")), tensors=tensors)
    assert stiffness.measure(gru, frames()) is None
    assert stiffness.measure(base, frames(0.0)) is None


torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; training needs it")


def task(count: int = 60, seed: int = 0) -> Dataset:
    """Two classes: a feature rises or falls over eight frames."""
    draw = np.random.default_rng(seed)
    y = np.arange(count) % 2
    ramp = np.linspace(-1, 1, 8)[None, :] * (2 * y - 1)[:, None]
    return from_arrays({"x": ramp[..., None] + draw.normal(size=(count, 8, 1)) * 0.3, "y": y})


# No floor, so that nothing but what is tested holds the time constants.
FREE = training.Recipe(epochs=60, crop=0.0, noise=0.2, offset=0.0, learning_rate=3e-2, stiffness=0.0)


@pytest.mark.parametrize("cell", ["ltc", "ctrnn"])
def test_training_for_a_solver_makes_its_steps_stable(cell: str) -> None:
    def measured(recipe: training.Recipe) -> dict[str, Any]:
        model = training.train_checkpoint(task(), cell=cell, hidden_size=12, recipe=recipe, progress=False)
        found = stiffness.measure(model, task(20, 1))
        assert found is not None
        return found

    free = measured(FREE)
    bound = measured(replace(FREE, for_solver="heun21", for_steps=1, step_penalty=10.0))
    assert free["stable_steps"]["heun"] > 1
    assert bound["stiffness"] < free["stiffness"]
    assert bound["stable_steps"]["heun"] == 1


@pytest.mark.parametrize("cell", ["ltc", "ctrnn", "node"])
def test_the_penalty_alone_brings_a_stiff_cell_within_the_limit(cell: str) -> None:
    from liquid_accel.fitting import too_stiff
    from liquid_accel.models import CellClassifier

    torch.manual_seed(0)
    model = CellClassifier(1, 6, 2, cell=cell)
    with torch.no_grad():
        for p in model.cells()[0].parameters():
            p.mul_(6.0)
    model.keep_time_constants(True)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.1)
    x = torch.from_numpy(task().x).float()
    for _ in range(150):
        model(x)
        optimiser.zero_grad()
        penalty = too_stiff(model, 1.0, 2 * real_limit(EULER))
        penalty.backward()
        optimiser.step()
    assert float(penalty.detach()) < 1e-3
    features = Features((0.0,), (1.0,), ((-4.0, 4.0),))
    found = stiffness.measure(model.to_checkpoint(features), task())
    assert found is not None
    assert found["stiffness"] < 2 * 2 * 1.05


def test_the_bound_is_one_of_the_jacobian() -> None:
    from liquid_accel.models import CTRNN, LTC, NeuralODE

    torch.manual_seed(0)
    for cell in (LTC(3, 6), CTRNN(3, 6), NeuralODE(3, 6)):
        cell.keeps_time_constants = True
        with torch.no_grad():
            for p in cell.parameters():
                p.add_(0.3 * torch.randn_like(p))
        x = torch.randn(1, 1, 3)
        cell(x)
        bound = float(cell.fastest().detach().max())

        def slope(h: Any, cell: Any = cell, x: Any = x) -> Any:
            if isinstance(cell, NeuralODE):
                return cell.slope(h, torch.nn.functional.linear(x[0], cell.input_weight)[0])
            drive = torch.nn.functional.linear(x[0, 0], cell.input_weight, cell.bias)
            tau = cell.time_constants.reshape(-1)
            return (torch.tanh(cell.recurrent_weight @ h + drive) - h) / tau

        for h in torch.randn(5, 6):
            rates = torch.linalg.eigvals(torch.autograd.functional.jacobian(slope, h))
            assert float(rates.abs().max()) <= bound * (1 + 1e-5)


def test_time_constants_stay_below_the_ceiling() -> None:
    def largest(ceiling: float) -> float:
        recipe = replace(FREE, stiffness=1.0, tau_ceiling=ceiling)
        model = training.train_checkpoint(task(), hidden_size=12, recipe=recipe, progress=False)
        return float(np.percentile(reference.run(model, task(20, 1)).taus, 98))

    assert largest(1.0) < 1.2
    assert largest(0.0) > 1.5


def test_a_record_tells_what_was_at_work_and_nothing_else() -> None:
    plain = training.Recipe().record()
    assert not plain.keys() & {"tau_ceiling", "for_solver", "for_steps", "step_penalty", "skip_threshold"}
    bound = training.Recipe(for_solver="rk4", tau_ceiling=4.0).record()
    assert bound == plain | {"for_solver": "rk4", "for_steps": 1, "step_penalty": 1.0, "tau_ceiling": 4.0}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--for-solver", "rk4"], "--for-solver is 'rk4'; expected SOLVER:STEPS"),
        (["--for-solver", "fused:1"], "solver is 'fused', which is not explicit"),
        (["--for-solver", "rk4:0"], "steps a frame are 0"),
        (["--for-solver", "rk4:1", "--cell", "gru"], "cell 'gru' has none; expected a cell of ltc, ctrnn, node"),
        (["--tau-ceiling", "0.3"], "tau ceiling is 0.3; expected more than the floor, 0.5"),
        (["--tau-ceiling", "3", "--cell", "lstm"], "cell 'lstm' has no time constants"),
    ],
)
def test_what_does_not_fit_is_said(
    more: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = task(12)
    np.savez(tmp_path / "d.npz", x=given.x, y=given.y)
    assert main(["train", str(tmp_path / "d.npz"), "-o", str(tmp_path / "m.safetensors"), *more]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "m.safetensors").exists()


@pytest.mark.parametrize("cell", ["ltc", "node", "gru"])
def test_the_command_tells_the_stiffness(cell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, out = task(12), tmp_path / "m.safetensors"
    np.savez(tmp_path / "d.npz", x=given.x, y=given.y)
    asked = ["train", str(tmp_path / "d.npz"), "-o", str(out), "--cell", cell, "--epochs", "1", "--hidden", "4"]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = stiffness.measure(checkpoint.load(out), given) or {}
    for name in ("stiffness", "stable_steps", "tau_frames"):
        assert found[name] == pytest.approx(expected.get(name))
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert ("explicit solvers are stable" in printed) == (cell != "gru")
    assert ("time constants in frames" in printed) == (cell == "ltc")
