# SPDX-License-Identifier: BSD-2-Clause
"""Targets that are hardware, as users write them: uart:PORT[@BAUD], spi:DEVICE[@HZ], mmio:FILE[@OFFSET]."""

from __future__ import annotations

from dataclasses import dataclass

from liquid_accel.driver.channel import Channel
from liquid_accel.driver.link import LinkTransport
from liquid_accel.driver.link_session import Patience
from liquid_accel.driver.mapped import REGISTER_BYTES, map_registers
from liquid_accel.driver.serial_channel import SerialChannel
from liquid_accel.driver.spi_channel import DEFAULT_HZ, SpiChannel, parse_device
from liquid_accel.errors import UserError
from liquid_accel.rtl.link import DEFAULT_BAUD
from liquid_accel.rtl.transport import Transport

FORMS = {"uart": "uart:PORT[@BAUD]", "spi": "spi:DEVICE[@HZ]", "mmio": "mmio:FILE[@OFFSET]"}
HARDWARE = tuple(FORMS.values())
_WHAT = {"uart": "a bit rate", "spi": "a clock in Hz", "mmio": f"an offset in bytes, a multiple of {REGISTER_BYTES}"}
_DEFAULTS = {"uart": DEFAULT_BAUD, "spi": DEFAULT_HZ, "mmio": 0}
_LEAST = {"uart": 1, "spi": 1, "mmio": 0}


@dataclass(frozen=True)
class Address:
    """Where a device is: `kind` of FORMS, the port, device or file, and the number behind the @."""

    kind: str
    place: str
    number: int


def is_hardware(target: str) -> bool:
    """Whether a target is one of FORMS."""
    return target.partition(":")[0] in FORMS and ":" in target


def parse(target: str) -> Address:
    """Take a target of FORMS apart. Raises `UserError`."""
    kind, _, rest = target.partition(":")
    place, at, text = rest.rpartition("@")
    if not at:
        place, text = rest, str(_DEFAULTS[kind])
    if not place:
        raise UserError(f"target '{target}' names no place; expected {FORMS[kind]}")
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if number < _LEAST[kind] or (kind == "mmio" and number % REGISTER_BYTES):
        raise UserError(f"target '{target}': '{text}' behind the @ is not {_WHAT[kind]}; expected {FORMS[kind]}")
    if kind == "spi" and parse_device(place) is None:
        raise UserError(f"target '{target}': '{place}' is no SPI device; expected one such as spi:/dev/spidev0.0")
    return Address(kind, place, number)


def open_transport(target: str, patience: Patience | None = None) -> Transport:
    """The transport of a target of FORMS. Raises `UserError`, and `TransportError` where it cannot be opened."""
    address = parse(target)
    if address.kind == "mmio":
        return map_registers(address.place, address.number)
    channel: Channel
    if address.kind == "uart":
        channel = SerialChannel(address.place, address.number)
    else:
        channel = SpiChannel(address.place, address.number)
    return LinkTransport(channel, patience)
