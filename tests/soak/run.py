# SPDX-License-Identifier: BSD-2-Clause
"""`make soak`: random programs and random networks on the golden model and on the compiled gateware, word for word.

    python tests/soak/run.py [--programs 100000] [--networks 400] [--seed 1] [--processes 2]

A program is drawn instruction by instruction (tests/program_generator.py); of each, the words of its frames, STATUS and
all memories afterwards are compared, on machines of 4 to 32 lanes, with and without kept sums, and with memories that
are read in two cycles. A network is compiled; of it outputs, states, every step, status and counters are compared over
many frames. What differs is written to build/soak-SEED.json, as small as it still differs: tests/soak/replay.py runs it
again. build/soak.json has the figures. Exit status 1 where anything differs.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from failures import shrink, write  # noqa: E402
from machines import MACHINES, open_machine  # noqa: E402
from networks import differs as network_differs  # noqa: E402
from program_generator import case  # noqa: E402
from program_runner import differs  # noqa: E402

RESULT = Path("build/soak.json")
BATCH = 50  # programs, or one network, that a process does before it reports
_open: dict[str, Any] = {}  # the machines of this process


def work(job: tuple[str, str, int, int]) -> dict[str, Any]:
    """A batch of programs, or a network, on one machine: how many, cycles of the gateware, seeds that differ."""
    kind, name, seed, count = job
    if name not in _open:
        _open[name] = open_machine(name)
    machine, begun = _open[name], _open[name].cycles
    wrong: list[str] = []
    for at in range(seed, seed + count):
        if kind == "networks":
            found = network_differs(MACHINES[name].config, at, machine)
        else:
            made = case(MACHINES[name].config, at, blocks=1 + at % 8)
            found = differs(made, machine)
            if found:
                path = RESULT.parent / f"soak-{at}.json"
                write(path, name, shrink(made, lambda smaller: differs(smaller, open_machine(name)) is not None))
                found = f"{found}; {path}"
        if found:
            wrong.append(f"{kind} seed {at} on {name}: {found}")
            _open[name] = machine = open_machine(name)
            begun = machine.cycles
    return {"kind": kind, "count": count, "cycles": machine.cycles - begun, "wrong": wrong}


def jobs(programs: int, networks: int, seed: int) -> Iterator[tuple[str, str, int, int]]:
    """Seeds go on where the batch before them ended; machines take turns."""
    names, first = [*MACHINES], seed * 1_000_000
    for at in range(0, programs, BATCH):
        yield "programs", names[at // BATCH % len(names)], first + at, min(BATCH, programs - at)
    for at in range(networks):
        yield "networks", names[at % len(names)], first + at, 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--networks", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    RESULT.parent.mkdir(exist_ok=True)
    begun = shown = time.monotonic()
    counts, cycles, wrong = {"programs": 0, "networks": 0}, 0, list[str]()
    for name in MACHINES:  # each is built once, before the processes ask for it at the same time
        open_machine(name).close()
    with multiprocessing.get_context("fork").Pool(options.processes) as pool:
        for done in pool.imap_unordered(work, jobs(options.programs, options.networks, options.seed)):
            counts[done["kind"]] += done["count"]
            cycles += done["cycles"]
            wrong += done["wrong"]
            for line in done["wrong"]:
                print(f"differs: {line}", flush=True)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"{counts['programs']:,} programs, {counts['networks']} networks, {cycles:,} cycles", flush=True)
    record = {
        "seed": options.seed, **counts, "cycles": cycles, "mismatches": len(wrong), "wrong": wrong,
        "machines": {name: str(machine) for name, machine in MACHINES.items()},
        "seconds": round(time.monotonic() - begun),
    }  # fmt: skip
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    print(
        f"{counts['programs']:,} programs and {counts['networks']} networks on {len(MACHINES)} machines, seed "
        f"{options.seed}: {cycles:,} cycles, {len(wrong)} mismatches, {record['seconds']} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
