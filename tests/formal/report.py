# SPDX-License-Identifier: BSD-2-Clause
"""`make prove`: every proof, how it was made, and the fault that makes it fail; build/proofs.json has the same.

Exit status 1 where a property does not hold, or no fault of the block makes its proof fail.
"""

import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from catalogue import PROOFS  # noqa: E402
from prover import breaks, prove  # noqa: E402

RESULT = Path("build/proofs.json")


def main() -> int:
    rows = []
    for name, proof in PROOFS.items():
        begun = time.monotonic()
        verdict = prove(proof)
        seconds = round(time.monotonic() - begun, 1)
        found = breaks(proof)
        row = {"name": name, "block": proof.block, "claim": proof.claim, "method": proof.method}
        row |= {"holds": verdict.holds, "seconds": seconds, "faults_tried": found.tried, "fault_found": found.found}
        rows.append(row)
        broken = f"fails with fault {found.tried}" if not found.holds else "NO FAULT MAKES IT FAIL"
        print(
            f"{name:14} {'holds' if verdict.holds else 'FAILS':6} {proof.method:24} {seconds:6} s  {broken}", flush=True
        )
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"proofs": rows}, indent=2) + "\n")
    return 0 if all(row["holds"] and row["fault_found"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
