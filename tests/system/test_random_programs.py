# SPDX-License-Identifier: BSD-2-Clause
"""Compiled random models on the golden model and on the compiled simulation: word for word, whatever their shape.

Layers are no multiples of the lanes; some models are in the literal form, some have no projection; frames are
irregular, some of no length, and inputs saturate. The golden model also checks every hazard of each program.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from simulators import need
from toys import run_golden, toy_data, toy_model

import liquid_accel
from liquid_accel.data import Dataset
from liquid_accel.driver import Device
from liquid_accel.driver.compare import compare
from liquid_accel.image import Image
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.formats import FLOAT_MANTISSA_BITS
from liquid_accel.rtl.isa import Param, Space, Status
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.golden import GoldenTransport

LANES = (4, 8, 16)
SEQUENCES, FRAMES = 5, 6
NOTHING = Status(0)
SMALL = 19 << FLOAT_MANTISSA_BITS  # half a machine time unit


@dataclass(frozen=True)
class Case:
    """A model and how it is compiled.

    status, counters    what some frame must come to, so that it is tested
    wild                part of the inputs that lie far outside the range of the features
    longest             dt of the longest frames
    smallest_step       the size below which no step goes, as a pseudo-logarithm of ticks; 0 for the compiler's
    """

    seed: int
    model: dict[str, Any]
    options: dict[str, Any]
    status: Status = NOTHING
    counters: tuple[str, ...] = ()
    wild: float = 0.0
    longest: float = 3.0
    smallest_step: int = 0

    @property
    def name(self) -> str:
        return f"{self.options['solver']}-{self.seed}"


ODD = {"features": 5, "before": (7,), "size": 13, "classes": 3}
CASES = [
    Case(1, ODD, {"solver": "fused", "steps": 1}),
    Case(2, {**ODD, "form": "literal"}, {"solver": "fused", "steps": 3}),
    Case(3, {**ODD, "before": ()}, {"solver": "fused", "steps": 4}, Status.SATURATED, wild=0.2),
    Case(4, {**ODD, "activation": "sigmoid", "classes": 2}, {"solver": "fused", "steps": 4}),
    Case(5, ODD, {"solver": "bs32"}, counters=("steps_rejected",)),
    Case(6, {**ODD, "form": "literal", "before": ()}, {"solver": "bs32", "rtol": 3e-2, "atol": 3e-2}, wild=0.2),
    Case(7, {**ODD, "size": 9}, {"solver": "bs32", "rtol": 1e-5, "atol": 1e-4}, Status.STEP_LIMIT, smallest_step=SMALL),
    Case(8, {**ODD, "pooled": False}, {"solver": "bs32", "atol": 5e-2}, Status.EARLY_HALT, longest=60.0),
]


def dataset(case: Case) -> Dataset:
    """Irregular frames, a quarter of them of no length."""
    random = np.random.default_rng(case.seed)
    dt = random.uniform(0.0, case.longest, (SEQUENCES, FRAMES)) * (random.random((SEQUENCES, FRAMES)) > 0.25)
    return toy_data(case.seed, features=case.model["features"], sequences=SEQUENCES, frames=FRAMES, dt=dt)


def wild(case: Case, data: Dataset) -> Dataset:
    """The same with some inputs beyond what a word holds."""
    random = np.random.default_rng(case.seed)
    x = np.where(random.random(data.x.shape) < case.wild, 1e6 * random.choice((-1, 1), data.x.shape), data.x)
    return Dataset(x.astype(np.float32), data.lengths, data.dt, None, data.dt_given, data.name)


@pytest.fixture(scope="module")
def simulations() -> Any:
    """Open simulations by their lanes: each is built and reset once."""
    need("cxxrtl")
    opened: dict[int, CxxrtlTransport] = {}
    yield opened
    for transport in opened.values():
        transport.close()


def results(image: Image, data: Dataset, transport: Any) -> Any:
    device = Device(transport)
    device.load(image)
    return device.run(data, states=True, trace=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("machine_lanes", LANES)
def test_golden_and_simulated_words_are_equal(simulations: Any, machine_lanes: int, case: Case) -> None:
    print(f"seed {case.seed}")
    config = preset("test", lanes=machine_lanes)
    calibration = dataset(case)
    model = toy_model(case.seed, **case.model)
    image = liquid_accel.compile(model, calibration=calibration, config=config, **case.options)
    if case.smallest_step:
        scalars = image.sections[Space.S].copy()
        scalars[Param.LOG_MIN] = case.smallest_step
        image = replace(image, sections={**image.sections, Space.S: scalars})
    data = wild(case, calibration)
    if machine_lanes not in simulations:
        simulations[machine_lanes] = CxxrtlTransport(config)
    golden = results(image, data, GoldenTransport(config))
    found = compare(golden, results(image, data, simulations[machine_lanes]))
    assert found.mismatches == 0, str(found.first)
    run_golden(image, data, check_hazards=True)

    still = golden.mask & (data.dt == 0)
    assert still.any()
    assert not golden.steps_accepted[still].any()
    assert np.bitwise_or.reduce(golden.status[golden.mask]) & case.status == case.status
    for name in case.counters:
        assert getattr(golden, name).any(), name
