# SPDX-License-Identifier: BSD-2-Clause
"""What a mutant has to get past: each check runs something on a machine and says whether all was as it has to be."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from program_generator import case
from program_runner import run
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.compare import compare
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.csr import host_words
from liquid_accel.rtl.isa import Space
from liquid_accel.rtl.registers import REGISTERS, address, mask
from liquid_accel.rtl.transport import TransportError
from liquid_accel.sim.golden import GoldenTransport

# Few lanes, but lists, tables and programs of full size, so that every bit of their addresses counts.
CONFIG = preset(
    "test", add_elements=512, base_elements=512, gate_elements=512, tables=8, kept_elements=256, program_words=256,
    fifo_words=1024,
)  # fmt: skip
Check = Callable[[Any], bool]
SOLVERS: tuple[dict[str, Any], ...] = (
    {"solver": "fused", "steps": 3},
    {"solver": "bs32", "rtol": 1e-3, "atol": 1e-3},
    {"solver": "etd21", "delta_threshold": 1 / 16},
    {"solver": "bs32", "rtol": 1e-4, "atol": 1e-4, "budget": 6},
)


def same(check: Callable[[Any], bool]) -> Check:
    """A machine that hangs, or whose answers the driver refuses, is not as it has to be."""

    def outcome(machine: Any) -> bool:
        try:
            return check(machine)
        except (AssertionError, TransportError, DeviceError):
            return False

    return outcome


def program(config: LiquidConfig, seed: int) -> Check:
    """A random program: words of its frames, STATUS and memories."""
    made = case(config, seed)
    return same(lambda machine: run(made, machine) == made.expected)


def network(config: LiquidConfig, seed: int, options: dict[str, Any]) -> Check:
    """A compiled network, traced, as the driver runs it: frames on their way while others are computed."""
    random_dt = np.random.default_rng(seed).uniform(0, 3, (3, 6))
    data = toy_data(seed, features=5, sequences=3, frames=6, dt=random_dt)
    image = liquid_accel.compile(toy_model(seed, features=5, size=10), calibration=data, config=config, **options)

    def results(transport: Any, trace: bool) -> Any:
        device = Device(transport)
        device.load(image)
        return device.run(data, states=True, trace=trace)

    golden = {trace: results(GoldenTransport(config), trace) for trace in (False, True)}
    return same(lambda machine: all(not compare(golden[t], results(machine, t)).mismatches for t in golden))


def bus(config: LiquidConfig, seed: int, operations: int = 400) -> Check:
    """Any register and none, memories and their ends, both FIFOs empty and full, while no program runs."""
    return same(lambda machine: _traffic(config, random.Random(seed), operations, machine))


def _traffic(config: LiquidConfig, draw: random.Random, operations: int, machine: Any) -> bool:
    golden = GoldenTransport(config)
    machine.write(address("CONTROL"), [mask("CONTROL", "ABORT")])
    held = 0
    named = {register.address for register in REGISTERS}
    quiet = [address(name) for name in ("OUT_MARK", "IRQ_ENABLE", "MEM_SPACE", "MEM_ADDRESS")]
    ends = host_words(config)
    sections = dict.fromkeys(Space, 0)
    for space, words in ends.items():  # golden memories start as zeroes, those of a chip as anything
        for target in (golden, machine):
            target.write(address("MEM_SPACE"), [space])
            target.write(address("MEM_ADDRESS"), [0])
            target.write(address("MEM_DATA"), [0] * min(words, 1 << 16))
    assert set(sections) <= set(ends)

    def both(place: int, count: int) -> bool:
        return [*golden.read(place, count)] == [*machine.read(place, count)]

    for _ in range(operations):
        kind = draw.randrange(8)
        if kind == 0:  # any address that is no register, either way
            place = draw.choice([p for p in (draw.getrandbits(8), draw.getrandbits(5)) if p not in named] or [255])
            if draw.random() < 0.5:
                golden.write(place, [1]), machine.write(place, [1])
            elif not both(place, 2):
                return False
        elif kind in (1, 2):  # a place in a memory, often around its end
            space, words = draw.choice([*ends.items()])
            at = draw.choice((draw.randrange(words), words - draw.randint(1, 3), words + draw.getrandbits(4)))
            data = [draw.getrandbits(16) for _ in range(draw.randint(1, 5))]
            for target in (golden, machine):
                target.write(address("MEM_SPACE"), [space | at >> 16 << 8])
                target.write(address("MEM_ADDRESS"), [at & 0xFFFF])
                target.write(address("MEM_DATA"), data)
                target.write(address("MEM_SPACE"), [space | at >> 16 << 8])
                target.write(address("MEM_ADDRESS"), [at & 0xFFFF])
            if not both(address("MEM_DATA"), len(data) + 1) or not both(address("MEM_ADDRESS"), 1):
                return False
        elif kind == 3:  # settings, which read as they were written
            place, word = draw.choice(quiet), draw.getrandbits(16)
            machine.write(place, [word]), golden.write(place, [word])
            if place != address("OUT_MARK") and not both(place, 1):
                return False
        elif kind == 4:  # words for a program that does not run; more than there is room for are told
            words = [draw.getrandbits(16) for _ in range(draw.choice((1, 3, config.fifo_words // 3)))]
            machine.write(address("IN_DATA"), words)
            lost = max(0, held + len(words) - config.fifo_words)
            held += len(words) - lost
            room, status = int(machine.read(address("IN_ROOM"), 1)[0]), int(machine.read(address("STATUS"), 1)[0])
            if room != config.fifo_words - held or bool(status & mask("STATUS", "IN_OVERFLOW")) != bool(lost):
                return False
            if lost:
                machine.write(address("CONTROL"), [mask("CONTROL", "ABORT")])
                golden.write(address("CONTROL"), [mask("CONTROL", "ABORT")])
                held = 0
        elif kind == 5:
            golden.write(address("CONTROL"), [mask("CONTROL", "ABORT")])
            machine.write(address("CONTROL"), [mask("CONTROL", "ABORT")])
            held = 0
        elif kind == 6:
            machine.write(address("IRQ_ENABLE"), [word := draw.getrandbits(3)])
            golden.write(address("IRQ_ENABLE"), [word])
            error = bool(int(golden.read(address("STATUS"), 1)[0]) & ~mask("STATUS", "IDLE"))
            if machine.wait(0) != bool(word & mask("IRQ_ENABLE", "ERROR") and error):
                return False
        elif not both(draw.choice([r.address for r in REGISTERS if r.name not in ("IN_ROOM", "OUT_MARK")]), 1):
            return False
        if not both(address("STATUS"), 1):
            return False
    return True


def checks(config: LiquidConfig, programs: int, seed: int = 1) -> Iterator[tuple[str, Check]]:
    """The cheap ones first, as most mutants die of the first."""
    for index in range(programs):
        yield f"program {seed + index}", program(config, seed + index)
        if index == 4:
            yield "bus", bus(config, seed)
            for options in SOLVERS:
                yield f"network {options['solver']}", network(config, seed, options)
