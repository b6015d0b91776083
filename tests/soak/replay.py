# SPDX-License-Identifier: BSD-2-Clause
"""python tests/soak/replay.py FILE: run a program that differed again, and say where it differs.

Exit status 1 where it still does.
"""

import json
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from machines import MACHINES, open_machine  # noqa: E402
from program_generator import Case  # noqa: E402
from program_runner import differs  # noqa: E402

from liquid_accel.rtl.isa import Space  # noqa: E402


def read(path: Path) -> tuple[str, Case]:
    """What tests/soak/failures.py wrote."""
    record = json.loads(path.read_text())
    sections = {Space[name]: np.array(words, np.uint16) for name, words in record["sections"].items()}
    memories = {Space[name]: words for name, words in record["memories"].items()}
    config = MACHINES[record["machine"]].config
    return record["machine"], Case(config, [], sections, record["frames"], record["expected"], memories)


if __name__ == "__main__":
    name, case = read(Path(sys.argv[1]))
    found = differs(case, open_machine(name))
    print(found or "no difference any more")
    sys.exit(1 if found else 0)
