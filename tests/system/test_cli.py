# SPDX-License-Identifier: BSD-2-Clause
"""The command line on the golden model: exit statuses, JSON alone on stdout, files, and help."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from system.small import files, model, sequences

from liquid_accel import checkpoint
from liquid_accel.checkpoint import Gru, Linear, Mean
from liquid_accel.cli import COMMANDS, main, verify
from liquid_accel.compiler import available
from liquid_accel.compiler.options import SOLVERS
from liquid_accel.driver.compare import COUNTERS, LAGS
from liquid_accel.rtl.isa import Status

FIGURES = {
    "accuracy", "frames", "cycles", "cycles_per_frame", "predicted_cycles", "rhs_evals", "steps_accepted",
    "steps_rejected", "early_halts", "step_limits", "not_converged", "budget_spent", "time_lag", "macs_issued",
    "macs_skipped", "mac_utilisation", "saturations", "latency_us", "clock_mhz",
}  # fmt: skip


def gru():
    """The small model with a GRU in place of its LTC."""
    tensors = {name: tensor for name, tensor in model().tensors.items() if not name.startswith("ltc.")}
    draw = np.random.default_rng(3)
    shapes = {"weight_ih": (18, 6), "weight_hh": (18, 6), "bias_ih": (18,), "bias_hh": (18,)}
    tensors |= {f"gru.{name}": draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    return replace(model(), layers=(Linear("proj", "tanh"), Gru("gru"), Mean(), Linear("read")), tensors=tensors)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    source, data = files(folder)
    for solver in ("fused", "bs32"):
        arguments = ["compile", source, "--data", data, "--preset", "test", "--solver", solver, "-o"]
        assert main([str(a) for a in [*arguments, folder / f"{solver}.liquid"]]) == 0
    return folder


def as_json(capsys, *arguments):
    assert main([str(a) for a in arguments]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", [command.__name__.rpartition(".")[2] for command in COMMANDS])
def test_every_subcommand_has_help_with_an_example(capsys, command):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert f"example:\n  liquid {command}" in capsys.readouterr().out


def test_bad_usage_has_status_2(capsys):
    for arguments in ([], ["fly"], ["run"], ["compile", "m", "--steps", "0", "-o", "i"]):
        with pytest.raises(SystemExit) as done:
            main(arguments)
        assert done.value.code == 2
        text = capsys.readouterr().err
        assert len(text.splitlines()) == 1
        assert "usage" not in text
        assert text.endswith(" --help\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["compile", "m", "--steps", "0", "-o", "i"],
            "liquid compile: --steps is 0; expected a whole number of at least 1; see liquid compile --help",
        ),
        (["compile", "m", "--rtol", "-1", "-o", "i"], "--rtol is -1; expected a finite number above 0"),
        (["compile", "m", "--lanes", "x", "-o", "i"], "--lanes is 'x'; expected a whole number; see"),
        (["compile", "m", "--delta-threshold", "-1", "-o", "i"], "--delta-threshold is -1; expected a number"),
        (["compile", "m", "--delta-threshold", "a=1,a=2", "-o", "i"], "expected NAME=T,NAME=T with each layer once"),
        (["compile", "m", "--delta-threshold", "a=x", "-o", "i"], "or NAME=T,NAME=T by layer"),
        (["compile", "m", "--preset", "big", "-o", "i"], "--preset is 'big'; expected one of "),
        (["run", "i"], "liquid run: the following arguments are required: DATA.npz; see liquid run --help"),
        (["run", "i", "d", "--fast"], "liquid run: unknown arguments: --fast; see liquid run --help"),
        (["fly"], "liquid: COMMAND is 'fly'; expected one of"),
    ],
)
def test_bad_usage_is_one_sentence(capsys, arguments, sentence):
    with pytest.raises(SystemExit):
        main(arguments)
    assert sentence in capsys.readouterr().err


def test_help_names_what_there_is(capsys):
    texts = {}
    for command in ("compile", "train", "run"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        texts[command] = " ".join(capsys.readouterr().out.split())
    assert set(SOLVERS) == set(available())
    assert f"one of {', '.join(SOLVERS)} " in texts["compile"]
    assert "one of ltc, ltc-synaptic, cfc, ctrnn, node, gru, lstm " in texts["train"]
    assert "uart:PORT[@BAUD], spi:DEVICE[@HZ] or mmio:FILE[@OFFSET]" in texts["run"]
    assert "write waveforms as FST, and T.gtkw for GTKWave, with --on sim: docs/waves.md" in texts["run"]


def test_version_names_the_three(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    text = capsys.readouterr().out
    assert "instruction set" in text
    assert "image format" in text


@pytest.mark.parametrize("solver", ["fused", "bs32"])
def test_run_prints_the_contracts_figures_and_writes_every_frame(capsys, folder, solver):
    out = folder / f"{solver}.npz"
    found = as_json(
        capsys,
        "run",
        folder / f"{solver}.liquid",
        folder / "data.npz",
        "--json",
        "--states",
        "-o",
        out,
        "--clock-mhz",
        48,
    )
    assert found.keys() >= FIGURES
    with np.load(out, allow_pickle=False) as held, np.load(folder / "data.npz") as data:
        inside = np.arange(data["x"].shape[1]) < data["lengths"][:, None]
        assert held["y"].shape == (7, 9, 3)
        assert held["h"].shape == (7, 9, 6)
        assert found["accuracy"] == np.mean(held["label"] == data["y"])
        for name in ("cycles", "rhs_evals", "steps_accepted", "steps_rejected", "saturations"):
            assert found[name] == held[name].sum()
            assert not held[name][~inside].any()
    assert found["frames"] == inside.sum()
    assert found["latency_us"] == pytest.approx(found["cycles"] / found["frames"] / 48)
    if solver == "fused":
        assert found["predicted_cycles"] == found["cycles"]


def test_without_labels_the_accuracy_is_null(capsys, folder):
    with np.load(folder / "data.npz") as data:
        np.savez(folder / "bare.npz", x=data["x"])
    found = as_json(capsys, "run", folder / "fused.liquid", folder / "bare.npz", "--json")
    assert found["accuracy"] is None
    assert found["clock_mhz"] == 12


def test_a_single_sequence_needs_no_batch_axis(capsys, folder):
    with np.load(folder / "data.npz") as data:
        np.savez(folder / "one.npz", x=data["x"][0])
    assert as_json(capsys, "run", folder / "fused.liquid", folder / "one.npz", "--json")["frames"] == 9


@pytest.mark.parametrize("solver", ["fused", "bs32"])
@pytest.mark.parametrize("unit", [None, 0.01, 0.03])
def test_no_dt_is_the_models_own_spacing(capsys, tmp_path, solver, unit):
    """The same frames with the spacing in the file and without: equal images, equal runs."""
    spacing = 1.75 * (unit or 1.0)
    checkpoint.save(replace(model(unit=unit), default_dt=1.75), tmp_path / "m.safetensors")
    arrays = {name: array for name, array in sequences().items() if name != "dt"}
    np.savez(tmp_path / "without.npz", **arrays)
    np.savez(tmp_path / "with.npz", **arrays, dt=np.float64(spacing))
    runs = []
    for name in ("with", "without"):
        data, image = tmp_path / f"{name}.npz", tmp_path / f"{name}.liquid"
        options = ["--data", data, "--preset", "test", "--solver", solver, "-o", image]
        as_json(capsys, "compile", tmp_path / "m.safetensors", *options, "--json")
        runs.append(as_json(capsys, "run", tmp_path / "with.liquid", data, "--json"))
    assert runs[0] == runs[1]
    assert (tmp_path / "with.liquid").read_bytes() == (tmp_path / "without.liquid").read_bytes()


def test_tables_fit_80_columns_without_colour(capsys, folder):
    for arguments in (["run", folder / "bs32.liquid", folder / "data.npz"], ["inspect", folder / "bs32.liquid"]):
        assert main([str(a) for a in arguments]) == 0
        text = capsys.readouterr().out
        assert "\x1b" not in text
        tables = text.partition("\nprogram\n")[0]
        assert max(map(len, tables.splitlines())) <= 80


def test_inspect_shows_program_formats_memory_and_cycles(capsys, folder):
    found = as_json(capsys, "inspect", folder / "fused.liquid", "--json")
    assert found["program"]
    assert found["formats"]
    assert found["memory_map"]
    assert found["bounds"]
    assert found["predicted_cycles_per_frame"] > 0
    assert main(["inspect", str(folder / "fused.liquid")]) == 0
    text = capsys.readouterr().out
    for heading in ("formats", "memory map", "bounds", "program"):
        assert heading in text


def test_compile_says_what_came_of_it(capsys, folder):
    found = as_json(
        capsys,
        "compile",
        folder / "model.safetensors",
        "--preset",
        "test",
        "--lanes",
        8,
        "-o",
        folder / "l.liquid",
        "--json",
    )
    assert found["lanes"] == 8
    assert found["bytes"] == (folder / "l.liquid").stat().st_size


def test_an_image_says_what_it_skips_and_when_it_stops(capsys, folder):
    image, out = folder / "sparse.liquid", folder / "sparse.npz"
    asked = ["--solver", "bs32", "--rtol", "1e-3", "--delta-threshold", "ltc=0", "--budget", "7"]
    said = as_json(capsys, "compile", folder / "model.safetensors", "--preset", "test", *asked, "-o", image, "--json")
    for found in (said, as_json(capsys, "inspect", image, "--json")):
        assert (found["cells"], found["delta_thresholds"]) == (["ltc"], {"ltc": 0.0})
        assert (found["budget"], found["weight_bits"], found["solver"]) == (7, 8, "bs32")
    found = as_json(capsys, "run", image, folder / "data.npz", "--json", "-o", out)
    with np.load(out, allow_pickle=False) as held:
        assert held["rhs_evals"].max() <= 7
        spent = (held["status"] & int(Status.BUDGET)) != 0
        assert spent.any()
        assert found["budget_spent"] == spent.sum()
        np.testing.assert_array_equal(held["time_lag"] > 0, spent)
        assert not held["error_estimate"][~spent].any()
        assert found["macs_skipped"] == held["macs_skipped"].sum() > 0
        assert found["time_lag"] == pytest.approx(held["time_lag"].sum())


def test_a_threshold_of_zero_changes_no_output(capsys, folder):
    """What did not move is skipped, which leaves every sum as it is."""
    outputs = []
    for name, asked in (("dense", []), ("zero", ["--delta-threshold", "0"])):
        image, out = folder / f"{name}.liquid", folder / f"{name}.npz"
        options = ["--data", folder / "data.npz", "--preset", "test", "--solver", "bs32", *asked]
        as_json(capsys, "compile", folder / "model.safetensors", *options, "-o", image, "--json")
        as_json(capsys, "run", image, folder / "data.npz", "--states", "-o", out, "--json")
        with np.load(out, allow_pickle=False) as held:
            outputs.append([held[key] for key in ("y", "h", "rhs_evals", "steps_accepted")])
    for dense, zero in zip(*outputs, strict=True):
        np.testing.assert_array_equal(dense, zero)


@pytest.mark.parametrize("solver", ["euler", "heun", "rk4"])
def test_the_cycles_of_fixed_steps_are_predicted_exactly_for_any_spacing(capsys, folder, solver):
    """Whose PLAN takes the leading zeros of each frame's dt."""
    image = folder / f"{solver}.liquid"
    as_json(
        capsys, "compile", folder / "model.safetensors", "--preset", "test", "--solver", solver, "-o", image, "--json"
    )
    found = as_json(capsys, "run", image, folder / "data.npz", "--json")
    assert found["predicted_cycles"] == found["cycles"]


@pytest.mark.parametrize("flag", [["--solver", "fused"], ["--steps", "2"], ["--jump", "--solver", "bs32"]])
def test_a_model_that_updates_itself_takes_no_solver(capsys, tmp_path, flag):
    checkpoint.save(gru(), tmp_path / "gru.safetensors")
    assert main(["compile", str(tmp_path / "gru.safetensors"), *flag, "-o", str(tmp_path / "g.liquid")]) == 2
    assert "gru updates itself without a solver; expected none" in capsys.readouterr().err


def test_verify_has_a_name_for_everything_that_it_compares():
    assert {"steps", "states", "outputs", *COUNTERS, *LAGS} == verify.KINDS.keys()


def test_what_is_not_there_yet_is_not_offered(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for command in ("explore", "scope"):
        assert f"\n    {command} " not in text


def test_importing_the_package_is_quick_and_light():
    code = (
        "import sys, time; start = time.perf_counter(); import liquid_accel; took = time.perf_counter() - start; "
        "heavy = {'torch', 'amaranth', 'matplotlib', 'scipy', 'rich'} & set(sys.modules); print(took, heavy or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, heavy = done.stdout.split(maxsplit=1)
    assert heavy.strip() == "none"
    assert float(seconds) < 0.3


def test_running_an_image_needs_neither_torch_nor_matplotlib(folder):
    code = (
        "import sys; sys.modules.update(torch=None, matplotlib=None, scipy=None); from liquid_accel.cli import main; "
        f"sys.exit(main(['run', {str(folder / 'fused.liquid')!r}, {str(folder / 'data.npz')!r}, '--json']))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
