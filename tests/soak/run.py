# SPDX-License-Identifier: BSD-2-Clause
"""`make soak`: random programs and random networks on the golden model and on the compiled gateware, word for word.

    python tests/soak/run.py [--programs 100000] [--networks 150] [--seed 1] [--processes 2] [--drawn 3]

A program is drawn instruction by instruction (tests/program_generator.py); of each, the words of its frames, with
status, counters and cycles, STATUS and all memories afterwards are compared, on machines of 4 to 32 lanes, with and
without kept sums, with memories that are read in two cycles, and on some whose sizes are drawn, with hosts that are
slow, early or stop. A network is compiled; of it outputs, states, every step, status and counters are compared over
many frames. What differs is made small and written to build/soak-SEED.json: tests/soak/replay.py runs it again. Of one
program in ten functional coverage is measured (tests/soak/bins.py). build/soak.json has the figures. Exit status 1
where anything differs, or, in runs of 100,000 programs and more, where a bin has no hit.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import numpy as np  # noqa: E402
from bins import Bin  # noqa: E402
from coverage_report import from_host, record, table  # noqa: E402
from failures import shrink, write  # noqa: E402
from long_programs import LONG_PROGRAMS, largest  # noqa: E402
from machines import MACHINES, Machine, Soaked, drawn  # noqa: E402
from networks import differs as network_differs  # noqa: E402
from observed import WatchedMachine  # noqa: E402
from program_generator import SHARED, Case, case  # noqa: E402
from program_runner import Host, differs  # noqa: E402

BATCH = 5 * SHARED  # programs, or one network, that a process does before it reports
WATCHED = 10  # of so many programs, coverage is measured of one
BLOCKS = (1, 1, 1, 2, 2, 3, 4, 8)  # of a program, in turn
TRAFFIC = ("calm", "ahead", "calm", "pieces", "full", "calm", "stop")
COMPLETE = 100_000  # programs from which on a bin without a hit is a failure


@dataclass
class Job:
    """`count` programs or networks from `seed` on, or a long program of this name, on a machine."""

    kind: str
    machine: str
    seed: int = 0
    count: int = 1


@dataclass
class Done:
    """How many were compared, their frames, cycles of the gateware, what differs."""

    kind: str
    count: int = 0
    frames: int = 0
    cycles: int = 0
    watched: int = 0
    wrong: list[str] = field(default_factory=list)
    bins: Counter[Bin] = field(default_factory=Counter)


class Worker:
    """The machines of one process, each with the host that uses it."""

    def __init__(self, machines: dict[str, Soaked], folder: Path) -> None:
        self.machines, self.folder = machines, folder
        self._open: dict[str, tuple[Machine, Host]] = {}

    def open(self, name: str, again: bool = False) -> tuple[Machine, Host]:
        if again or name not in self._open:
            machine = Machine(self.machines[name])
            self._open[name] = machine, Host(machine)
        return self._open[name]

    def work(self, job: Job) -> Done:
        done = Done(job.kind)
        if job.kind == "long":
            self._long(job, done)
        else:
            for seed in range(job.seed, job.seed + job.count):
                (self._network if job.kind == "networks" else self._program)(job.machine, seed, done)
        return done

    def _program(self, name: str, seed: int, done: Done) -> None:
        soaked, (machine, host) = self.machines[name], self.open(name)
        traffic = TRAFFIC[seed % len(TRAFFIC)]
        blocks = BLOCKS[seed % len(BLOCKS)]
        count = 12 if traffic == "full" and blocks == 1 else 2
        made = case(soaked.config, seed, blocks=blocks, count=count, traffic=traffic)
        if seed % WATCHED == 0:
            self._watch(made, done)
        before = machine.cycles
        found = differs(made, machine, host)
        done.count, done.frames = done.count + 1, done.frames + len(made.frames)
        done.cycles += machine.cycles - before
        if found:
            path = self.folder / f"soak-{seed}.json"
            small = shrink(made, lambda smaller: differs(smaller, Machine(soaked)) is not None)
            write(path, soaked, small, f"seed {seed}: {found}")
            done.wrong.append(f"program of seed {seed} on {name}: {found}; {path}")
            host = self.open(name, again=True)[1]
        done.bins += from_host(host.seen)
        host.seen.clear()

    def _watch(self, made: Case, done: Done) -> None:
        """The program once more on a golden model that fills bins, and checks each distance as it is kept."""
        watched = WatchedMachine(made.config, done.bins)
        for space, words in made.sections.items():
            watched.load(space, 0, words)
        found = watched.run([np.array(made.frames)])[0]
        assert [words.tolist() for words in found] == made.expected, "the golden model does not depend on who looks"
        done.watched += 1

    def _network(self, name: str, seed: int, done: Done) -> None:
        machine, host = self.open(name)
        before = machine.cycles
        frames, found = network_differs(self.machines[name].config, seed, machine)
        done.count, done.frames = done.count + bool(frames or found), done.frames + frames
        done.cycles += machine.cycles - before
        host.held.clear()
        if found:
            done.wrong.append(f"network of seed {seed} on {name}: {found}")
            self.open(name, again=True)

    def _long(self, job: Job, done: Done) -> None:
        made, machine = LONG_PROGRAMS[job.machine](), Machine(self.machines["4"])
        found = differs(made, machine, Host(machine, waits=100))
        done.count, done.frames, done.cycles = 1, len(made.frames), machine.cycles
        done.bins.update(("counter", f"{name} largest") for name in largest(made))
        if found:
            done.wrong.append(f"long program {job.machine}: {found}")


def jobs(machines: dict[str, Soaked], programs: int, networks: int, long: bool, seed: int) -> Iterator[Job]:
    """Seeds go on where the batch before them ended; machines take turns, by their shares."""
    first = seed * 1_000_000
    if long:
        yield from (Job("long", name) for name in LONG_PROGRAMS)
    most = max(machine.share for machine in machines.values())
    names = [name for turn in range(most) for name, machine in machines.items() if turn < machine.share]
    fitting = [name for name in machines if name not in ("small", "32") and not name.startswith("drawn")]
    batches = -(-programs // BATCH)
    for at in range(max(batches, networks)):
        if at < batches:
            count = min(BATCH, programs - at * BATCH)
            yield Job("programs", names[at % len(names)], first + at * BATCH, count)
        if at < networks:
            yield Job("networks", fitting[at % len(fitting)], first + at)


_worker: Worker | None = None


def _begin(machines: dict[str, Soaked], folder: Path) -> None:
    global _worker
    _worker = Worker(machines, folder)


def _work(job: Job) -> Done:
    assert _worker is not None
    return _worker.work(job)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--networks", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--drawn", type=int, default=3, help="machines whose sizes are drawn")
    parser.add_argument("--machines", default="", help="names of machines, instead of all")
    parser.add_argument("--no-long", action="store_true", help="leave out the programs that fill counters")
    parser.add_argument("--output", type=Path, default=Path("build"), help="folder of soak.json and of what differs")
    options = parser.parse_args(arguments)
    machines = MACHINES | drawn(options.seed, options.drawn)
    if options.machines:
        machines = {name: machines[name] for name in options.machines.split(",") if name in machines}
        if not machines:
            parser.error(f"no machine of {options.machines}: some of {', '.join(MACHINES)} were expected")
    options.output.mkdir(parents=True, exist_ok=True)
    begun = shown = time.monotonic()
    found = {kind: Done(kind) for kind in ("programs", "networks", "long")}
    print(f"seed {options.seed}; machines:", *(f"  {name}: {machine}" for name, machine in machines.items()), sep="\n")
    for machine in machines.values():  # each is built once, before the processes ask for it at the same time
        Machine(machine).close()
    work = jobs(machines, options.programs, options.networks, not options.no_long and "4" in machines, options.seed)
    context = multiprocessing.get_context("fork")
    with context.Pool(options.processes, _begin, (machines, options.output)) as pool:
        for done in pool.imap_unordered(_work, work):
            total = found[done.kind]
            for name in ("count", "frames", "cycles", "watched", "wrong", "bins"):
                setattr(total, name, getattr(total, name) + getattr(done, name))
            for line in done.wrong:
                print(f"differs: {line}", flush=True)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                counts = ", ".join(f"{total.count:,} {kind}" for kind, total in found.items())
                print(f"{counts}, {sum(d.cycles for d in found.values()):,} cycles, {shown - begun:.0f} s", flush=True)
    return report(options, machines, found, round(time.monotonic() - begun))


def report(options: argparse.Namespace, machines: dict[str, Soaked], found: dict[str, Done], seconds: int) -> int:
    bins = sum((done.bins for done in found.values()), Counter[Bin]())
    wrong = [line for done in found.values() for line in done.wrong]
    cycles = sum(done.cycles for done in found.values())
    coverage = record(bins, found["programs"].watched)
    first = options.seed * 1_000_000
    result = {
        "seed": options.seed,
        "seeds": [first, first + options.programs - 1],
        "programs": found["programs"].count, "networks": found["networks"].count,
        "long_programs": found["long"].count,
        "cycles": cycles, "mismatches": len(wrong), "wrong": wrong,
        "by_kind": {kind: {"count": d.count, "frames": d.frames, "cycles": d.cycles} for kind, d in found.items()},
        "machines": {name: str(machine) for name, machine in machines.items()},
        "seconds": seconds, "coverage": coverage,
    }  # fmt: skip
    (options.output / "soak.json").write_text(json.dumps(result, indent=2) + "\n")
    print(table(coverage))
    for kind, done in found.items():
        print(f"{kind}: {done.count:,}, {done.frames:,} frames, {done.cycles:,} cycles")
    print(
        f"{found['programs'].count:,} programs and {found['networks'].count} networks on {len(machines)} machines, "
        f"seed {options.seed}: {cycles:,} cycles, {len(wrong)} mismatches, {seconds} s"
    )
    complete = options.programs >= COMPLETE and not options.machines and not options.no_long
    return 1 if wrong or coverage["refuted"] or (complete and coverage["holes"]) else 0


if __name__ == "__main__":
    sys.exit(main())
