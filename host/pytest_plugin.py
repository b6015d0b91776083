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
    """Return `verify(image, x, dt=1.0, **options)`: run on golden model and simulation and compare word for word.

    The device is opened with the image's own configuration. Returns the simulation's result. Raises AssertionError
    naming the first field that differs, how many words differ and the first of them.
    """
    import numpy as np

    import liquid_accel

    def verify(image: Any, x: Any, dt: Any = 1.0, **options: Any) -> Any:
        results = []
        for kind in ("golden", request.config.getoption("--liquid-on")):
            with liquid_accel.open(kind, config=image.config) as device:
                device.load(image)
                results.append(device.run(x, dt=dt, **options))
        golden, simulated = results
        for name, want in vars(golden).items():
            got = getattr(simulated, name)
            if isinstance(want, np.ndarray) and not np.array_equal(want, got):
                where = np.argwhere(want != got)
                at = tuple(int(i) for i in where[0])
                raise AssertionError(
                    f"{name}: {len(where)} words differ, the first at {at}: golden {want[at]}, simulated {got[at]}"
                )
        return simulated

    return verify
