# SPDX-License-Identifier: BSD-2-Clause
"""Proofs import each other as top-level modules, as the cocotb benches do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
