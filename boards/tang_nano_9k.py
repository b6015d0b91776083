# SPDX-License-Identifier: BSD-2-Clause
"""Tang Nano 9K: Gowin GW1NR-LV9QN88PC6/I5, 27 MHz crystal, UART by the board's USB chip.

The LEDs stand in a bank of 1.8 V (litex-boards, platforms/sipeed_tang_nano_9k.py); amaranth-boards says 3.3 V. The
interrupt takes pin 25 of header J6.
"""

from amaranth.build import Attrs, Pins, PinsN, Resource
from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from liquid_accel.boards.board import Board, Loader, Pin
from liquid_accel.boards.clocking import GW1NR_9
from liquid_accel.boards.family import GW1NR_9C

LEDS = tuple(resource for resource in TangNano9kPlatform.resources if resource.name == "led")


class Platform(TangNano9kPlatform):
    """amaranth-boards' platform, its LEDs at 1.8 V, and the pin that the interrupt takes."""

    resources = [
        *(resource for resource in TangNano9kPlatform.resources if resource.name != "led"),
        *(Resource("led", led.number, PinsN(*led.ios[0].names, dir="o"), Attrs(IO_TYPE="LVCMOS18")) for led in LEDS),
        Resource("interrupt", 0, Pins("25", dir="o"), Attrs(IO_TYPE="LVCMOS33")),
    ]


BOARD = Board(
    name="tang-nano-9k",
    title="Tang Nano 9K",
    platform=Platform,
    part=GW1NR_9C,
    pll=GW1NR_9,
    clock="clk27",
    clock_mhz=27,
    preset="gowin",
    # Its 26 block RAMs hold 16,384 weights and no kept sums.
    changes={"weight_words": 2048, "tables": 4, "kept_elements": 0},
    rx=Pin("uart", part="rx"),
    tx=Pin("uart", part="tx"),
    activity=Pin("led", 0),
    error=Pin("led", 5),
    interrupt=Pin("interrupt"),
    idle=tuple((Pin("led", n), 0) for n in range(1, 5)),
    loader=Loader("tangnano9k", flash=("--write-flash",), sram=("--write-sram",)),
    wiring=(
        "USB: the second serial port of the board is the UART.",
        "LEDs: the first is activity, the last is error.",
        "Header pin 25: interrupt.",
    ),
)
