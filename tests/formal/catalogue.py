# SPDX-License-Identifier: BSD-2-Clause
"""All proofs, by name."""

import proofs_arithmetic
import proofs_control
import proofs_streams
from prover import Proof

PROOFS: dict[str, Proof] = {
    proof.name: proof for module in (proofs_arithmetic, proofs_streams, proofs_control) for proof in module.PROOFS
}
