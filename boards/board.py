# SPDX-License-Identifier: BSD-2-Clause
"""What a board is: its part, its pins, its clock, and the chip that is put on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from amaranth.build import Platform
from amaranth.hdl import Const, Elaboratable, Module
from amaranth.lib import io

from liquid_accel.boards import pll
from liquid_accel.boards.clocking import Pll, add_sync_domain
from liquid_accel.boards.family import Part
from liquid_accel.boards.pll import PllSettings
from liquid_accel.rtl.chip import Chip
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.link import DEFAULT_BAUD


@dataclass(frozen=True)
class Pin:
    """A signal of an amaranth-boards resource: its name, number, and, where it has parts, the part."""

    resource: str
    number: int = 0
    part: str = ""


@dataclass(frozen=True)
class Loader:
    """How openFPGALoader reaches the board.

    board         its name there
    flash, sram   arguments that write flash and configuration memory; None where there is no such way
    suffix        of the file to hand over, where it is not the packer's
    hint          what else a user has to do for the board to be found
    """

    board: str
    flash: tuple[str, ...] | None
    sram: tuple[str, ...] | None = None
    suffix: str | None = None
    hint: str = ""


@dataclass(frozen=True)
class Board:
    """A board and the machine that it gets unless another is asked for.

    platform      makes the amaranth-boards platform, which knows the pins
    clock         its oscillator's resource
    clock_mhz     what is asked for unless the user says otherwise
    preset, changes   the configuration
    rx, tx, activity, error, interrupt   pins; rx and tx as the FPGA sees them
    idle          pins that are held at a value, so that what hangs on them keeps still; 0 is not asserted
    wiring        what a user connects, one sentence each
    """

    name: str
    title: str
    platform: Callable[[], Platform]
    part: Part
    pll: Pll
    clock: str
    clock_mhz: float
    preset: str
    rx: Pin
    tx: Pin
    activity: Pin
    error: Pin
    interrupt: Pin
    loader: Loader
    idle: tuple[tuple[Pin, int], ...] = ()
    changes: dict[str, int] = field(default_factory=dict)
    wiring: tuple[str, ...] = ()

    def config(self) -> LiquidConfig:
        """The machine that fits this board."""
        return preset(self.preset, **self.changes)

    @property
    def bitstream(self) -> str:
        """Name of the file that is loaded."""
        return f"{self.name}.{self.loader.suffix or self.part.family.suffix}"

    @property
    def missing_timing(self) -> str:
        """Its name where the clock that it was built for was not reached."""
        return f"{self.name}.missing-timing.{self.loader.suffix or self.part.family.suffix}"

    def input_hz(self) -> int:
        """Frequency of the oscillator."""
        resource = self.platform().lookup(self.clock)
        return round(resource.clock.frequency)

    def settings(self, clock_mhz: float) -> PllSettings:
        """PLL settings for a clock; `PllError` where there are none."""
        return self.pll.settings(self.input_hz(), clock_mhz * pll.MHZ)


class BoardTop(Elaboratable):
    """The chip with a board's clock, reset and pins; every pin's inversion comes from the platform.

    Raises ValueError where the clock cannot be divided to the UART's rate.
    """

    def __init__(self, board: Board, config: LiquidConfig, settings: PllSettings, baud: int = DEFAULT_BAUD) -> None:
        self.board, self.settings = board, settings
        self.chip = Chip(config, clock_hz=settings.output_hz, baud=baud, vendor=board.part.family.vendor)

    def elaborate(self, platform: Platform) -> Module:
        m = Module()
        board, chip = self.board, self.chip
        requested: dict[tuple[str, int], Any] = {}

        def port(pin: Pin) -> io.SingleEndedPort:
            key = pin.resource, pin.number
            if key not in requested:
                requested[key] = platform.request(*key, dir="-")
            return getattr(requested[key], pin.part) if pin.part else requested[key]

        def output(name: str, pin: Pin, value: Any) -> None:
            m.submodules[name] = buffer = io.Buffer("o", port(pin))
            m.d.comb += buffer.o.eq(value)

        add_sync_domain(m, board.pll, self.settings, port(Pin(board.clock)))
        m.submodules.chip = chip
        m.submodules.rx = receive = io.Buffer("i", port(board.rx))
        m.d.comb += chip.rx.eq(receive.i)
        output("tx", board.tx, chip.tx)
        output("activity", board.activity, chip.activity)
        output("error", board.error, chip.error)
        output("interrupt", board.interrupt, chip.interrupt)
        for index, (pin, value) in enumerate(board.idle):
            output(f"idle{index}", pin, Const(value, 1))
        return m

