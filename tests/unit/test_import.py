# SPDX-License-Identifier: BSD-2-Clause
"""Models of ncps and torch as checkpoints, against the models themselves, and down to the golden model."""

from collections.abc import Callable
from typing import Any

import ncps.torch
import ncps.wirings
import numpy as np
import pytest
import torch
from torch import nn

import liquid_accel
from liquid_accel.data import Dataset
from liquid_accel.driver import Device
from liquid_accel.errors import UserError
from liquid_accel.importer import import_model
from liquid_accel.rtl.config import preset
from liquid_accel.sim import reference
from liquid_accel.sim.golden import GoldenTransport

INPUTS, B, T = 5, 4, 9


def data(dt: bool = False, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(B, T, INPUTS)).astype(np.float32)
    spans = rng.uniform(0.2, 2.0, (B, T)) if dt else np.ones((B, T))
    return Dataset(x, np.full(B, T), spans, None, dt, "data")


def lively(model: nn.Module) -> nn.Module:
    """Weights that are not what a new model has: mappings of inputs and outputs, biases."""
    torch.manual_seed(3)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.rsplit(".", 1)[-1] in ("input_w", "output_w", "input_b", "output_b"):
                value += 0.3 * torch.randn_like(value)
    return model


class Tail(nn.Module):
    """A recurrent layer and a read-out, as people write it."""

    def __init__(self, rnn: nn.Module, width: int) -> None:
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(width, 3)

    def forward(self, x: Any) -> Any:
        return self.out(self.rnn(x)[0])


def auto(units: int = 12, outputs: int = 4) -> Any:
    return ncps.wirings.AutoNCP(units, outputs, seed=5)


TIMED: dict[str, Callable[[], nn.Module]] = {
    "ncps LTC": lambda: ncps.torch.LTC(INPUTS, 7),
    "ncps LTC, AutoNCP": lambda: ncps.torch.LTC(INPUTS, auto(), batch_first=True),
    "ncps LTC, random wiring": lambda: ncps.torch.LTC(INPUTS, ncps.wirings.Random(9, 3, 0.5), ode_unfolds=3),
    "ncps LTC, softplus": lambda: ncps.torch.LTC(INPUTS, 6, implicit_param_constraints=True, output_mapping="linear"),
    "ncps CfC": lambda: ncps.torch.CfC(INPUTS, 8, backbone_units=6),
    "ncps CfC, projection": lambda: ncps.torch.CfC(
        INPUTS, 8, proj_size=2, backbone_layers=2, backbone_units=6, mode="no_gate"
    ),
    "ncps CfC, AutoNCP": lambda: ncps.torch.CfC(INPUTS, auto()),
    "our LTC": lambda: liquid_accel.ncps.LTC(INPUTS, liquid_accel.ncps.wirings.AutoNCP(10, 3, seed=2)),
    "our CfC": lambda: liquid_accel.ncps.CfC(INPUTS, 6, backbone_units=5),
}  # fmt: skip
OTHERS: dict[str, Callable[[], nn.Module]] = {
    "GRU": lambda: nn.GRU(INPUTS, 7), "LSTM": lambda: nn.LSTM(INPUTS, 6, batch_first=True),
    "RNN": lambda: nn.RNN(INPUTS, 6), "GRU, two layers": lambda: nn.GRU(INPUTS, 5, 2, bias=False),
    "read out": lambda: Tail(nn.GRU(INPUTS, 6, batch_first=True), 6),
    "sequence": lambda: nn.Sequential(nn.Linear(INPUTS, 4), nn.Tanh(), nn.Dropout(0.3), nn.GRU(4, 6)),
    "last frame": lambda: ncps.torch.CfC(INPUTS, 6, backbone_units=5, return_sequences=False),
}  # fmt: skip


def forward(model: nn.Module, frames: Dataset) -> np.ndarray[Any, Any]:
    """The model's own outputs (B, T, out), frames first where that is its layout."""
    first = next((m.batch_first for m in model.modules() if hasattr(m, "batch_first")), True)
    x, dt = torch.from_numpy(frames.x), torch.from_numpy(frames.dt.astype(np.float32))
    with torch.no_grad():
        outputs = []
        for b in range(B):  # one by one: ncps takes one time for all
            own = x[b : b + 1] if first else x[b : b + 1].transpose(0, 1)
            spans = dt[b : b + 1] if first else dt[b : b + 1].T
            given = model(own, timespans=spans) if frames.dt_given else model(own)
            given = given[0] if isinstance(given, tuple) else given
            outputs.append(given[0] if first or given.ndim == 2 else given[:, 0])
    return torch.stack(outputs).numpy()


@pytest.mark.parametrize("name", [*TIMED, *OTHERS])
@pytest.mark.parametrize("timed", [False, True])
def test_outputs(name: str, timed: bool) -> None:
    if timed and name not in TIMED:
        return
    torch.manual_seed(1)
    model = lively((TIMED | OTHERS)[name]())
    frames = data()
    found = import_model(model, frames)
    tried = data(dt=timed, seed=1)
    ours = reference.run(found, tried, reference.default_solver(found)).outputs
    theirs = forward(model.eval(), tried)
    np.testing.assert_allclose(ours if theirs.ndim == 3 else ours[:, -1], theirs, atol=2e-5)


@pytest.mark.parametrize("name", ["ncps LTC, AutoNCP", "ncps CfC, AutoNCP", "RNN", "read out"])
def test_down_to_the_machine(name: str) -> None:
    torch.manual_seed(2)
    model = (TIMED | OTHERS)[name]()
    frames = data()
    config = preset("up5k", tables=8)
    image = liquid_accel.compile(model, calibration=frames, config=config)
    device = Device(GoldenTransport(config))
    device.load(image)
    theirs = forward(model.eval(), frames)
    difference = device.run(frames).y - theirs
    assert np.sqrt((difference**2).mean()) < 0.02 * max(1.0, np.abs(theirs).max())


def test_a_neural_ode() -> None:
    torch.manual_seed(4)
    rhs = nn.Sequential(nn.Linear(6 + INPUTS, 8), nn.Tanh(), nn.Linear(8, 6))
    model = liquid_accel.NeuralODE(rhs, method="rk4", steps=4)
    found = import_model(model, data())
    tried = data(dt=True, seed=1)
    ours = reference.run(found, tried, "rk4", steps=4).outputs
    with torch.no_grad():
        theirs = model(torch.from_numpy(tried.x), torch.from_numpy(tried.dt.astype(np.float32)))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=2e-5)


class Between(Tail):
    def forward(self, x: Any) -> Any:
        return self.out(2 * self.rnn(x)[0])


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6 + INPUTS, 8), nn.Linear(8, 6)

    def forward(self, z: Any) -> Any:
        return self.second(torch.sin(self.first(z)))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (lambda: 3, "int"),
    "an unknown layer": (lambda: nn.Sequential(nn.Conv1d(3, 3, 1), nn.GRU(3, 4)), "0 is a Conv1d"),
    "both ways": (lambda: nn.GRU(INPUTS, 4, bidirectional=True), "both ways"),
    "relu": (lambda: nn.RNN(INPUTS, 4, nonlinearity="relu"), "relu"),
    "mixed memory": (lambda: ncps.torch.LTC(INPUTS, 4, mixed_memory=True), "mixed memory"),
    "pure": (lambda: ncps.torch.CfC(INPUTS, 4, mode="pure"), "mode 'pure'"),
    "silu": (lambda: ncps.torch.CfC(INPUTS, 4, activation="silu"), "SiLU"),
    "nothing recurrent": (lambda: nn.Sequential(nn.Linear(INPUTS, 4)), "no recurrent layer"),
    "more between": (lambda: Between(nn.GRU(INPUTS, 6, batch_first=True), 6), "computes nothing between"),
    "other features": (lambda: nn.GRU(3, 4), "features|fails"),
    "a sine": (lambda: liquid_accel.NeuralODE(Deep(), 6), "rhs has sin at"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    make, said = REFUSED[name]
    with pytest.raises(UserError, match=said) as raised:
        import_model(make(), data())
    assert "\n" not in str(raised.value)
