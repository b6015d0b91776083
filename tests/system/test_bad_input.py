# SPDX-License-Identifier: BSD-2-Clause
"""Each bad input: exit status 2, one sentence on stderr that names what was wrong, no traceback, no output file."""

import json
import os

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from system.small import files, model, sequences

from liquid_accel import checkpoint
from liquid_accel.cli import main
from liquid_accel.errors import UserError
from liquid_accel.image import Image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    source, _ = files(folder)
    assert main(["compile", str(source), "--preset", "test", "-o", str(folder / "good.liquid")]) == 0
    return folder


@pytest.fixture
def refuse(folder, capsys, tmp_path):
    """refuse(words, *arguments): the command is refused, and its sentence has all `words`."""

    def check(words, *arguments):
        before = {path.name for path in folder.iterdir()}
        output = tmp_path / "out"
        written = [] if arguments[0] in ("inspect", "verify") else ["-o", str(output)]
        status = main([str(a) for a in arguments] + written)
        captured = capsys.readouterr()
        assert status == 2
        assert captured.out == ""
        assert len(captured.err.strip().splitlines()) == 1, captured.err
        assert "Traceback" not in captured.err
        for word in words:
            assert word in captured.err
        assert not list(tmp_path.iterdir())
        assert {path.name for path in folder.iterdir()} == before

    return check


# ---- Files -----------------------------------------------------------------------------------------------------------


def test_missing_files(refuse, folder):
    refuse(["none.liquid", "no such file"], "inspect", folder / "none.liquid")
    refuse(["none.liquid", "no such file"], "run", folder / "none.liquid", folder / "data.npz")
    refuse(["none.npz", "no such file"], "run", folder / "good.liquid", folder / "none.npz")
    refuse(["none.safetensors", "no such file"], "compile", folder / "none.safetensors")
    refuse(["none.npz", "no such file"], "compile", folder / "model.safetensors", "--data", folder / "none.npz")
    refuse(["none.npz", "no such file"], "train", folder / "none.npz")
    refuse(["is a folder"], "inspect", folder)
    refuse(["is a folder"], "run", folder / "good.liquid", folder)


@pytest.mark.parametrize("name", ["good.liquid", "data.npz", "model.safetensors"])
def test_truncated_and_corrupted_files(refuse, folder, name):
    blob = (folder / name).read_bytes()
    bad = folder / f"bad-{name}"
    arguments = {
        "good.liquid": ("run", bad, folder / "data.npz"),
        "data.npz": ("run", folder / "good.liquid", bad),
        "model.safetensors": ("compile", bad),
    }[name]
    for length in (0, 1, 7, len(blob) // 2, len(blob) - 1):
        bad.write_bytes(blob[:length])
        refuse([bad.name], *arguments)
    if name == "good.liquid":  # only an image has a checksum of its own; the others are checked for what they hold
        for where in range(0, len(blob), max(1, len(blob) // 40)):
            damaged = bytearray(blob)
            damaged[where] ^= 0x10
            bad.write_bytes(damaged)
            refuse([bad.name], *arguments)


def test_foreign_files(refuse, folder):
    refuse(["not a .liquid image"], "run", folder / "data.npz", folder / "data.npz")
    refuse(["not an .npz file"], "run", folder / "good.liquid", folder / "good.liquid")
    refuse(["not a .safetensors file"], "compile", folder / "data.npz")
    save_file({"w": np.zeros(3, np.float32)}, folder / "foreign.safetensors")
    refuse(["foreign.safetensors", "no metadata"], "compile", folder / "foreign.safetensors")
    np.savez(folder / "pickled.npz", x=np.array([{}], object))
    refuse(["pickled.npz", "'x' is pickled"], "run", folder / "good.liquid", folder / "pickled.npz")
    np.savez(folder / "empty.npz")
    refuse(["'x' is missing"], "run", folder / "good.liquid", folder / "empty.npz")


def test_a_model_in_python_asks_for_data(refuse):
    refuse(["there are no data to try the model on", "--data"], "compile", "package.module:model")


# ---- Arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (
            ["x[0, 0, 1] is nan", "finite"],
            {"x": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 1, np.nan, x)},
        ),
        (
            ["x[0, 0, 0] is inf", "finite"],
            {"x": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 0, np.inf, x)},
        ),
        (["4 features", "expected 3"], {"x": lambda x: np.concatenate([x, x[..., :1]], -1)}),
        (["2 features", "expected 3"], {"x": lambda x: x[..., :2]}),
        (["x is empty"], {"x": lambda x: x[:, :0]}),
        (["x has shape"], {"x": lambda x: x[None]}),
        (["x has type", "real numbers"], {"x": lambda x: x.astype("U8")}),
        (["lengths[2] is 0", "at least 1"], {"lengths": lambda n: np.where(np.arange(n.size) == 2, 0, n)}),
        (["lengths[0] is 10", "at most 9"], {"lengths": lambda n: np.full(n.size, 10)}),
        (["lengths has shape"], {"lengths": lambda n: n[:-1]}),
        (["dt of sequence 0, frame 0 is -1.0"], {"dt": lambda dt: np.float32(-1)}),
        (["dt of sequence 0, frame 0 is inf"], {"dt": lambda dt: np.float32(np.inf)}),
        (["dt of sequence 0, frame 0 is nan"], {"dt": lambda dt: np.full_like(dt, np.nan)}),
        (["dt has shape"], {"dt": lambda dt: dt[:, :-1]}),
        (["dt is 1e+09", "expected at most"], {"dt": lambda dt: np.full_like(dt, 1e9)}),
        (["y has shape", "expected 7 rows"], {"y": lambda y: y[:-1]}),
    ],
)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_bad_arrays(refuse, folder, command, words, change):
    with np.load(folder / "data.npz") as held:
        arrays = {name: held[name] for name in held}
    # A frame that is looked at must be within its sequence.
    arrays["lengths"][:] = 9
    np.savez(folder / "bad.npz", **{**arrays, **{name: edit(arrays[name]) for name, edit in change.items()}})
    refuse(words, command, folder / "good.liquid", folder / "bad.npz")


# ---- Models ----------------------------------------------------------------------------------------------------------


def test_a_model_too_large_for_the_configuration(refuse, folder):
    checkpoint.save(model(width=200), folder / "large.safetensors")
    refuse(["expected"], "compile", folder / "large.safetensors", "--preset", "test")


def edited(folder, name, edit, weights=None):
    """A copy of the model with its description edited."""
    description = json.loads(checkpoint_text(folder / "model.safetensors"))
    edit(description)
    tensors = load_file(folder / "model.safetensors") | (weights or {})
    save_file(tensors, folder / name, metadata={"liquid": json.dumps(description)})
    return folder / name


def checkpoint_text(path):
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return file.metadata()["liquid"]


def test_unknown_layers_and_values(refuse, folder):
    def convolution(fields):
        fields["layers"][0]["kind"] = "conv1d"

    def relu(fields):
        fields["layers"][0]["activation"] = "relu"

    def newer(fields):
        fields["version"] = 99

    def two_means(fields):
        fields["layers"].insert(2, {"kind": "mean"})

    refuse(
        ["unknown layer 'conv1d' at layers[0]", "supported"], "compile", edited(folder, "a.safetensors", convolution)
    )
    refuse(["layers[0].activation is 'relu'"], "compile", edited(folder, "b.safetensors", relu))
    refuse(["version is 99"], "compile", edited(folder, "c.safetensors", newer))
    refuse(["layers[3]"], "compile", edited(folder, "d.safetensors", two_means))


def test_weights_that_are_not_numbers(refuse, folder):
    bad = {"ltc.bias": np.full(6, np.nan, np.float32)}
    refuse(["'ltc.bias' holds NaN"], "compile", edited(folder, "nan.safetensors", lambda fields: None, bad))
    bad = {"ltc.bias": np.zeros(5, np.float32)}
    refuse(["shape"], "compile", edited(folder, "shape.safetensors", lambda fields: None, bad))


# ---- Flags -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["--lanes 5: lanes is 5"], ["--lanes", "5"]),
        (["--steps goes with a fixed-step solver, bs32"], ["--solver", "bs32", "--steps", "3"]),
        (["--rtol goes with an adaptive solver, fused", "expected --steps"], ["--rtol", "0.1"]),
        (["--atol goes with an adaptive solver, expeuler"], ["--solver", "expeuler", "--atol", "0.1"]),
        (["rtol is 1e-07", "1e-05"], ["--solver", "bs32", "--rtol", "1e-7"]),
        (["weight_bits is 5", "8, 6, 4"], ["--weight-bits", "5"]),
        (["is 'leapfrog'", "expected one of"], ["--solver", "leapfrog"]),
        (["--iterations goes with beuler"], ["--iterations", "4"]),
        (["--jump goes with an adaptive solver, fused"], ["--jump"]),
        (["controller is 'p'; expected one of i, pi, h211"], ["--solver", "bs32", "--controller", "p"]),
        (["steps is 400"], ["--steps", "400"]),
        (["rtol is 50"], ["--solver", "bs32", "--rtol", "50"]),
        (["delta_threshold names layer 'cfc'", "expected a recurrent layer: ltc"], ["--delta-threshold", "cfc=0.1"]),
        (["delta_threshold is 9.0"], ["--delta-threshold", "9"]),
        (["budget is 10; fused takes fixed steps"], ["--budget", "10"]),
        (["budget is 3", "expected at least 4"], ["--solver", "bs32", "--budget", "3"]),
    ],
)
def test_flags_of_compile(refuse, folder, words, flags):
    refuse(words, "compile", folder / "model.safetensors", *flags)


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["'uart:'", "names no place", "uart:PORT[@BAUD]"], ["--on", "uart:"]),
        (["'fast' behind the @ is not a bit rate"], ["--on", "uart:/dev/ttyUSB0@fast"]),
        (["'0' behind the @ is not a bit rate"], ["--on", "uart:/dev/ttyUSB0@0"]),
        (["'/dev/sda' is no SPI device"], ["--on", "spi:/dev/sda"]),
        (["'-5' behind the @ is not a clock in Hz"], ["--on", "spi:/dev/spidev0.0@-5"]),
        (["'6' behind the @ is not an offset in bytes"], ["--on", "mmio:/dev/uio0@6"]),
        (["expected 1 with uart:/dev/ttyUSB0"], ["--on", "uart:/dev/ttyUSB0", "--jobs", "2"]),
        (["'verilator' is unknown", "uart:PORT[@BAUD]"], ["--on", "verilator"]),
        (["'uart:PORT[@BAUD]'"], ["--on", "uart:PORT[@BAUD]"]),
        (["there are no waveforms of --on golden"], ["--trace", "t.fst"]),
        (["there are no waveforms of --on uart:/dev/ttyUSB0"], ["--on", "uart:/dev/ttyUSB0", "--trace", "t.fst"]),
        (["'.vcd' is no format of waveforms"], ["--on", "sim", "--trace", "t.vcd"]),
        (["the folder nowhere does not exist"], ["--on", "sim", "--trace", "nowhere/t.fst"]),
        (["--jobs is 2"], ["--on", "sim", "--trace", "t.fst", "--jobs", "2"]),
        (["--trace-frames is 900:901"], ["--on", "sim", "--trace", "t.fst", "--trace-frames", "900:901"]),
        (["expected --trace T.fst as well"], ["--on", "sim", "--trace-frames", "0:3"]),
    ],
)
def test_flags_of_run(refuse, folder, words, flags):
    refuse(words, "run", folder / "good.liquid", folder / "data.npz", *flags)


@pytest.mark.parametrize(
    ("command", "target", "expected"),
    [
        ("verify", "foo", "expected sim or pysim, or a board, uart:PORT[@BAUD], spi:DEVICE[@HZ] or mmio:FILE[@OFFSET]"),
        ("verify", "golden", "mmio:FILE[@OFFSET]"),
        ("verify", "uart:", "expected uart:PORT[@BAUD]"),
        ("demo", "golden", "expected sim or pysim"),
        ("demo", "uart:1", "expected sim or pysim"),
    ],
)
def test_the_golden_model_is_compared_with_something_else(folder, command, target, expected, capsys):
    data = [folder / "good.liquid", folder / "data.npz"] if command == "verify" else []
    assert main([command, *map(str, data), "--on", target]) == 2
    text = capsys.readouterr().err
    assert target in text
    assert text.endswith(f"{expected}\n")


@pytest.mark.parametrize("command", ["run", "verify"])
@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("uart:/dev/ttyX", "uart:/dev/ttyX cannot be opened: it does not exist; `liquid devices` lists what is there"),
        ("mmio:/dev/uioNone", "mmio:/dev/uioNone cannot be mapped: it does not exist"),
        ("spi:/dev/spidev99.9", "spi:/dev/spidev99.9 cannot be opened: No such file or directory"),
    ],
)
def test_a_board_that_is_not_there(folder, command, target, sentence, capsys):
    if target.startswith("spi"):
        pytest.importorskip("spidev", reason="spidev is the optional extra `spi`")
    assert main([command, str(folder / "good.liquid"), str(folder / "data.npz"), "--on", target]) == 1
    assert capsys.readouterr().err == f"liquid {command}: {sentence}\n"


def test_an_output_that_cannot_be_written(folder, capsys):
    for place in (folder / "nowhere" / "out.npz", folder):
        assert main(["run", str(folder / "good.liquid"), str(folder / "data.npz"), "-o", str(place)]) == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_special_file_is_never_replaced(folder, capsys, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    commands = (
        ["run", folder / "good.liquid", folder / "data.npz"],
        ["compile", folder / "model.safetensors", "--preset", "test"],
        ["train", folder / "data.npz", "--epochs", 1],
    )
    for command in commands:
        assert main([str(a) for a in [*command, "-o", pipe]]) == 2
        captured = capsys.readouterr()
        assert f"{pipe}: cannot be written, it is no regular file" in captured.err
        assert len(captured.err.splitlines()) == 1
    for save in (Image.load(folder / "good.liquid").save, lambda path: checkpoint.save(model(), path)):
        with pytest.raises(UserError, match="no regular file"):
            save(pipe)
    (tmp_path / "report.html").symlink_to(pipe)
    assert main(["demo", "-o", str(tmp_path)]) == 2
    assert "report.html: cannot be written" in capsys.readouterr().err
    assert pipe.is_fifo()
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "report.html"}


def test_training_refuses_what_it_cannot_learn_from(refuse, folder):
    np.savez(folder / "plain.npz", **sequences())
    refuse(["y is missing"], "train", folder / "plain.npz")
    refuse(["density belongs to cell 'ltc-synaptic', not 'gru'"], "train", folder / "data.npz", "--cell", "gru",
           "--density", "0.5")  # fmt: skip
    refuse(["skip threshold is -1.0"], "train", folder / "data.npz", "--skip-threshold", "-1")
    refuse(["hidden size is 100000000", "1 to 4096"], "train", folder / "data.npz", "--hidden-size", "100000000")
    np.savez(folder / "sparse.npz", **sequences(), y=np.arange(7) * 10**9)
    refuse(["y holds 6000000000", "no more classes than the 7 sequences"], "train", folder / "sparse.npz")
    refuse(["--seed goes with", "--select"], "train", folder / "data.npz", "--seed", "1", "--select", "2")
    assert main(["train", str(folder / "data.npz"), "--seeds", "2", "--seed", "0"]) == 2
    assert main(["train", str(folder / "data.npz")]) == 2
    assert main(["train", "no-such-app", "-o", str(folder / "m.safetensors")]) == 2
    assert not (folder / "m.safetensors").exists()
