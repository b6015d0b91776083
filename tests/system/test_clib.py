# SPDX-License-Identifier: BSD-2-Clause
"""The C library: compiled without a warning, and over a real terminal word for word what the golden model says."""

import os
import pty
import random
import re
import shutil
import subprocess
import threading
import time
import tty

import numpy as np
import pytest
from link_twin import Faults, LinkTwin

from liquid_accel import data
from liquid_accel.cli import main
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver import frames
from liquid_accel.driver.parallel import run_on
from liquid_accel.rtl import formats, isa, registers
from liquid_accel.shipped import shipped
from liquid_accel.sim.golden import GoldenTransport

SEQUENCES = 4
STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITISED = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


class Terminal:
    """A device of `bus` behind a pseudo-terminal; `faults` meet its answers, and a byte in 3,000 on the way in."""

    def __init__(self, bus, faults=None):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.path, self._slave = os.ttyname(slave), slave
        self.twin = LinkTwin(bus)
        self._faults = faults
        self._random = random.Random(7)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                heard = os.read(self.master, 4096)
            except OSError:
                return
            for value in heard:
                if self._faults and self._random.random() < 1 / 3000:
                    value ^= 1 << self._random.randrange(8)
                answer = self.twin.byte(value)
                if answer is None:
                    continue
                for delay, piece in self._faults(answer[1]) if self._faults else [(0.0, answer[1])]:
                    time.sleep(min(delay, 0.5))
                    while piece:
                        piece = piece[os.write(self.master, piece) :]

    def close(self):
        os.close(self._slave)
        os.close(self.master)
        self._thread.join(5)


@pytest.fixture(scope="module", params=["fused", "bs32 with a budget"])
def model(request):
    """An image with fixed steps, and one some of whose frames run out of their budget and say so in a longer answer."""
    options = CompileOptions() if request.param == "fused" else CompileOptions("bs32", rtol=1e-3, atol=1e-3, budget=4)
    calibration = data.load(shipped("data", "japanese_vowels_train.npz"))
    image = compile(shipped("checkpoints", "japanese_vowels.safetensors"), calibration=calibration, options=options)
    batch = data.load(shipped("data", "japanese_vowels_test.npz")).subset(slice(SEQUENCES))
    spacing = np.where(batch.mask, np.random.default_rng(1).choice([0.5, 1.0, 1.7], batch.dt.shape), 0.0)
    spacing[:, 3] = 0.0  # two events at one time
    return image, type(batch)(batch.x, batch.lengths, spacing, batch.y, True, batch.name)


@pytest.fixture
def program(model, tmp_path, capsys):
    """The example, built strictly and with the sanitisers."""
    image, _ = model
    image.save(tmp_path / "m.liquid")
    assert main(["clib", str(tmp_path / "c"), str(tmp_path / "m.liquid")]) == 0
    for extra in ((), ("-DLIQUID_NO_FLOAT",)):
        subprocess.run(["gcc", *STRICT, *extra, "-c", "liquid.c"], cwd=tmp_path / "c", check=True)
    files = ("liquid.c", "liquid_link.c", "model.c", "example_posix.c")
    command = ["gcc", *STRICT, *SANITISED, *files, "-lm", "-o", "example"]
    subprocess.run(command, cwd=tmp_path / "c", check=True)
    return tmp_path / "c" / "example"


def script(batch):
    """The example's input: an empty line before each sequence."""
    lines = []
    for x, dt, length in zip(batch.x, batch.dt, batch.lengths):
        lines.append("")
        lines += [" ".join(map(repr, map(float, (d, *frame)))) for frame, d in zip(x[:length], dt[:length])]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("faulty", [False, True])
def test_outputs_status_and_cycles_are_the_golden_models(model, program, faulty):
    image, batch = model
    golden = run_on("golden", image, batch).result
    inside = batch.mask
    want = np.column_stack([golden.y[inside], golden.status[inside], golden.cycles[inside]])
    faults = Faults(3, 0.1) if faulty else None
    terminal = Terminal(GoldenTransport(image.config, sequential=True), faults)
    try:
        done = subprocess.run(
            [program, terminal.path], input=script(batch), capture_output=True, text=True, timeout=120
        )  # fmt: skip
    finally:
        terminal.close()
    assert done.returncode == 0, done.stderr
    found = np.array([[float(number) for number in line.split()] for line in done.stdout.splitlines()])
    assert np.array_equal(found.astype(np.float32), want.astype(np.float32))  # nine digits tell any float32
    assert not faulty or (sum(faults.count.values()) > 5 and terminal.twin.frames["repeated"] > 0)
    if image.budget:
        assert (golden.time_lag[inside] > 0).any()  # or the longer answer was never there


def test_a_device_that_was_reset_is_said_to_be(model, program):
    """Cut off from its session in mid-stream, the library reports it, and no word of another life comes out."""
    image, batch = model
    terminal = Terminal(GoldenTransport(image.config, sequential=True))
    lines = script(batch).splitlines(keepends=True)
    try:
        running = subprocess.Popen(
            [program, terminal.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert running.stdin and running.stdout
        running.stdin.write("".join(lines[:3]))
        running.stdin.flush()
        assert [running.stdout.readline() for _ in range(2)][1]
        terminal.twin.reset()
        rest, said = running.communicate("".join(lines[3:]), timeout=60)
    finally:
        terminal.close()
    assert running.returncode == 1
    assert rest == ""
    assert "was reset" in said


def test_an_image_of_another_configuration_is_refused(model, program):
    image, batch = model
    other = type(image.config)(lanes=4)
    terminal = Terminal(GoldenTransport(other))
    try:
        done = subprocess.run(
            [program, terminal.path], input=script(batch), capture_output=True, text=True, timeout=60
        )  # fmt: skip
    finally:
        terminal.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert "another configuration" in done.stderr


def test_the_header_holds_what_the_tables_hold(tmp_path, capsys):
    assert main(["clib", str(tmp_path)]) == 0
    text = (tmp_path / "liquid_registers.h").read_text()
    macros = {name: int(value, 0) for name, value in re.findall(r"#define (\w+) (0x[0-9A-F]+|\d+)u?\n", text)}
    for register in registers.REGISTERS:
        assert macros[f"LIQUID_REG_{register.name}"] == register.address
    assert macros["LIQUID_CONTROL_ABORT"] == registers.mask("CONTROL", "ABORT")
    assert macros["LIQUID_SPACE_TABLE"] == isa.Space.TABLE
    assert not (tmp_path / "model.c").exists()


def test_words_of_a_frame_are_those_of_the_driver(model, program, tmp_path):
    """Weights of the mean for every number, and inputs and times at their edges, against the Python driver's."""
    image, _ = model
    (program.parent / "words.c").write_text(
        '#include <stdio.h>\n#include "model.h"\nint main(void) {\n'
        "    for (uint32_t n = 1; n <= 65600; n++) printf(\"%u\\n\", (unsigned)liquid_pool_weight(n));\n"
        "    double dt; float x;\n"
        "    while (scanf(\"%lf %f\", &dt, &x) == 2)\n"
        "        printf(\"%lu %d %d\\n\", (unsigned long)liquid_ticks(&liquid_model, dt),\n"
        "               liquid_log2_dt(&liquid_model, dt), liquid_input_word(&liquid_model, 0, x));\n"
        "    return 0;\n}\n"
    )  # fmt: skip
    command = ["gcc", *STRICT, "liquid.c", "liquid_link.c", "model.c", "words.c", "-lm", "-o", "words"]
    subprocess.run(command, cwd=program.parent, check=True)
    draw = np.random.default_rng(5)
    scale, mean = image.input_scale[0], image.input_mean[0]
    halves = mean + scale * (np.arange(-40, 40) + 0.5) / 2.0**image.input_frac_bits
    x = np.concatenate([halves, mean + scale * draw.uniform(-20, 20, 400), [1e30, -1e30]]).astype(np.float32)
    dt = np.concatenate([[0.0, 1e-9, image.max_dt], 10 ** draw.uniform(-6, 0, len(x) - 3) * image.max_dt])
    text = "\n".join(f"{d!r} {float(v)!r}" for d, v in zip(dt.tolist(), x))
    out = subprocess.run([program.parent / "words"], input=text, capture_output=True, text=True, check=True).stdout
    lines = out.splitlines()
    assert [int(line) for line in lines[:65600]] == [
        formats.float_code(1.0 / min(n, frames.POOL_FRAMES)) for n in range(1, 65601)
    ]
    ticks, logs = frames.encode_time(image, dt)
    rows = np.zeros((len(x), image.inputs), np.float32)
    rows[:, 0] = x
    words, _ = frames.encode_inputs(image, rows)
    want = np.column_stack([ticks, logs, words[:, 0]])
    assert np.array_equal([[int(v) for v in line.split()] for line in lines[65600:]], want)
