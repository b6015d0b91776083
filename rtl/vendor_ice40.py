# SPDX-License-Identifier: BSD-2-Clause
"""iCE40 UltraPlus blocks behind the portable interfaces: SB_MAC16 as a lane, SB_SPRAM256KA as weight memory.

The instances survive `synth_ice40` without `-dsp`; with it, yosys rewrites their registers and pins silently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import C, ClockSignal, Const, Instance, Module, Signal, Value, signed

if TYPE_CHECKING:
    from .mac import MacLane
    from .memory import SinglePortRam

SPRAM_DEPTH = 16384

# 16 x 16 signed multiply-accumulate: operands registered, product registered, 32-bit accumulator. A load of {C, D} = 0
# clears.
MAC16_PARAMETERS = {
    "NEG_TRIGGER": Const(0, 1), "MODE_8x8": Const(0, 1),
    "A_SIGNED": Const(1, 1), "B_SIGNED": Const(1, 1),
    "A_REG": Const(1, 1), "B_REG": Const(1, 1), "C_REG": Const(0, 1), "D_REG": Const(0, 1),
    "TOP_8x8_MULT_REG": Const(0, 1), "BOT_8x8_MULT_REG": Const(0, 1),
    "PIPELINE_16x16_MULT_REG1": Const(0, 1), "PIPELINE_16x16_MULT_REG2": Const(1, 1),
    "TOPOUTPUT_SELECT": Const(1, 2), "BOTOUTPUT_SELECT": Const(1, 2),
    "TOPADDSUB_LOWERINPUT": Const(2, 2), "BOTADDSUB_LOWERINPUT": Const(2, 2),
    "TOPADDSUB_UPPERINPUT": Const(0, 1), "BOTADDSUB_UPPERINPUT": Const(0, 1),
    "TOPADDSUB_CARRYSELECT": Const(2, 2), "BOTADDSUB_CARRYSELECT": Const(0, 2),
}  # fmt: skip


def elaborate_mac16(lane: MacLane) -> Module:
    """A lane in one SB_MAC16: `take` holds the accumulator when low, `clear` loads zero."""
    m = Module()
    hold = Signal()
    m.d.comb += hold.eq(~(lane.take | lane.clear))
    zero16, zero = C(0, 16), C(0, 1)
    ports = {
        "i_CLK": ClockSignal(), "i_CE": lane.enable, "i_A": lane.a, "i_B": lane.b, "i_C": zero16, "i_D": zero16,
        "i_OLOADTOP": lane.clear, "i_OLOADBOT": lane.clear, "i_OHOLDTOP": hold, "i_OHOLDBOT": hold,
        "o_O": lane.sum,
    }  # fmt: skip
    idle = "AHOLD BHOLD CHOLD DHOLD IRSTTOP IRSTBOT ORSTTOP ORSTBOT ADDSUBTOP ADDSUBBOT CI ACCUMCI SIGNEXTIN".split()
    ports |= {f"i_{name}": zero for name in idle}
    m.submodules.mac16 = Instance("SB_MAC16", **{f"p_{k}": v for k, v in MAC16_PARAMETERS.items()}, **ports)
    return m


def conditional_add(
    m: Module, name: str, base: Value, a: Value, enable: Value, total: Signal, inverted: bool = False
) -> None:
    """total = base + (enable ? a : 0), signed, cut to len(total), or its complement: one logic cell a bit.

    The gating rides in the free input of the adder's look-up table, since the carry does not matter where nothing is
    added.
    """
    width = len(total)
    left, right = Signal(signed(width), name=f"{name}_base"), Signal(signed(width), name=f"{name}_a")
    m.d.comb += [left.eq(base), right.eq(a)]
    carry: Value = C(0, 1)
    # Inputs: 0 enable, 1 base, 2 a, 3 carry. Output: enable ? base ^ a ^ carry : base.
    table = sum(((i >> 1 ^ i >> 2 ^ i >> 3) & 1 if i & 1 else i >> 1 & 1) << i for i in range(16))
    table ^= 0xFFFF if inverted else 0
    for k in range(width):
        m.submodules[f"{name}_lut{k}"] = Instance(
            "SB_LUT4",
            p_LUT_INIT=Const(table, 16), i_I0=enable, i_I1=left[k], i_I2=right[k], i_I3=carry, o_O=total[k],
        )  # fmt: skip
        if k < width - 1:
            following = Signal(name=f"{name}_carry{k}")
            m.submodules[f"{name}_carry{k}"] = Instance(
                "SB_CARRY", i_I0=left[k], i_I1=right[k], i_CI=carry, o_CO=following
            )
            carry = following


def elaborate_spram(ram: SinglePortRam) -> Module:
    """Each 16-bit part of a row in one SB_SPRAM256KA."""
    if ram.depth > SPRAM_DEPTH:
        raise ValueError(f"weight memory of {ram.depth} rows: at most {SPRAM_DEPTH} fit an SB_SPRAM256KA")
    m = Module()
    address = Signal(14)
    m.d.comb += address.eq(ram.row)
    for part in range(ram.parts):
        bits = slice(16 * part, 16 * part + 16)
        m.submodules[f"spram{part}"] = Instance(
            "SB_SPRAM256KA",
            i_CLOCK=ClockSignal(), i_ADDRESS=address, i_DATAIN=ram.write_data[bits], i_MASKWREN=C(15, 4),
            i_WREN=ram.write_parts[part], i_CHIPSELECT=C(1, 1), i_STANDBY=C(0, 1), i_SLEEP=C(0, 1), i_POWEROFF=C(1, 1),
            o_DATAOUT=ram.read_data[bits],
        )  # fmt: skip
    return m
