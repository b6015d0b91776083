# SPDX-License-Identifier: BSD-2-Clause
"""`make coverage`: lines, arms of conditions and toggled bits of the gateware, by Verilator.

    python tests/coverage/run.py [--programs 300] [--networks 8] [--no-long]

What the soak test runs, in small: random programs with all kinds of hosts, networks, programs that fill the counters;
and traffic on the bus. All of it is compared with the golden model. The Verilog is yosys' of the Amaranth source, whose
every If and Case is an arm there; bits that yosys finds to be constant are left out. build/coverage.json has the
figures and each hole; exit status 1 where something differs, or fewer than 98 % of a kind were reached.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "coverage"), str(TESTS / "mutation"), str(TESTS / "soak"), str(TESTS)]

from checks import BLOCKS, TRAFFIC, bus, busy, interrupts  # noqa: E402
from covered import KINDS, Machine, Point, bit_of, constants, library  # noqa: E402
from long_programs import CONFIG, LONG_PROGRAMS  # noqa: E402
from networks import differs as network_differs  # noqa: E402
from program_generator import case  # noqa: E402
from program_runner import Host, differs  # noqa: E402

ENOUGH = 0.98
RESULT = Path("build/coverage.json")


class Covered:
    """Counts of all that has run, and what differed."""

    def __init__(self) -> None:
        self.library, self.source = library(CONFIG)
        self.constants = constants(CONFIG)
        self.counts: Counter[Point] = Counter()
        self.cycles, self.wrong = 0, list[str]()

    def run(self, name: str, work: Any, patience: int = 20_000) -> None:
        """`work` does something with a machine and says what differs."""
        with Machine(self.library, patience) as machine:
            found = work(machine)
            if found:
                self.wrong.append(f"{name}: {found}")
            self.cycles += machine.cycles
            for point, count in machine.counts(self.source).items():
                if point.kind != "toggle" or bit_of(point) not in self.constants:
                    self.counts[point] += count


def programs(covered: Covered, count: int) -> None:
    def work(machine: Machine) -> str | None:
        host = Host(machine)
        for seed in range(count):
            made = case(CONFIG, seed, blocks=BLOCKS[seed % len(BLOCKS)], traffic=TRAFFIC[seed % len(TRAFFIC)])
            found = differs(made, machine, host)
            if found:
                return f"seed {seed}: {found}"
        return None

    covered.run("programs", work)


def on_the_bus(covered: Covered) -> None:
    traffic = {"bus": bus(CONFIG, 1, 3000), "interrupts": interrupts(CONFIG, 1), "busy": busy(CONFIG, 1)}
    for name, check in traffic.items():
        covered.run(name, lambda machine, check=check: None if check(machine) else "an answer")


def figures(counts: Counter[Point]) -> dict[str, dict[str, Any]]:
    found = {}
    for kind in KINDS.values():
        reached = [count > 0 for point, count in counts.items() if point.kind == kind]
        found[kind] = {"reached": sum(reached), "points": len(reached), "share": round(sum(reached) / len(reached), 4)}
    return found


def holes(counts: Counter[Point]) -> list[str]:
    """What was not reached, a line each; bits of a signal together."""
    found: Counter[str] = Counter()
    for point, count in counts.items():
        if not count:
            name = bit_of(point)[1] if point.kind == "toggle" else f"line {point.line}: {point.what}"
            found[f"{point.kind} {point.instance}: {name}"] += 1
    return [f"{name} ({n})" if n > 1 else name for name, n in found.most_common()]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="coverage", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--no-long", action="store_true", help="leave out the programs that fill counters")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    covered = Covered()
    programs(covered, options.programs)
    on_the_bus(covered)
    for seed in range(1, options.networks + 1):
        covered.run(f"network {seed}", lambda machine, seed=seed: network_differs(CONFIG, seed, machine)[1])
    for name, make in {} if options.no_long else LONG_PROGRAMS.items():
        covered.run(name, lambda machine, make=make: differs(make(), machine, Host(machine, waits=100)))
    found, seconds = figures(covered.counts), round(time.monotonic() - begun)
    missed = holes(covered.counts)
    for line in covered.wrong:
        print(f"differs: {line}")
    for line in missed[:40]:
        print(f"not reached: {line}")
    for kind, row in found.items():
        print(f"{kind:8}{row['reached']:7,} of {row['points']:7,}: {100 * row['share']:.2f} %")
    print(f"{covered.cycles:,} cycles in {seconds} s, {len(covered.wrong)} differ")
    RESULT.parent.mkdir(exist_ok=True)
    record = {
        "programs": options.programs, "networks": options.networks, "long": not options.no_long,
        "cycles": covered.cycles, "seconds": seconds, "wrong": covered.wrong, "kinds": found, "holes": missed,
    }  # fmt: skip
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    return 1 if covered.wrong or any(row["share"] < ENOUGH for row in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
