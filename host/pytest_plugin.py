# SPDX-License-Identifier: BSD-2-Clause
"""A pytest plugin for users: simulate the accelerator in your own tests.

Installed with the package, so that nothing has to be imported:

    import liquid_accel, pytest

    def test_my_model_runs_the_same_on_the_gateware(liquid_verify):
        image = liquid_accel.compile(model, calibration=calibration)
        liquid_verify(image, x, dt=1.0)              # golden model against the simulated gateware, word for word

    def test_streaming(liquid_device):
        liquid_device.load(image)
        y = liquid_device.step(x[0, 0], dt=1.0)

`--liquid-on sim|pysim` chooses the simulator (default: sim, the compiled one). Where a mark `liquid(config)` stands on
the test, the device is built with that `LiquidConfig`.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--liquid-on`."""
    group = parser.getgroup("liquid-accel")
    group.addoption("--liquid-on", default="sim", choices=("sim", "pysim"), help="simulator behind liquid_device")


def pytest_configure(config: pytest.Config) -> None:
    """Register the mark `liquid`."""
    config.addinivalue_line("markers", "liquid(config): the configuration that liquid_device opens")


def _open(request: pytest.FixtureRequest, kind: str) -> Any:
    import liquid_accel  # here, because a plugin is imported in every pytest run of the environment

    mark = request.node.get_closest_marker("liquid")
    config = None if mark is None else (mark.kwargs.get("config") or next(iter(mark.args), None))
    return liquid_accel.open(kind) if config is None else liquid_accel.open(kind, config=config)


@pytest.fixture
def liquid_device(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open the simulated device for one test; it is closed afterwards."""
    with _open(request, request.config.getoption("--liquid-on")) as device:
        yield device


@pytest.fixture
def liquid_verify(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Return `verify(image, x, dt=None, lengths=None)`: run on golden model and simulation, compare word for word.

    Outputs, states, every step's decision, status and counters are compared. The devices are opened with the image's
    own configuration, so that no mark is needed. Returns the simulation's `Result`. Raises AssertionError with the
    number of words that differ and the first of them.
    """
    import liquid_accel
    from liquid_accel.driver.compare import compare

    def verify(image: Any, x: Any, dt: Any = None, lengths: Any = None) -> Any:
        results = []
        for kind in ("golden", request.config.getoption("--liquid-on")):
            with liquid_accel.open(kind, config=image.config) as device:
                device.load(image)
                results.append(device.run(x, dt, lengths, states=True, trace=True))
        found = compare(*results)
        assert not found.mismatches, f"{found.mismatches} of {found.compared} words differ; the first: {found.first}"
        return results[1]

    return verify
