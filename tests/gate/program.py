# SPDX-License-Identifier: BSD-2-Clause
"""A small network as orders for bench.v, and what the golden model says that comes back."""

from dataclasses import dataclass, replace

import numpy as np
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.compiler import predict
from liquid_accel.compiler.backend import data_dt
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import MARK_STEP, STEP_RECORD_WORDS, TRAILER_WORDS, Flag
from liquid_accel.rtl.registers import PRODUCT_ID, address, mask

WAIT, END = 1 << 30, 3 << 30
PATIENCE = 10_000  # cycles of a frame; the longest here take some 4,000
FRAMES = 2
TOLERANCES = {"rtol": 1e-3, "atol": 1e-3}


def write(name: str, word: int) -> int:
    """A request that writes a register."""
    return 1 | address(name) << 1 | int(word) << 9


def read(name: str) -> int:
    """A request that reads a register."""
    return address(name) << 1


@dataclass(frozen=True)
class Program:
    """Orders for bench.v, the answer to each that is a request, and the totals of the golden model's trailers."""

    orders: list[int]
    answers: list[int]
    totals: dict[str, int]


def program(
    config: LiquidConfig, solver: str = "bs32", seed: int = 2, frames: int = FRAMES, **options: float
) -> Program:
    """A random network of a dense layer, an LTC and a read-out, compiled for `config`, over `frames` frames.

    Every memory is loaded over the bus and the beginning of it read back; each frame is traced, so that each step and
    the states come out with the outputs and the counters. The last frame has dt = 0. `options` are those of the
    compiler; by default a step of two frames is rejected.
    """
    options = options or TOLERANCES
    dt = np.full((1, frames), 1.5)
    dt[0, -1] = 0.0
    data = toy_data(seed, sequences=1, frames=frames, dt=dt)
    data = replace(data, lengths=np.array([frames], np.int32))
    model = toy_model(seed, before=(6,), size=6, classes=2)
    image = liquid_accel.compile(model, calibration=data, config=config, solver=solver, **options)
    words_in = predict.frame_words(image, data.x[0], data_dt(image, data)[0])
    words_in[:, 0] |= np.uint16(Flag.TRACE)
    results = predict.machine(image, 1).run([words_in])[0]

    hash_low, hash_high = config.config_hash & 0xFFFF, config.config_hash >> 16
    exchange = [(read("ID"), PRODUCT_ID), (read("CONFIG_HASH_LOW"), hash_low), (read("CONFIG_HASH_HIGH"), hash_high)]
    for space, words in image.sections.items():
        exchange += [(write("MEM_SPACE", space), 0), (write("MEM_ADDRESS", 0), 0)]
        exchange += [(write("MEM_DATA", word), 0) for word in words]
        # The fourth word of a padded row does not exist; the first three are enough.
        exchange += [(write("MEM_ADDRESS", 0), 0), *((read("MEM_DATA"), int(word)) for word in words[:3])]
    for name, field in (("IRQ_ENABLE", "OUT_READY"), ("CONTROL", "RUN")):
        exchange.append((write(name, mask(name, field)), 0))
    orders, answers = [], []

    def ask(pairs: list[tuple[int, int]]) -> None:
        orders.extend(order for order, _ in pairs)
        answers.extend(answer for _, answer in pairs)

    ask(exchange)
    totals: dict[str, int] = {}
    for frame, words in zip(words_in, results):
        ask([(write("IN_DATA", word), 0) for word in frame])
        ask([(write("OUT_MARK", len(words)), 0)])
        orders.append(WAIT | PATIENCE)
        ask([(read("OUT_LEVEL"), len(words)), *((read("OUT_DATA"), int(word)) for word in words)])
        ask([(read("STATUS"), mask("STATUS", "IDLE"))])
        rest = words
        while int(rest[0]) & 0xF000 == MARK_STEP:
            rest = rest[STEP_RECORD_WORDS:]
        for name, value in predict.trailer(rest[1 + image.output_words :][:TRAILER_WORDS]).items():
            totals[name] = totals.get(name, 0) + value
    return Program([*orders, END], answers, totals)
