# SPDX-License-Identifier: BSD-2-Clause
"""Faults on the link: transactions over a wire that damages, repeats, loses and delays frames of either direction.

    python tests/bench/link_faults.py [--frames 100000] [--rate 0.1] [--seed 1]

A frame is a transaction: words to the input FIFO, a wait, words from the output FIFO, and sometimes a burst to a memory
and back. Each is done over the wire with faults and on an equal device without a wire; answers, and in the end every
access to the bus, have to be the same. Now and then the device is reset or unplugged, which has to be said (DeviceLost)
and leaves nothing behind. The wire has a clock of its own, so that time-outs cost no time. Exit status 1 where anything
is wrong.
"""

import argparse
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from link_twin import EchoBus, Faults, LinkTwin, TwinChannel

from liquid_accel.driver.link import LinkTransport
from liquid_accel.rtl.registers import address
from liquid_accel.rtl.transport import DeviceLost, Operation, Read, TransportError, Wait, Write

IN, OUT, MARK = address("IN_DATA"), address("OUT_DATA"), address("OUT_MARK")
PLACE, MEMORY = address("MEM_ADDRESS"), address("MEM_DATA")
LONG_S = 1e6  # more than all time-outs of a request together
RESETS = 2e-4  # a transaction
LIMIT_S = 600.0  # of the wire's clock: a transaction that takes longer hangs


def transaction(draw: random.Random) -> list[Operation]:
    """What a driver does for a frame."""
    words = [draw.randrange(65536) for _ in range(draw.randint(1, 40))]
    operations: list[Operation] = [Write(MARK, [len(words)]), Write(IN, words), Wait(LONG_S), Read(OUT, len(words))]
    if draw.random() < 0.05:
        burst = [draw.choice((0x7E7E, 0x7D7D, draw.randrange(65536))) for _ in range(draw.randint(1, 300))]
        place = [draw.randrange(65536)]
        operations += [Write(PLACE, place), Write(MEMORY, burst), Write(PLACE, place), Read(MEMORY, len(burst))]
    return operations


class Bench:
    """A device behind faults, and one without a wire, in step."""

    def __init__(self, rate: float, seed: int):
        self.draw = random.Random(seed)
        self.faults = Faults(seed + 1, rate)
        self.lost = self.wrong = self.hangs = self.accesses = 0
        self.longest = 0.0
        self._renew()
        self.channel = TwinChannel(self.twin, self.faults)
        self.transport = LinkTransport(self.channel, clock=self.channel.clock)

    def _renew(self) -> None:
        """Both devices as after a reset."""
        waits = self.draw.randint(0, 2)
        self.plain = EchoBus(waits)
        bus = EchoBus(waits)
        if hasattr(self, "twin"):
            self.twin.bus = bus
            self.twin.reset()
        else:
            self.twin = LinkTwin(bus)

    def frame(self) -> None:
        """One transaction on both."""
        operations = transaction(self.draw)
        fate = self.draw.random()
        unplugged = fate < RESETS / 2
        if fate < RESETS:
            self._reset(unplugged)
        start = self.channel.now
        try:
            found = self.transport.transact(operations)
        except DeviceLost:
            self._recover()
            return
        self.longest = max(self.longest, self.channel.now - start)
        self.hangs += self.channel.now - start > LIMIT_S
        # A reset that nobody noticed would be a wrong result, however right the words.
        self.wrong += fate < RESETS
        expected = []
        for operation in operations:
            while isinstance(operation, Wait) and not self.plain.wait(operation.timeout_s):
                pass
            expected += self.plain.transact([Wait(0.0) if isinstance(operation, Wait) else operation])
        self.wrong += [a.tolist() for a in found] != [a.tolist() for a in expected]

    def _reset(self, unplugged: bool) -> None:
        self.compare()
        self._renew()
        self.channel.plugged = not unplugged

    def _recover(self) -> None:
        self.lost += 1
        self.compare(lost=True)
        self._renew()
        self.channel.plugged = True
        while True:
            try:
                self.transport.reopen()
                return
            except TransportError:
                pass

    def compare(self, lost: bool = False) -> None:
        """Accesses to both buses; a transaction that was lost may have been carried out in part."""
        done, expected = ([(k, a, w) for k, a, words in bus.log for w in words] for bus in (self.twin.bus, self.plain))
        clocks = {address("CLOCK_KHZ_LOW"), address("CLOCK_KHZ_HIGH")}
        done = [access for access in done if access[1] not in clocks]
        self.accesses += len(expected)
        self.wrong += (done[: len(expected)] if lost else done) != expected


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=0.1, help="of all frames on the wire, of either direction")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    start = time.perf_counter()
    bench = Bench(arguments.rate, arguments.seed)
    for _ in range(arguments.frames):
        bench.frame()
    bench.compare()
    spent = bench.transport.statistics
    faults = ", ".join(f"{count} {kind}" for kind, count in sorted(bench.faults.count.items()))
    print(f"frames {arguments.frames}, requests {spent.requests}, seed {arguments.seed}")
    print(f"faults {sum(bench.faults.count.values())}: {faults}")
    print(f"sent again: {spent.timeouts} after a time-out, {spent.damaged} found damaged; late answers {spent.late}")
    print(f"lost and reported {bench.lost}, accesses to the bus compared {bench.accesses}")
    print(f"longest transaction {bench.longest:.2f} s of {bench.channel.now:.0f} s on the wire's clock")
    print(f"wrong results {bench.wrong}, hangs {bench.hangs}; {time.perf_counter() - start:.0f} s")
    return 1 if bench.wrong or bench.hangs else 0


if __name__ == "__main__":
    sys.exit(main())
