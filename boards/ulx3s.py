# SPDX-License-Identifier: BSD-2-Clause
"""ULX3S: ECP5 LFE5U-25F or -85F in CABGA381, 25 MHz oscillator, UART by the FTDI chip."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.ulx3s import ULX3S_25F_Platform, ULX3S_85F_Platform

from liquid_accel.boards.board import Board, Loader, Pin
from liquid_accel.boards.clocking import ECP5
from liquid_accel.boards.family import ecp5_part

# Header pin 0+, and the pin that keeps the board's ESP32 from pulling the FPGA's reset while it is high.
EXTRA = [
    Resource("interrupt", 0, Pins("0+", dir="o", conn=("gpio", 0)), Attrs(IO_TYPE="LVCMOS33")),
    Resource("wifi_gpio0", 0, Pins("L2", dir="o"), Attrs(IO_TYPE="LVCMOS33")),
]


class Platform25(ULX3S_25F_Platform):
    """The 25F of amaranth-boards with the pins above."""

    resources = [*ULX3S_25F_Platform.resources, *EXTRA]


class Platform85(ULX3S_85F_Platform):
    """The 85F of amaranth-boards with the pins above."""

    resources = [*ULX3S_85F_Platform.resources, *EXTRA]


def _board(name: str, size: str, platform: type) -> Board:
    return Board(
        name=name,
        title=f"ULX3S {size}F",
        platform=platform,
        part=ecp5_part(size, "CABGA381", 6, "--compress"),
        pll=ECP5,
        clock="clk25",
        clock_mhz=100,
        preset="ecp5",
        rx=Pin("uart", part="rx"),
        tx=Pin("uart", part="tx"),
        activity=Pin("led", 0),
        error=Pin("led", 7),
        interrupt=Pin("interrupt"),
        idle=((Pin("wifi_gpio0"), 1), *((Pin("led", n), 0) for n in range(1, 7))),
        loader=Loader("ulx3s", flash=("--write-flash",), sram=("--write-sram",)),
        wiring=(
            "USB (US1): the board's FTDI chip is programmer and UART.",
            "LEDs: D0 is activity, D7 is error.",
            "GP0: interrupt.",
        ),
    )


BOARD_25F = _board("ulx3s", "25", Platform25)
BOARD_85F = _board("ulx3s-85f", "85", Platform85)
