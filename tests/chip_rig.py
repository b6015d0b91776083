# SPDX-License-Identifier: BSD-2-Clause
"""A simulated chip, a small image for it, and what the golden model makes of its data: for tests of whole chips."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from system.small import model, sequences

import liquid_accel
from liquid_accel import data
from liquid_accel.data import Dataset
from liquid_accel.driver import Device
from liquid_accel.driver.compare import compare
from liquid_accel.driver.link import LinkTransport
from liquid_accel.driver.parallel import run_on
from liquid_accel.driver.result import Result
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.sim.chip import SimulatedChip, chip_rtlil
from liquid_accel.sim.chip_channel import ChipChannel

# Of the chip's clock in virtual time: time-outs of the host, in seconds, are then few cycles.
CLOCK_HZ = 100_000
CONFIG = preset("test")


@dataclass(frozen=True)
class Work:
    """An image, sequences, and the golden result of each."""

    image: Image
    batches: list[Dataset]
    golden: list[Result]

    @property
    def longest(self) -> int:
        """Frames of the longest sequence."""
        return max(int(batch.lengths[0]) for batch in self.batches)


@cache
def work(config: LiquidConfig = CONFIG, solver: str = "fused", count: int = 24) -> Work:
    """`count` sequences of a few frames, and a small network of which a frame takes some hundred cycles."""
    image = liquid_accel.compile(model(), calibration=sequences()["x"], solver=solver, config=config)
    whole = data.from_arrays(sequences(count), image.default_dt, "data")
    batches = [whole.subset(np.array([k])) for k in range(count)]
    return Work(image, batches, [run_on("golden", image, b, states=True, trace=True, jobs=1).result for b in batches])


@cache
def rtlil(config: LiquidConfig = CONFIG) -> str:
    """The chip that is simulated."""
    return chip_rtlil(config, clock_hz=CLOCK_HZ)


class Rig:
    """A chip of `config`, the wire to it, and a device of the driver's on the other end of the wire."""

    def __init__(self, config: LiquidConfig = CONFIG) -> None:
        self.chip = SimulatedChip(rtlil(config))
        self.channel = ChipChannel(self.chip, CLOCK_HZ)
        self.transport = LinkTransport(self.channel, clock=self.channel.clock)
        self.device = Device(self.transport)

    def mismatches(self, work: Work, index: int) -> int:
        """Words of a sequence that differ from the golden model's. Raises `DeviceError`."""
        found = self.device.run(work.batches[index], states=True, trace=True)
        return compare(work.golden[index], found).mismatches

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self.device.close()
        self.chip.close()
