# SPDX-License-Identifier: BSD-2-Clause
"""The compiled synapses against torch's operations in double precision, and what happens where they cannot serve."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is the optional extra `train`; the layers are written in it")

from liquid_accel.ncps import compiled, synapses  # noqa: E402  (needs torch)
from liquid_accel.ncps.torch import LTC  # noqa: E402

if compiled._kernel() is None:
    pytest.skip("no C++ compiler is installed; it makes the compiled synapses", allow_module_level=True)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """The library is looked for anew, and again after the test."""
    compiled._kernel.cache_clear()
    yield
    compiled._kernel.cache_clear()


def parameters(sources: int, units: int, generator: Any) -> list[Any]:
    def draw() -> Any:
        return torch.rand(sources, units, generator=generator)

    w = draw()
    return [w * (draw() - 0.5).sign(), w, 3 + 5 * draw(), draw()]


def results(double: bool, shape: tuple[int, int, int, int, int], seed: int) -> list[Any]:
    """States and all gradients of a whole call; `shape` frames, batch, inputs, units, unfolds."""
    frames, batch, inputs, units, unfolds = shape
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(frames, batch, inputs, generator=generator)
    v, cm = torch.randn(batch, units, generator=generator), 0.4 + torch.rand(units, generator=generator)
    step = torch.rand(frames, batch, 1, generator=generator)
    weights = torch.randn(frames, batch, units, generator=generator)
    given = [x, v, step, cm, *parameters(units, units, generator), *parameters(inputs, units, generator)]
    given = [(value.double() if double else value).requires_grad_() for value in given]
    x, v, step, cm, *rest = given
    assert (compiled.kernel(v) is None) == double
    y = synapses.unfolded(v, synapses.sums(x, *rest[4:]) + 0.2, step, cm, *rest[:4], unfolds)
    return [y, *torch.autograd.grad((y * weights).sum(), given)]


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 19), st.integers(1, 20), st.integers(1, 35), st.integers(1, 3)),
    st.integers(0, 999),
)
def test_it_agrees_with_torch_in_double_precision(shape: tuple[int, int, int, int, int], seed: int) -> None:
    """Any shape: batches that are no whole blocks, neurons that are no whole vectors."""
    for got, expected in zip(results(False, shape, seed), results(True, shape, seed), strict=True):
        bound = 1e-5 * max(1.0, float(expected.detach().abs().max()))
        torch.testing.assert_close(got.double(), expected, atol=bound, rtol=0)


def test_the_sigmoid_is_right_everywhere() -> None:
    z = torch.cat((torch.linspace(-100, 100, 20001), torch.tensor([0.0, 1e-30, -1e-30, 1e6, -1e6])))
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    kernel = compiled.kernel(z)
    assert kernel is not None
    found = kernel.sums(z[:, None], (one, 2 * one, one, zero))
    expected = torch.sigmoid(z.double())
    inner = z.abs() < 80
    relative = (found[0, :, 0].double() - expected).abs() / expected
    assert float(relative[inner].max()) < 5e-7
    assert float((found[0, :, 0].double() - expected).abs().max()) < 2e-7
    torch.testing.assert_close(found[1], 2 * found[0])


def test_threads_change_nothing_but_rounding() -> None:
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(results(False, (3, 37, 4, 20, 2), 1))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert torch.equal(other[0], found[0][0]), "states do not depend on each other"
        for got, expected in zip(other[1:], found[0][1:], strict=True):
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_goes_the_way_of_torch(bad: float) -> None:
    layer, x = LTC(3, 5), torch.randn(4, 3, 3)
    x[1, 1, 0] = bad
    y, _ = layer(x)
    assert bool(torch.isfinite(y[[0, 2, 3]]).all())
    if math.isnan(bad):
        assert bool(torch.isnan(y[1, 1:]).all())
    with torch.no_grad():
        layer.rnn_cell.mu[0, 0] = math.nan
    assert bool(torch.isnan(layer(torch.randn(1, 3, 3))[0][:, -1]).any())


def test_small_numbers_are_not_flushed() -> None:
    assert float(torch.tensor(1e-40) * 1.0) > 0


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("how", ["none", "broken", "asked"])
def test_without_a_compiler_torch_does_it(how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    layer, x = LTC(3, 5), torch.randn(2, 3, 3)
    expected = layer(x)[0]
    assert compiled.kernel(x) is not None
    compiled._kernel.cache_clear()
    if how == "asked":
        monkeypatch.setenv("LIQUID_SYNAPSES", "torch")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "" if how == "none" else "false")
    monkeypatch.setenv("PATH", "/nowhere" if how == "none" else "/bin:/usr/bin")
    assert compiled.kernel(x) is None
    torch.testing.assert_close(layer(x)[0], expected, atol=1e-6, rtol=0)


@pytest.mark.usefixtures("forgotten")
def test_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    built = compiled._library()
    when = built.stat().st_mtime_ns
    monkeypatch.setattr(compiled, "COMPILE", compiled.COMPILE)
    assert compiled._library() == built
    assert built.read_bytes()
    assert [path.suffix for path in built.parent.iterdir() if path.suffix == ".so"] == [".so"]
    assert built.stat().st_mtime_ns >= when
