# SPDX-License-Identifier: BSD-2-Clause
"""Faults put into the gateware, one at a time, and whether the checks find them: `make mutate`.

    python tests/mutation/run.py [--mutants 400] [--seed 1] [--programs 120] [--processes 2]

Of a mutant that no check finds a proof is tried that nothing tells it from the machine (tests/mutation/equivalence.py);
where there is one, it counts as no fault. Prints survivors as they are found, then a table by part; build/mutation.json
has all of it. Exit status 1 where fewer than 95 % of the faults were found.
"""

import argparse
import json
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from hunt import EQUIVALENT, hunt  # noqa: E402

ENOUGH = 0.95
RESULT = Path("build/mutation.json")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="mutate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mutants", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--programs", type=int, default=120, help="random programs that a mutant has to get past")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    made: Counter[str] = Counter()
    killed: Counter[str] = Counter()
    killers: Counter[str] = Counter()
    survivors: list[str] = []
    equivalent: list[str] = []
    for mutant, killer in hunt(options.mutants, options.seed, options.programs, options.processes):
        if killer == EQUIVALENT:
            equivalent.append(str(mutant))
            continue
        made[mutant.part] += 1
        if killer is None:
            survivors.append(str(mutant))
            print(f"survives: {mutant}", flush=True)
        else:
            killed[mutant.part] += 1
            killers[killer.split(" ")[0] if killer.startswith("program") else killer] += 1
    for part in made:
        print(f"{part:26}{killed[part]:5} of {made[part]:4}")
    share = killed.total() / made.total()
    seconds = round(time.monotonic() - begun)
    print(f"{'all':26}{killed.total():5} of {made.total():4}: {100 * share:.1f} %, seed {options.seed}, {seconds} s")
    print(f"proved equivalent, and none of these: {len(equivalent)}")
    print("found by:", ", ".join(f"{name} {count}" for name, count in killers.most_common()))
    RESULT.parent.mkdir(exist_ok=True)
    record = {
        "seed": options.seed, "programs": options.programs, "seconds": seconds, "mutants": made.total(),
        "killed": killed.total(), "share": round(share, 4), "by_part": {p: [killed[p], made[p]] for p in made},
        "killers": dict(killers), "survivors": survivors, "equivalent": equivalent,
    }  # fmt: skip
    RESULT.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
