# SPDX-License-Identifier: BSD-2-Clause
"""`liquid run --trace`: what a viewer reads in the file is what the golden model computed."""

import bisect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pywellen
from simulators import need
from system.small import CLASSES, files

from liquid_accel import data
from liquid_accel.cli import main
from liquid_accel.driver.parallel import run_on
from liquid_accel.image import Image
from liquid_accel.rtl.disassembly import disassemble

# Frames that a file shows, counted over all sequences: from within a sequence, over its end, into the next.
FIRST, LAST = 5, 12
SOLVERS = {"bs32": ["--rtol", "1e-4", "--atol", "1e-4"], "etd21": ["--rtol", "1e-2", "--atol", "1e-2"], "fused": []}


class Waves:
    """A file as wellen reads it."""

    def __init__(self, path: Path) -> None:
        self.changes = {variable.full_name: list(variable.tv) for variable in pywellen.Waveform(str(path)).all_vars()}

    def at(self, name: str, time: int) -> Any:
        """The value of a variable at a time."""
        changes = self.changes[f"liquid.{name}"]
        return changes[bisect.bisect_right(changes, time, key=lambda change: change[0]) - 1][1]

    def between(self, name: str, begin: int, end: int) -> list[tuple[int, Any]]:
        """Changes of a variable within begin <= time < end."""
        return [(time, value) for time, value in self.changes[f"liquid.{name}"] if begin <= time < end]

    @property
    def starts(self) -> list[int]:
        """When each frame begins, and when the file ends."""
        zero = [time for time, value in self.changes["liquid.cycle"] if value == 0]
        return [*zero, self.changes["liquid.cycle"][-1][0] + 1]


@pytest.fixture(scope="module", params=SOLVERS)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(waves, image, golden result, frames as (sequence, frame))."""
    need("cxxrtl")
    folder = tmp_path_factory.mktemp("waves")
    source, arrays = files(folder)
    image, waves = folder / "small.liquid", folder / "small.fst"
    options = ["--preset", "test", "--solver", request.param, *SOLVERS[request.param]]
    assert main(["compile", str(source), "--data", str(arrays), *options, "-o", str(image)]) == 0
    arguments = ["--on", "sim", "--clock-mhz", "10", "--trace", str(waves), "--trace-frames", f"{FIRST}:{LAST}"]
    assert main(["run", str(image), str(arrays), *arguments]) == 0
    loaded = Image.load(image)
    batch = data.load(arrays, loaded.default_dt)
    golden = run_on("golden", loaded, batch, states=True, trace=True, jobs=1).result
    places = [(b, t) for b, n in enumerate(batch.lengths) for t in range(int(n))][FIRST:LAST]
    return Waves(waves), loaded, golden, places


def test_frames_and_their_time(traced: Any) -> None:
    waves, _, golden, places = traced
    assert len(waves.starts) == len(places) + 1
    assert waves.starts[0] == 0
    for time, end, (sequence, frame) in zip(waves.starts, waves.starts[1:], places):
        assert (waves.at("sequence", time), waves.at("frame", time)) == (sequence, frame)
        # 100 ns a cycle. DONE is counted, and loaded in its last cycle.
        done = [at for at, text in waves.between("instruction", time, end) if text.startswith("done")]
        assert [(at - time) // 100_000 + 1 for at in done] == [golden.cycles[sequence, frame]]


def test_steps_and_their_decisions(traced: Any) -> None:
    waves, image, golden, places = traced
    for time, end, (sequence, frame) in zip(waves.starts, waves.starts[1:], places):
        here = (golden.steps["sequence"] == sequence) & (golden.steps["frame"] == frame)
        steps = golden.steps[here]
        decided = [(at, text) for at, text in waves.between("decision", time, end) if text not in ("", "trying")]
        assert [text.startswith("accepted") for _, text in decided] == steps["accepted"].tolist()
        np.testing.assert_array_equal([waves.at("step_size", at) for at, _ in decided], steps["size"])
        assert waves.at("step", end - 1) == len(steps)
    assert image.adaptive == any(len(golden.steps) for _ in places)


def test_states_and_outputs(traced: Any) -> None:
    waves, image, golden, places = traced
    for end, (sequence, frame) in zip(waves.starts[1:], places):
        state = [waves.at(f"ltc_state_h.h_{k}", end - 1) for k in range(image.state_size)]
        np.testing.assert_array_equal(np.float32(state), golden.h[sequence, frame])
        outputs = [waves.at(f"output.y_{k}", end - 1) for k in range(CLASSES)]
        np.testing.assert_array_equal(np.float32(outputs), golden.y[sequence, frame])


def test_instructions_and_stages_are_the_listings(traced: Any) -> None:
    waves, image, _, _ = traced
    texts = {disassemble(instruction) for instruction in image.program()}
    shown = {text for _, text in waves.changes["liquid.instruction"]}
    assert shown <= texts
    assert any(text.startswith(("dot", "sparse")) for text in shown)
    assert {text for _, text in waves.changes["liquid.stage"]} <= texts | set(image.comments)


@pytest.mark.parametrize("frames", ["3:3", "4:3", "3", "-1:3", "a:b", ":"])
def test_frames_that_are_none_are_refused(frames: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["run", "x.liquid", "x.npz", "--on", "sim", "--trace", "t.fst", f"--trace-frames={frames}"])
    assert done.value.code == 2
    assert f"--trace-frames is {frames}; expected A:B" in capsys.readouterr().err
