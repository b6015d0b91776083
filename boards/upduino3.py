# SPDX-License-Identifier: BSD-2-Clause
"""UPduino 3: iCE40UP5K, 12 MHz oscillator on pin 20 once its jumper is soldered, UART on the wires of the flash.

The FPGA's own oscillator is not exact enough for a UART (10 % by its data sheet), so that the jumper marked OSC has to
be closed. The FTDI chip has one channel, whose wires are those of the flash: as a serial port it sends on pin 15 and
hears pin 14, while the flash is kept out by its chip select on pin 16. Source of these pins: upduino.pcf and the pin
table of the UPduino 3 documentation (tinyVision.ai, UPduino-v3.0 on GitHub).
"""

from amaranth.build import Attrs, Pins, PinsN, Resource
from amaranth_boards.resources import UARTResource
from amaranth_boards.upduino_v3 import UpduinoV3Platform

from liquid_accel.boards.board import Board, Loader, Pin
from liquid_accel.boards.clocking import ICE40_CORE
from liquid_accel.boards.family import UP5K


class Platform(UpduinoV3Platform):
    """amaranth-boards' platform with its crystal as default clock, the UART on the flash's wires, and the interrupt."""

    default_clk = "clk12"
    resources = [
        *UpduinoV3Platform.resources,
        UARTResource(0, rx="15", tx="14", attrs=Attrs(IO_STANDARD="SB_LVCMOS")),
        Resource("flash_select", 0, PinsN("16", dir="o"), Attrs(IO_STANDARD="SB_LVCMOS")),
        Resource("interrupt", 0, Pins("28", dir="o"), Attrs(IO_STANDARD="SB_LVCMOS")),
    ]


BOARD = Board(
    name="upduino3",
    title="UPduino 3",
    platform=Platform,
    part=UP5K,
    pll=ICE40_CORE,
    clock="clk12",
    clock_mhz=24,
    preset="up5k",
    rx=Pin("uart", part="rx"),
    tx=Pin("uart", part="tx"),
    activity=Pin("rgb_led", part="g"),
    error=Pin("rgb_led", part="r"),
    interrupt=Pin("interrupt"),
    idle=((Pin("rgb_led", part="b"), 0), (Pin("flash_select"), 0)),
    loader=Loader("ice40_generic", flash=("--cable", "ft232", "--write-flash")),
    wiring=(
        "Close the solder jumper OSC first: the clock is the 12 MHz oscillator, on pin 20.",
        "USB: the serial port of the board's FTDI chip is the UART (pins 15 and 14, shared with the flash).",
        "LED: green is activity, red is error.",
        "Pin 28: interrupt.",
    ),
)
