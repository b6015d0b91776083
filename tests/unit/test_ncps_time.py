# SPDX-License-Identifier: BSD-2-Clause
"""Irregular time through LTC and CfC: a gap of its own for each sequence and frame, where ncps fails or is wrong."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")

from liquid_accel.ncps.torch import LTC, CfC, CfCCell, LTCCell  # noqa: E402  (needs torch)
from liquid_accel.ncps.wirings import AutoNCP, FullyConnected  # noqa: E402

LAYERS = {
    "ltc": lambda **options: LTC(3, 6, **options),
    "wired ltc": lambda **options: LTC(3, AutoNCP(8, 2), **options),
    "cfc": lambda **options: CfC(3, 6, backbone_units=5, **options),
    "pure cfc": lambda **options: CfC(3, 6, mode="pure", backbone_layers=0, **options),
    "wired cfc": lambda **options: CfC(3, AutoNCP(8, 2), **options),
}


def layer(name: str, **options: Any) -> Any:
    torch.manual_seed(2)
    return LAYERS[name](**options)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("batch", [2, 6, 8], ids=lambda batch: f"batch {batch}")  # 6 and 8 are numbers of neurons
@pytest.mark.parametrize("name", LAYERS)
def test_each_sequence_of_a_batch_has_its_own_gaps(name: str, batch: int, mixed: bool) -> None:
    theirs = pytest.importorskip("ncps.torch", reason="ncps, of the optional extra `bench`, is what is compared with")
    from ncps import wirings as their_wirings

    own = layer(name, mixed_memory=mixed)
    units = their_wirings.AutoNCP(8, 2) if "wired" in name else 6
    options = {"mixed_memory": mixed}
    if name == "cfc":
        options["backbone_units"] = 5
    if name == "pure cfc":
        options |= {"mode": "pure", "backbone_layers": 0}
    reference = (theirs.LTC if "ltc" in name else theirs.CfC)(3, units, **options)
    reference.load_state_dict(own.state_dict())
    x, spans = torch.randn(batch, 5, 3), torch.rand(batch, 5) * 2 + 0.1
    y, _ = own(x, timespans=spans)
    # One sequence at a time, ncps takes the time of each frame.
    expected = torch.cat([reference(x[i : i + 1], timespans=spans[i : i + 1])[0] for i in range(batch)])
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(own(x, timespans=spans.unsqueeze(-1))[0], y)
    if batch != own.state_size and name != "wired cfc":
        with pytest.raises(RuntimeError, match="must match"):
            reference(x, timespans=spans)
    other = layer(name, mixed_memory=mixed, batch_first=False)
    torch.testing.assert_close(other(x.transpose(0, 1), timespans=spans.t())[0].transpose(0, 1), y)


@pytest.mark.parametrize("name", LAYERS)
def test_one_time_for_all_is_written_in_many_ways(name: str) -> None:
    own, x = layer(name), torch.randn(4, 5, 3)
    expected = own(x, timespans=torch.full((4, 5), 0.5))[0]
    for spans in (torch.tensor(0.5), torch.full((5,), 0.5), torch.full((1, 5), 0.5), torch.full((1, 5, 1), 0.5)):
        torch.testing.assert_close(own(x, timespans=spans)[0], expected)
    torch.testing.assert_close(own(x, timespans=0.5)[0], expected)
    torch.testing.assert_close(own(x, timespans=np.full((4, 5), 0.5))[0], expected)
    torch.testing.assert_close(own(x)[0], own(x, timespans=torch.tensor(1.0))[0])


@pytest.mark.parametrize("inertia", [0.5, 0.0])
@pytest.mark.parametrize("name", ["ltc", "wired ltc"])
def test_no_time_moves_nothing(name: str, inertia: float) -> None:
    own = layer(name, implicit_param_constraints=False)
    with torch.no_grad():
        own.rnn_cell.cm.fill_(inertia)
    start = torch.randn(2, own.state_size)
    _, after = own(torch.randn(2, 3, 3), start, torch.tensor(0.0))
    assert torch.equal(after, start)
    y, _ = own(torch.randn(2, 3, 3), start, torch.tensor([[0.4, 0.0, 0.0]]).expand(2, 3))
    assert torch.equal(y[:, 1], y[:, 0])


@settings(max_examples=20, deadline=None)
@given(st.floats(1e-4, 1e4), st.integers(1, 8), st.integers(0, 99))
def test_states_stay_between_their_reversal_potentials(span: float, unfolds: int, seed: int) -> None:
    """The fused step is a mean of v, vleak and the reversal potentials: it never leaves their range, whatever the time.
    (Hasani et al., AAAI 2021, theorem 2.)"""
    torch.manual_seed(seed)
    own = LTC(3, 6, ode_unfolds=unfolds, output_mapping=None, epsilon=0.0)
    start = torch.rand(2, 6) * 2 - 1
    y, _ = own(torch.randn(2, 4, 3) * 5, start, torch.tensor(span))
    assert bool((y.abs() <= 1 + 1e-5).all())


def test_a_long_wait_ends_where_the_equation_rests() -> None:
    """With one unfold and a time without end, v' = pull / leak."""
    cell = LTCCell(FullyConnected(4), 2, ode_unfolds=1).double()
    x, v = torch.randn(3, 2).double(), torch.randn(3, 4).double()
    _, after = cell(x, v, 1e12)
    p = {key: value.detach() for key, value in cell.named_parameters()}

    def synapses(z: Any, kind: str) -> Any:
        opened = 1 / (1 + torch.exp(-p[f"{kind}sigma"] * (z[:, :, None] - p[f"{kind}mu"])))
        return p[f"{kind}w"] * opened

    inner, outer = synapses(v, ""), synapses(x, "sensory_")
    pull = p["gleak"] * p["vleak"] + (p["erev"] * inner).sum(1) + (p["sensory_erev"] * outer).sum(1)
    leak = p["gleak"] + inner.sum(1) + outer.sum(1)
    torch.testing.assert_close(after, pull / leak, atol=1e-7, rtol=0)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(bad: float) -> None:
    spans = torch.ones(2, 4)
    spans[1, 2] = bad
    for own in (layer("ltc"), layer("wired cfc")):
        with pytest.raises(ValueError, match="timespans must be finite and at least 0"):
            own(torch.randn(2, 4, 3), timespans=spans)
    with pytest.raises(ValueError, match="finite and at least 0"):
        CfCCell(3, 4)(torch.randn(2, 3), torch.randn(2, 4), bad)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2), (1, 1, 4, 1)])
def test_a_wrong_shape_of_time_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"timespans has shape \[.*expected a number, one for each of 4 frames"):
        layer("ltc")(torch.randn(2, 4, 3), timespans=torch.ones(shape))


def test_wrong_states_and_arguments_are_named() -> None:
    x, h = torch.randn(2, 4, 3), torch.zeros(2, 6)
    with pytest.raises(RuntimeError, match=r"state is a pair \(h, c\), not a tensor"):
        layer("ltc", mixed_memory=True)(x, h)
    with pytest.raises(RuntimeError, match="state is a tensor, not a pair"):
        layer("ltc")(x, (h, h))
    with pytest.raises(RuntimeError, match="state of batched input has 2 dimensions, not 1"):
        layer("cfc")(x, h[0])
    with pytest.raises(RuntimeError, match="state of unbatched input has 1 dimensions, not 2"):
        layer("cfc")(x[0], h)
    with pytest.raises(ValueError, match="mode is 'odd'; expected one of default, pure, no_gate"):
        CfC(3, 6, mode="odd")
    with pytest.raises(ValueError, match="backbone_activation is 'odd'"):
        CfC(3, 6, activation="odd")
    with pytest.raises(ValueError, match="backbone_layers is 2, but a wired CfC has no backbone"):
        CfC(3, AutoNCP(8, 2), backbone_layers=2)
    with pytest.raises(ValueError, match="does not know how many inputs"):
        LTCCell(FullyConnected(3))
    with pytest.raises(ValueError, match="ode_unfolds is 0"):
        LTC(3, 6, ode_unfolds=0)
