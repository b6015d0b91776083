# SPDX-License-Identifier: BSD-2-Clause
"""Random programs of every instruction, on the golden model and on the compiled simulation: every word of every frame,
and the memories afterwards. They are spaced as closely as the hazards allow (tests/program_generator.py)."""

from collections import Counter
from collections.abc import Iterator

import pytest
from program_generator import case
from program_runner import run
from simulators import need

from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.isa import Control, Op
from liquid_accel.sim.cxxrtl import CxxrtlTransport

MACHINES = {
    **{f"{lanes} lanes": preset("test", lanes=lanes, fifo_words=1024) for lanes in (4, 8, 16, 32)},
    "no kept sums": preset("test", kept_elements=0, fifo_words=1024),
}
SEEDS = 12
LOOKED_AT = 24  # programs in which every instruction has to be


@pytest.fixture(scope="module", params=MACHINES)
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[LiquidConfig, CxxrtlTransport]]:
    need("cxxrtl")
    config = MACHINES[request.param]
    with CxxrtlTransport(config) as transport:
        yield config, transport


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_word_is_the_golden_models(machine: tuple[LiquidConfig, CxxrtlTransport], seed: int) -> None:
    config, transport = machine
    print(f"seed {seed}")
    made = case(config, seed)
    assert run(made, transport) == made.expected


@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
def test_the_programs_hold_every_instruction(lanes: int) -> None:
    config = preset("test", lanes=lanes, fifo_words=1024)
    seen: Counter[int] = Counter()
    for seed in range(LOOKED_AT):
        for i in case(config, seed).program:
            seen[("control", i.control) if i.op == Op.CONTROL else ("op", i.op)] += 1
    wanted = {("control", kind) for kind in Control} | {("op", op) for op in Op if op != Op.CONTROL}
    assert wanted <= set(seen), wanted - set(seen)
