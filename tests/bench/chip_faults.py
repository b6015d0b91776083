# SPDX-License-Identifier: BSD-2-Clause
"""Faults on the wire to a whole simulated chip, while a network runs on it.

    python tests/bench/chip_faults.py [--frames 100000] [--rate 0.1] [--noise 2e-5] [--seed 1]

The driver runs sequences, in batches and frame by frame, on the chip in RTL at the smallest divisor of its UART; each
word of what it accepts is compared with the golden model's. `--rate` of the frames of the link, either way, are damaged
(bits flipped, bytes dropped and inserted, frames repeated, cut, late, lost, noise before them); `--noise` is the
probability of each bit on the wires, start and stop bits included, to be inverted. Now and then the chip is reset,
which has to be reported. Time-outs are counted in the chip's own cycles. Exit status 1 where a wrong word is accepted,
or something hangs, or does not recover.
"""

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from chip_rig import CLOCK_HZ, Rig, Work, work
from link_twin import Faults

from liquid_accel.driver import DeviceError

RESETS = 1e-4  # of the frames to the chip
LIMIT_S = 900.0  # of the chip's clock: a sequence that takes longer hangs. A request gives up after some 20 s
ATTEMPTS = 20  # of a sequence: one that was reported is begun again


@dataclass
class Counts:
    """What happened."""

    to_chip: int = 0
    to_host: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    framing_errors: int = 0
    sent_again: int = 0
    sequences: int = 0
    computed: int = 0
    resets: int = 0
    reported: int = 0
    wrong: int = 0
    hangs: int = 0
    given_up: int = 0
    longest_s: float = 0.0
    cycles: int = 0
    simulated: int = 0

    @property
    def frames(self) -> int:
        """Frames of the link, either way."""
        return self.to_chip + self.to_host

    @property
    def sound(self) -> bool:
        """Whether nothing wrong was accepted, and all else recovered or was reported."""
        return not (self.wrong or self.hangs or self.given_up)


class Bench:
    """A chip behind a wire with faults."""

    def __init__(self, rate: float, noise: float, seed: int) -> None:
        self.counts = Counts()
        self.faults = Faults(seed, rate)
        self.work: Work = work()
        self.rig = Rig()
        self.rig.device.load(self.work.image)
        self.rig.channel.faults = self._meet
        self.rig.chip.noise(noise, seed)

    def _meet(self, frame: bytes) -> list[tuple[float, bytes]]:
        """What becomes of a frame; the chip may be reset in the middle of whatever it does."""
        if self.faults.random.random() < RESETS:
            self.rig.chip.reset()
            self.counts.resets += 1
        return self.faults(frame)

    def run(self, frames: int) -> Counts:
        """Sequences until that many frames have been on the wire."""
        counts, channel, chip = self.counts, self.rig.channel, self.rig.chip
        while counts.frames < frames:
            self._sequence(counts.sequences % len(self.work.batches))
            counts.to_chip, counts.to_host = channel.frames_to_chip, channel.frames_to_host
        spent = self.rig.transport.statistics
        counts.sent_again = spent.timeouts + spent.damaged
        counts.faults = dict(sorted(self.faults.count.items()))
        counts.framing_errors = chip.framing_errors
        counts.cycles, counts.simulated = chip.cycles, chip.simulated_cycles
        return counts

    def _sequence(self, index: int) -> None:
        """One sequence, until it is through."""
        counts, channel = self.counts, self.rig.channel
        begun = channel.clock()
        for _ in range(ATTEMPTS):
            try:
                if counts.sequences % 4:
                    counts.wrong += self._step(index)
                else:
                    counts.wrong += self.rig.mismatches(self.work, index)
            except DeviceError:
                counts.reported += 1
                continue
            break
        else:
            counts.given_up += 1
        spent = channel.clock() - begun
        counts.longest_s = max(counts.longest_s, spent)
        counts.hangs += spent > LIMIT_S
        counts.sequences += 1
        counts.computed += int(self.work.batches[index].lengths[0])

    def _step(self, index: int) -> int:
        """Frame by frame; the words that differ: outputs, status and cycles."""
        batch, golden, device = self.work.batches[index], self.work.golden[index], self.rig.device
        device.reset()
        wrong = 0
        for k in range(int(batch.lengths[0])):
            y = device.step(batch.x[0, k], float(batch.dt[0, k]))
            last = device.last
            assert last is not None
            wrong += int((y != golden.y[0, k]).sum())
            wrong += int(np.any(last.status[0, 0] != golden.status[0, k]) + (last.cycles[0, 0] != golden.cycles[0, k]))
        return wrong


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000, help="of the link, both ways together")
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--noise", type=float, default=2e-5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    found = Bench(options.rate, options.noise, options.seed).run(options.frames)
    seconds = time.perf_counter() - start
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in found.faults.items())
    print(f"frames on the link {found.frames:,}: {found.to_chip:,} to the chip, {found.to_host:,} to the host")
    print(f"faults {sum(found.faults.values()):,}: {kinds}; and each bit inverted with probability {options.noise:g}")
    print(f"bytes from the chip without a stop bit {found.framing_errors:,}; requests sent again {found.sent_again:,}")
    print(f"sequences {found.sequences:,}, network frames {found.computed:,}, all compared with the golden model")
    print(f"resets of the chip {found.resets}; failures reported, and recovered from, {found.reported}")
    print(f"longest sequence {found.longest_s:.1f} s of {found.cycles / CLOCK_HZ:,.0f} s of the chip's clock")
    print(f"cycles {found.cycles:,}, {found.simulated:,} of them simulated, in {seconds:.0f} s")
    print(f"wrong words accepted {found.wrong}, hangs {found.hangs}, given up {found.given_up}")
    return 0 if found.sound else 1


if __name__ == "__main__":
    sys.exit(main())
