# SPDX-License-Identifier: BSD-2-Clause
"""Random traffic on the bus of a whole simulated chip: the bus always answers, and the machine recovers.

    python tests/bench/chip_traffic.py [--operations 100000] [--seed 1]

Reads, writes and waits at any address, of any register and of none; memories written and read at any place and past
their ends, also while a frame is under way; random words to CONTROL and to the input FIFO; programs of random words,
and programs of a network in which bits were flipped, running meanwhile. Every operation has to be answered with as many
words as were asked for, and the identity registers with what they hold. Every so often an image is loaded, which aborts
first, and a sequence has to come out as the golden model has it. Exit status 1 where anything is wrong.
"""

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chip_rig import CONFIG, Rig, work

from liquid_accel.driver import DeviceError
from liquid_accel.rtl import registers
from liquid_accel.rtl.isa import ISA_VERSION, Space
from liquid_accel.rtl.registers import BY_NAME, address, mask
from liquid_accel.rtl.transport import ADDRESS_BITS, WORD_BITS, Operation, Read, TransportError, Wait, Write

CHECK_EVERY = 1000  # operations
RUN = mask("CONTROL", "RUN")
CONSTANT = {
    "ID": registers.PRODUCT_ID, "VERSION": ISA_VERSION,
    "CONFIG_HASH_LOW": CONFIG.config_hash & 0xFFFF, "CONFIG_HASH_HIGH": CONFIG.config_hash >> 16,
}  # fmt: skip
SHORT_S = 0.2  # a wait for an interrupt that may never come


class Traffic:
    """Operations drawn from `seed`, on a chip. `kinds` counts them; `silent`, `wrong` and `unsound` what failed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.rig = Rig()
        self.work = work()
        self.kinds: Counter[str] = Counter()
        self.operations = self.words = self.checks = 0
        self.silent = self.wrong = self.unsound = 0
        self.seen = 0  # bits of STATUS
        self.makers: list[tuple[int, Callable[[], list[Operation]]]] = [
            (6, self.anywhere), (3, self.identity), (4, self.memory), (2, self.control), (3, self.frames),
            (1, self.wait), (1, self.random_program), (1, self.flipped_program),
        ]  # fmt: skip

    # ---- What is drawn -----------------------------------------------------------------------------------------

    def random_words(self, count: int) -> list[int]:
        return [self.draw.getrandbits(WORD_BITS) for _ in range(count)]

    def anywhere(self) -> list[Operation]:
        """Any address, most of them without a register."""
        place, count = self.draw.getrandbits(ADDRESS_BITS), self.draw.randint(1, 8)
        return [Read(place, count)] if self.draw.random() < 0.5 else [Write(place, self.random_words(count))]

    def identity(self) -> list[Operation]:
        return [Read(address(self.draw.choice(tuple(CONSTANT)))), Read(address("STATUS"))]

    def memory(self) -> list[Operation]:
        """Any memory, any place, mostly past its end."""
        count = self.draw.randint(1, 40)
        data = Write(address("MEM_DATA"), self.random_words(count))
        high = self.draw.choice((0, 0, 0, self.draw.getrandbits(4))) << registers.field_low("MEM_SPACE", "HIGH")
        place = self.draw.getrandbits(self.draw.choice((5, 9, WORD_BITS)))
        return [
            Write(address("MEM_SPACE"), [self.draw.getrandbits(4) | high]), Write(address("MEM_ADDRESS"), [place]),
            data if self.draw.random() < 0.5 else Read(address("MEM_DATA"), count),
        ]  # fmt: skip

    def control(self) -> list[Operation]:
        name = self.draw.choice(("CONTROL", "CONTROL", "IRQ_ENABLE", "OUT_MARK"))
        return [Write(address(name), self.random_words(self.draw.randint(1, 3)))]

    def frames(self) -> list[Operation]:
        """Words to the input FIFO, from the output FIFO, whether there is room, or anything in it."""
        return [
            Write(address("IN_DATA"), self.random_words(self.draw.randint(1, 60))), Read(address("OUT_LEVEL")),
            Read(address("OUT_DATA"), self.draw.randint(1, 40)), Read(address("IN_ROOM")),
        ]  # fmt: skip

    def wait(self) -> list[Operation]:
        return [Wait(SHORT_S * self.draw.random())]

    def random_program(self) -> list[Operation]:
        """An abort, random instructions and finish words, and off it goes."""
        rows = [self.random_words(4 * self.draw.randint(1, 12)) for _ in range(2)]
        return self._program(dict(zip((Space.ISSUE, Space.FINISH), rows)))

    def flipped_program(self) -> list[Operation]:
        """A network's program with a few bits flipped: much of it runs, and for long."""
        sections = {}
        for space in (Space.ISSUE, Space.FINISH):
            words = [int(word) for word in self.work.image.sections[space]]
            for _ in range(self.draw.randint(0, 4)):
                words[self.draw.randrange(len(words))] ^= 1 << self.draw.randrange(WORD_BITS)
            sections[space] = words
        return self._program(sections)

    def _program(self, sections: dict[Space, list[int]]) -> list[Operation]:
        operations: list[Operation] = []
        if self.draw.random() < 0.8:
            operations.append(Write(address("CONTROL"), [mask("CONTROL", "ABORT")]))
        for space, words in sections.items():
            operations += [Write(address("MEM_SPACE"), [int(space)]), Write(address("MEM_ADDRESS"), [0])]
            operations.append(Write(address("MEM_DATA"), words))
        return [*operations, Write(address("CONTROL"), [RUN])]

    # ---- What is done ------------------------------------------------------------------------------------------

    def run(self, operations: int) -> None:
        """Transactions until that many operations were made."""
        checked = 0
        while self.operations < operations:
            self.transaction()
            if self.operations - checked >= CHECK_EVERY:
                checked = self.operations
                self.check()
        self.check()

    def transaction(self) -> None:
        """A few things at once, and every answer looked at."""
        weights, makers = zip(*self.makers)
        asked: list[Operation] = []
        for make in self.draw.choices(makers, weights, k=self.draw.randint(1, 6)):
            made = make()
            self.kinds[make.__name__] += len(made)
            asked += made
        try:
            answers = self.rig.transport.transact(asked)
        except TransportError:
            self.silent += 1
            self.rig.transport.reopen()
            return
        # A wait that ends without an interrupt is the last that is carried out.
        done = asked[: len(answers)]
        self.operations += len(done)
        self.silent += len(done) < len(asked) and not isinstance(done[-1], Wait)
        for operation, words in zip(done, answers):
            wanted = operation.count if isinstance(operation, Read) else int(isinstance(operation, Wait))
            self.silent += len(words) != wanted
            self.words += len(operation.words) if isinstance(operation, Write) else wanted
            if isinstance(operation, Read):
                self._look(operation.address, [int(word) for word in words])

    def _look(self, place: int, words: list[int]) -> None:
        for name, value in CONSTANT.items():
            self.wrong += place == address(name) and any(word != value for word in words)
        if place == address("STATUS"):
            self.seen |= words[0]
        if place not in {register.address for register in BY_NAME.values()}:
            self.wrong += any(words)

    def check(self) -> None:
        """After a load the machine computes what it should."""
        self.checks += 1
        try:
            self.rig.device.load(self.work.image)
            self.unsound += self.rig.mismatches(self.work, self.checks % len(self.work.batches)) > 0
        except DeviceError as error:
            print(f"after {self.operations:,} operations: {error}", file=sys.stderr)
            self.unsound += 1

    @property
    def failures(self) -> int:
        return self.silent + self.wrong + self.unsound


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    traffic = Traffic(options.seed)
    traffic.run(options.operations)
    kinds = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(traffic.kinds.items()))
    names = [name for name, low, _ in BY_NAME["STATUS"].fields if traffic.seen >> low & 1]
    print(f"operations {traffic.operations:,} ({kinds}), words {traffic.words:,}, seed {options.seed}")
    print(f"bits of STATUS that were seen: {', '.join(names)}")
    print(f"images loaded and sequences compared with the golden model {traffic.checks}, wrong {traffic.unsound}")
    print(f"operations without an answer {traffic.silent}, wrong identities {traffic.wrong}")
    print(f"cycles {traffic.rig.chip.cycles:,} in {time.perf_counter() - start:.0f} s")
    return 1 if traffic.failures else 0


if __name__ == "__main__":
    sys.exit(main())
