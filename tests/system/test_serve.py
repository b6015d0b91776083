# SPDX-License-Identifier: BSD-2-Clause
"""`liquid serve`: the unmodified commands on a chip behind a pseudo-terminal, and what becomes of them when it dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from simulators import need
from system.small import files

from liquid_accel import data
from liquid_accel.cli import main
from liquid_accel.driver.compare import compare
from liquid_accel.driver.parallel import run_on
from liquid_accel.driver.targets import open_target
from liquid_accel.image import Image
from liquid_accel.rtl.config import preset

LIQUID = [sys.executable, "-m", "liquid_accel.cli"]
PATIENCE_S = 120.0  # before a process counts as stuck


class Server:
    """`liquid serve IMAGE --pty --json` in a process of its own, ready when this is made."""

    def __init__(self, image: Path | str, *arguments: str, folder: Path) -> None:
        command = [*LIQUID, "serve", str(image), "--pty", "--json", *arguments]
        self.errors = folder / "serve.err"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self.process.stdout is not None
        lines = []
        while not lines or lines[-1] != "}\n":
            line = self.process.stdout.readline()
            assert line, self.errors.read_text()
            lines.append(line)
        self.said = json.loads("".join(lines))
        self.target = self.said["target"]

    def end(self, kind: signal.Signals) -> int:
        self.process.send_signal(kind)
        return self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("cxxrtl")
    folder = tmp_path_factory.mktemp("serve")
    model, data = files(folder)
    image = str(folder / "model.liquid")
    assert main(["compile", str(model), "--data", str(data), "--preset", "test", "--solver", "bs32", "-o", image]) == 0
    return folder


@pytest.fixture
def server(folder: Path):
    served = Server(folder / "model.liquid", folder=folder)
    yield served
    served.process.kill()
    served.process.wait(PATIENCE_S)


def liquid(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = [*LIQUID, *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out, errors


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as held:
        return {name: held[name] for name in held.files}


def test_run_and_verify_cannot_tell_it_from_a_board(folder: Path, server: Server) -> None:
    config = preset("test")
    assert server.said["lanes"] == config.lanes
    assert server.said["config_hash"] == f"0x{config.config_hash:08x}"
    status, out, errors = done(liquid(folder, "verify", "model.liquid", "data.npz", "--on", server.target, "--json"))
    assert status == 0, errors
    found = json.loads(out)
    assert found["mismatches"] == 0
    assert found["compared"] > 500
    for target, name in ((server.target, "chip.npz"), ("golden", "golden.npz")):
        status, _, errors = done(liquid(folder, "run", "model.liquid", "data.npz", "--on", target, "-o", name))
        assert status == 0, errors
    chip, golden = arrays(folder / "chip.npz"), arrays(folder / "golden.npz")
    assert chip.keys() == golden.keys()
    assert all(np.array_equal(chip[name], golden[name]) for name in chip)


def test_a_signal_ends_it_in_order_and_removes_the_link(folder: Path) -> None:
    for kind in (signal.SIGINT, signal.SIGTERM):
        # What an earlier server left behind is replaced.
        (folder / "board").symlink_to("/nowhere/at/all")
        served = Server("test", "--link", "board", folder=folder)
        assert (folder / "board").readlink() == Path(served.said["pty"])
        assert served.end(kind) == 0
        assert not (folder / "board").is_symlink()
        assert "Traceback" not in served.errors.read_text()


def test_garbage_and_hosts_that_come_and_go_leave_it_in_order(folder: Path, server: Server) -> None:
    draw = np.random.default_rng(5)
    for _ in range(3):
        port = os.open(server.said["pty"], os.O_RDWR | os.O_NOCTTY)
        os.write(port, draw.integers(0, 256, 2000).astype(np.uint8).tobytes())
        os.close(port)
    status, out, errors = done(liquid(folder, "verify", "model.liquid", "data.npz", "--on", server.target, "--json"))
    assert status == 0, errors
    assert json.loads(out)["mismatches"] == 0


def long_data(folder: Path) -> str:
    """So many frames that a run is still under way when something happens to it."""
    draw = np.random.default_rng(7)
    np.savez(folder / "long.npz", x=draw.normal(0, 1, (200, 100, 3)).astype(np.float32))
    return "long.npz"


def test_a_server_that_is_killed_ends_the_run_with_one_sentence_and_the_next_one_is_right(
    folder: Path, server: Server
) -> None:
    run = liquid(folder, "run", "model.liquid", long_data(folder), "--on", server.target)
    wait_for_traffic(server)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    status, out, errors = done(run)
    assert status == 1, out
    assert len(errors.splitlines()) == 1, errors
    assert "Traceback" not in errors
    again = Server(folder / "model.liquid", folder=folder)
    try:
        arguments = ("verify", "model.liquid", "data.npz", "--on", again.target, "--json")
        status, out, errors = done(liquid(folder, *arguments))
        assert status == 0, errors
        assert json.loads(out)["mismatches"] == 0
    finally:
        again.process.kill()
        again.process.wait(PATIENCE_S)


def wait_for_traffic(server: Server) -> None:
    """Until the server's process has worked for a while: the chip is busy with what a host asks."""

    def ticks() -> int:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    start, deadline = ticks(), time.monotonic() + PATIENCE_S
    while ticks() - start < os.sysconf("SC_CLK_TCK"):
        assert time.monotonic() < deadline, "nothing is asked of the chip"
        time.sleep(0.02)


def test_a_second_host_is_told_and_the_first_stays_right(folder: Path, server: Server) -> None:
    image = Image.load(folder / "model.liquid")
    batch = data.load(folder / "data.npz", image.default_dt)
    golden = run_on("golden", image, batch, states=True, trace=True).result
    with open_target(server.target) as first:
        first.load(image)
        assert compare(golden, first.run(batch, states=True, trace=True)).mismatches == 0
        status, _, errors = done(liquid(folder, "run", "model.liquid", "data.npz", "--on", server.target))
        assert status == 1
        assert "another program uses it" in errors
        assert len(errors.splitlines()) == 1
        assert compare(golden, first.run(batch, states=True, trace=True)).mismatches == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing.liquid", "--pty"], "nothing.liquid: there is no such file; expected an image, or a preset"),
        (["test", "--pty", "--link", "no/such/link"], "--link no/such/link: the folder no/such does not exist"),
        (["test", "--pty", "--link", "model.liquid"], "--link model.liquid: it exists, and is no link"),
    ],
)
def test_bad_input_is_one_sentence(folder, monkeypatch, capsys, arguments: list[str], sentence: str) -> None:
    monkeypatch.chdir(folder)
    assert main(["serve", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("divisor", ["3", "x", "65536"])
def test_a_divisor_has_bounds(capsys, divisor: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "test", "--pty", "--divisor", divisor])
    assert ended.value.code == 2
    assert f"--divisor is {divisor}; expected a whole number from 4 to 65535" in capsys.readouterr().err
