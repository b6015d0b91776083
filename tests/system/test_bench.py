# SPDX-License-Identifier: BSD-2-Clause
"""`liquid bench`, made small: an epoch of training, a few utterances. What it prints belongs together."""

import json

import pytest

from liquid_accel.bench import front, processor, run
from liquid_accel.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """(folder, what --json printed, the page)."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for module, name, value in (
            (run, "QUICK_EPOCHS", 1), (run, "QUICK_UTTERANCES", 8), (run, "UNITS", 16), (front, "QUICK_WIDTHS", (8,)),
            (processor, "QUICK_REPEATS", 1),
        ):  # fmt: skip
            patch.setattr(module, name, value)
        printed = []
        patch.setattr("liquid_accel.cli.bench.print_json", lambda found: printed.append(json.dumps(found)))
        asked = ["bench", "--quick", "--clock-mhz", "24", "--json"]
        assert main([*asked, "--plot", str(folder / "plots"), "--write", str(folder / "page.md")]) == 0
    return folder, json.loads(printed[0]), (folder / "page.md").read_text()


def test_the_machines_rows_belong_together(bench):
    _, found, _ = bench
    assert {row["cells"][0] for row in found["accelerator"]} == {"ltc", "gru"}
    for row in found["accelerator"]:
        assert row["latency_us"] == pytest.approx(row["cycles_per_frame"] / 24)
        assert row["products_by_kind"]["matrix"] == pytest.approx(row["macs_issued_per_frame"])
        assert row["products_per_frame"] == pytest.approx(sum(row["products_by_kind"].values()))
        assert row["useful_products_per_frame"] <= row["products_per_frame"]
        assert (row["rms_error"] is None) == (row["solver"] == "none")
        assert 0 < row["trace"]["idle_cycles"] < row["trace"]["cycles"]
        if row["predicted_exact"]:
            assert row["predicted_over_actual"] == 1


def test_skipping_issues_less_than_the_same_setting_dense(bench):
    _, found, _ = bench
    dense = {row["name"]: row for row in found["accelerator"] if row["threshold"] is None}
    sparse = [row for row in found["accelerator"] if row["threshold"]]
    assert sparse
    for row in sparse:
        assert row["effective_products_per_frame"] < dense[row["name"]]["effective_products_per_frame"]
        assert row["cycles_per_frame"] < dense[row["name"]]["cycles_per_frame"]


def test_every_solver_has_its_points_and_smaller_tolerances_smaller_errors(bench):
    _, found, _ = bench
    points = found["precision"]
    assert {point["solver"] for point in points} >= {"fused", "rk4", "bs32", "dopri5", "etd21", "beuler"}
    for solver in ("bs32", "etd21"):
        errors = [point["rms_error"] for point in points if point["solver"] == solver]
        assert errors == sorted(errors, reverse=True)


def test_the_front_has_both_cells_and_a_winner_is_the_cheaper(bench):
    _, found, _ = bench
    assert {point["cell"] for point in found["front"]} == {"ltc", "gru"}
    for row in found["cheapest"]:
        costs = {cell: row[cell]["products_per_frame"] for cell in ("ltc", "gru") if row[cell]}
        assert row["winner"] == (min(costs, key=costs.get) if costs else None)


def test_libraries_are_timed_in_the_same_run(bench):
    _, found, _ = bench
    assert len(found["processor"]) == 6
    for row in found["processor"]:
        assert row["us_per_frame"] > 0


def test_the_page_has_every_table_and_its_pictures_beside_it(bench):
    folder, found, page = bench
    for heading in ("What the design is held to", "On the machine", "Multiplications a frame", "Memory reads",
                    "On a processor", "The host's part of a frame", "Work against precision",
                    "Accuracy against multiplications", "Who is cheaper"):
        assert f"\n## {heading}" in page
    for name in ("page-precision.svg", "page-front.svg"):
        assert f"({name})" in page
        assert "<svg" in (folder / name).read_text()
    for name in ("precision.png", "front.png"):
        assert (folder / "plots" / name).read_bytes().startswith(b"\x89PNG")
    for row in found["accelerator"]:
        assert f"{row['cycles_per_frame']:,.0f}" in page
    for block in page.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1


def test_bad_input_is_refused_before_anything_is_measured(capsys, tmp_path):
    for arguments, sentence in (
        (["--write", str(tmp_path / "none" / "page.md")], "does not exist"),
        (["--lanes", "5"], "--lanes 5: lanes is 5"),
        (["--plot", "/dev/null/x"], "cannot be made"),
    ):
        assert main(["bench", *arguments]) == 2
        assert sentence in capsys.readouterr().err
