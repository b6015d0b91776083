# SPDX-License-Identifier: BSD-2-Clause
"""`liquid run`: an image over a data set on the golden model, on the simulated machine or on a board."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liquid_accel.cli.common import (
    Subparsers,
    add_json,
    check_output,
    note,
    per_cent,
    positive_float,
    positive_int,
    print_json,
    progress_bar,
    save_arrays,
    show,
    subcommand,
    table,
)  # fmt: skip
from liquid_accel.errors import UserError

if TYPE_CHECKING:
    from liquid_accel.cli.common import Progress
    from liquid_accel.data import Dataset
    from liquid_accel.driver.parallel import Timed
    from liquid_accel.image import Image

SIMULATED = ("sim", "pysim")
HARDWARE = "uart:PORT[@BAUD], spi:DEVICE[@HZ] or mmio:FILE[@OFFSET]"
EXAMPLE = """  liquid run model.liquid TEST.npz --on sim -o out.npz --clock-mhz 48
  liquid run model.liquid TEST.npz --on sim --trace waves.fst --trace-frames 12:16"""


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subcommand(subparsers, "run", run, "run an image over a data set", EXAMPLE)
    parser.add_argument("image", metavar="IMAGE.liquid", help="made by `liquid compile`")
    parser.add_argument("data", metavar="DATA.npz", help="arrays x, and optionally lengths, dt and y")
    add_target(parser, ("golden", "sim", "pysim"), "golden")
    parser.add_argument("-o", "--output", metavar="OUT.npz", help="write outputs, labels and counters of every frame")
    parser.add_argument("--states", action="store_true", help="write the states at the end of each frame too")
    parser.add_argument(
        "--clock-mhz", type=positive_float, metavar="F",
        help="clock for latencies (default: a board's own, and 12 for golden, sim and pysim)",
    )  # fmt: skip
    parser.add_argument(
        "--trace", metavar="T.fst", help="write waveforms as FST, and T.gtkw for GTKWave, with --on sim: docs/waves.md"
    )
    parser.add_argument(
        "--trace-frames", type=frame_range, metavar="A:B",
        help="frames that the waveforms show: from A up to B, counted from 0 over all sequences (default: 0:8)",
    )  # fmt: skip
    add_json(parser)


def add_target(parser: argparse.ArgumentParser, targets: tuple[str, ...], default: str) -> None:
    """Add `--on` and `--jobs`."""
    parser.add_argument(
        "--on", default=default, metavar="|".join(targets),
        help=f"what runs it (default: {default}); a board is {HARDWARE}, as `liquid devices` lists them",
    )  # fmt: skip
    parser.add_argument(
        "--jobs", type=positive_int, metavar="N", help="simulated devices side by side (default: one a core)"
    )


def check_other(target: str, boards: bool = False) -> None:
    """Raise `UserError` for a target that the golden model cannot be compared with; `boards`: those are welcome."""
    from liquid_accel.driver.targets import check_target, is_hardware

    expected = f"expected {' or '.join(SIMULATED)}" + (f", or a board, {HARDWARE}" if boards else "")
    if target == "golden":
        raise UserError(f"--on golden: the golden model would be compared with itself; {expected}")
    if boards and is_hardware(target):
        check_target(target)
    elif target not in SIMULATED:
        raise UserError(f"--on is '{target}'; {expected}")


def frame_range(text: str) -> tuple[int, int]:
    """A:B, frames from A up to B."""
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise argparse.ArgumentTypeError(f"is {text}; expected A:B, two whole numbers with A < B")
    return int(first), int(last)


def check_trace(arguments: argparse.Namespace) -> Path | None:
    """Where waveforms are to go. Raises `UserError` where they cannot be had."""
    if arguments.trace is None:
        if arguments.trace_frames is not None:
            raise UserError("--trace-frames: there is nowhere to write the frames to; expected --trace T.fst as well")
        return None
    if arguments.on != "sim":
        raise UserError(f"--trace: there are no waveforms of --on {arguments.on}; expected --on sim")
    if arguments.jobs is not None and arguments.jobs > 1:
        raise UserError(f"--jobs is {arguments.jobs}; expected 1 with --trace, which shows one device")
    path = check_output(arguments.trace, "the waveforms")
    if path.suffix.lower() != ".fst":
        raise UserError(f"{path}: '{path.suffix}' is no format of waveforms here; expected .fst")
    return path


def run(arguments: argparse.Namespace) -> int:
    """Run, write, print."""
    from liquid_accel import data
    from liquid_accel.driver.figures import figures
    from liquid_accel.driver.parallel import run_on
    from liquid_accel.driver.targets import check_target
    from liquid_accel.image import Image

    check_target(arguments.on)
    waves = check_trace(arguments)
    if arguments.states and not arguments.output:
        raise UserError("--states: there is nowhere to write the states to; expected -o OUT.npz as well")
    output = check_output(arguments.output, "the outputs") if arguments.output else None
    image = Image.load(arguments.image)
    batch = data.load(arguments.data, image.default_dt)
    with progress_bar(f"running on {arguments.on}") as progress:
        if waves is None:
            timed = run_on(arguments.on, image, batch, states=arguments.states, progress=progress, jobs=arguments.jobs)
        else:
            timed = traced(arguments, image, batch, waves, progress)
    found = figures(image, batch, timed.result, arguments.clock_mhz or timed.clock_mhz)
    if output is not None:
        save_arrays(output, timed.result.arrays(arguments.states))
    if arguments.json:
        print_json(found)
    else:
        show(table(f"{arguments.image} on {arguments.on}", ("", ""), figure_rows(found)))
    return 0


def traced(arguments: argparse.Namespace, image: Image, batch: Dataset, path: Path, progress: Progress) -> Timed:
    """Run with waveforms, and say what they show."""
    from liquid_accel.driver.figures import DEFAULT_CLOCK_MHZ
    from liquid_accel.waves import DEFAULT_FRAMES, run_traced

    done = run_traced(
        image, batch, path, arguments.clock_mhz or DEFAULT_CLOCK_MHZ, arguments.trace_frames or DEFAULT_FRAMES,
        states=arguments.states, progress=progress, say=note,
    )  # fmt: skip
    note(f"{path}: {done.frames} frames, {done.cycles:,} cycles, {path.stat().st_size:,} bytes")
    return done.timed


def figure_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The figures of a run for people: label and value."""
    frames = found["frames"]

    def each(name: str) -> str:
        return f"{found[name]:,}  ({found[name] / frames:.2f} a frame)"

    rows = [
        ("accuracy", per_cent(found["accuracy"])),
        ("sequences, frames", f"{found['sequences']:,}, {frames:,}"),
        ("cycles a frame", f"{found['cycles_per_frame']:,.1f}"),
        ("predicted cycles a frame", f"{found['predicted_cycles'] / frames:,.1f}"),
        (f"latency a frame at {found['clock_mhz']:g} MHz", f"{found['latency_us']:,.1f} µs"),
        ("right-hand sides", each("rhs_evals")),
        ("steps accepted", each("steps_accepted")),
        ("steps rejected", each("steps_rejected")),
        ("steps at their smallest", f"{found['step_limits']:,}"),
        ("frames not converged", f"{found['not_converged']:,}"),
        ("frames out of budget", f"{found['budget_spent']:,}  ({found['time_lag']:.4g} of time lost)"),
        ("frames halted early", f"{found['early_halts']:,}"),
        ("products issued, skipped", f"{found['macs_issued']:,}, {found['macs_skipped']:,}"),
        ("MAC utilisation", per_cent(found["mac_utilisation"], 1)),
        ("saturations, of inputs", f"{found['saturations']:,}, {found['input_saturations']:,}"),
    ]
    return rows if found["accuracy"] is not None else rows[1:]
