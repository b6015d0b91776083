# SPDX-License-Identifier: BSD-2-Clause
"""Tang Nano 20K: Gowin GW2AR-LV18QN88C8/I7, 27 MHz crystal, UART by the board's USB chip.

amaranth-boards has no platform for it. The pins of clock, LEDs and keys are those of Project Apicula's example
(examples/himbaechel/tangnano20k.cst); those of the UART, and of header J6, from which the interrupt takes pin 73, are
those of litex-boards (platforms/sipeed_tang_nano_20k.py). All of these pins stand in banks of 3.3 V.
"""

from amaranth.build import Attrs, Clock, Connector, Pins, Resource
from amaranth.vendor import GowinPlatform
from amaranth_boards.resources import ButtonResources, LEDResources, UARTResource

from liquid_accel.boards.board import Board, Loader, Pin
from liquid_accel.boards.clocking import GW2AR_18
from liquid_accel.boards.family import GW2AR_18C


class Platform(GowinPlatform):
    """The pins that this project uses."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(IO_TYPE="LVCMOS33")),
        *LEDResources(pins="15 16 17 18 19 20", invert=True, attrs=Attrs(IO_TYPE="LVCMOS33")),
        *ButtonResources(pins="88 87", attrs=Attrs(IO_TYPE="LVCMOS33")),
        UARTResource(0, rx="70", tx="69", attrs=Attrs(PULL_MODE="UP", IO_TYPE="LVCMOS33")),
        Resource("interrupt", 0, Pins("73", dir="o"), Attrs(IO_TYPE="LVCMOS33")),
    ]
    connectors: list[Connector] = []


BOARD = Board(
    name="tang-nano-20k",
    title="Tang Nano 20K",
    platform=Platform,
    part=GW2AR_18C,
    pll=GW2AR_18,
    clock="clk27",
    clock_mhz=54,
    preset="gowin",
    rx=Pin("uart", part="rx"),
    tx=Pin("uart", part="tx"),
    activity=Pin("led", 0),
    error=Pin("led", 5),
    interrupt=Pin("interrupt"),
    idle=tuple((Pin("led", n), 0) for n in range(1, 5)),
    loader=Loader("tangnano20k", flash=("--write-flash",), sram=("--write-sram",)),
    wiring=(
        "USB: the second serial port of the board is the UART.",
        "LEDs: the first is activity, the last is error.",
        "Header pin 73: interrupt.",
    ),
)
