# SPDX-License-Identifier: BSD-2-Clause
"""`liquid compile`: a checkpoint to an image for one machine."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from liquid_accel.cli.common import (
    NOT_YET,
    Subparsers,
    add_json,
    check_output,
    note,
    offer,
    positive_float,
    positive_int,
    print_json,
    show,
    subcommand,
    table,
)  # fmt: skip
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import LANES, PRESETS, LiquidConfig, preset

if TYPE_CHECKING:
    from liquid_accel.image import Image

EXAMPLE = "  liquid compile model.safetensors --data TRAIN.npz --solver bs32 --rtol 1e-2 -o model.liquid"


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    from liquid_accel.compiler.options import SOLVERS, available

    parser = subcommand(subparsers, "compile", run, "compile a model into an image", EXAMPLE)
    parser.add_argument("model", metavar="MODEL.safetensors", help="a checkpoint of `liquid train`")
    parser.add_argument(
        "--data", metavar="CAL.npz", help="calibrates formats and predictions (default: the ranges in the checkpoint)"
    )
    add_machine(parser)
    parser.add_argument(
        "--weight-bits", type=positive_int, default=8, metavar="B", help="bits of a weight (default: 8)"
    )
    parser.add_argument(
        "--solver", default="fused", metavar="SOLVER", help=f"default: fused; one of {offer(available(), SOLVERS)}"
    )
    parser.add_argument(
        "--steps", type=positive_int, metavar="N", help="steps a frame of a fixed-step solver (default: 4)"
    )
    parser.add_argument("--rtol", type=positive_float, metavar="R", help="relative tolerance of an adaptive solver")
    parser.add_argument("--atol", type=positive_float, metavar="A", help="absolute tolerance of an adaptive solver")
    parser.add_argument(
        "--delta-threshold", type=float, default=0.0, metavar="T", help=f"skip columns that moved by less {NOT_YET}"
    )
    parser.add_argument(
        "--budget", type=positive_float, metavar="RHS_PER_FRAME", help=f"right-hand sides to aim at {NOT_YET}"
    )
    parser.add_argument("-o", "--output", metavar="IMAGE.liquid", required=True, help="the image to write")
    add_json(parser)


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add `--preset` and `--lanes`."""
    parser.add_argument("--preset", default="up5k", choices=tuple(PRESETS), help="the machine (default: up5k)")
    parser.add_argument("--lanes", type=int, metavar="N", help=f"its lanes, one of {', '.join(map(str, LANES))}")


def machine(arguments: argparse.Namespace) -> LiquidConfig:
    """The configuration that the arguments ask for. Raises `UserError`."""
    changes = {} if arguments.lanes is None else {"lanes": arguments.lanes}
    if getattr(arguments, "weight_bits", 8) != 8:
        changes["weight_bits"] = arguments.weight_bits
    try:
        return preset(arguments.preset, **changes)
    except ValueError as error:
        name = next((name for name in changes if str(error).startswith(name)), None)
        flag = f"--preset {arguments.preset}" if name is None else f"--{name.replace('_', '-')} {changes[name]}"
        raise UserError(f"{flag}: {error}") from None


def run(arguments: argparse.Namespace) -> int:
    """Compile, write, say what came of it."""
    from liquid_accel import checkpoint, data
    from liquid_accel.compiler import CompileOptions, compile
    from liquid_accel.compiler.options import SOLVERS, check_given

    if arguments.solver not in SOLVERS:
        raise UserError(f"--solver is '{arguments.solver}'; expected one of {', '.join(SOLVERS)}")
    if arguments.delta_threshold:
        raise UserError(
            f"--delta-threshold is {arguments.delta_threshold:g}; skipping is not available yet, expected 0"
        )
    if arguments.budget is not None:
        raise UserError("--budget: choosing tolerances by a budget is not available yet; expected --rtol and --atol")
    if ":" in arguments.model and not Path(arguments.model).exists():
        raise UserError(f"{arguments.model}: only .safetensors checkpoints are read at present; expected one of those")
    given = {name: getattr(arguments, name) for name in ("steps", "rtol", "atol")}
    options = {name: value for name, value in given.items() if value is not None}
    check_given(arguments.solver, options, "--")
    settings = CompileOptions(arguments.solver, **options)
    config = machine(arguments)
    output = check_output(arguments.output, "the image")
    model = checkpoint.load(arguments.model)
    calibration = None
    if arguments.data is not None:
        calibration = data.load(arguments.data)
    image = compile(model, calibration=calibration, config=config, options=settings)
    image.save(output)
    for warning in image.warnings:
        note(f"note: {warning}")
    found = summary(image) | {"image": str(output), "bytes": output.stat().st_size}
    if arguments.json:
        print_json(found)
    else:
        show(table(str(output), ("", ""), summary_rows(image)))
    return 0


def summary(image: Image) -> dict[str, object]:
    """What an image is, in short."""
    return {
        "solver": image.solver, "steps": image.steps, "rtol": image.rtol, "atol": image.atol,
        "adaptive": image.adaptive,
        "lanes": image.config.lanes, "config_hash": f"0x{image.config.config_hash:08x}",
        "inputs": image.inputs, "outputs": image.outputs, "states": image.state_size,
        "instructions": len(image.comments), "frame_macs": image.frame_macs, "rhs_macs": image.rhs_macs,
        "predicted_cycles_per_frame": image.predicted_cycles(0, 1000) / 1000, "predicted_exact": image.cycles.exact,
        "warnings": list(image.warnings),
    }  # fmt: skip


def summary_rows(image: Image) -> list[tuple[str, str]]:
    """The same for people."""
    how = f"rtol {image.rtol:g}, atol {image.atol:g}" if image.adaptive else f"{image.steps} steps a frame"
    cycles = image.predicted_cycles(0, 1000) / 1000
    kind = "exact" if image.cycles.exact else "a mean over the calibration data"
    return [
        ("solver", f"{image.solver}, {how}"),
        ("machine", f"{image.config.lanes} lanes, configuration 0x{image.config.config_hash:08x}"),
        ("network", f"{image.inputs} inputs, {image.state_size} states, {image.outputs} outputs"),
        ("program", f"{len(image.comments)} of {image.config.program_words} instructions"),
        ("products", f"{image.frame_macs:,} a frame and {image.rhs_macs:,} a right-hand side"),
        ("predicted cycles", f"{cycles:,.0f} a frame, {kind}"),
    ]
