# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the function unit with the compiler's tables and random ones, an element in every cycle."""

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly
from streams import reset

from liquid_accel.compiler import tables
from liquid_accel.rtl.isa import Mode
from liquid_accel.sim.golden import arithmetic

IDLE = ("s", "table", "mode", "exp2", "host", "host_index", "host_write", "host_write_data")
EDGES = (-32768, -32767, -32641, -32640, -129, -128, -127, -1, 0, 1, 127, 128, 129, 32639, 32640, 32766, 32767)
ELEMENTS = 3000
LATENCY = int(os.environ["FUNCTION_LATENCY"])
LOWEST = -28000


def random_table(rng: random.Random) -> list[int]:
    """A table as steep as the interpolator allows.

    No word is so low that its negative, or 1 less it, needs 17 bits: only SOFTPLUS may clamp, and that counts.
    """
    word, words = rng.randrange(LOWEST, 32768), []
    for _ in range(256):
        words.append(word)
        word = min(max(word + rng.choice((-1023, 1023, rng.randrange(-1023, 1024))), LOWEST), 32767)
    return words


def contents(rng: random.Random, state_frac_bits: int) -> list[tuple[list[int], tuple[Mode, ...]]]:
    """Words of each table and the modes that it is read with."""
    built = [
        tables.tanh_table(12, state_frac_bits), tables.sigmoid_table(11, state_frac_bits),
        tables.softplus_table(state_frac_bits), tables.rate_table(11, 0.0, 6.0), tables.gate_table("fused"),
        tables.error_table(1e-2, 1e-3, state_frac_bits),
    ]  # fmt: skip
    result = [(list(table.words), (table.mode, Mode.IDENTITY)) for table in built]
    return result + [(random_table(rng), tuple(Mode)) for _ in range(2)]


def swept_table(name: str, state_frac_bits: int) -> tables.Table:
    """The compiler's table of that name, in the formats of a state of `state_frac_bits` fraction bits."""
    if name == "rate":
        return tables.rate_table(11, 0.0, 6.0)
    if name == "softplus":
        return tables.softplus_table(state_frac_bits)
    return {"tanh": tables.tanh_table, "sigmoid": tables.sigmoid_table}[name](state_frac_bits, state_frac_bits)


async def host(dut: Any, words: list[int]) -> None:
    """Write the tables and read them back: each word FUNCTION_READ cycles after its index."""
    dut.host.value = 1
    for index, word in enumerate(words):
        dut.host_index.value, dut.host_write_data.value, dut.host_write.value = index, word & 0xFFFF, 1
        await FallingEdge(dut.clk)
    dut.host_write.value = 0
    for index, word in enumerate(words):
        dut.host_index.value = index
        for _ in range(int(os.environ["FUNCTION_READ"])):
            await FallingEdge(dut.clk)
        assert int(dut.host_read_data.value) == word & 0xFFFF, f"table word {index}"
    dut.host.value = 0


@cocotb.test(skip="FUNCTION_SWEPT" not in os.environ)
async def every_input_of_a_function(dut: Any) -> None:
    """All 65,536 words through the table FUNCTION_SWEPT, back to back; 1/tau is read through exp2."""
    name, state_frac_bits = os.environ["FUNCTION_SWEPT"], int(os.environ["FUNCTION_STATE_FRAC_BITS"])
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    table = swept_table(name, state_frac_bits)
    await host(dut, list(table.words))
    knots, inputs = np.array(table.words, np.int64), np.arange(-32768, 32768)
    f, clamped = arithmetic.function_unit(inputs, table.mode, knots, arithmetic.rises(knots), state_frac_bits)
    f = arithmetic.exp2(f) if name == "rate" else f
    expected = (np.asarray(f, np.int64) & 0xFFFF).tolist()
    events = [0] * len(inputs) if clamped is None else np.asarray(clamped).astype(int).tolist()
    dut.table.value, dut.mode.value, dut.exp2.value = 0, int(table.mode), int(name == "rate")
    await FallingEdge(dut.clk)
    for at in range(len(inputs) + LATENCY):
        dut.s.value = (at - 32768) & 0xFFFF
        await ReadOnly()
        if at >= LATENCY:
            which = at - LATENCY
            found = int(dut.f.value), int(dut.clamped.value)
            assert found == (expected[which], events[which]), f"{name} of {inputs[which]}: f and clamped are {found}"
        await FallingEdge(dut.clk)


@cocotb.test(skip="FUNCTION_SEED" not in os.environ)
async def every_element_comes_out_after_the_latency(dut: Any) -> None:
    """f and clamped of random elements, back to back, with table, mode and exp2 changing from one to the next."""
    seed, state_frac_bits = int(os.environ["FUNCTION_SEED"]), int(os.environ["FUNCTION_STATE_FRAC_BITS"])
    dut._log.info("seed %d", seed)
    rng = random.Random(seed)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    held = contents(rng, state_frac_bits)
    await host(dut, [word for words, _ in held for word in words])
    knots = [np.array(words, np.int64) for words, _ in held]
    rises = [arithmetic.rises(k) for k in knots]
    expected: list[tuple[int, int, str]] = []
    for at in range(ELEMENTS + LATENCY):
        s = rng.choice(EDGES) if rng.random() < 0.2 else rng.randrange(-32768, 32768)
        table = rng.randrange(len(held))
        mode, exp2 = rng.choice(held[table][1]), rng.getrandbits(1)
        dut.s.value, dut.table.value, dut.mode.value, dut.exp2.value = s & 0xFFFF, table, int(mode), exp2
        words = np.array([s], np.int64)
        f, clamped = arithmetic.function_unit(words, mode, knots[table], rises[table], state_frac_bits)
        f = arithmetic.exp2(f) if exp2 else f
        what = f"element {at}: {mode.name} of {s} with table {table}{', exp2' if exp2 else ''}"
        expected.append((int(f[0]) & 0xFFFF, 0 if clamped is None else int(clamped[0]), what))
        await ReadOnly()
        if at >= LATENCY:
            value, event, what = expected[at - LATENCY]
            assert int(dut.f.value) == value, f"seed {seed}, {what}: {int(dut.f.value):#06x}, not {value:#06x}"
            assert int(dut.clamped.value) == event, f"seed {seed}, {what}: clamped is not {event}"
        await FallingEdge(dut.clk)
