# SPDX-License-Identifier: BSD-2-Clause
"""ECP5 blocks behind the portable interfaces: MULT18X18D as multiplier, DP16KD with its output registers as memory.

yosys infers both, but leaves their registers in the fabric: a multiplier then takes 3.9 ns and a block RAM 5.8 ns of a
cycle (speed grade 6), where their own registers leave most of it to the logic around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import C, Cat, ClockSignal, Instance, Module, Signal, Value, signed, unsigned

from .memory import PART, block_width

if TYPE_CHECKING:
    from .memory import Ram, SinglePortRam

MULTIPLIER_BITS = 18

# Input and output registers on CLK0, always enabled; the pipeline register between them is not needed.
MULTIPLIER_PARAMETERS = {
    "REG_INPUTA_CLK": "CLK0", "REG_INPUTB_CLK": "CLK0", "REG_OUTPUT_CLK": "CLK0", "REG_PIPELINE_CLK": "NONE",
    "REG_INPUTC_CLK": "NONE", "MULT_BYPASS": "DISABLED", "RESETMODE": "SYNC", "GSR": "DISABLED",
}  # fmt: skip


def multiply(m: Module, name: str, a: Value, b: Value) -> Signal:
    """a * b two cycles later, each signed or unsigned as its shape says and of up to 18 bits: one MULT18X18D."""
    operands = {"A": a, "B": b}
    ports: dict[str, Value] = {"i_CLK0": ClockSignal(), "i_CE0": C(1, 1), "i_RST0": C(0, 1)}
    for port, value in operands.items():
        shape = value.shape()
        assert len(value) <= MULTIPLIER_BITS
        wide_shape = signed(MULTIPLIER_BITS) if shape.signed else unsigned(MULTIPLIER_BITS)
        wide = Signal(wide_shape, name=f"{name}_{port.lower()}")
        m.d.comb += wide.eq(value)
        ports |= {f"i_{port}{k}": wide[k] for k in range(MULTIPLIER_BITS)}
        ports[f"i_SIGNED{port}"] = C(int(shape.signed), 1)
        ports[f"i_SOURCE{port}"] = C(0, 1)
    product = Signal(signed(2 * MULTIPLIER_BITS), name=f"{name}_product")
    ports |= {f"o_P{k}": product[k] for k in range(len(product))}
    parameters = {f"p_{key}": value for key, value in MULTIPLIER_PARAMETERS.items()}
    m.submodules[name] = Instance("MULT18X18D", **parameters, **ports)
    return product


# ---- Block RAM

# Both ports with their output registers; A writes and B reads.
MEMORY_PARAMETERS = {
    "REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG", "RESETMODE": "SYNC", "ASYNC_RESET_RELEASE": "SYNC",
    "CSDECODE_A": "0b000", "CSDECODE_B": "0b000", "CLKAMUX": "CLKA", "CLKBMUX": "CLKB",
    "WRITEMODE_A": "NORMAL", "WRITEMODE_B": "NORMAL",
}  # fmt: skip


def elaborate_ram(
    ram: Ram | SinglePortRam, write_row: Value, read_row: Value, row_enable: Value, read_enable: Value
) -> Module:
    """A memory's words in as many DP16KD as its bits fill, each a column of `block_width` bits."""
    m = Module()
    width = block_width(ram.depth, ram.parts)
    for index, low in enumerate(range(0, PART * ram.parts, width)):
        # The last block of an odd number of parts is half empty.
        bits = min(width, PART * ram.parts - low)
        enables = ram.write_parts[low // PART : -(-(low + bits) // PART)]
        given = ram.write_data[low : low + bits]
        out = _block(m, f"block{index}", width, write_row, given, enables, read_row, row_enable, read_enable)
        m.d.comb += ram.read_data[low : low + bits].eq(out)
    return m


def _block(
    m: Module, name: str, width: int, write_row: Value, write_data: Value, enables: Value, read_row: Value,
    row_enable: Value, read_enable: Value,
) -> Value:  # fmt: skip
    """One DP16KD of `width` data bits, read two cycles after its address; of 8 bits and more, 9 with parity."""
    address_low = (width - 1).bit_length()  # address bits within a row of the block
    ada, adb = Signal(14, name=f"{name}_ada"), Signal(14, name=f"{name}_adb")
    given, found = Signal(36, name=f"{name}_given"), Signal(36, name=f"{name}_found")
    m.d.comb += [ada[address_low:].eq(write_row), adb[address_low:].eq(read_row)]
    out: list[Value] = []
    if width >= 8:
        # Bytes of 9 bits, whose last is parity; from 16 bits on, the low address bits enable them.
        first = 18 if width < 2 * PART else 0
        for byte in range(len(write_data) // 8):
            m.d.comb += given[9 * byte : 9 * byte + 8].eq(write_data[8 * byte : 8 * byte + 8])
            out.append(found[first + 9 * byte : first + 9 * byte + 8])
            if width >= PART:
                m.d.comb += ada[byte].eq(enables[byte // 2])
    else:
        m.d.comb += given.eq(write_data)
        out.append(found[18 : 18 + width])
    one, zero = C(1, 1), C(0, 1)
    ports: dict[str, Value] = {
        "i_CLKA": ClockSignal(), "i_CLKB": ClockSignal(), "i_CEA": one, "i_CEB": row_enable, "i_OCEA": one,
        "i_OCEB": read_enable,
        "i_RSTA": zero, "i_RSTB": zero, "i_WEA": enables.any(), "i_WEB": zero,
    }  # fmt: skip
    ports |= {f"i_CS{port}{k}": zero for port in "AB" for k in range(3)}
    ports |= {f"i_AD{port}{k}": address[k] for port, address in (("A", ada), ("B", adb)) for k in range(14)}
    # 36 bits take the data pins of both ports.
    for base, port in ((0, "A"), (18, "B")):
        ports |= {f"i_DI{port}{k}": given[base + k] for k in range(18)}
        ports |= {f"o_DO{port}{k}": found[base + k] for k in range(18)}
    with_parity = width * 9 // 8 if width >= 8 else width
    parameters = MEMORY_PARAMETERS | {"DATA_WIDTH_A": with_parity, "DATA_WIDTH_B": with_parity}
    m.submodules[name] = Instance("DP16KD", **{f"p_{key}": value for key, value in parameters.items()}, **ports)
    return Cat(*out)
