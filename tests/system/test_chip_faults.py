# SPDX-License-Identifier: BSD-2-Clause
"""A whole simulated chip behind a wire with faults, and with random traffic on its bus: short runs of what
tests/bench/chip_faults.py and chip_traffic.py do for long."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from chip_rig import Rig, work
from simulators import need

BENCH = Path(__file__).resolve().parents[1] / "bench"


def bench(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def simulator() -> None:
    need("cxxrtl")


@pytest.mark.parametrize("seed", [3, 4])
def test_no_fault_on_the_wire_makes_a_wrong_word(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module = bench("chip_faults")
    monkeypatch.setattr(module, "RESETS", 4e-3)
    found = module.Bench(0.1, 5e-5, seed).run(1000)
    print(found)
    assert found.sound
    assert set(found.faults) == set(module.Faults.KINDS)
    # Faults were met, and what a reset destroyed was reported: each at least where it struck in a transaction.
    assert found.sent_again > 50
    assert found.resets
    assert found.reported


def test_the_bus_answers_whatever_is_asked_of_it() -> None:
    traffic = bench("chip_traffic").Traffic(5)
    traffic.run(3000)
    assert traffic.failures == 0
    assert traffic.checks >= 3
    assert all(traffic.kinds[make.__name__] for _, make in traffic.makers)
    # Illegal programs ran, and memories were used past their ends.
    assert {"ILLEGAL", "BAD_ADDRESS"} <= {
        name for name, low, _ in bench("chip_traffic").BY_NAME["STATUS"].fields if traffic.seen >> low & 1
    }


def test_a_wire_without_faults_costs_no_second_try() -> None:
    with Rig() as rig:
        rig.device.load(work().image)
        assert [rig.mismatches(work(), k) for k in range(6)] == [0] * 6
        spent = rig.transport.statistics
        assert spent.timeouts == spent.damaged == spent.late == 0
        assert not rig.chip.state.error
