# SPDX-License-Identifier: BSD-2-Clause
"""OrangeCrab r0.2: ECP5 LFE5U-25F or -85F in CSFBGA285, 48 MHz oscillator, no UART chip: two header pins.

Its USB plug ends at the FPGA itself; a USB device in gateware is not part of this project. A serial cable of 3.3 V goes
to the Feather header: the cable's TX to pin RX (0), its RX to pin TX (1), and ground.
"""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform, OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource

from liquid_accel.boards.board import Board, Loader, Pin
from liquid_accel.boards.clocking import ECP5
from liquid_accel.boards.family import ecp5_part

EXTRA = [
    UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")),
    Resource("interrupt", 0, Pins("5", dir="o", conn=("io", 0)), Attrs(IO_TYPE="LVCMOS33")),
]


class Platform25(OrangeCrabR0_2_25FPlatform):
    """The 25F of amaranth-boards with the pins above."""

    resources = [*OrangeCrabR0_2_25FPlatform.resources, *EXTRA]


class Platform85(OrangeCrabR0_2_85FPlatform):
    """The 85F of amaranth-boards with the pins above."""

    resources = [*OrangeCrabR0_2_85FPlatform.resources, *EXTRA]


def _board(name: str, size: str, platform: type) -> Board:
    return Board(
        name=name,
        title=f"OrangeCrab r0.2 {size}F",
        platform=platform,
        # 38.8 MHz is what the bootloader of this board reads its flash with.
        part=ecp5_part(size, "CSFBGA285", 8, "--compress", "--freq", "38.8"),
        pll=ECP5,
        clock="clk",
        clock_mhz=100,
        preset="ecp5",
        rx=Pin("uart", part="rx"),
        tx=Pin("uart", part="tx"),
        activity=Pin("rgb_led", part="g"),
        error=Pin("rgb_led", part="r"),
        interrupt=Pin("interrupt"),
        idle=((Pin("rgb_led", part="b"), 0),),
        loader=Loader("orangeCrab", flash=(), suffix="dfu", hint=", holding its button, which starts its bootloader"),
        wiring=(
            "The board has no UART chip: a 3.3 V serial cable, its TX to header pin 0, its RX to pin 1, and ground.",
            "LED: green is activity, red is error.",
            "Header pin 5: interrupt.",
            "To flash: hold the button while plugging the board in, which starts its bootloader.",
        ),
    )


BOARD_25F = _board("orangecrab", "25", Platform25)
BOARD_85F = _board("orangecrab-85f", "85", Platform85)
