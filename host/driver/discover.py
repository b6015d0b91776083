# SPDX-License-Identifier: BSD-2-Clause
"""Where a device may be: serial ports, SPI devices, mapped registers, and devices that `liquid serve` announces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liquid_accel.driver.addresses import open_transport
from liquid_accel.driver.announce import announced
from liquid_accel.driver.device import Device
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.link_session import Patience
from liquid_accel.rtl.config import PRESETS, preset
from liquid_accel.rtl.isa import ISA_VERSION
from liquid_accel.rtl.transport import TransportError

# Serial converters of the boards, by USB vendor and product: who has one, and which of its interfaces is the UART.
# Others use the same converters, so that this says where to look and no more.
CONVERTERS: dict[tuple[int, int], tuple[str, str]] = {
    (0x0403, 0x6010): ("iCEBreaker or Tang Nano", "1"),  # FT2232H, or firmware that says it is one
    (0x0403, 0x6014): ("UPduino", "0"),  # FT232H
    (0x0403, 0x6015): ("ULX3S", "0"),  # FT231X
}
SPI_DEVICES = "spidev*"
MAPPED_DEVICES = "uio*"
MAPPED_NAME = "liquid"  # in the name that the device tree gives to the registers
BRIEF = Patience(answer_s=0.2, tries=2)
LANES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Place:
    """Somewhere a device may be. `likely`: asking it disturbs nobody else's device."""

    target: str
    text: str
    likely: bool


@dataclass(frozen=True)
class Found:
    """What a place answered: a configuration, or why there is none. Fields that nobody asked for are None."""

    place: Place
    answers: bool | None = None
    error: str | None = None
    config_hash: int | None = None
    preset: str | None = None
    lanes: int | None = None
    isa_version: int | None = None
    clock_mhz: float | None = None


def places(devices: Path = Path("/dev"), classes: Path = Path("/sys/class/uio")) -> list[Place]:
    """All places on this machine, served devices first."""
    found = [Place(made.target, f"served, {made.image}", True) for made in announced()]
    found += serial_places(_ports())
    found += [Place(f"spi:{path}", "SPI", False) for path in sorted(devices.glob(SPI_DEVICES))]
    for path in sorted(devices.glob(MAPPED_DEVICES)):
        try:
            name = (classes / path.name / "name").read_text().strip()
        except OSError:
            name = ""
        found.append(Place(f"mmio:{path}", f"mapped registers {name}".strip(), MAPPED_NAME in name.lower()))
    return found


def _ports() -> Iterable[Any]:
    from serial.tools import list_ports

    return sorted(list_ports.comports(), key=lambda port: str(port.device))


def serial_places(ports: Iterable[Any]) -> list[Place]:
    """Serial ports as pyserial lists them; those whose converter is a known board's, at the interface of its UART, are
    likely."""
    found = []
    for port in ports:
        board, interface = CONVERTERS.get((port.vid, port.pid), ("", ""))
        # "1-1.4:1.1": bus and ports, configuration, interface. Without one there is nothing to tell two apart by.
        _, dot, number = (port.location or "").rpartition(":")[2].rpartition(".")
        is_uart = bool(board) and (not dot or number == interface)
        text = " ".join(filter(None, (port.manufacturer, port.product))) or port.description or "serial port"
        if board:
            text += f" ({board}{'' if is_uart else ', not its UART'})"
        found.append(Place(f"uart:{port.device}", text, is_uart))
    return found


def known(config_hash: int) -> tuple[str, int] | None:
    """Name of the preset, and lanes, whose configuration has this hash."""
    for name in PRESETS:
        for lanes in LANES:
            try:
                config = preset(name, lanes=lanes)
            except ValueError:
                continue
            if config.config_hash == config_hash:
                return name, lanes
    return None


def ask(place: Place) -> Found:
    """Open a place, ask who is there, and close it. Writes no register; never raises for what a place does."""
    try:
        with Device(open_transport(place.target, BRIEF)) as device:
            name, lanes = known(device.config_hash) or (None, _served_lanes(place, device.config_hash))
            return Found(place, True, None, device.config_hash, name, lanes, ISA_VERSION, device.clock_mhz)
    except (TransportError, DeviceError) as error:
        return Found(place, False, str(error).removeprefix(f"{place.target}: ").removeprefix(f"{place.target} "))


def _served_lanes(place: Place, config_hash: int) -> int | None:
    for made in announced():
        if made.target == place.target and made.config_hash == config_hash:
            return made.lanes
    return None


def find(probe: bool | None = None) -> list[Found]:
    """All places, and what answers there. `probe` None asks the likely ones alone, true all of them, false none."""
    return [ask(place) if (place.likely if probe is None else probe) else Found(place) for place in places()]
