# SPDX-License-Identifier: BSD-2-Clause
"""Training on the smallest task that needs it: it learns, repeats, knows its unit of time, and refuses bad input."""

from dataclasses import replace

import numpy as np
import pytest

from liquid_accel import evaluate, training
from liquid_accel.data import Dataset, from_arrays
from liquid_accel.errors import UserError
from liquid_accel.sim import reference

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; training needs it")


def task(count: int = 60, seed: int = 0, **more: np.ndarray) -> Dataset:
    """Two classes: the first feature rises or falls over eight frames; the second is noise, the third constant."""
    draw = np.random.default_rng(seed)
    y = np.arange(count) % 2
    ramp = np.linspace(-1, 1, 8)[None, :] * (2 * y - 1)[:, None]
    x = np.stack([ramp, draw.normal(size=ramp.shape), np.full(ramp.shape, 7.0)], -1)
    return from_arrays({"x": x + draw.normal(size=x.shape) * [0.3, 0.3, 0.0], "y": y, **more})


SHORT = training.Recipe(epochs=60, crop=0.0, noise=0.2, offset=0.0, learning_rate=1e-2)


def test_it_learns_a_task_where_the_order_of_frames_matters() -> None:
    model = training.train_checkpoint(
        task(), hidden_size=12, recipe=SHORT, validation=task(40, 1), progress=False
    )
    assert evaluate.accuracy(model, task(100, 2)) >= 0.95
    assert model.training["validation_accuracy"] >= 0.9
    assert model.features.scale[2] == 1.0, "a constant feature is not divided by its deviation"


@pytest.mark.parametrize("form", ["input", "literal"])
def test_a_seed_repeats_and_another_differs(form: str) -> None:
    def weights(seed: int) -> dict[str, np.ndarray]:
        return training.train_checkpoint(task(), form=form, hidden_size=4, seed=seed, epochs=2, progress=False).tensors

    first, again, other = weights(3), weights(3), weights(4)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["proj.weight"], other["proj.weight"])
    assert ("ltc.input_weight" in first) == (form == "input")


def test_training_leaves_the_caller_s_torch_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    training.train_checkpoint(task(10), hidden_size=2, epochs=1, progress=False)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_unit_of_time_is_the_median_spacing_in_seconds() -> None:
    timed = training.train_checkpoint(task(dt=np.array(0.02)), hidden_size=4, epochs=2, progress=False)
    frames = training.train_checkpoint(task(), hidden_size=4, epochs=2, progress=False)
    assert timed.time_unit_s == pytest.approx(0.02)
    assert (frames.time_unit_s, timed.default_dt, frames.default_dt) == (None, 1.0, 1.0)
    np.testing.assert_allclose(timed.tensors["ltc.tau_bias"], frames.tensors["ltc.tau_bias"], atol=1e-5)


def test_time_constants_stay_above_the_floor() -> None:
    model = training.train_checkpoint(task(), hidden_size=12, recipe=SHORT, progress=False)
    stiff = training.train_checkpoint(task(), hidden_size=12, recipe=replace(SHORT, stiffness=0.0), progress=False)
    lowest = [np.percentile(reference.run(net, task(30, 3)).taus, 2) for net in (model, stiff)]
    assert lowest[0] > 0.8 * SHORT.tau_floor
    assert lowest[0] > lowest[1]


def test_a_crop_is_a_piece_of_its_sequence() -> None:
    torch.manual_seed(0)
    x = torch.arange(20.0).reshape(2, 10, 1)
    lengths, dt = torch.tensor([10, 4]), torch.arange(20.0).reshape(2, 10)
    recipe = training.Recipe(noise=0.0, offset=0.0, crop=0.5, tempo=0.0)
    for _ in range(50):
        cropped, kept, spacing = training.augment(x, lengths, dt, recipe)
        for row in range(2):
            n, first = int(kept[row]), int(cropped[row, 0, 0])
            assert lengths[row] / 2 <= n <= lengths[row]
            assert cropped[row, :n, 0].tolist() == list(range(first, first + n))
            assert 10 * row <= first
            assert first + n <= 10 * row + lengths[row]
            assert torch.equal(spacing[row, :n], cropped[row, :n, 0])


def test_a_split_takes_a_fifth_of_each_class() -> None:
    data = task(60)
    part, held = evaluate.split(data)
    assert part.labels is not None
    assert held.labels is not None
    assert np.bincount(held.labels).tolist() == [6, 6]
    assert np.bincount(part.labels).tolist() == [24, 24]
    rows = {tuple(x.ravel()) for x in part.x} | {tuple(x.ravel()) for x in held.x}
    assert len(rows) == 60


def test_a_split_needs_each_class_twice() -> None:
    with pytest.raises(UserError, match="y holds 3 once"):
        evaluate.train_selected(task(10, y=np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 3])), 2, epochs=1, progress=False)


def test_a_study_of_seeds_and_a_selection() -> None:
    study = evaluate.seed_study(task(), task(20, 1), 2, hidden_size=4, epochs=2, progress=False)
    assert study["seeds"] == [0, 1]
    assert study["accuracy_mean"] == pytest.approx(np.mean(study["accuracies"]))
    assert "seed 1:" in evaluate.study_table(study)
    model = evaluate.train_selected(task(), 2, hidden_size=4, epochs=2, progress=False)
    seed, accuracies = evaluate.select_seed(task(), 2, hidden_size=4, epochs=2, progress=False)
    assert (model.training["seed"], model.training["held_back_accuracies"]) == (seed, accuracies)
    assert accuracies[seed] == max(accuracies)


def test_the_bar_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    training.train_checkpoint(task(10), hidden_size=2, epochs=2, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "training" in err


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (task(10), {"cell": "magic"}, "cell 'magic' is unknown; available: ltc, ltc-synaptic, cfc"),
        (task(10), {"cell": "gru", "form": "literal"}, "form belongs to cell 'ltc', not 'gru'"),
        (task(10), {"cell": "gru", "tau_recurrent": True}, "tau recurrent belongs to cell 'ltc', not 'gru'"),
        (task(10), {"density": 0.5}, "density belongs to cell 'ltc-synaptic', not 'ltc'"),
        (task(10), {"cell": "ltc-synaptic", "density": 0.0}, "density is 0.0; expected above 0, at most 1"),
        (task(10), {"mode": "no_gate"}, "mode belongs to cell 'cfc', not 'ltc'"),
        (task(10), {"cell": "cfc", "mode": "pure"}, "mode is 'pure'; expected default or no_gate"),
        (task(10), {"mean": "first"}, "mean is 'first'; expected last or all"),
        (task(10), {"depth": 0}, "layers is 0; expected 1 to 16"),
        (task(10), {"projection": -1}, "projection is -1; expected 1 to 4096, or 0 for none"),
        (task(10), {"recipe": training.Recipe(skip_threshold=-1.0)}, "skip threshold is -1.0; expected a number of at"),
        (task(10), {"cell": "cfc", "recipe": training.Recipe(skip_threshold=0.1)}, "cell 'cfc' skips nothing"),
        (task(10), {"form": "odd"}, "form is 'odd'"),
        (task(10), {"hidden_size": 0}, "hidden size is 0"),
        (task(10), {"epochs": 0}, "epochs is 0"),
        (replace(task(10), y=None), {}, "y is missing"),
        (replace(task(10), y=np.zeros(10, np.float32)), {}, "y is float32"),
        (task(10, y=np.full(10, -1)), {}, "y holds -1"),
        (task(10, y=np.arange(10) * 10**9), {}, "y holds 9000000000; expected .* than the 10 sequences"),
        (task(10, y=np.full(10, 10)), {}, "y holds 10; expected"),
        (task(10), {"hidden_size": 100_000_000}, "hidden size is 100000000; expected 1 to 4096"),
        (task(10), {"seed": 1 << 70}, "seed is 1180591620717411303424; expected"),
    ],
)
def test_bad_requests_are_refused_by_name(data: Dataset, options: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        training.train_checkpoint(data, progress=False, **options)
