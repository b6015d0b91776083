# SPDX-License-Identifier: BSD-2-Clause
"""Every cell in torch against the float reference through a checkpoint: forms, stacks, time, skipping; and seeds."""

from typing import Any

import numpy as np
import pytest

from liquid_accel import checkpoint, evaluate, training
from liquid_accel.architecture import CELLS
from liquid_accel.checkpoint import Checkpoint, Features
from liquid_accel.data import Dataset, from_arrays
from liquid_accel.sim import reference

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the cells are written in it")

from liquid_accel.models import CellClassifier, GatedRNN, SynapticLTC  # noqa: E402  (needs torch)
from liquid_accel.models.cell import Cell  # noqa: E402

CASES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"cell": "ltc", "tau_recurrent": True},
    {"cell": "ltc", "form": "literal", "tau_recurrent": True, "projection": 0},
    {"cell": "ltc", "depth": 2, "mean": "all", "projection": 4},
    {"cell": "gru", "depth": 3},
    {"cell": "ltc-synaptic", "density": 0.4},
    {"cell": "ltc-synaptic", "depth": 2, "mean": "all"},
    {"cell": "cfc", "mode": "no_gate", "backbone_activation": "relu", "backbone_layers": 2},
    {"cell": "cfc", "backbone_layers": 0},
    {"cell": "node", "activations": ("relu", "softplus", "sigmoid", None), "units": 9},
]


def network(**options: Any) -> CellClassifier:
    """A network whose every weight is off its place at birth, where many are zeros or ones."""
    torch.manual_seed(1)
    model = CellClassifier(3, 6, 4, dropout=0.3, **options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def data(dt: np.ndarray | None = None) -> Dataset:
    draw = np.random.default_rng(0)
    spacing = draw.uniform(0, 2, (4, 5)) if dt is None else dt
    return from_arrays({"x": draw.normal(size=(4, 5, 3)) * 1.5, "dt": spacing, "lengths": np.array([5, 3, 1, 4])})


def stored(model: CellClassifier, unit: float | None = None) -> Checkpoint:
    return model.to_checkpoint(Features((0.25,) * 3, (1.5,) * 3, ((-4.0, 4.0),) * 3), time_unit_s=unit)


def torch_logits(model: CellClassifier, net: Checkpoint, given: Dataset) -> np.ndarray:
    x = torch.from_numpy(net.features.normalise(given.x).astype(np.float32))
    with torch.no_grad():
        logits = model(x, torch.from_numpy(given.lengths), torch.from_numpy(given.dt.astype(np.float32)))
    return logits.numpy()


@pytest.mark.parametrize("options", CASES, ids=str)
def test_torch_and_the_float_reference_agree(options: dict[str, Any], tmp_path: Any) -> None:
    model = network(**options)
    model.set_steps(2)
    net, given = stored(model), data()
    checkpoint.save(net, tmp_path / "m.safetensors")
    back = checkpoint.load(tmp_path / "m.safetensors")
    assert back.layers == net.layers
    run = reference.run(back, given, reference.default_solver(back), steps=2)
    np.testing.assert_allclose(run.final, torch_logits(model, net, given), atol=1e-5)


@pytest.mark.parametrize("cell", ["ltc", "ltc-synaptic", "ctrnn", "node"])
def test_dt_of_zero_advances_no_equation(cell: str) -> None:
    model = network(cell=cell)
    first = model.cells()[0]
    states = first(torch.randn(2, 3, 6), torch.tensor([1.0, 0.0, 0.0]))
    assert torch.equal(states[:, 1], states[:, 0])
    assert torch.equal(states[:, 2], states[:, 0])
    with pytest.raises(ValueError, match="dt must be finite and at least 0"):
        first(torch.randn(2, 3, 6), -1.0)


@pytest.mark.parametrize("options", CASES, ids=str)
def test_a_gradient_reaches_every_parameter(options: dict[str, Any]) -> None:
    model = network(**options).train()
    model(torch.randn(5, 4, 3)).square().sum().backward()
    lost = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not lost


@pytest.mark.parametrize("options", [{"cell": "ltc"}, {"cell": "ltc", "tau_recurrent": True}, {"cell": "ctrnn"},
                                     {"cell": "gru"}, {"cell": "lstm"}], ids=str)  # fmt: skip
def test_skipping_acts_in_training_alone_and_vanishes_with_its_threshold(options: dict[str, Any]) -> None:
    plain, x = network(**options), torch.randn(2, 6, 3)
    outcomes = {}
    for threshold in (1e-12, 0.3):
        model = network(**options, skip_threshold=threshold)
        torch.testing.assert_close(model(x), plain(x))
        model.dropout.p = 0.0
        outcomes[threshold] = model.train()(x)
    torch.testing.assert_close(outcomes[1e-12], plain(x), atol=1e-6, rtol=1e-5)
    assert (outcomes[0.3] - plain(x)).abs().max() > 1e-4


def test_a_skipped_column_holds_what_it_last_sent() -> None:
    cell = Cell()
    cell.skip_threshold = 0.5
    seen = cell.skipper(1, torch.zeros(1, 1))
    path = torch.tensor([0.4, 0.6, 1.0, 1.2, 0.65, 0.0], requires_grad=True)
    sent = torch.cat([seen(h.reshape(1, 1)).reshape(1) for h in path])
    # 0.4 is within 0.5 of 0; 0.6 is not, and holds until 1.2; 0.65 lies on the near side of 0.5 beyond 1.2.
    torch.testing.assert_close(sent.detach(), torch.tensor([0.0, 0.6, 0.6, 1.2, 0.65, 0.0]))
    sent.sum().backward()
    assert torch.equal(path.grad, torch.ones(6)), "gradients pass as if nothing were skipped"


def test_a_sparse_wiring_keeps_a_synapse_into_each_neuron() -> None:
    torch.manual_seed(0)
    cell = SynapticLTC(20, 30, density=0.1)
    masks = {name: value for name, value in cell.tensors().items() if name.endswith("mask")}
    assert 0.05 < masks["mask"].mean() < 0.15
    assert bool((masks["sensory_mask"].sum(0) >= 1).all())
    with pytest.raises(ValueError, match="density must be above 0 and at most 1, not 0"):
        SynapticLTC(2, 2, density=0.0)


def test_a_gru_knows_no_time() -> None:
    cell, x = GatedRNN(3, 4, "gru"), torch.randn(1, 5, 3)
    assert torch.equal(cell(x, 0.1), cell(x, 7.0))


def labelled() -> Dataset:
    draw = np.random.default_rng(0)
    return from_arrays({"x": draw.normal(size=(12, 6, 2)), "y": np.arange(12) % 2})


SHAPES: list[dict[str, Any]] = [
    *({"cell": cell} for cell in CELLS),
    {"tau_recurrent": True, "depth": 2, "mean": "all"},
    {"cell": "ltc-synaptic", "density": 0.5},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_seed_repeats_for_every_cell(shape: dict[str, Any]) -> None:
    def train() -> Checkpoint:
        return training.train_checkpoint(labelled(), hidden_size=4, seed=3, epochs=2, progress=False, **shape)

    first, again = train(), train()
    assert all(np.array_equal(first.tensors[name], again.tensors[name]) for name in first.tensors)
    assert [first.training[name] for name in shape if shape[name] != "ltc"] == [v for v in shape.values() if v != "ltc"]
    assert 0 <= evaluate.accuracy(first, labelled()) <= 1


def test_training_with_skipping_goes_on_record_and_moves_the_weights() -> None:
    def train(threshold: float) -> Checkpoint:
        recipe = training.Recipe(skip_threshold=threshold)
        return training.train_checkpoint(labelled(), hidden_size=4, epochs=2, progress=False, recipe=recipe)

    off, on = train(0.0), train(0.25)
    assert "skip_threshold" not in off.training
    assert on.training["skip_threshold"] == 0.25
    assert not np.array_equal(off.tensors["ltc.recurrent_weight"], on.tensors["ltc.recurrent_weight"])
