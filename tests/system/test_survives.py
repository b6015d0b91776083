# SPDX-License-Identifier: BSD-2-Clause
"""Whatever a machine was made to run, and whatever the bus was asked meanwhile: every access is answered, and after an
ABORT a sound image runs on it as if nothing had been."""

import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from simulators import need
from toys import toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver import frames
from liquid_accel.image import Image
from liquid_accel.rtl import registers
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.isa import CONTROL_FIELDS, Cond, Control, Op, Space, pack
from liquid_accel.rtl.registers import address, mask
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.golden import GoldenTransport
from liquid_accel.sim.golden.memory import windows

MACHINES = {"kept sums": preset("test"), "no kept sums": preset("test", kept_elements=0)}
# LIQUID_SURVIVES asks for more of them.
SEEDS = int(os.environ.get("LIQUID_SURVIVES", "40"))
OPERATIONS = 300
KNOWN = {register.address: register for register in registers.REGISTERS}
OPS, CONTROLS = list(Op), [kind for kind in Control if kind != Control.FRAME]
RUN, ABORT = (mask("CONTROL", name) for name in ("RUN", "ABORT"))


class Bench:
    """A simulated machine, sound images for it, and what the golden model makes of them."""

    def __init__(self, config: LiquidConfig, wire: CxxrtlTransport) -> None:
        self.config, self.wire = config, wire
        self.operations = 0
        small, data = toy_model(size=12), toy_data()
        choices: list[CompileOptions] = [CompileOptions(steps=2), CompileOptions(solver="bs32", rtol=1e-2, budget=40)]
        if config.column_skip:
            choices.append(CompileOptions(solver="etd21", delta_threshold=1 / 64))
        images = [compile(small, calibration=data, options=choice, config=config) for choice in choices]
        self.cases = [(image, self.words(image)) for image in images]
        self.expected = [run(GoldenTransport(config), image, words) for image, words in self.cases]

    @staticmethod
    def words(image: Image) -> np.ndarray[Any, np.dtype[np.uint16]]:
        draw = np.random.default_rng(3)
        dt, number = np.array([1.0, 0.3, 0.0, 2.0, 1.0, 1.0]), np.array([1, 2, 3, 4, 1, 2])
        return frames.encode(image, draw.normal(0, 2, (len(dt), image.inputs)), dt, number, trace=True).words

    def check(self, seed: int) -> None:
        """The machine takes an image and runs it."""
        at = seed % len(self.cases)
        assert run(self.wire, *self.cases[at]) == self.expected[at]


def load(wire: Any, sections: dict[Space, Any]) -> None:
    for space, words in sections.items():
        wire.write(address("MEM_SPACE"), [int(space)])
        wire.write(address("MEM_ADDRESS"), [0])
        wire.write(address("MEM_DATA"), words)


def run(wire: Any, image: Image, words: np.ndarray[Any, np.dtype[np.uint16]]) -> list[list[int]]:
    """What each frame gives, from an ABORT on."""
    wire.write(address("CONTROL"), [ABORT])
    load(wire, dict(image.sections))
    wire.write(address("IRQ_ENABLE"), [mask("IRQ_ENABLE", "STARVED") | mask("IRQ_ENABLE", "ERROR")])
    wire.write(address("CONTROL"), [RUN])
    found = []
    for frame in words:
        wire.write(address("IN_DATA"), frame)
        pieces: list[int] = []
        while True:
            done = wire.wait(0.0)
            level = int(wire.read(address("OUT_LEVEL"), 1)[0])
            pieces += wire.read(address("OUT_DATA"), level).tolist()
            if done and not level:
                break
        found.append(pieces)
    assert wire.read(address("STATUS"), 1)[0] == mask("STATUS", "IDLE")
    return found


def garbage(bench: Bench, draw: random.Random) -> dict[Space, Any]:
    """Contents of every memory: any words, or a sound program with some of its bits wrong, or one that begins with a
    frame and goes on with any words, or one of instructions that exist."""
    numbers = np.random.default_rng(draw.getrandbits(32))
    found: dict[Space, Any] = {
        space: numbers.integers(0, 1 << 16, window.words).astype(np.uint16)
        for space, window in windows(bench.config).items()
    }
    kind = draw.randrange(4)
    if kind == 0:
        return found
    sections = dict(draw.choice(bench.cases)[0].sections)
    if kind == 1:
        for space in (Space.ISSUE, Space.FINISH):
            words = sections[space].copy()
            for at in numbers.integers(0, words.size, draw.choice((1, 2, 8, 30))):
                words[at] ^= 1 << draw.randrange(16)
            sections[space] = words
        return found | sections
    issue = found[Space.ISSUE].reshape(-1, 4)
    if kind == 3:
        for row in issue:
            row[0] = int(row[0]) & 0xFFF8 | draw.choice(OPS)
            if row[0] & 7 == Op.CONTROL:
                fields = {
                    "control": draw.choice(CONTROLS), "cond": draw.choice(list(Cond)), "stall": draw.randrange(64),
                    "target": draw.randrange(256), "imm": draw.getrandbits(16),
                }  # fmt: skip
                word = pack(CONTROL_FIELDS, fields)
                row[:3] = [word >> 16 * k & 0xFFFF for k in range(3)]
    issue[0] = sections[Space.ISSUE].reshape(-1, 4)[0]
    if draw.random() < 0.5:
        found[Space.S] = np.resize(sections[Space.S], found[Space.S].size)
    return found


def traffic(bench: Bench, draw: random.Random, frame: Any) -> None:
    """Accesses of every kind, to registers that exist and to others, while the program runs."""
    wire = bench.wire
    for _ in range(OPERATIONS):
        bench.operations += 1
        kind = draw.randrange(10)
        if kind <= 2:
            wire.write(address("IN_DATA"), frame if draw.random() < 0.7 else [draw.getrandbits(16) for _ in range(9)])
        elif kind == 3:
            wire.read(address("OUT_DATA"), draw.randrange(40))
        elif kind == 4:
            wire.wait(0.0) if draw.random() < 0.1 else wire.read(address("STATUS"), draw.randrange(60))
        elif kind == 5:
            wire.write(address("CONTROL"), [RUN if draw.random() < 0.9 else draw.getrandbits(16)])
        elif kind == 6:
            wire.write(draw.randrange(256), [draw.getrandbits(16)])
            if draw.random() < 0.5:
                wire.write(address("CONTROL"), [RUN])
        elif kind == 7:
            where = draw.randrange(256)
            word = int(wire.read(where, 1)[0])
            assert where in KNOWN or word == 0
        elif kind == 8:
            wire.write(address("MEM_SPACE"), [draw.getrandbits(16)])
            wire.write(address("MEM_DATA"), [draw.getrandbits(16)])
        else:
            assert wire.read(address("ID"), 1)[0] == registers.PRODUCT_ID


@pytest.fixture(scope="module", params=MACHINES)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    need("cxxrtl")
    config = MACHINES[request.param]
    with CxxrtlTransport(config) as wire:
        made = Bench(config, wire)
        yield made
        print(f"{made.operations} operations")


@pytest.mark.parametrize("part", range(4))
def test_any_program_and_any_traffic_leave_a_machine_that_works(bench: Bench, part: int) -> None:
    for seed in range(part, SEEDS, 4):
        draw = random.Random(seed)
        bench.wire.write(address("CONTROL"), [ABORT])
        load(bench.wire, garbage(bench, draw))
        bench.wire.write(address("CONTROL"), [RUN])
        traffic(bench, draw, draw.choice(bench.cases)[1][0])
        if draw.random() < 0.3:  # in the middle of a frame of a sound image
            image, words = draw.choice(bench.cases)
            bench.wire.write(address("CONTROL"), [ABORT])
            load(bench.wire, dict(image.sections))
            bench.wire.write(address("CONTROL"), [RUN])
            bench.wire.write(address("IN_DATA"), words[0])
            bench.wire.read(address("STATUS"), draw.randrange(400))
        bench.check(seed)


def test_bad_programs_stop_with_a_status(bench: Bench) -> None:
    """What the sequencer can see is told in STATUS, and stays until ABORT."""
    image, words = bench.cases[0]
    for pc, row in ((1, [7, 0, 0]), (2, [31 << 10, 0, 0])):  # an opcode, a control code
        issue = image.sections[Space.ISSUE].copy().reshape(-1, 4)
        issue[1:3] = [0, 0, 0, 0]
        issue[pc, :3] = row
        bench.wire.write(address("CONTROL"), [ABORT])
        load(bench.wire, dict(image.sections) | {Space.ISSUE: issue.reshape(-1)})
        bench.wire.write(address("IRQ_ENABLE"), [mask("IRQ_ENABLE", "ERROR")])
        bench.wire.write(address("CONTROL"), [RUN])
        bench.wire.write(address("IN_DATA"), words[0])
        assert bench.wire.wait(1.0)
        assert bench.wire.read(address("STATUS"), 1)[0] & mask("STATUS", "ILLEGAL")
        bench.check(pc)
