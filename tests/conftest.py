# SPDX-License-Identifier: BSD-2-Clause
"""What all tests share: the configuration that the suite runs on."""

import os

import pytest

from liquid_accel.rtl.config import LiquidConfig, preset


@pytest.fixture(scope="session")
def lanes() -> int:
    """Lanes of the machine under test: LIQUID_LANES, 8 without it."""
    return int(os.environ.get("LIQUID_LANES", "8"))


@pytest.fixture(scope="session")
def config(lanes: int) -> LiquidConfig:
    """The default configuration with `lanes` lanes."""
    return preset("up5k-skip", lanes=lanes)


@pytest.fixture(scope="session")
def small_config(lanes: int) -> LiquidConfig:
    """The smallest configuration that elaborates everything, with `lanes` lanes."""
    return preset("test", lanes=lanes)
