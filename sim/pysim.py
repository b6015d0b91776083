# SPDX-License-Identifier: BSD-2-Clause
"""The device in Amaranth's own simulator: slow (thousands of cycles a second), but it needs no compiler."""

from collections.abc import Callable, Coroutine
from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.sim import Simulator

from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import Words
from liquid_accel.sim.bus import RESET_CYCLES, SimulatedTransport, accelerator

Job = Callable[[Any], Coroutine[Any, Any, None]]


class PysimTransport(SimulatedTransport):
    """A `Transport` to `Accelerator(config)`, or to `device`, another component with the same three ports.

    The simulator runs inside each call and stands still between calls.
    """

    def __init__(self, config: LiquidConfig | None = None, *, device: Any = None, patience: int = 50_000) -> None:
        super().__init__(patience, wait_step=1_000)
        self._device = accelerator(config, device)
        self._cycles = 0
        self._job: Job | None = None
        top = Module()
        top.domains.sync = sync = ClockDomain("sync")
        top.submodules.device = self._device
        self._reset = sync.rst
        self._simulator: Any = Simulator(top)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._serve)
        self._run(self._settle)

    @property
    def cycles(self) -> int:
        """Clock cycles simulated so far."""
        return self._cycles

    def _release(self) -> None:
        self._simulator = None

    def _run(self, job: Job) -> None:
        self._job = job
        while self._job is not None:
            self._simulator.advance()

    async def _serve(self, ctx: Any) -> None:
        """Run one job after the other; between jobs nobody advances the simulator, and this stands still."""
        ctx.set(self._device.response.ready, 1)
        while True:
            if self._job is not None:
                await self._job(ctx)
                self._job = None
            await ctx.delay(0)

    async def _settle(self, ctx: Any) -> None:
        """Hold reset and release it, as the other simulator does: memories are read meanwhile."""
        for level in (1, 0):
            ctx.set(self._reset, level)
            for _ in range(RESET_CYCLES):
                await ctx.tick()
                self._cycles += 1

    def _write(self, address: int, words: Words) -> int:
        base = 1 | address << 1
        return self._burst([base | int(word) << 9 for word in words], None)

    def _read(self, address: int, words: Words) -> int:
        return self._burst([address << 1] * len(words), words)

    def _burst(self, payloads: list[int], answers: Words | None) -> int:
        answered = 0

        async def burst(ctx: Any) -> None:
            nonlocal answered
            request, response = self._device.request, self._device.response
            payload = request.payload.as_value()
            asked = idle = 0
            while answered < len(payloads) and idle < self._patience:
                more = asked < len(payloads)
                ctx.set(request.valid, more)
                if more:
                    ctx.set(payload, payloads[asked])
                _, _, ready, came, word = await ctx.tick().sample(request.ready, response.valid, response.payload)
                self._cycles += 1
                if came:
                    if answers is not None:
                        answers[answered] = word
                    answered += 1
                asked += bool(more and ready)
                idle = 0 if came or (more and ready) else idle + 1
            ctx.set(request.valid, 0)

        self._run(burst)
        return answered

    def _advance(self, limit: int) -> bool:
        high = False

        async def advance(ctx: Any) -> None:
            nonlocal high
            for _ in range(limit):
                _, _, high = await ctx.tick().sample(self._device.interrupt)
                self._cycles += 1
                if high:
                    return

        self._run(advance)
        return bool(high)
