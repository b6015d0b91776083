# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: the AXI4-Lite bridge in front of the stand-in, with the master of cocotbext-axi."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Combine, FallingEdge, ReadOnly
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp
from standin import CLEAR, FIFO, IDENTITY, IDENTITY_WORD, LEVEL, SCRATCH
from streams import reset

CHANNELS = {"aw": ("awaddr",), "w": ("wdata", "wstrb"), "b": ("bresp",), "ar": ("araddr",), "r": ("rdata", "rresp")}


async def check_held(dut: Any, channel: str) -> None:
    """What a channel offers, it offers unchanged until it is taken."""
    valid, ready = getattr(dut, f"bus__{channel}valid"), getattr(dut, f"bus__{channel}ready")
    before: list[int] | None = None
    while True:
        await FallingEdge(dut.clk)
        await ReadOnly()
        now = [int(getattr(dut, f"bus__{name}").value) for name in CHANNELS[channel]] if int(valid.value) else None
        assert before is None or now == before, f"channel {channel} fell back before it was taken"
        before = None if int(ready.value) else now


def pauses(rng: random.Random, share: float) -> Iterator[bool]:
    return (rng.random() < share for _ in itertools.count())


async def start(dut: Any, seed: int, share: float) -> AxiLiteMaster:
    """A master whose five channels pause, each by itself."""
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "bus_"), dut.clk, dut.rst)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    rng = random.Random(seed)
    for channel in (
        master.write_if.aw_channel, master.write_if.w_channel, master.write_if.b_channel,
        master.read_if.ar_channel, master.read_if.r_channel,
    ):  # fmt: skip
        channel.set_pause_generator(pauses(rng, share))
    await reset(dut)
    await ClockCycles(dut.clk, 2)
    for channel in CHANNELS:
        cocotb.start_soon(check_held(dut, channel))
    return master


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.3, 0.8])
async def words_go_through_in_order(dut: Any, share: float) -> None:
    """Every write reaches the device once, every read brings its word."""
    master = await start(dut, 1, share)
    rng = random.Random(5)
    words = [rng.randrange(1 << 16) for _ in range(12)]
    for word in words:
        await master.write_dword(4 * FIFO, word | rng.randrange(1 << 16) << 16)
    assert await master.read_dword(4 * LEVEL) == len(words)
    assert [await master.read_dword(4 * FIFO) for _ in words] == words
    assert await master.read_dword(4 * IDENTITY) == IDENTITY_WORD
    assert await master.read_dword(4 * CLEAR) == 2 * len(words) + 2, "one request for each access"


@cocotb.test()
@cocotb.parametrize(share=[0.0, 0.5])
async def reads_and_writes_may_wait_together(dut: Any, share: float) -> None:
    """Both kinds at once, several under way: each is answered, and neither starves."""
    master = await start(dut, 2, share)
    rng = random.Random(6)
    for _ in range(20):
        word = rng.randrange(1 << 16)
        writes = [cocotb.start_soon(master.write_dword(4 * SCRATCH, word)) for _ in range(rng.randrange(1, 4))]
        reads = [cocotb.start_soon(master.read_dword(4 * IDENTITY)) for _ in range(rng.randrange(1, 4))]
        await Combine(*writes, *reads)
        assert [task.result() for task in reads] == [IDENTITY_WORD] * len(reads)
        assert await master.read_dword(4 * SCRATCH) == word


@cocotb.test()
async def half_a_word_changes_nothing(dut: Any) -> None:
    """A write of one byte is answered with OKAY and has no effect; one of the upper half neither."""
    master = await start(dut, 3, 0.3)
    await master.write_dword(4 * SCRATCH, 0x1234)
    for offset, count in ((0, 1), (1, 1), (2, 2), (1, 2)):
        answer = await master.write(4 * SCRATCH + offset, bytes([0xFF] * count))
        assert answer.resp == AxiResp.OKAY
        assert await master.read_dword(4 * SCRATCH) == 0x1234
    await master.write(4 * SCRATCH, b"\x78\x56")
    assert await master.read_dword(4 * SCRATCH) == 0x5678


@cocotb.test()
async def past_the_registers_is_an_error(dut: Any) -> None:
    """SLVERR, and no request on the register bus; the last register of the space is none."""
    master = await start(dut, 4, 0.3)
    for address in (0x400, 0x404, 0x8000_0000, 0xFFFF_FFFC, 0x400 + 4 * SCRATCH):
        assert (await master.write(address, bytes(4))).resp == AxiResp.SLVERR
        answer = await master.read(address, 4)
        assert (answer.resp, answer.data) == (AxiResp.SLVERR, bytes(4))
    assert await master.read_dword(4 * CLEAR) == 0
    answer = await master.read(0x3FC, 4)
    assert answer.resp == AxiResp.OKAY
