# SPDX-License-Identifier: BSD-2-Clause
"""Streams with valid and ready in cocotb: a source and a sink with random stalls, and the check of the stream contract.

All of them set inputs at the falling edge of the clock and look once everything has settled there, so that what they
see is what the next rising edge takes, whatever the simulator does at the edge itself. Port names are those that
Amaranth gives: `PREFIX__valid`, `PREFIX__ready`, `PREFIX__payload`.

    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut)
    watch = cocotb.start_soon(check_stable(dut, "o"))
    cocotb.start_soon(drive(dut, "i", payloads, rng, stall=0.3))
    got = await collect(dut, "o", len(payloads), rng, stall=0.3)
    watch.cancel()
"""

import random
from collections.abc import Sequence
from typing import Any

from cocotb.triggers import FallingEdge, ReadOnly


def stream(dut: Any, prefix: str) -> tuple[Any, Any, Any]:
    """Return the handles (valid, ready, payload) of the stream `prefix`; None for a payload of no bits."""
    payload = getattr(dut, f"{prefix}__payload") if hasattr(dut, f"{prefix}__payload") else None
    return getattr(dut, f"{prefix}__valid"), getattr(dut, f"{prefix}__ready"), payload


async def reset(dut: Any, cycles: int = 4, idle: Sequence[str] = ()) -> None:
    """Hold `rst` for `cycles` with every input named in `idle` at 0; returns right after the falling edge."""
    for name in idle:
        getattr(dut, name).value = 0
    dut.rst.value = 1
    for _ in range(cycles):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


async def drive(dut: Any, prefix: str, payloads: Sequence[int], rng: random.Random, stall: float = 0.0) -> None:
    """Offer `payloads` in order on the input stream `prefix`, each after idle cycles of probability `stall`."""
    valid, ready, payload = stream(dut, prefix)
    for word in payloads:
        await FallingEdge(dut.clk)
        while rng.random() < stall:
            valid.value = 0
            await FallingEdge(dut.clk)
        valid.value = 1
        if payload is not None:
            payload.value = int(word)
        await ReadOnly()
        while not int(ready.value):
            await FallingEdge(dut.clk)
            await ReadOnly()
    await FallingEdge(dut.clk)
    valid.value = 0


async def collect(
    dut: Any, prefix: str, count: int, rng: random.Random, stall: float = 0.0, patience: int = 100_000
) -> list[int]:
    """Take `count` payloads from the output stream `prefix`, not ready with probability `stall` in each cycle.

    Raises AssertionError after `patience` cycles without a payload.
    """
    valid, ready, payload = stream(dut, prefix)
    got: list[int] = []
    idle = 0
    while len(got) < count:
        await FallingEdge(dut.clk)
        open_now = rng.random() >= stall
        ready.value = int(open_now)
        await ReadOnly()
        if open_now and int(valid.value):
            got.append(0 if payload is None else int(payload.value))
            idle = 0
        else:
            idle += 1
            assert idle < patience, f"{prefix}: nothing for {patience} cycles, after {len(got)} of {count} payloads"
    await FallingEdge(dut.clk)
    ready.value = 0
    return got


async def check_stable(dut: Any, prefix: str) -> None:
    """Watch a stream for ever: once valid, it stays valid with the same payload until it is taken.

    A broken promise ends the cocotb test as failed. Cancel the task, or let it end with the test.
    """
    valid, ready, payload = stream(dut, prefix)
    waiting: int | None = None
    while True:
        await FallingEdge(dut.clk)
        await ReadOnly()
        if int(dut.rst.value):
            waiting = None
            continue
        now = 0 if payload is None or not int(valid.value) else int(payload.value)
        if waiting is not None:
            assert int(valid.value), f"{prefix}: valid fell before ready came"
            assert now == waiting, f"{prefix}: payload changed from {waiting:#x} to {now:#x} before it was taken"
        waiting = now if int(valid.value) and not int(ready.value) else None
