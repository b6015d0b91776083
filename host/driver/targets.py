# SPDX-License-Identifier: BSD-2-Clause
"""Opens a device by the name of its target: the only place that knows what can stand behind a transport."""

from __future__ import annotations

from liquid_accel.driver.addresses import HARDWARE, is_hardware, open_transport, parse
from liquid_accel.driver.device import Device
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.session import PATIENCE_S
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.transport import Transport, TransportError

__all__ = ["SIMULATED", "TARGETS", "check_target", "is_hardware", "open_target"]
SIMULATED = ("sim", "pysim")
SLOW_PATIENCE_S = 600.0  # a frame takes Amaranth's simulator seconds
TARGETS = ("golden", *SIMULATED, *HARDWARE)


def check_target(target: str) -> None:
    """Raise `UserError` for a target that does not exist, or is not written as it should be."""
    if is_hardware(target):
        parse(target)
    elif target not in TARGETS or target in HARDWARE:
        raise UserError(f"target '{target}' is unknown; expected one of {', '.join(TARGETS)}")


def open_target(target: str = "sim", config: LiquidConfig | None = None) -> Device:
    """A device: "golden" (the NumPy model), "sim" (the compiled RTL) or "pysim" (the RTL in Amaranth's simulator), of
    `config` (default: the preset up5k); or hardware, which has its own: "uart:PORT[@BAUD]", "spi:DEVICE[@HZ]" or
    "mmio:FILE[@OFFSET]". Raises `UserError` for another name, `DeviceError` where it fails."""
    check_target(target)
    try:
        transport = open_transport(target) if is_hardware(target) else _simulated(target, config or preset("up5k"))
    except TransportError as error:
        said = str(error) if is_hardware(target) else f"target '{target}' cannot be opened: {error}"
        raise DeviceError(said) from error
    return Device(transport, SLOW_PATIENCE_S if target == "pysim" else PATIENCE_S)


def _simulated(target: str, config: LiquidConfig) -> Transport:
    if target == "golden":
        from liquid_accel.sim.golden import GoldenTransport

        return GoldenTransport(config)
    from liquid_accel.sim.cxxrtl_build import SimulatorBuildError
    from liquid_accel.sim.simulator import open_simulator

    try:
        return open_simulator(config, target)
    except SimulatorBuildError as error:
        raise DeviceError(f"target '{target}' cannot be opened: {error}") from error
