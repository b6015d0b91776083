# SPDX-License-Identifier: BSD-2-Clause
"""The fixture `simulator`: a test that takes it runs on Verilator and on Icarus."""

import pytest
from simulators import need


@pytest.fixture(params=["verilator", "icarus"])
def simulator(request: pytest.FixtureRequest) -> str:
    """The name of a simulator that runs here; see tests/simulators.py for what is skipped and what fails."""
    need(request.param)
    return str(request.param)
