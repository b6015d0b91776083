# SPDX-License-Identifier: BSD-2-Clause
"""cocotb: sequences of frames through the step controller, with random constants, norms, peaks and clamp events.

After each PLAN and DECIDE everything that can be seen is the golden model's: the step's code, what was decided, the
cycles that it took, the bits of the record, the controller's words in the S memory, and whether time is left.
"""

import os
import random
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly
from streams import reset

from liquid_accel.rtl.isa import Param, StepFlag
from liquid_accel.sim.golden import controller as golden

IDLE = (
    "plan", "jump", "decide", "judge", "frame_start",
    "fresh", "load_time", "dt", "norm", "peak", "clamped", "host", "host_address", "host_write",
    "host_data",
)  # fmt: skip
PULSES = ("accepted", "rejected", "limited", "halted")
SEQUENCES, FRAMES, STEPS = 40, 3, 8
WRITTEN = (Param.ERROR_0, Param.ERROR_1, Param.CHANGE_LAST, Param.SIZE, Param.STEP, Param.JUMP_SIZE)
PATIENCE = 400


def length(rng: random.Random, bits: int) -> int:
    """A number of any length up to `bits`."""
    return rng.getrandbits(rng.randint(0, bits))


def likely(rng: random.Random) -> dict[Param, int]:
    """Constants such as a compiler writes: several steps a frame, some of them rejected."""
    low = rng.randrange(4, 16) << 11 | rng.getrandbits(11)
    high = min(low + (rng.randrange(2, 16) << 11), 0xFFFF)
    return {
        Param.LOG_START: rng.randrange(low, high), Param.LOG_MIN: low, Param.LOG_MAX: high,
        Param.SAFETY: -rng.randrange(1024), Param.BETA1: rng.randrange(20, 128), Param.BETA2: rng.randrange(-60, 60),
        Param.ALPHA2: rng.randrange(-60, 60), Param.CHANGE_MIN: -rng.randrange(2048, 8192),
        Param.CHANGE_MAX: rng.randrange(2048, 8192), Param.CHANGE_REJECT: -rng.randrange(1, 2048),
        Param.LOG_ACCEPT: rng.randrange(8, 18) << 11, Param.HALT: rng.choice((0, rng.randrange(1, 48))),
    }  # fmt: skip


def any_words(rng: random.Random) -> dict[Param, int]:
    """Constants that no compiler writes: whatever fits the memory."""
    return {name: rng.getrandbits(16) for name in Param if name not in WRITTEN}


class Bench:
    """The controller, its memory, and the golden model's idea of both."""

    def __init__(self, dut: Any, rng: random.Random) -> None:
        self.dut, self.rng = dut, rng
        self.state = golden.ControllerState.reset(1)
        self.scalars = np.array([[rng.randrange(-32768, 32768) for _ in range(256)]], np.int64)

    async def set_scalars(self, words: dict[int, int]) -> None:
        self.dut.host.value, self.dut.host_write.value = 1, 1
        for address, word in words.items():
            self.scalars[0, address] = (word & 0xFFFF) - ((word & 0x8000) << 1)
            self.dut.host_address.value, self.dut.host_data.value = address, word & 0xFFFF
            await FallingEdge(self.dut.clk)
        self.dut.host.value = self.dut.host_write.value = 0

    async def check_scalars(self, what: str, words: range) -> None:
        self.dut.host.value = 1
        for address in words:
            self.dut.host_address.value = address
            await FallingEdge(self.dut.clk)
            got, wanted = int(self.dut.host_word.value), int(self.scalars[0, address]) & 0xFFFF
            assert got == wanted, f"{what}: S[{address}] is {got:#06x}, not {wanted:#06x}"
        self.dut.host.value = 0

    async def header(self, first: bool, ticks: int) -> None:
        """Time comes in two words; that the frame starts a sequence is known once the header is complete."""
        for half in range(2):
            self.dut.load_time.value, self.dut.dt.value = 1 << half, ticks >> 16 * half & 0xFFFF
            await FallingEdge(self.dut.clk)
        self.dut.load_time.value, self.dut.dt.value = 0, self.rng.getrandbits(16)
        await FallingEdge(self.dut.clk)  # two words of the header follow, in which time_left settles
        self.state.remaining[:] = ticks
        if first:
            self.dut.fresh.value = 1
            await FallingEdge(self.dut.clk)
            self.dut.fresh.value = 0
            self.state.fresh[:], self.state.history[:], self.state.at_limit[:] = True, False, False
            self.state.newest[:] = 0

    async def _command(self, name: str) -> tuple[int, dict[str, int]]:
        """Start, and count cycles until `done`, both included; and how often each signal was high."""
        seen = dict.fromkeys((*PULSES, "clear"), 0)
        getattr(self.dut, name).value = 1
        for cycle in range(1, PATIENCE):
            await ReadOnly()
            for pulse in seen:
                seen[pulse] += int(getattr(self.dut, pulse).value)
            done = int(self.dut.done.value)
            await FallingEdge(self.dut.clk)
            getattr(self.dut, name).value = 0
            if done:
                return cycle, seen
        raise AssertionError(f"{name} is not done after {PATIENCE} cycles")

    async def plan(self, what: str) -> None:
        jump = int(self.rng.random() < 0.3)
        self.dut.jump.value = jump
        cycles, seen = await self._command("plan")
        self.dut.jump.value = 0
        cost = golden.plan(self.state, self.scalars, jump)
        assert 1 <= int(self.state.step_ticks[0]) <= int(self.state.remaining[0]), "the golden model passes the end"
        assert cycles == int(cost[0]), f"{what}: PLAN took {cycles} cycles, not {int(cost[0])}"
        assert int(self.dut.step.value) == int(self.state.step_code[0]), f"{what}: code of the step"
        assert seen == {**dict.fromkeys(PULSES, 0), "clear": 1}, f"{what}: {seen} in PLAN"
        await self.check_scalars(what, range(min(Param), max(Param) + 1))

    async def work(self) -> None:
        """What the element pipeline reports of the step: events while it runs, norm and peak at its end."""
        for _ in range(self.rng.randint(1, 5)):
            event = int(self.rng.random() < 0.05)
            self.dut.clamped.value = event
            self.state.saturated[:] |= bool(event)
            await FallingEdge(self.dut.clk)
        self.dut.clamped.value = 0
        self.state.norm[:], self.state.peak[:] = length(self.rng, 24), length(self.rng, 15)
        self.dut.norm.value, self.dut.peak.value = int(self.state.norm[0]), int(self.state.peak[0])
        if self.rng.random() < 0.3:
            await self.borders()

    async def borders(self) -> None:
        """Move the tolerance and the smallest size to where this step just meets them, or just misses."""
        log = int(golden.pseudo_log2(self.state.norm | 1)[0])
        await self.set_scalars({Param.LOG_ACCEPT: log + self.rng.choice((-1, 0, 0, 1)), Param.LOG_MIN: 0})
        tried, words = self.state.take(np.array([0])), self.scalars.copy()
        words[0, Param.LOG_MAX] = -1
        golden.decide(tried, words)
        size = int(words[0, Param.SIZE]) & 0xFFFF
        await self.set_scalars({Param.LOG_MIN: min(max(size + self.rng.choice((-1, 0, 1)), 0), 0xFFFF)})

    async def judge(self, what: str) -> None:
        """The norm against the tolerance, without a step."""
        cycles, seen = await self._command("judge")
        cost = golden.judge(self.state, self.scalars)
        assert cycles == int(np.broadcast_to(cost, 1)[0]), f"{what}: JUDGE took {cycles} cycles"
        assert seen == {**dict.fromkeys(PULSES, 0), "clear": 1}, f"{what}: {seen} in JUDGE"
        assert bool(int(self.dut.within.value)) == bool(self.state.judged[0]), f"{what}: judged"
        self.dut.norm.value = self.dut.peak.value = 0

    async def decide(self, what: str) -> dict[str, int]:
        saturated, clipped = bool(self.state.saturated[0]), bool(self.state.clipped[0])
        cycles, seen = await self._command("decide")
        found = golden.decide(self.state, self.scalars)
        accept, limited, halt = bool(found.accept[0]), bool(found.limited[0]), bool(found.halt[0])
        wanted = dict(zip((*PULSES, "clear"), map(int, (accept, not accept, limited, halt, False))))
        assert seen == wanted, f"{what}: decided {seen}, not {wanted}"
        cost = int(np.broadcast_to(found.cost, 1)[0])
        assert cycles == cost, f"{what}: DECIDE took {cycles} cycles, not {cost}"
        flags = (StepFlag.ACCEPTED * accept) | (StepFlag.LIMITED * limited)
        flags |= (StepFlag.SATURATED * saturated) | (StepFlag.CLIPPED * clipped)
        assert int(self.dut.record_flags.value) == flags, f"{what}: bits of the record"
        assert int(self.dut.time_left.value) == int(self.state.remaining[0] > 0), f"{what}: time left"
        await self.check_scalars(what, range(min(Param), max(Param) + 1))
        return wanted


@cocotb.test()
async def every_step_is_the_golden_models(dut: Any) -> None:
    """Forty sequences; each frame runs until its time is over, or for a bounded number of steps."""
    seed = int(os.environ["CONTROLLER_SEED"])
    dut._log.info("seed %d", seed)
    rng = random.Random(seed)
    cocotb.start_soon(Clock(dut.clk, 10, unit="ns").start())
    await reset(dut, idle=IDLE)
    bench = Bench(dut, rng)
    await bench.set_scalars({address: int(word) for address, word in enumerate(bench.scalars[0])})
    totals = dict.fromkeys((*PULSES, "clear", "clipped", "ended"), 0)
    for sequence in range(SEQUENCES):
        usual = rng.random() < 0.7
        await bench.set_scalars(likely(rng) if usual else any_words(rng))
        start = int(bench.scalars[0, Param.LOG_START]) & 0xFFFF
        for frame in range(FRAMES):
            # A few of the first steps long, or anything.
            ticks = rng.randrange(1 << 32) >> rng.randint(0, 31) if rng.random() < 0.3 else 1
            ticks = max(ticks, min((1 << (start >> 11)) * rng.randrange(1, 9), (1 << 32) - 1))
            if rng.random() < 0.3:
                # Where the next step ends the frame, or is to be halved, or is not: to the tick.
                size = int(bench.scalars[0, Param.SIZE]) & 0xFFFF if frame else start
                whole = (2048 + (size & 2047)) << 20
                border = whole >> 31 - (size >> 11) if rng.random() < 0.5 else whole >> max(30 - (size >> 11), 0)
                ticks = min(max(border + rng.choice((-1, 0, 1)), 1), (1 << 32) - 1)
            await bench.header(first=frame == 0, ticks=ticks)
            assert int(dut.time_left.value) == 1
            for step in range(STEPS):
                what = f"seed {seed}, sequence {sequence}, frame {frame}, step {step}"
                await bench.plan(what)
                if rng.random() < 0.3:
                    await bench.work()
                    await bench.judge(what)
                totals["clipped"] += int(bench.state.clipped[0])
                await bench.work()
                for name, count in (await bench.decide(what)).items():
                    totals[name] += count
                if not int(dut.time_left.value):
                    totals["ended"] += 1
                    break
    await bench.check_scalars(f"seed {seed}, the end", range(256))
    dut._log.info("%s", totals)
    for name in ("accepted", "rejected", "limited", "halted", "clipped", "ended"):
        assert totals[name], f"seed {seed}: nothing was {name}, so that it was not tested"
