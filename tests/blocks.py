# SPDX-License-Identifier: BSD-2-Clause
"""What tests of the gateware's blocks share: Amaranth's simulator, words with their edges, streams of elements."""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
from amaranth.sim import Simulator

from liquid_accel.sim.golden import arithmetic

EDGES = (-32768, -32767, -16384, -1, 0, 1, 2, 16384, 32766, 32767)


def simulate(component: Any, bench: Any, clocked: bool = True) -> None:
    """Run the coroutine function `bench` on `component`."""
    simulator = Simulator(component)
    if clocked:
        simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def words(*values: int) -> arithmetic.Int:
    return np.array(values, np.int64)


def word(rng: random.Random) -> int:
    return rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(-32768, 32768)


def streamed(component: Any, inputs: Iterable[dict[str, int]], outputs: tuple[str, ...], latency: int) -> list[Any]:
    """The outputs of each element, `latency` cycles after its inputs, elements following each other without a gap."""
    given_inputs, seen = list(inputs), []

    async def bench(ctx: Any) -> None:
        for at in range(len(given_inputs) + latency):
            for name, value in (given_inputs[at] if at < len(given_inputs) else {}).items():
                ctx.set(getattr(component, name), value)
            if at >= latency:
                seen.append(tuple(ctx.get(getattr(component, name)) for name in outputs))
            await ctx.tick()

    simulate(component, bench)
    return seen
