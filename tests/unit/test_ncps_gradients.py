# SPDX-License-Identifier: BSD-2-Clause
"""The LTC's own way back: against differences, against autograd, and what it keeps meanwhile."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")

from liquid_accel.ncps import synapses  # noqa: E402  (needs torch)
from liquid_accel.ncps.torch import LTC  # noqa: E402
from liquid_accel.ncps.wirings import AutoNCP  # noqa: E402


def parameters(sources: int, units: int) -> list[Any]:
    w = torch.rand(sources, units).double()
    return [w * torch.randn(sources, units).sign(), w, 3 + 5 * torch.rand(sources, units).double(),
            torch.rand(sources, units).double()]  # fmt: skip


@pytest.mark.parametrize("times", ["a sequence", "a neuron", "all", "some of it none"])
def test_gradients_agree_with_differences(times: str) -> None:
    torch.manual_seed(0)
    frames, batch, units = 2, 2, 3
    step = {"a neuron": torch.rand(frames, batch, units), "all": torch.rand(frames, 1, 1)}.get(
        times, torch.rand(frames, batch, 1)
    ).double()
    if times == "some of it none":
        step[1, 0] = 0.0
    inner, outer = parameters(units, units), parameters(2, units)
    x, v, cm = torch.randn(frames, batch, 2).double(), torch.randn(batch, units).double(), torch.rand(units).double()
    given = [value.requires_grad_(times != "some of it none" or value is not step) for value in
             (x, v, step, cm + 0.3, *inner, *outer)]  # fmt: skip

    def states(x: Any, v: Any, step: Any, cm: Any, *rest: Any) -> Any:
        return synapses.unfolded(v, synapses.sums(x, *rest[4:]) + 0.2, step, cm, *rest[:4], 2)

    assert torch.autograd.gradcheck(states, given)


def test_the_way_back_is_that_of_autograd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in columns: a scratch buffer for one sequence at a time."""
    monkeypatch.setattr(synapses, "SCRATCH", 1)
    layer = LTC(3, AutoNCP(9, 2)).double()
    x, spans = torch.randn(4, 5, 3).double().requires_grad_(), (torch.rand(4, 5).double() + 0.1).requires_grad_()
    wanted = [p for p in layer.parameters() if p.requires_grad] + [x, spans]

    def found() -> Any:
        return torch.autograd.grad(layer(x, timespans=spans)[0].sin().sum(), wanted)

    own = found()
    monkeypatch.setattr(synapses, "recorded", lambda: True)  # plain operations alone
    for got, expected in zip(own, found(), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-12, rtol=1e-9)


def test_a_second_derivative_is_refused() -> None:
    layer, x = LTC(2, 3), torch.randn(1, 2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative of this solver"):
        torch.autograd.grad(layer(x)[1].sum(), x, create_graph=True)


def test_states_alone_are_kept_for_the_way_back() -> None:
    """Numbers saved grow with the units; sigmoids would grow with their square."""

    def saved(units: int) -> int:
        kept = {}

        def pack(value: Any) -> Any:
            kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes() // value.element_size()
            return value

        layer = LTC(2, units)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            layer(torch.randn(4, 10, 2))
        return sum(kept.values()) - sum(p.numel() for p in layer.parameters())

    frames, batch, unfolds = 10, 4, 6
    for units in (16, 32):
        squares = 12 * units * units  # a few matrices of weights, whatever the length
        assert saved(units) < 3 * frames * batch * units * unfolds + squares
    assert 3 * frames * batch * 32 * unfolds + 12 * 32 * 32 < frames * batch * unfolds * 32 * 32


def test_no_gradient_is_needed_to_run() -> None:
    layer, x = LTC(3, 5), torch.randn(2, 4, 3)
    with torch.inference_mode():
        y, _ = layer(x)
    torch.testing.assert_close(y, layer(x)[0].detach())
    torch.testing.assert_close(layer.double()(x.double())[0].float(), y, atol=1e-5, rtol=0)
