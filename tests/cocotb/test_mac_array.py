# SPDX-License-Identifier: BSD-2-Clause
"""The MAC array under cocotb: rows of random products against the golden model's arithmetic, at the stated latency."""

import pytest
from runner import run_cocotb

from liquid_accel.rtl.mac import MacArray


@pytest.mark.parametrize("seed", [1, 2])
def test_rows_of_products(simulator: str, lanes: int, seed: int) -> None:
    print(f"seed {seed}")
    array = MacArray(lanes)
    environment = {"MAC_SEED": str(seed), "MAC_LATENCY": str(array.latency)}
    run_cocotb(array, "cocotb_mac_array", simulator, environment=environment, seed=seed)
