# SPDX-License-Identifier: BSD-2-Clause
"""python tests/soak/replay.py FILE: run a program that differed again, and say where it differs.

Exit status 1 where it still does.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from failures import read  # noqa: E402
from machines import Machine  # noqa: E402
from program_runner import differs  # noqa: E402

if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
        print("replay: one file that `make soak` wrote was expected", file=sys.stderr)
        sys.exit(2)
    soaked, case = read(Path(sys.argv[1]))
    found = differs(case, Machine(soaked))
    print(found or "no difference any more")
    sys.exit(1 if found else 0)
