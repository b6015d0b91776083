# SPDX-License-Identifier: BSD-2-Clause
"""Opens a device by the name of its target: the only place that knows what can stand behind a transport."""

from __future__ import annotations

from liquid_accel.driver.device import Device
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.session import PATIENCE_S
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.transport import Transport, TransportError

SIMULATED = ("sim", "pysim")
SLOW_PATIENCE_S = 600.0  # a frame takes Amaranth's simulator seconds
TARGETS = ("golden", *SIMULATED)


def check_target(target: str) -> None:
    """Raise `UserError` for a target that does not exist, or not yet."""
    if target.startswith("uart:"):
        raise UserError(f"target '{target}': boards are not available yet; expected golden, sim or pysim")
    if target not in TARGETS:
        raise UserError(f"target '{target}' is unknown; expected one of {', '.join(TARGETS)}")


def open_target(target: str = "sim", config: LiquidConfig | None = None) -> Device:
    """A device of `config` (default: the preset up5k): "golden" (the NumPy model), "sim" (the compiled RTL) or "pysim"
    (the RTL in Amaranth's simulator). Raises `UserError` for another name, `DeviceError` where it fails."""
    check_target(target)
    config = config or preset("up5k")
    transport: Transport
    if target == "golden":
        from liquid_accel.sim.golden import GoldenTransport

        transport = GoldenTransport(config)
    else:
        from liquid_accel.sim.cxxrtl_build import SimulatorBuildError
        from liquid_accel.sim.simulator import open_simulator

        try:
            transport = open_simulator(config, target)
        except (SimulatorBuildError, TransportError) as error:
            raise DeviceError(f"target '{target}' cannot be opened: {error}") from error
    return Device(transport, SLOW_PATIENCE_S if target == "pysim" else PATIENCE_S)
