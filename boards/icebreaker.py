# SPDX-License-Identifier: BSD-2-Clause
"""iCEBreaker: iCE40UP5K, 12 MHz oscillator on the PLL's pin, UART by the FTDI chip's second channel."""

from amaranth.build import Attrs, Pins, Resource
from amaranth_boards.icebreaker import ICEBreakerPlatform

from liquid_accel.boards.board import Board, Loader, Pin
from liquid_accel.boards.clocking import ICE40_PAD
from liquid_accel.boards.family import UP5K


class Platform(ICEBreakerPlatform):
    """amaranth-boards' platform, and the pin that the interrupt takes."""

    resources = [
        *ICEBreakerPlatform.resources,
        Resource("interrupt", 0, Pins("1", dir="o", conn=("pmod", 0)), Attrs(IO_STANDARD="SB_LVCMOS")),
    ]


BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    platform=Platform,
    part=UP5K,
    pll=ICE40_PAD,
    clock="clk12",
    clock_mhz=24,
    preset="up5k",
    rx=Pin("uart", part="rx"),
    tx=Pin("uart", part="tx"),
    activity=Pin("led_g"),
    error=Pin("led_r"),
    interrupt=Pin("interrupt"),
    loader=Loader("ice40_generic", flash=("--write-flash",)),
    wiring=(
        "USB: the second serial port of the board's FTDI chip is the UART.",
        "LEDs: green is activity, red is error.",
        "PMOD 1A, pin 1: interrupt.",
    ),
)
