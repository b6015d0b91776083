# SPDX-License-Identifier: BSD-2-Clause
"""Tests of netlists import the modules beside them as top-level modules, as the cocotb benches do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
