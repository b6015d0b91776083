# SPDX-License-Identifier: BSD-2-Clause
"""Random networks, compiled with random options, on the golden model and on a machine."""

import random
from typing import Any

import numpy as np
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.data import Dataset
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.compare import compare
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.transport import TransportError
from liquid_accel.sim.golden import GoldenTransport

FIXED = ("fused", "euler", "heun", "rk4", "expeuler", "beuler")
ADAPTIVE = ("heun21", "bs32", "rkf45", "dopri5", "etd21")
# Sequences and frames: the golden model computes many sequences at once as long as they take the same way.
FIXED_SIZE, ADAPTIVE_SIZE = (256, 40), (6, 20)


def network(config: LiquidConfig, seed: int) -> tuple[Any, Dataset]:
    """An image and data: sizes that are no multiples of the lanes, irregular and empty frames, inputs that saturate."""
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    features = draw.randint(1, 9)
    model = toy_model(
        seed, features=features, before=draw.choice(((), (7,), (config.lanes + 1,))), size=draw.randint(3, 20),
        form=draw.choice(("input", "literal")), activation=draw.choice(("tanh", "sigmoid")),
        classes=draw.randint(2, 5), pooled=draw.random() < 0.7,
    )  # fmt: skip
    size = FIXED_SIZE
    options: dict[str, Any] = {"solver": draw.choice(FIXED), "steps": draw.randint(1, 4)}
    if draw.random() < 0.6:
        size, tolerance = ADAPTIVE_SIZE, 10 ** draw.uniform(-3, -1)
        options = {"solver": draw.choice(ADAPTIVE), "rtol": tolerance, "atol": tolerance}
    saturating = draw.choice((0, 0.05))  # share of the inputs that are far outside
    if saturating and "rtol" in options:  # which may be stiff: without a budget a frame could take millions of steps
        options["budget"] = draw.choice((6, 20, 63))
    dt = rng.uniform(0, draw.choice((0.5, 3)), size) * (rng.random(size) > 0.1)
    data = toy_data(seed, features=features, sequences=size[0], frames=size[1], dt=dt)
    if config.column_skip and draw.random() < 0.4:
        options["delta_threshold"] = draw.choice((0.0, 1 / 64, 1 / 8))
    image = liquid_accel.compile(model, calibration=data, config=config, **options)
    x = np.where(rng.random(data.x.shape) < saturating, 1e6, data.x).astype(np.float32)
    return image, Dataset(x, data.lengths, data.dt, None, data.dt_given, data.name)


def differs(config: LiquidConfig, seed: int, machine: Any) -> tuple[int, str | None]:
    """(frames that were run, the first difference between golden model and machine); none where nothing compiles."""
    try:
        image, data = network(config, seed)
    except liquid_accel.UserError:  # does not fit the machine's small memories, or would diverge
        return 0, None
    traced = bool(seed % 2)

    def results(transport: Any) -> Any:
        device = Device(transport)
        device.load(image)
        return device.run(data, states=True, trace=traced)

    try:
        found = compare(results(GoldenTransport(config)), results(machine))
    except (DeviceError, TransportError) as error:
        return 0, str(error)
    return int(data.mask.sum()), str(found.first) if found.mismatches else None
