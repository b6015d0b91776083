# SPDX-License-Identifier: BSD-2-Clause
"""Our LTC and CfC beside those of the package ncps: with one seed the same weights, outputs, states and gradients."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")
theirs = pytest.importorskip("ncps.torch", reason="ncps, of the optional extra `bench`, is what is compared with")

import ncps.wirings as their_wirings  # noqa: E402  (after the check that ncps is there)

from liquid_accel.ncps import torch as ours  # noqa: E402
from liquid_accel.ncps import wirings  # noqa: E402

INPUTS, BATCH, FRAMES = 3, 5, 6
WIRINGS: dict[str, Callable[[Any], Any]] = {
    "units": lambda w: 8,
    "full": lambda w: w.FullyConnected(8, 3, self_connections=False),
    "random": lambda w: w.Random(9, 4, sparsity_level=0.5),
    "ncp": lambda w: w.NCP(6, 5, 2, 3, 2, 4, 3),
    "auto": lambda w: w.AutoNCP(14, 4),
}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    *(("LTC", wiring, {}) for wiring in WIRINGS),
    ("LTC", "units", {"mixed_memory": True}),
    ("LTC", "auto", {"mixed_memory": True, "batch_first": False, "return_sequences": False}),
    ("LTC", "auto", {"batch_first": False, "implicit_param_constraints": False}),
    ("LTC", "random", {"return_sequences": False, "input_mapping": "linear", "output_mapping": None}),
    ("LTC", "units", {"ode_unfolds": 2, "epsilon": 1e-2, "input_mapping": None, "output_mapping": "linear"}),
    *(("CfC", wiring, {"mode": mode}) for wiring in ("units", "auto") for mode in ("default", "pure", "no_gate")),
    *(("CfC", wiring, {"mode": mode, "mixed_memory": True, "batch_first": False, "proj_size": 3})
      for wiring in ("units", "ncp") for mode in ("default", "pure", "no_gate")),
    *(("CfC", wiring, {"return_sequences": False}) for wiring in ("full", "random")),
    ("CfC", "units", {"backbone_layers": 0, "return_sequences": False, "proj_size": 2}),
    *(("CfC", "units", {"activation": name, "backbone_units": 7, "backbone_layers": 3})
      for name in ("relu", "tanh", "silu", "gelu")),
]  # fmt: skip


def pair(name: str, wiring: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """The layer of ncps and ours, each after the same seed, moved off their places at birth alike."""
    built = []
    for package, drawn in ((theirs, their_wirings), (ours, wirings)):
        torch.manual_seed(5)
        built.append(getattr(package, name)(INPUTS, WIRINGS[wiring](drawn), **options))
    theirs_, ours_ = built
    before = ours_.state_dict()
    assert list(before) == list(theirs_.state_dict())
    for key, value in theirs_.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} is drawn otherwise"
    with torch.no_grad():
        for parameter in theirs_.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    ours_.load_state_dict(theirs_.state_dict())
    return theirs_, ours_


def outcome(layer: Any, x: Any, hx: Any, timespans: Any) -> dict[str, Any]:
    """Outputs, states, and the gradients of everything that has one."""
    x = x.clone().requires_grad_()
    states = tuple(state.clone().requires_grad_() for state in hx)
    layer.zero_grad()
    y, after = layer(x, states if layer.use_mixed else states[0], timespans)
    after = after if layer.use_mixed else (after,)
    (y.sin().sum() + sum((state**2).sum() for state in after)).backward()
    found = {"y": y, "x": x.grad} | {f"state {i}": state for i, state in enumerate(after)}
    found |= {f"start {i}": state.grad for i, state in enumerate(states)}
    return found | {key: p.grad for key, p in layer.named_parameters() if p.requires_grad}


def assert_alike(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if value is None:
            assert found[key] is None, key
            continue
        # 1e-5 where numbers are of the size of one; sums over all sequences and frames have the rounding of their size.
        bound = 1e-5 * max(1.0, float(value.detach().abs().max()))
        torch.testing.assert_close(found[key], value, atol=bound, rtol=0, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("timed", [False, True], ids=["regular", "irregular"])
@pytest.mark.parametrize(("name", "wiring", "options"), CASES, ids=lambda value: str(value))
def test_same_seed_same_weights_outputs_and_gradients(
    name: str, wiring: str, options: dict[str, Any], timed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = pair(name, wiring, options)
    shape = (BATCH, FRAMES) if options.get("batch_first", True) else (FRAMES, BATCH)
    x = torch.randn(*shape, INPUTS)
    hx = [torch.randn(BATCH, a.state_size) * 0.3 for _ in range(2 if a.use_mixed else 1)]
    # ncps takes one time for all sequences of a batch.
    spans = torch.rand(FRAMES) + 0.2 if timed else None
    if spans is not None:
        spans = spans[None] if options.get("batch_first", True) else spans[:, None]
    expected = outcome(a, x, hx, spans)
    assert_alike(outcome(b, x, hx, spans), expected)
    if name == "LTC":  # the same without the compiled synapses
        monkeypatch.setenv("LIQUID_SYNAPSES", "torch")
        assert_alike(outcome(b, x, hx, spans), expected)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("name", ["LTC", "CfC"])
def test_a_single_sequence_goes_without_a_batch(
    name: str, mixed: bool, return_sequences: bool, batch_first: bool
) -> None:
    options = {"mixed_memory": mixed, "return_sequences": return_sequences, "batch_first": batch_first}
    a, b = pair(name, "auto", options)
    x, spans = torch.randn(FRAMES, INPUTS), torch.rand(FRAMES) + 0.2
    state = (torch.randn(14), torch.randn(14)) if mixed else torch.randn(14)
    for hx, times in ((None, None), (state, spans)):
        (y, after), (expected, expected_after) = b(x, hx, times), a(x, hx, times)
        torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)
        assert y.shape == expected.shape
        for got, wanted in zip(after if mixed else (after,), expected_after if mixed else (expected_after,)):
            torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
            assert got.shape == wanted.shape


@pytest.mark.parametrize(
    "elapsed",
    [1.0, 0.3, torch.tensor(0.7), torch.rand(4, 1), torch.rand(4, 14)],
    ids=["1", "0.3", "scalar", "each sequence", "each unit"],
)
def test_cells_take_one_frame(elapsed: Any) -> None:
    x, h = torch.randn(4, INPUTS), torch.randn(4, 14)
    for name, options in (("LTCCell", {}), ("CfCCell", {}), ("CfCCell", {"mode": "pure"}), ("WiredCfCCell", {})):
        built = []
        for package, drawn in ((theirs, their_wirings), (ours, wirings)):
            torch.manual_seed(5)
            wiring = drawn.AutoNCP(14, 4)
            given = {"LTCCell": (wiring, INPUTS), "CfCCell": (INPUTS, 14), "WiredCfCCell": (INPUTS, wiring)}[name]
            built.append(getattr(package, name)(*given, **options))
        if name == "WiredCfCCell" and torch.is_tensor(elapsed) and elapsed.shape == (4, 14):
            continue  # a time a neuron: its layers are of other widths
        for got, wanted in zip(built[1](x, h, elapsed), built[0](x, h, elapsed), strict=True):
            torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_weights_are_clipped_as_ncps_clips_them() -> None:
    a, b = pair("LTC", "units", {"implicit_param_constraints": False})
    with torch.no_grad():
        for layer in (a, b):
            for key in ("w", "sensory_w", "cm", "gleak", "vleak", "mu"):
                layer.rnn_cell.get_parameter(key).sub_(0.5)
            layer.rnn_cell.apply_weight_constraints()
    for key, value in a.state_dict().items():
        assert torch.equal(b.state_dict()[key], value), key
    kept = {key: value.clone() for key, value in b.state_dict().items()}
    b.rnn_cell.implicit = True
    b.rnn_cell.apply_weight_constraints()
    assert all(torch.equal(value, kept[key]) for key, value in b.state_dict().items())


@pytest.mark.parametrize(("name", "wiring"), [("LTC", "auto"), ("CfC", "auto"), ("CfC", "units")])
def test_sizes_are_told_by_the_same_names(name: str, wiring: str) -> None:
    a, b = pair(name, wiring, {})
    layers = [(a, b)] if name == "CfC" else [(a, b), (a.rnn_cell, b.rnn_cell)]
    if name == "CfC" and wiring == "auto":
        layers.append((a.rnn_cell, b.rnn_cell))
    for x, y in layers:
        for key in ("state_size", "output_size", "motor_size", "sensory_size", "synapse_count", "layer_sizes"):
            if hasattr(x, key):
                assert getattr(y, key) == getattr(x, key), key


def test_a_wiring_of_ncps_itself_is_taken() -> None:
    torch.manual_seed(5)
    mixed = ours.LTC(INPUTS, their_wirings.AutoNCP(14, 4))
    torch.manual_seed(5)
    own = ours.LTC(INPUTS, wirings.AutoNCP(14, 4))
    x = torch.randn(2, 4, INPUTS)
    assert torch.equal(mixed(x)[0], own(x)[0])


# A user's program, as the documentation of ncps has it: a wired network fitted to a sine, and saved.
PROGRAM = """
import numpy as np
import torch
from ncps.wirings import AutoNCP, NCP
from ncps.torch import LTC, CfC

torch.manual_seed(3)
N = 12
data_x = np.stack([np.sin(np.linspace(0, 3 * np.pi, N)), np.cos(np.linspace(0, 3 * np.pi, N))], axis=1)
data_x = torch.from_numpy(np.expand_dims(data_x, axis=0).astype(np.float32))
data_y = torch.from_numpy(np.sin(np.linspace(0, 6 * np.pi, N)).reshape([1, N, 1]).astype(np.float32))

wiring = AutoNCP(16, 1)
ltc_model = LTC(2, wiring, batch_first=True)
cfc_model = CfC(2, NCP(5, 4, 1, 3, 2, 4, 3), mixed_memory=True)
losses = []
for model in (ltc_model, cfc_model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(4):
        y_hat, _ = model(data_x)
        loss = torch.nn.MSELoss()(y_hat.view_as(data_y), data_y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
weights = {**ltc_model.state_dict(), **{f"cfc.{key}": value for key, value in cfc_model.state_dict().items()}}
"""


def test_a_program_changes_its_imports_and_no_other_line() -> None:
    theirs_, ours_ = {}, {}
    exec(PROGRAM, theirs_)
    exec(PROGRAM.replace("from ncps.", "from liquid_accel.ncps."), ours_)
    assert ours_["losses"] == pytest.approx(theirs_["losses"], abs=1e-5)
    assert list(ours_["weights"]) == list(theirs_["weights"])
    for key, value in theirs_["weights"].items():
        torch.testing.assert_close(ours_["weights"][key], value, atol=1e-4, rtol=1e-4)
    assert type(ours_["ltc_model"]) is ours.LTC
