# SPDX-License-Identifier: BSD-2-Clause
"""Tables of the benchmark, the same for terminal and page: title, columns, rows of text, and how it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from liquid_accel.bench.front import CELLS, pareto
from liquid_accel.cli.common import per_cent

Row = dict[str, Any]
NONE = "–"


@dataclass(frozen=True)
class Report:
    """A table: the first `left` columns are text. `text` explains it."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[str]]
    text: str
    left: int = 1


def reports(found: dict[str, Any]) -> list[Report]:
    """All tables, in order; of a run of the host alone, that one."""
    if "accelerator" not in found:
        return [_host(found)] if "host" in found else [_training(found), _memory(found)]
    return [
        _claims(found), _speed(found), _work(found), _counts(found), _processor(found), _host(found),
        _training(found), _memory(found),
        _precision(found), _front(found), _cheapest(found),
    ]  # fmt: skip


def skip(threshold: float | None) -> str:
    """A threshold in a table."""
    return NONE if threshold is None else f"{threshold:g}"


def number(value: float | None, form: str = ",.0f") -> str:
    """A number, or a dash."""
    return NONE if value is None else format(value, form)


def _claims(found: dict[str, Any]) -> Report:
    rows = [[row["text"], row["found"], row["wanted"], "yes" if row["met"] else "no"] for row in found["claims"]]
    return Report("What the design is held to", ("", "found", "wanted", "met"), rows, "Computed from the tables below.")


def _measured(found: dict[str, Any]) -> list[Row]:
    return [row for row in found["accelerator"] if "cycles_per_frame" in row]


def _absent(found: dict[str, Any], width: int) -> list[list[str]]:
    """Rows of what could not be measured."""
    absent = [row for row in found["accelerator"] if "cycles_per_frame" not in row]
    said = [row.get("refused") or f"{row['missing']} is not installed" for row in absent]
    return [[row["name"], skip(row["threshold"]), text, *[""] * (width - 3)] for row, text in zip(absent, said)]


def _speed(found: dict[str, Any]) -> Report:
    columns = ("solver or cell", "skip", "accuracy", "rms error", "rhs", "cycles", "µs", "lanes used", "predicted")
    rows = [
        [
            row["name"], skip(row["threshold"]), per_cent(row["accuracy"]), number(row["rms_error"], ".4f"),
            f"{row['rhs_per_frame']:.2f}", f"{row['cycles_per_frame']:,.0f}", f"{row['latency_us']:,.1f}",
            f"{row['mac_utilisation']:.2f}", f"{row['predicted_over_actual']:.3f}",
        ]
        for row in _measured(found)
    ]  # fmt: skip
    text = (
        f"Golden model, whose cycles are the machine's, {found['lanes']} lanes, {found['utterances']} test "
        f"utterances of {found['frames']:,} frames; all but accuracy and errors are means a frame, µs at "
        f"{found['clock_mhz']:g} MHz. Fixed solvers with their steps a frame, adaptive ones with rtol = atol. Skip: "
        "the threshold of column skipping. Rms error: of the states at the ends of frames, against the exact "
        "solution of the same quantised network (RK4, 64 steps a frame, float64). Lanes used: mac_utilisation, the "
        "products that the network asks for over those that the lanes could have done; above 1 where columns are "
        "skipped. Predicted: the compiler's cycles over those counted."
    )
    return Report("On the machine: 64 units", columns, [*rows, *_absent(found, len(columns))], text, left=2)


def _work(found: dict[str, Any]) -> Report:
    columns = (
        "solver or cell", "skip", "all", "useful", "matrix", "skipped", "algebra", "function", "gates", "norm",
        "recurrent",
    )  # fmt: skip
    rows = []
    for row in _measured(found):
        kinds = row["products_by_kind"]
        rows.append(
            [
                row["name"], skip(row["threshold"]), f"{row['products_per_frame']:,.0f}",
                f"{row['useful_products_per_frame']:,.0f}", f"{kinds['matrix']:,.0f}",
                f"{row['macs_skipped_per_frame']:,.0f}", f"{kinds['algebra']:,.0f}",
                f"{kinds['function'] + kinds['exp2']:,.0f}", f"{kinds['gate']:,.0f}", f"{kinds['norm']:,.0f}",
                f"{row['effective_products_per_frame']:.3f}",
            ]
        )  # fmt: skip
    text = (
        "Multiplications a frame, every one that is issued: matrix products (lanes × mac_cycles), the solver's "
        "algebra (lanes × terms), one for each interpolation of a table or of 2^x, one for each gate factor, one "
        "for each square of the error's norm; useful: without those of padded lanes. Recurrent: products with the "
        "state, in whole matrices a frame. Skipped: products of columns that had not moved; matrix and skipped "
        "together are not the dense work, since kept sums save whole products too."
    )
    return Report("Multiplications a frame", columns, rows, text, left=2)


READS = ("weights", "vector", "scalars", "A", "B", "C", "M", "X", "tables")


def _counts(found: dict[str, Any]) -> Report:
    columns = ("solver or cell", "skip", *READS, "functions", "idle", "of cycles")
    rows = []
    for row in _measured(found):
        trace = row["trace"]
        reads = [number(trace["reads"].get(kind, 0.0)) for kind in READS]
        rest = [number(trace[name]) for name in ("function_evaluations", "idle_cycles", "cycles")]
        rows.append([row["name"], skip(row["threshold"]), *reads, *rest])
    text = (
        "Means over the frames of the first utterance, counted by the golden model; the machine has no counters for "
        "them. Reads: words of the weight memory (a weight a lane, scales included), rows of the vector memory, "
        "words of S, elements of A, B, C, of the kept sums M and of their operands X, table look-ups. Functions: "
        "elements that pass a table or 2^x. Idle: cycles in which neither a product nor an element of the pipeline "
        "is under way."
    )
    return Report("Memory reads, function evaluations, idle cycles", columns, rows, text, left=2)


def _processor(found: dict[str, Any]) -> Report:
    machine = [row for row in _measured(found) if row["name"] == "etd21, 0.1"]
    cycles = min((row["cycles_per_frame"] for row in machine), default=None)
    rows: list[list[str]] = []
    slower: list[str] = []
    faster: list[str] = []
    for row in found["processor"]:
        if row["us_per_frame"] is None:
            rows.append([row["name"], f"{row['missing']} is not installed", *[NONE] * 5])
            continue
        clock = None if cycles is None else cycles / row["fastest_us"]
        if clock is not None:
            (slower if clock <= found["clock_mhz"] else faster).append(row["name"])
        rows.append(
            [
                row["name"], f"{row['us_per_frame']:,.1f}", f"{row['fastest_us']:,.1f}", f"{100 * row['spread']:.0f} %",
                number(row["rhs_per_frame"], ".2f"), per_cent(row.get("accuracy")), number(clock, ".1f"),
            ]
        )  # fmt: skip
    rows += [
        [
            f"this machine, {row['name']}, skip {skip(row['threshold'])}", f"{row['latency_us']:,.1f}",
            f"{row['latency_us']:,.1f}", NONE, f"{row['rhs_per_frame']:.2f}", per_cent(row["accuracy"]),
            f"{found['clock_mhz']:g}",
        ]
        for row in machine
    ]  # fmt: skip
    verdict = (
        f"At {found['clock_mhz']:g} MHz the machine is faster than: {'; '.join(slower) or 'none'}; and slower than: "
        f"{'; '.join(faster) or 'none'}. "
    )
    text = (
        f"{found['processor_name']}, Python {found['python']}, one thread, one sequence at a time, 64 units behind a "
        "projection with tanh, float32; time of an utterance over its frames, median of repetitions in this very "
        "run, their fastest, spread (largest - smallest) / median. Frames one by one but for the whole utterance, "
        "which a stream cannot do. Much of these times is the interpreter's and the library's overhead, and a "
        "compiled program "
        "would do better: they say what a user of the libraries gets. Those of the machine are its cycles over a "
        "clock that is stated, not measured on a board, and leave the bus out. Accuracies are those of float "
        "networks of the same cell and size, trained by the same recipe (ltc-synaptic with fewer epochs); ncps and "
        "GRU are timed with random weights, on which their time does not depend. MHz: the clock at which the "
        "machine is as fast as the fastest repetition, in its quickest row."
    )
    columns = ("", "µs a frame", "fastest", "spread", "rhs", "accuracy", "MHz")
    return Report("On a processor", columns, rows, verdict + text)


def _host(found: dict[str, Any]) -> Report:
    rows = [
        [
            f"{row['way']}, {row['transport']}", f"{row['frames_per_second']:,.0f}", f"{row['us_per_frame']:.1f}",
            f"{row['trips_per_frame']:.2f}",
        ]
        for row in found["host"]
    ]  # fmt: skip
    text = (
        f"{found['processor_name']}, Python {found['python']}, one core: 12 features and 9 outputs a frame, nothing "
        "behind the transport, which answers at once, so that all of the time is the driver's; processor time, fastest "
        "repetition. Through the link each request is packed, escaped, checked and taken apart as on a wire; what its "
        "other end takes is left out. Trips: transactions, or requests of the link."
    )
    return Report("The host's part of a frame", ("", "frames/s", "µs a frame", "trips a frame"), rows, text)


def _training(found: dict[str, Any]) -> Report:
    columns = ("layer", "ms a step", "ncps", "times faster", "largest difference", "goal")
    rows = [
        [
            row["name"], number(row["ms"], ",.1f"), number(row["ncps_ms"], ",.1f"), number(row["times_faster"], ".2f"),
            number(row["difference"], ".1e"), number(row["goal"], "g"),
        ]
        for row in found["training"]
    ]  # fmt: skip
    size = found["training"][0]
    text = (
        f"{found['processor_name']}, Python {found['python']}, one core: forward and backward of {size['frames']} "
        f"steps of {size['batch']} sequences, {size['features']} features, {size['units']} units, fully connected; "
        f"processor time, fastest of {size['repeats']} in turns, the same weights and data on both sides. Difference: "
        "between the outputs. A dash: torch or ncps is not installed."
    )
    return Report("A step of training beside ncps", columns, rows, text)


def _memory(found: dict[str, Any]) -> Report:
    rows = [
        [row["gradient"], *(f"{count / 1024:,.0f}" for count in row["peak_bytes"].values())] for row in found["memory"]
    ]
    columns = ("gradient", *(f"{steps} steps" for steps in (found["memory"] or [{"peak_bytes": {}}])[0]["peak_bytes"]))
    text = (
        "What autograd holds at a time, at most, in kB (1,024 bytes), forward and backward through odeint: rk4 on a "
        "network of two layers, 32 sequences of 64 units, float32; states and what is between them, weights apart."
    )
    return Report("Memory of the ways back through a solver", columns, rows, text)


def _precision(found: dict[str, Any]) -> Report:
    rows = []
    for point in found["precision"]:
        setting = f"tolerance {point['tolerance']:g}" if point["adaptive"] else f"{point['steps']:.0f} a frame"
        if "refused" in point:
            rows.append([point["solver"], setting, NONE, NONE, "refused"])
            continue
        error = "diverged" if point["diverged"] else f"{point['rms_error']:.2e}"
        rhs, cycles = f"{point['rhs_per_frame']:.2f}", f"{point['cycles_per_frame']:,.0f}"
        rows.append([point["solver"], setting, rhs, cycles, error])
    text = (
        "Every solver over its tolerances (rtol = atol) or steps a frame, dense, on some 48 test utterances; errors as "
        "above. Diverged: an rms error of 0.5 or more, of states that lie within 1 of 0."
    )
    return Report("Work against precision", ("solver", "setting", "rhs", "cycles", "rms error"), rows, text, left=2)


def _front(found: dict[str, Any]) -> Report:
    best = {id(point) for cell in CELLS for point in pareto([p for p in found["front"] if p["cell"] == cell])}
    best_of_all = {id(point) for point in pareto(found["front"])}
    columns = ("cell", "units", "solver", "skip", "trained with", "accuracy", "products", "cycles", "front")
    rows = [
        [
            point["cell"], str(point["units"]), point["name"] if point["cell"] == "ltc" else NONE,
            skip(point["threshold"]), skip(point["trained_with_skipping"]), per_cent(point["accuracy"]),
            f"{point['products_per_frame']:,.0f}", f"{point['cycles_per_frame']:,.0f}",
            "all" if id(point) in best_of_all else "its cell's" if id(point) in best else "",
        ]
        for point in sorted(found["front"], key=lambda p: (p["cell"], p["products_per_frame"]))
    ]  # fmt: skip
    text = (
        f"Networks of one recipe, {found['seeds']} seed(s) each (means), as they run on the machine: all "
        "multiplications issued a frame. Front: of all networks, or of its own cell, none is cheaper and as "
        "accurate. One seed moves an accuracy by half a point either way; the settings were not chosen on the test "
        "utterances, the front is."
    )
    return Report("Accuracy against multiplications", columns, rows, text, left=3)


def _cheapest(found: dict[str, Any]) -> Report:
    def cell(point: Row | None) -> str:
        if point is None:
            return NONE
        how = f"{point['units']} units, {point['name']}, " if point["cell"] == "ltc" else f"{point['units']} units, "
        return f"{point['products_per_frame']:,.0f} ({how}skip {skip(point['threshold'])})"

    rows = [
        [
            per_cent(row["accuracy"], 1), cell(row["ltc"]), cell(row["gru"]), number(row["ratio"], ".2f"),
            row["winner"] or NONE,
        ]
        for row in found["cheapest"]
    ]  # fmt: skip
    won = [per_cent(row["accuracy"], 1) for row in found["cheapest"] if row["winner"] == "ltc"]
    lost = [per_cent(row["accuracy"], 1) for row in found["cheapest"] if row["winner"] == "gru"]
    text = (
        f"The cheapest network that reaches an accuracy. The LTC wins at: {', '.join(won) or 'none'}. The GRU wins at: "
        f"{', '.join(lost) or 'none'}. Ratio: products of the LTC over those of the GRU."
    )
    columns = ("accuracy of at least", "LTC", "GRU", "ratio", "cheaper")
    return Report("Who is cheaper", columns, rows, text, left=3)
