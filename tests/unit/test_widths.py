# SPDX-License-Identifier: BSD-2-Clause
"""The choice of a weight's width, against images compiled and run one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel import checkpoint
from liquid_accel.cli import main
from liquid_accel.compiler import CompileOptions
from liquid_accel.data import Dataset
from liquid_accel.driver import Device
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import preset
from liquid_accel.sim import reference
from liquid_accel.sim.golden import GoldenTransport
from liquid_accel.widths import choose

MODEL = toy_model(3, features=4, size=10, classes=3)
CONFIG = preset("up5k-skip")
OPTIONS = CompileOptions("fused", steps=2)


def labelled() -> Dataset:
    data = toy_data(5, features=4, sequences=12, frames=6)
    labels = reference.run(MODEL, data, "fused", steps=2).labels
    labels[0] = (labels[0] + 1) % 3  # the float model is wrong once
    return Dataset(data.x, data.lengths, data.dt, labels, data.dt_given, "data")


def errors() -> dict[int, float]:
    """rms of the outputs by width, measured without what is tested."""
    data = labelled()
    exact = reference.run(MODEL, data, "fused", steps=2).outputs
    found = {}
    for bits in (4, 6, 8):
        image = liquid_accel.compile(MODEL, calibration=data, config=CONFIG, solver="fused", steps=2, weight_bits=bits)
        device = Device(GoldenTransport(CONFIG))
        device.load(image)
        found[bits] = float(np.sqrt(((device.run(data).y - exact)[data.mask] ** 2).mean()))
    return found


def test_the_narrowest_that_keeps_the_bound() -> None:
    rms = errors()
    assert rms[4] > rms[6] > rms[8]
    for bits, bound in ((4, rms[4]), (6, (rms[4] + rms[6]) / 2), (8, (rms[6] + rms[8]) / 2)):
        choice = choose(MODEL, labelled(), config=CONFIG, options=OPTIONS, rms=bound)
        assert choice.image is not None and choice.image.weight_bits == bits
        assert [(tried.bits, tried.rms) for tried in choice.tries] == [(b, rms[b]) for b in (4, 6, 8) if b <= bits]
    choice = choose(MODEL, labelled(), config=CONFIG, options=OPTIONS, rms=rms[8] / 2)
    assert choice.image is None and len(choice.tries) == 3


def test_accuracy() -> None:
    choice = choose(MODEL, labelled(), config=CONFIG, options=OPTIONS, max_accuracy_drop=100)
    assert choice.float_accuracy == 11 / 12 and choice.image is not None and choice.image.weight_bits == 4
    choice = choose(MODEL, labelled(), config=CONFIG, options=OPTIONS, max_accuracy_drop=0)
    last = choice.tries[-1]
    assert last.accuracy is not None and (last.kept == (last.accuracy >= 11 / 12))
    bare = toy_data(5, features=4, sequences=3, frames=6)
    with pytest.raises(UserError, match="y is no class label"):
        choose(MODEL, bare, config=CONFIG, options=OPTIONS, max_accuracy_drop=1)


def test_sensitivity() -> None:
    """One layer's weights alone: those of the image in it, the model's own in all others."""
    data = labelled()
    choice = choose(MODEL, data, config=CONFIG, options=OPTIONS, rms=10)
    assert choice.image is not None
    assert set(choice.sensitivity) == {"dense0", "ltc", "out"}
    exact = reference.run(MODEL, data, "fused", steps=2).outputs
    weights = {k: choice.image.dequantised()[k] if k.startswith("ltc.") else v for k, v in MODEL.tensors.items()}
    outputs = reference.run(MODEL, data, "fused", steps=2, weights=weights).outputs
    assert choice.sensitivity["ltc"] == pytest.approx(np.sqrt(((outputs - exact)[data.mask] ** 2).mean()))


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, model, image = labelled(), tmp_path / "m.safetensors", tmp_path / "m.liquid"
    checkpoint.save(MODEL, model)
    np.savez(tmp_path / "d.npz", x=data.x, dt=data.dt, y=data.labels, lengths=data.lengths)
    base = ["compile", str(model), "--data", str(tmp_path / "d.npz"), "--steps", "2", "-o", str(image)]
    assert main([*base, "--rms", "1e-9"]) == 1 and not image.exists()
    assert "no width keeps the bounds" in capsys.readouterr().out
    assert main([*base, "--max-accuracy-drop", "100", "--json"]) == 0 and image.exists()
    found = json.loads(capsys.readouterr().out)
    assert found["weight_bits"] == 4 and found["tries"][0]["kept"]
    assert set(found["sensitivity_rms"]) == {"dense0", "ltc", "out"}
    assert main([*base, "--rms", "1", "--weight-bits", "8"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    for text in ("-1", "x", "inf"):
        with pytest.raises(SystemExit) as ended:
            main([*base, "--rms", text])
        assert ended.value.code == 2 and len(capsys.readouterr().err.strip().splitlines()) == 1
    assert main(["compile", str(model), "--rms", "1", "-o", str(image)]) == 2
    assert "--data" in capsys.readouterr().err
