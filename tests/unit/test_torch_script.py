# SPDX-License-Identifier: BSD-2-Clause
"""Traces and scripts of the layers compute what the layers do, and leave them as they were."""

import io
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")

from liquid_accel import LTC  # noqa: E402  (needs torch)
from liquid_accel.ncps import torch as ncps  # noqa: E402
from liquid_accel.ncps.wirings import AutoNCP  # noqa: E402

SOLVERS = ("fused", "expeuler", "rk4")
ARTICLE = [
    {"form": form, "solver": solver, "tau_recurrent": recurrent}
    for form in ("input", "literal") for solver in SOLVERS for recurrent in (False, True)
]  # fmt: skip
LIKE_NCPS = [
    lambda: ncps.LTC(3, 6),
    lambda: ncps.LTC(3, AutoNCP(9, 2), mixed_memory=True, return_sequences=False),
    lambda: ncps.LTC(3, 6, input_mapping=None, output_mapping="linear", implicit_param_constraints=False),
    *(lambda mode=mode: ncps.CfC(3, 6, mode=mode, backbone_units=7) for mode in ("default", "pure", "no_gate")),
    lambda: ncps.CfC(3, AutoNCP(9, 2), mode="pure", mixed_memory=True, proj_size=4, batch_first=False),
    lambda: ncps.CfC(3, AutoNCP(9, 2)),
]


def saved(script: Any) -> Any:
    """A script or trace after it went through a file: what is read back is compiled anew."""
    file = io.BytesIO()
    torch.jit.save(script, file)
    file.seek(0)
    return torch.jit.load(file)


@pytest.mark.parametrize("options", ARTICLE, ids=str)
def test_a_script_of_the_article_s_layer(options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    layer, x, h = LTC(3, 5, steps=2, **options), torch.randn(2, 4, 3), torch.randn(2, 5)
    script = saved(torch.jit.script(layer))
    assert script.state_dict().keys() == layer.state_dict().keys()
    for dt in (0.1, torch.tensor(0.1), torch.rand(4) / 9, torch.rand(2, 4) / 9, torch.zeros(2, 4)):
        torch.testing.assert_close(script(x, dt, h), layer(x, dt, h), atol=1e-6, rtol=0)
    torch.testing.assert_close(script(x[0], 0.1), layer(x[0], 0.1), atol=1e-6, rtol=0)
    for got, expected in zip(script.run(x, 0.1), layer.run(x, 0.1), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    with pytest.raises(torch.jit.Error, match="dt must be finite and at least 0"):
        script(x, float("nan"))


def test_a_script_says_that_it_returns_states_alone() -> None:
    layer = LTC(3, 5, return_state=True)
    with pytest.raises(torch.jit.Error, match=r"its method run\(\) has the last state too"):
        torch.jit.script(layer)(torch.randn(2, 4, 3))


@pytest.mark.parametrize("options", ARTICLE[:3], ids=str)
def test_a_trace_of_the_article_s_layer_takes_other_batches(options: dict[str, Any]) -> None:
    layer = LTC(3, 5, **options)
    trace = saved(torch.jit.trace(layer, (torch.randn(1, 4, 3), torch.rand(1, 4)), check_trace=False))
    x, dt = torch.randn(3, 4, 3), torch.rand(3, 4)
    torch.testing.assert_close(trace(x, dt), layer(x, dt), atol=1e-6, rtol=0)


@pytest.mark.parametrize("build", LIKE_NCPS)
def test_scripts_and_traces_of_the_drop_ins(build: Any) -> None:
    torch.manual_seed(1)
    layer, x = build().eval(), torch.randn(4, 4, 3)
    keys = list(layer.state_dict())
    spans = torch.rand(4, 4)
    script = saved(torch.jit.script(layer))
    trace = saved(torch.jit.trace(layer, (x[:, :2] if not layer.batch_first else x[:2],), check_trace=False))
    y, state = layer(x)
    for got, after in (script(x), trace(x)):
        torch.testing.assert_close(got, y, atol=1e-6, rtol=0)
        torch.testing.assert_close(after, state, atol=1e-6, rtol=0)
    torch.testing.assert_close(script(x, state, spans), layer(x, state, spans), atol=1e-6, rtol=0)
    assert list(layer.state_dict()) == keys


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize("build", [lambda: ncps.LTC(3, 6, ode_unfolds=2), LIKE_NCPS[3]], ids=["ltc", "cfc"])
def test_onnx_of_the_drop_ins(build: Any, tmp_path: Any) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package}, of the optional extra `test`, is what exports")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, of the extra `test`, runs what was exported")
    layer, x = build().eval(), torch.randn(2, 3, 3)
    torch.onnx.export(layer, (x,), tmp_path / "m.onnx", input_names=["x"], output_names=["y", "hx"], verbose=False)
    found = runtime.InferenceSession(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    for got, expected in zip(found, layer(x), strict=True):
        torch.testing.assert_close(torch.from_numpy(got), expected.detach(), atol=1e-5, rtol=0)
