# SPDX-License-Identifier: BSD-2-Clause
"""A frame's timeline against the counters of the run, the golden model's own counts, and a program counted by hand."""

import json

import numpy as np
import pytest
from system.small import files, model, sequences

from liquid_accel import data
from liquid_accel.cli import main
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver.parallel import run_on
from liquid_accel.rtl.isa import Control
from liquid_accel.timeline import median_frame, stand_in, timeline, trace_sequence
from liquid_accel.timeline.picture import spans
from liquid_accel.timeline.text import WIDTH, rows

SETTINGS = {
    "fused": CompileOptions("fused", steps=2),
    "rk4": CompileOptions("rk4", steps=1),
    "bs32": CompileOptions("bs32", delta_threshold=0.05),
    "etd21": CompileOptions("etd21", rtol=0.1, atol=0.1, budget=2),
    "beuler": CompileOptions("beuler", steps=1),
}


@pytest.fixture(scope="module")
def batch():
    return data.from_arrays(sequences(), 1.0, "data")


@pytest.fixture(scope="module", params=SETTINGS)
def traced(request, batch):
    image = compile(model(), calibration=batch, options=SETTINGS[request.param])
    return image, trace_sequence(image, batch, 1), run_on("golden", image, batch).result


def test_cycles_and_products_are_those_of_the_counters(traced):
    image, traces, result = traced
    assert len(traces) == result.lengths[1]
    for frame, trace in enumerate(traces):
        line = timeline(image, trace)
        assert line.cycles == result.cycles[1, frame]
        # A snapshot is at least a slot after its last column, so that no two products share a cycle.
        assert line.busy["products"].sum() == result.mac_cycles[1, frame]
        assert line.idle == trace.idle
        assert not (line.busy["products"] & line.busy["algebra"]).any()


def test_phases_cover_the_frame_without_a_gap_and_keep_its_sums(traced):
    image, traces, _ = traced
    for trace in traces:
        line = timeline(image, trace)
        starts = [phase.start for phase in line.phases]
        ends = [phase.start + phase.cycles for phase in line.phases]
        assert starts == [0, *ends[:-1]]
        assert ends[-1] == line.cycles
        assert sum(phase.idle for phase in line.phases) == line.idle
        worked = sum(line.busy[name].sum() for name in ("products", "algebra"))
        assert sum(phase.lanes for phase in line.phases) == worked
        assert sum(phase.waiting for phase in line.phases) == line.lanes_wait["stalls"]


def test_what_the_lanes_wait_for_adds_up(traced):
    image, traces, _ = traced
    line = timeline(image, traces[0])
    worked = sum(int(line.busy[name].sum()) for name in ("products", "algebra"))
    assert worked + sum(line.lanes_wait.values()) == line.cycles


def test_the_controllers_cycles_are_those_of_its_instructions(traced):
    image, traces, _ = traced
    own = {Control.PLAN, Control.DECIDE, Control.JUDGE, Control.LAG}
    trace = traces[0]
    wanted = sum(e.cycles - e.stall for e in trace.executed if not e.instruction.op and e.instruction.control in own)
    assert timeline(image, trace).busy["controller"].sum() == wanted


def test_the_text_fits_its_columns_and_names_each_phase(traced):
    image, traces, _ = traced
    line = timeline(image, traces[0])
    text = rows(line)
    assert max(map(len, text)) <= WIDTH
    for phase in line.phases:
        assert any(phase.name[:20] in row and f" {phase.cycles} " in row for row in text)


def test_runs_of_busy_cycles():
    assert spans(np.array([True, True, False, True])) == [(0, 2), (3, 1)]
    assert spans(np.zeros(4, bool)) == []


def test_the_median_frame_is_not_the_first(traced):
    _, traces, _ = traced
    chosen = median_frame(traces)
    cycles = sorted(trace.cycles for trace in traces[1:]) or [traces[0].cycles]
    assert traces[chosen].cycles == cycles[len(cycles) // 2]
    assert median_frame(traces[:1]) == 0


def test_inspect_prints_and_draws_it(capsys, tmp_path):
    source, frames = files(tmp_path)
    image, picture = tmp_path / "m.liquid", tmp_path / "frame.png"
    assert main(["compile", str(source), "--preset", "test", "-o", str(image)]) == 0
    capsys.readouterr()
    asked = ["inspect", str(image), "--timeline", str(frames), "--frame", "0"]
    assert main([*asked, "--plot", str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["frame"] == 0
    assert found["timeline"]["cycles"] == sum(phase["cycles"] for phase in found["timeline"]["phases"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(asked[:-2]) == 0
    assert "function evaluations" in capsys.readouterr().out


def test_without_data_it_draws_some(traced):
    image, _, _ = traced
    assert len(trace_sequence(image, stand_in(image))) == 8


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--plot", "x.png"], "--plot belongs to a timeline"),
        (["--frame", "1"], "--frame belongs to a timeline"),
        (["--timeline", "--frame", "99"], "--frame is 99; expected 0 to 7"),
        (["--timeline", "--plot", "x.gif"], "'.gif' is no format"),
        (["--timeline", "none.npz"], "none.npz: no such file"),
    ],
)
def test_what_cannot_be_drawn_is_refused(capsys, tmp_path, flags, sentence):
    source, _ = files(tmp_path)
    image = tmp_path / "m.liquid"
    assert main(["compile", str(source), "--preset", "test", "-o", str(image)]) == 0
    capsys.readouterr()
    assert main(["inspect", str(image), *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_a_picture_drawn_again_is_the_same_file(tmp_path):
    source, frames = files(tmp_path)
    image, pictures = tmp_path / "m.liquid", [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert main(["compile", str(source), "--preset", "test", "-o", str(image)]) == 0
    for picture in pictures:
        assert main(["inspect", str(image), "--timeline", str(frames), "--frame", "0", "--plot", str(picture)]) == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
