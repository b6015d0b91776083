# SPDX-License-Identifier: BSD-2-Clause
"""What a mutant has to get past: each check runs something on a machine and says whether all was as it has to be."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from program_generator import Case, case
from program_runner import ERROR, READY, RUN, STARVED, differs
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.compare import compare
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.csr import host_words
from liquid_accel.rtl.isa import Control, Finish, Instruction, Op, Space
from liquid_accel.rtl.registers import REGISTERS, Access, address, mask
from liquid_accel.rtl.transport import TransportError
from liquid_accel.sim.golden import GoldenTransport
from liquid_accel.sim.golden.memory import assemble

# Few lanes, but lists, tables and programs of full size, so that every bit of their addresses counts.
CONFIG = preset(
    "test", add_elements=512, base_elements=512, gate_elements=512, tables=8, kept_elements=256, program_words=256,
    fifo_words=1024,
)  # fmt: skip
# Of the programs, in turn: how many blocks they have, and what their host does (tests/program_runner.py).
BLOCKS = (4, 4, 4, 1, 2, 3, 8)
TRAFFIC = ("calm", "calm", "calm", "stop", "ahead", "pieces", "full", "calm")
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


def made(config: LiquidConfig, seed: int) -> Case:
    return case(config, seed, blocks=BLOCKS[seed % len(BLOCKS)], traffic=TRAFFIC[seed % len(TRAFFIC)])


def program(config: LiquidConfig, seed: int) -> Check:
    """A random program: words of its frames, STATUS, memories and kept sums."""
    drawn = made(config, seed)
    return same(lambda machine: differs(drawn, machine) is None)


def interrupts(config: LiquidConfig, seed: int, operations: int = 100) -> Check:
    """The interrupt against the golden model's, for any mark and sources, while frames come and go."""
    drawn = case(config, seed, blocks=1)
    return same(lambda machine: _interrupts(drawn, random.Random(seed), operations, machine))


def _interrupts(drawn: Case, draw: random.Random, operations: int, machine: Any) -> bool:
    golden = GoldenTransport(drawn.config)
    both = (golden, machine)

    def put(name: str, *words: int) -> None:
        for target in both:
            target.write(address(name), list(words))

    for space, words in drawn.sections.items():
        put("MEM_SPACE", space), put("MEM_ADDRESS", 0), put("MEM_DATA", *words.tolist())
    put("CONTROL", RUN)
    frame, answer = drawn.frames[0], len(drawn.expected[0])
    sent = level = 0
    for _ in range(operations):
        whole = level + answer <= drawn.config.fifo_words // 4
        part = draw.choice((len(frame) - sent, 1)) if whole else 0
        if part and draw.random() < 0.6:
            put("IN_DATA", *frame[sent : sent + part])
            sent = (sent + part) % len(frame)
            level += answer * (not sent)
        elif level and draw.random() < 0.5:
            part = draw.choice((level, draw.randint(1, level)))
            words = [[int(word) for word in target.read(address("OUT_DATA"), part)] for target in both]
            if words[0] != words[1]:
                return False
            level -= part
        for _ in range(100):  # the golden model is done already
            if int(machine.read(address("OUT_LEVEL"), 1)[0]) == level:
                break
            machine.read(address("ID"), 50)
        put("OUT_MARK", draw.choice((0, 1, level, level + 1, max(0, level - 1))))
        put("IRQ_ENABLE", draw.choice((READY, STARVED, ERROR, draw.getrandbits(3))))
        machine.read(address("ID"), 50)  # until it waits for the next frame
        if machine.wait(0) != golden.wait(0):
            return False
    return True


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
    fixed = [r.address for r in REGISTERS if r.access == Access.READ and r.name not in ("IN_ROOM", "OUT_DATA")]
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
        elif kind == 3:  # settings, which read as they were written, and what cannot be written
            place, word = draw.choice((*quiet, draw.choice(fixed))), draw.getrandbits(16)
            machine.write(place, [word]), golden.write(place, [word])
            width = (2 * config.fifo_words - 1) if place == address("OUT_MARK") else 0xFFFF  # as wide as a level
            if (int(golden.read(place, 1)[0]) ^ int(machine.read(place, 1)[0])) & width:
                return False
        elif kind == 4:  # words for a program that does not run; more than there is room for are told
            room = config.fifo_words - held
            words = [draw.getrandbits(16) for _ in range(draw.choice((1, 3, room // 3 + 1, room + 1)))]
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
        if not both(address("STATUS"), 1) or not both(address("CONTROL"), 1):
            return False
    return True


def busy(config: LiquidConfig, seed: int) -> Check:
    """A frame of some 10,000 cycles: no idling in it, and no memory for the host, whatever it asks for."""
    return same(lambda machine: _busy(config, random.Random(seed), machine))


def _busy(config: LiquidConfig, draw: random.Random, machine: Any) -> bool:
    rows = draw.randint(40, 50)
    program = [
        Instruction(control=Control.FRAME, imm=5, target=1), Instruction(control=Control.LOOP, imm=rows),
        Instruction(op=Op.DOT, cols=draw.randint(200, 256), last=1, loop_end=1, finish=Finish(indexed=0)),
        Instruction(control=Control.DONE, stall=31), Instruction(control=Control.JUMP, target=0),
    ]  # fmt: skip
    sections = assemble(program)
    idle, denied = mask("STATUS", "IDLE"), mask("STATUS", "MEM_BUSY")

    def put(name: str, *words: int) -> None:
        machine.write(address(name), list(words))

    def get(name: str, count: int = 1) -> list[int]:
        return [int(word) for word in machine.read(address(name), count)]

    for space, words in sections.items():
        put("MEM_SPACE", space), put("MEM_ADDRESS", 0), put("MEM_DATA", *words.tolist())
    put("CONTROL", RUN)
    if get("STATUS") != [idle]:
        return False
    put("IN_DATA", 1, 0, 0, 0, 0)
    get("ID", draw.randint(1, 4))
    begins = get("STATUS", 40)
    if begins != sorted(begins, reverse=True) or begins[-1]:
        return False
    wanted, stopped = 0, False
    for _ in range(60):
        if get("STATUS") != [wanted]:
            return False
        kind = draw.randrange(5)
        if kind == 0:
            put("MEM_SPACE", draw.choice([*host_words(config)])), put("MEM_ADDRESS", draw.randrange(5))
            if draw.random() < 0.5:
                put("MEM_DATA", 0xFFFF)
            elif get("MEM_DATA") != [0]:
                return False
            wanted |= denied
        elif kind == 1 and not stopped:
            put("CONTROL", 0)
            stopped = True
        get("ID", draw.randint(1, 100))
    get("ID", 15_000)
    if get("STATUS") != [idle | wanted] or get("CONTROL") != [0 if stopped else RUN]:
        return False
    for space, words in sections.items():
        put("MEM_SPACE", space), put("MEM_ADDRESS", 0)
        if get("MEM_DATA", words.size) != words.tolist():
            return False
    put("CONTROL", mask("CONTROL", "ABORT"))
    return get("STATUS") == [idle]


def checks(config: LiquidConfig, programs: int, seed: int = 1) -> Iterator[tuple[str, Check]]:
    """The cheap ones first, as most mutants die of the first."""
    for index in range(programs):
        yield f"program {seed + index}", program(config, seed + index)
        if index == 4:
            yield "bus", bus(config, seed, 1000)
            for k in range(3):
                yield "interrupts", interrupts(config, seed + k)
                yield "busy", busy(config, seed + k)
            for options in SOLVERS:
                yield f"network {options['solver']}", network(config, seed, options)
