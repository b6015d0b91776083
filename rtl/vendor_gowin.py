# SPDX-License-Identifier: BSD-2-Clause
"""Gowin GW1N and GW2A blocks behind the portable interfaces: MULT18X18 as multiplier, SDPB as memory.

yosys infers both without their registers; as instances they have them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import C, Cat, ClockSignal, Const, Instance, Module, Signal, Value, signed, unsigned

from .memory import PART, block_width

if TYPE_CHECKING:
    from .memory import Ram, SinglePortRam

MULTIPLIER_BITS = 18
# Registers at inputs and output, none between them.
MULTIPLIER_PARAMETERS = {
    "AREG": Const(1, 1), "BREG": Const(1, 1), "OUT_REG": Const(1, 1), "PIPE_REG": Const(0, 1),
    "ASIGN_REG": Const(0, 1), "BSIGN_REG": Const(0, 1), "SOA_REG": Const(0, 1), "MULT_RESET_MODE": "SYNC",
}  # fmt: skip
# READ_MODE 1 reads through the output register.
MEMORY_PARAMETERS = {
    "READ_MODE": Const(1, 1), "BLK_SEL_0": Const(0, 3), "BLK_SEL_1": Const(0, 3), "RESET_MODE": "SYNC",
}  # fmt: skip


def multiply(m: Module, name: str, a: Value, b: Value) -> Signal:
    """a * b two cycles later, each signed or unsigned as its shape says and of up to 18 bits: one MULT18X18."""
    wide = []
    for operand, value in (("a", a), ("b", b)):
        is_signed = value.shape().signed
        assert len(value) <= MULTIPLIER_BITS
        shape = signed(MULTIPLIER_BITS) if is_signed else unsigned(MULTIPLIER_BITS)
        wide.append(Signal(shape, name=f"{name}_{operand}"))
        m.d.comb += wide[-1].eq(value)
    product = Signal(signed(2 * MULTIPLIER_BITS), name=f"{name}_product")
    idle = C(0, MULTIPLIER_BITS)
    m.submodules[name] = Instance(
        "MULT18X18",
        **{f"p_{key}": value for key, value in MULTIPLIER_PARAMETERS.items()},
        i_CLK=ClockSignal(), i_CE=C(1, 1), i_RESET=C(0, 1), i_A=wide[0], i_B=wide[1], i_SIA=idle, i_SIB=idle,
        i_ASEL=C(0, 1), i_BSEL=C(0, 1), i_ASIGN=C(int(a.shape().signed), 1), i_BSIGN=C(int(b.shape().signed), 1),
        o_DOUT=product,
    )  # fmt: skip
    return product


def elaborate_ram(
    ram: Ram | SinglePortRam, write_row: Value, read_row: Value, row_enable: Value, read_enable: Value
) -> Module:
    """A memory's words in as many SDPB as its bits fill, each a column of `block_width` bits."""
    m = Module()
    width = block_width(ram.depth, ram.parts)
    address_low = (width - 1).bit_length()  # address bits within a row of the block
    for index, low in enumerate(range(0, PART * ram.parts, width)):
        bits = min(width, PART * ram.parts - low)
        enables = ram.write_parts[low // PART : -(-(low + bits) // PART)]
        ada, adb = Signal(14, name=f"ada_{index}"), Signal(14, name=f"adb_{index}")
        given, found = Signal(32, name=f"given_{index}"), Signal(32, name=f"found_{index}")
        m.d.comb += [
            ada[address_low:].eq(write_row),
            adb[address_low:].eq(read_row),
            given.eq(ram.write_data[low : low + bits]),
            ram.read_data[low : low + bits].eq(found),
        ]
        if width >= PART:  # the low address bits enable bytes
            m.d.comb += ada[: bits // 8].eq(Cat(enable.replicate(2) for enable in enables))
        m.submodules[f"block{index}"] = Instance(
            "SDPB",
            **{f"p_{key}": value for key, value in MEMORY_PARAMETERS.items()},
            p_BIT_WIDTH_0=width, p_BIT_WIDTH_1=width,
            i_CLKA=ClockSignal(), i_CLKB=ClockSignal(), i_CEA=enables.any(), i_CEB=row_enable, i_OCE=read_enable,
            i_RESETA=C(0, 1), i_RESETB=C(0, 1), i_BLKSELA=C(0, 3), i_BLKSELB=C(0, 3),
            i_ADA=ada, i_ADB=adb, i_DI=given, o_DO=found,
        )  # fmt: skip
    return m
