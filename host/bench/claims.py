# SPDX-License-Identifier: BSD-2-Clause
"""The figures that the design is held to: what was found, what is wanted, and whether it is met; computed, each one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def claims(found: dict[str, Any]) -> list[Row]:
    """Rows of `text`, `found`, `wanted`, `met`; those whose measurements are missing are left out."""
    rows = [row for row in found["accelerator"] if "cycles_per_frame" in row]
    machine = [*_etd21(rows), *_use_of_lanes(rows), *_against_gru(rows), *_predictions(rows)]
    return [*machine, *_host(found), *_training(found)]


def _row(text: str, found: float, wanted: float, at_most: bool = True, form: str = "{:.3g}") -> Row:
    met = found <= wanted if at_most else found >= wanted
    sign = "≤" if at_most else "≥"
    return {"text": text, "found": form.format(found), "wanted": f"{sign} {form.format(wanted)}", "met": met}


def pick(rows: Sequence[Row], name: str, threshold: float | None = None) -> Row | None:
    """The row of a setting."""
    return next((row for row in rows if row["name"] == name and row["threshold"] == threshold), None)


def _etd21(rows: Sequence[Row]) -> list[Row]:
    found = []
    dense = pick(rows, "etd21, 0.1")
    if dense is not None:
        found += [
            _row("accuracy of etd21 at tolerance 0.1, %", 100 * dense["accuracy"], 97.3, False, "{:.2f}"),
            _row("its right-hand sides a frame", dense["rhs_per_frame"], 1.7),
            _row("its rms error of the states", dense["rms_error"], 0.08),
        ]
    sparse = [row for row in rows if row["name"].startswith("etd21") and row["threshold"]]
    if sparse:
        best = min(sparse, key=lambda row: row["effective_products_per_frame"])
        text = f"effective recurrent products a frame, {best['name']}, threshold {best['threshold']:g}"
        found += [
            _row(f"{text} (rms error {best['rms_error']:.3f})", best["effective_products_per_frame"], 0.5),
            _row("the same, the goal", best["effective_products_per_frame"], 0.25),
        ]
    return found


def _use_of_lanes(rows: Sequence[Row]) -> list[Row]:
    found = []
    for name, wanted in (("fused, 4 steps", 0.90), ("bs32, 0.01", 0.85)):
        row = pick(rows, name)
        if row is not None:
            found.append(_row(f"use of the lanes, dense: {name}", row["mac_utilisation"], wanted, False, "{:.3f}"))
    sparse = [row for row in rows if row["threshold"] and row["cells"] == ["ltc"]]
    if sparse:
        best = max(sparse, key=lambda row: row["mac_utilisation"])
        name = f"use of the lanes with columns skipped, the best: {best['name']}, threshold {best['threshold']:g}"
        found += [
            _row(name, best["mac_utilisation"], 2.5, False, "{:.2f}"),
            _row("the same, the goal", best["mac_utilisation"], 4.0, False, "{:.2f}"),
        ]
    return found


def _against_gru(rows: Sequence[Row]) -> list[Row]:
    """At each threshold: products of etd21 over those of the GRU of the same width, and the accuracy it costs."""
    found = []
    for gru in rows:
        liquid = pick(rows, "etd21, 0.1", gru["threshold"])
        if gru["cells"] != ["gru"] or liquid is None:
            continue
        how = "dense" if gru["threshold"] is None else f"threshold {gru['threshold']:g}"
        ratio = liquid["products_per_frame"] / gru["products_per_frame"]
        lost = 100 * (gru["accuracy"] - liquid["accuracy"])
        found += [
            _row(f"products of etd21 over those of the GRU of the same width, {how}", ratio, 0.7, form="{:.3f}"),
            _row(f"points of accuracy that the GRU is better, {how}", lost, 0.5, form="{:.2f}"),
        ]
    return found


def _predictions(rows: Sequence[Row]) -> list[Row]:
    found = []
    for text, exact, limit in (("fixed programs", True, 0.0), ("programs that depend on the data", False, 0.1)):
        some = [abs(row["predicted_over_actual"] - 1) for row in rows if row["predicted_exact"] == exact]
        if some:
            found.append(_row(f"largest relative error of predicted cycles, {text}", max(some), limit))
    return found


def _host(found: dict[str, Any]) -> list[Row]:
    steps = [row for row in found.get("host", ()) if (row["transport"], row["way"]) == ("loop-back", "step")]
    text = "frames a second through step, nothing behind the transport"
    return [_row(text, row["frames_per_second"], 5000, False, "{:,.0f}") for row in steps]


def _training(found: dict[str, Any]) -> list[Row]:
    """Times that a step of training is faster than that of ncps."""
    text = "training step of ncps over ours, {name}, batch {batch}, {units} units, {frames} steps"
    return [
        _row(text.format(**row), row["times_faster"], 2.0, False, "{:.2f}")
        for row in found.get("training", ())
        if row["name"] == "LTC" and row.get("times_faster") is not None
    ]
