# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark's arithmetic: multiplications against traces and by hand, fronts, claims, the page."""

import builtins

import pytest
from system.small import model, sequences

from liquid_accel import data
from liquid_accel.bench import claims, front, processor
from liquid_accel.bench.models import Bench
from liquid_accel.bench.products import KINDS, count_products
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver.parallel import run_on
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import Factor, Mode, Op
from liquid_accel.timeline import trace_sequence

SETTINGS = {
    "fused": CompileOptions("fused", steps=2),
    "rk4": CompileOptions("rk4", steps=1),
    "bs32": CompileOptions("bs32"),
    "bs32, skipping": CompileOptions("bs32", delta_threshold=0.05),
    "etd21": CompileOptions("etd21", rtol=0.1, atol=0.1, delta_threshold=0.1),
    "beuler": CompileOptions("beuler", steps=1),
}


@pytest.fixture(scope="module")
def batch():
    return data.from_arrays(sequences(), 1.0, "data")


def traced(image, batch):
    """The counts from the traces of every frame, instruction by instruction."""
    found = dict.fromkeys(KINDS, 0)
    lanes = image.config.lanes
    for sequence in range(len(batch.x)):
        for trace in trace_sequence(image, batch, sequence):
            for e in trace.executed:
                i, f = e.instruction, e.instruction.finish
                if e.start >= trace.cycles or i.op == Op.CONTROL:
                    continue
                found["matrix"] += lanes * (i.cols if i.op == Op.DOT else e.entries if i.op == Op.SPARSE else 0)
                found["algebra"] += lanes * (i.op == Op.TERM)
                if i.last:
                    found["function"] += lanes * (f.mode != Mode.IDENTITY)
                    found["exp2"] += lanes * f.exp2
                    found["gate"] += lanes * (f.c_sel != Factor.ONE)
                    found["norm"] += lanes * bool(f.norm)
    return found


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("lanes", [4, 8])
def test_multiplications_are_those_of_the_traces_and_of_the_counters(batch, name, lanes):
    image = compile(model(), calibration=batch, config=preset("up5k-skip", lanes=lanes), options=SETTINGS[name])
    found = count_products(image, batch)
    assert {kind: found.issued[kind] for kind in KINDS} == traced(image, batch)
    result = run_on("golden", image, batch).result
    assert found.issued["matrix"] == lanes * result.mac_cycles.sum()
    assert all(0 <= found.useful[kind] <= found.issued[kind] for kind in KINDS)


def test_useful_products_of_a_dense_program_are_those_of_the_network(batch):
    """6 units and 3 classes on 8 lanes: by hand, the network's own multiplications."""
    image = compile(model(), calibration=batch, options=SETTINGS["fused"])
    result = run_on("golden", image, batch).result
    frames, rhs = int(batch.lengths.sum()), int(result.rhs_evals.sum())
    read_out = 3 * 6
    found = count_products(image, batch)
    assert found.useful["matrix"] == frames * (image.frame_macs + read_out) + rhs * image.rhs_macs
    assert found.recurrent == rhs * 36
    # tanh of the projection and of each right-hand side, 1/tau's table a frame, the gate's a step.
    assert found.useful["function"] >= 6 * (frames + rhs)


def test_skipping_at_zero_issues_no_product_more_and_a_threshold_fewer(batch):
    def counted(threshold):
        options = CompileOptions("fused", delta_threshold=threshold)
        return count_products(compile(model(), calibration=batch, options=options), batch)

    dense, zero, some = (counted(threshold) for threshold in (None, 0.0, 0.2))
    assert some.recurrent < zero.recurrent <= dense.recurrent
    assert some.issued["matrix"] < zero.issued["matrix"] <= dense.issued["matrix"]


def point(cell, products, accuracy):
    return {"cell": cell, "units": 8, "name": cell, "threshold": None, "products_per_frame": products,
            "accuracy": accuracy}  # fmt: skip


POINTS = [point("ltc", 100, 0.90), point("ltc", 300, 0.97), point("ltc", 200, 0.89), point("gru", 150, 0.96),
          point("gru", 400, 0.99)]  # fmt: skip


def test_the_front_holds_what_nothing_cheaper_reaches():
    kept = front.pareto(POINTS)
    assert [p["products_per_frame"] for p in kept] == [100, 150, 300, 400]
    assert [p["products_per_frame"] for p in front.pareto(POINTS[:3])] == [100, 300]


def test_the_cheaper_cell_wins_and_the_only_one_does():
    rows = {row["accuracy"]: row for row in front.cheapest(POINTS)}
    assert (rows[0.95]["winner"], rows[0.95]["ratio"]) == ("gru", 2.0)
    assert (rows[0.97]["winner"], rows[0.97]["ratio"]) == ("ltc", 0.75)
    assert (rows[0.98]["winner"], rows[0.98]["ratio"], rows[0.98]["ltc"]) == ("gru", None, None)
    none = front.cheapest([])
    assert all(row["winner"] is None and row["ratio"] is None for row in none)


def row(name, threshold, cell="ltc", **values):
    base = {"accuracy": 0.98, "cycles_per_frame": 1.0, "rhs_per_frame": 1.0, "rms_error": 0.05,
            "predicted_exact": False, "effective_products_per_frame": 0.4, "products_per_frame": 60.0,
            "mac_utilisation": 0.9,
            "predicted_over_actual": 1.05}  # fmt: skip
    return base | {"name": name, "threshold": threshold, "cells": [cell]} | values


def test_claims_are_computed_from_the_rows():
    rows = [
        row("etd21, 0.1", None), row("etd21, 0.1", 0.125, effective_products_per_frame=0.6),
        row("gru", None, "gru", products_per_frame=100.0, accuracy=0.99),
        row("fused, 4 steps", None, mac_utilisation=0.8),
        {"name": "lstm", "cells": ["lstm"], "threshold": None, "missing": "torch"},
    ]  # fmt: skip
    found = {each["text"]: each for each in claims.claims({"accelerator": rows})}
    met = {text: each["met"] for text, each in found.items()}
    assert met["products of etd21 over those of the GRU of the same width, dense"]
    assert not met["points of accuracy that the GRU is better, dense"]
    assert not met["use of the lanes, dense: fused, 4 steps"]
    effective = [text for text in met if text.startswith("effective recurrent products")]
    assert len(effective) == 1
    assert not met[effective[0]]
    assert met["largest relative error of predicted cycles, programs that depend on the data"]
    assert claims.claims({"accelerator": []}) == []


def test_without_the_libraries_the_rows_say_so(monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        processor.importlib, "import_module",
        lambda name: (_ for _ in ()).throw(ImportError(name=name)) if name in ("ncps", "torchdiffeq") else real(name),
    )  # fmt: skip
    monkeypatch.setattr(processor, "QUICK_REPEATS", 1)
    found = {each["name"]: each for each in processor.rows(Bench(8), True)}
    missing = {name: each.get("missing") for name, each in found.items()}
    assert [name for name in missing.values() if name] == ["ncps", "ncps", "torchdiffeq"]
    assert all(each["us_per_frame"] > 0 for each in found.values() if "missing" not in each)


def test_torchdiffeq_solves_the_shipped_network():
    """What is timed is the network itself: its right-hand sides are those of an adaptive pair of four stages."""
    found = {each["name"]: each for each in processor.rows(Bench(8), True)}
    evals = found["torchdiffeq bosh3, 0.01"]["rhs_per_frame"]
    assert evals >= 4
