# SPDX-License-Identifier: BSD-2-Clause
"""`liquid compile`: a checkpoint to an image for one machine."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liquid_accel.cli.common import (
    Subparsers,
    add_json,
    check_output,
    note,
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
    from liquid_accel.checkpoint import Checkpoint
    from liquid_accel.compiler import CompileOptions
    from liquid_accel.data import Dataset
    from liquid_accel.image import Image
    from liquid_accel.widths import Choice

EXAMPLE = """  liquid compile model.safetensors --data TRAIN.npz --solver bs32 --rtol 1e-2 -o model.liquid
  liquid compile my_net:model --data TRAIN.npz -o model.liquid    # runs my_net.py: docs/import.md"""


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    from liquid_accel.compiler.options import CONTROLLERS, available

    parser = subcommand(subparsers, "compile", run, "compile a model into an image", EXAMPLE)
    parser.add_argument(
        "model", metavar="MODEL", help="a .safetensors checkpoint, or package.module:object, a torch model of your own"
    )
    parser.add_argument(
        "--data", metavar="CAL.npz", help="calibrates formats and predictions (default: the ranges in the checkpoint)"
    )
    add_machine(parser)
    parser.add_argument("--weight-bits", type=positive_int, metavar="B", help="of a weight: 8, 6 or 4 (default: 8)")
    parser.add_argument(
        "--solver", metavar="SOLVER", help=f"of equations (default: fused); one of {', '.join(available())}"
    )
    parser.add_argument(
        "--steps", type=positive_int, metavar="N", help="steps a frame of a fixed-step solver (default: 4)"
    )
    parser.add_argument(
        "--iterations", type=positive_int, metavar="N", help="at most, of a step of an implicit solver (default: 8)"
    )
    parser.add_argument("--rtol", type=positive_float, metavar="R", help="relative tolerance of an adaptive solver")
    parser.add_argument("--atol", type=positive_float, metavar="A", help="absolute tolerance of an adaptive solver")
    parser.add_argument(
        "--controller", metavar="|".join(CONTROLLERS), help="digital filter that chooses adaptive steps (default: i)"
    )
    parser.add_argument("--jump", action="store_true", help="the first step of a frame has a memory of its own")
    parser.add_argument(
        "--delta-threshold", type=thresholds, metavar="T|NAME=T,...",
        help="skip columns whose input moved by no more than T, in all recurrent layers or in those named (default: no "
             "skipping; 0 skips what did not move at all)",
    )  # fmt: skip
    parser.add_argument("--budget", type=positive_int, metavar="N", help="right-hand sides that a frame may take")
    parser.add_argument(
        "--max-accuracy-drop", type=bound, metavar="P",
        help="take the narrowest weights whose accuracy on DATA is at most P percentage points below the float model's",
    )  # fmt: skip
    parser.add_argument("--rms", type=bound, metavar="R", help="the same for the rms error of outputs on DATA")
    parser.add_argument("-o", "--output", metavar="IMAGE.liquid", required=True, help="the image to write")
    add_json(parser)


def bound(text: str) -> float:
    """A number of at least 0."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise argparse.ArgumentTypeError(f"is {text}; expected a number of at least 0")
    return found


def thresholds(text: str) -> float | dict[str, float]:
    """A threshold for all layers, or some by name: T, or NAME=T,NAME=T."""
    if "=" not in text:
        return _threshold(text, text)
    named: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if not name or name in named:
            raise argparse.ArgumentTypeError(f"is {text}; expected NAME=T,NAME=T with each layer once")
        named[name] = _threshold(value, text)
    return named


def _threshold(value: str, text: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not (math.isfinite(found) and found >= 0):
        raise argparse.ArgumentTypeError(f"is {text}; expected a number of at least 0, or NAME=T,NAME=T by layer")
    return found


def add_machine(parser: argparse.ArgumentParser, default: str = "up5k") -> None:
    """Add `--preset` and `--lanes`."""
    parser.add_argument("--preset", default=default, choices=tuple(PRESETS), help=f"the machine (default: {default})")
    parser.add_argument("--lanes", type=int, metavar="N", help=f"its lanes, one of {', '.join(map(str, LANES))}")


def machine(arguments: argparse.Namespace, options: CompileOptions | None = None) -> LiquidConfig:
    """The configuration that the arguments ask for, with kept sums where the options do. Raises `UserError`."""
    changes = {} if arguments.lanes is None else {"lanes": arguments.lanes}
    try:
        return preset(options.preset(arguments.preset) if options else arguments.preset, **changes)
    except ValueError as error:
        name = next((name for name in changes if str(error).startswith(name)), None)
        flag = f"--preset {arguments.preset}" if name is None else f"--{name.replace('_', '-')} {changes[name]}"
        raise UserError(f"{flag}: {error}") from None


def run(arguments: argparse.Namespace) -> int:
    """Compile, write, say what came of it."""
    from liquid_accel import data
    from liquid_accel.compiler import compile

    settings = compile_options(arguments)
    config = machine(arguments, settings)
    output = check_output(arguments.output, "the image")
    calibration = None if arguments.data is None else data.load(arguments.data)
    model = load_model(arguments.model, calibration)
    _check_equations(arguments, model)
    choice = None
    if arguments.max_accuracy_drop is not None or arguments.rms is not None:
        choice = _choose(arguments, model, calibration, config, settings)
        if choice.image is None:
            _say(choice, arguments.json)
            return 1
        image = choice.image
    else:
        image = compile(model, calibration=calibration, config=config, options=settings)
    image.save(output)
    for warning in image.warnings:
        note(f"note: {warning}")
    found = summary(image) | {"image": str(output), "bytes": output.stat().st_size}
    if arguments.json:
        print_json(found if choice is None else found | choice_summary(choice))
    else:
        show(table(str(output), ("", ""), summary_rows(image)))
        if choice is not None:
            _say(choice, False)
    return 0


def _choose(
    arguments: argparse.Namespace,
    model: Checkpoint,
    data: Dataset | None,
    config: LiquidConfig,
    options: CompileOptions,
) -> Choice:
    from liquid_accel.widths import choose

    flag = "--rms" if arguments.max_accuracy_drop is None else "--max-accuracy-drop"
    if arguments.weight_bits is not None:
        raise UserError(f"{flag} chooses the width of weights; expected no --weight-bits")
    if data is None:
        raise UserError(f"{flag} is measured on data; expected --data DATA.npz")
    note("widths: each is compiled, and run on the golden model")
    return choose(
        model, data, config=config, options=options, max_accuracy_drop=arguments.max_accuracy_drop, rms=arguments.rms
    )


def choice_summary(choice: Choice) -> dict[str, object]:
    """What was tried, and what came of it."""
    return {
        "tries": [asdict(tried) for tried in choice.tries], "float_accuracy": choice.float_accuracy,
        "sensitivity_rms": dict(choice.sensitivity),
    }  # fmt: skip


def _say(choice: Choice, as_json: bool) -> None:
    if as_json:
        print_json(choice_summary(choice))
        return

    def percent(share: float | None) -> str:
        return "–" if share is None else f"{100 * share:.2f}"

    rows = [
        (f"{tried.bits} bits", f"{tried.rms:.4f}", percent(tried.agreement), percent(tried.accuracy),
         "taken" if tried.kept else "too far off")
        for tried in choice.tries
    ]  # fmt: skip
    rows.append(("float", "0", "100.00" if choice.tries[0].agreement is not None else "–",
                 percent(choice.float_accuracy), ""))  # fmt: skip
    show(table("weights", ("", "rms of outputs", "float's label, %", "accuracy, %", ""), rows))
    alone = [(name, f"{value:.4f}") for name, value in choice.sensitivity.items()]
    show(table("weights of one layer alone", ("layer", "rms of outputs"), alone))
    if choice.image is None:
        show("no width keeps the bounds; nothing was written")


def load_model(name: str, calibration: Dataset | None) -> Checkpoint:
    """The checkpoint of a file, or of a user's object package.module:object. Raises `UserError`."""
    from liquid_accel import checkpoint
    from liquid_accel.training import torch_installed

    if ":" not in name or Path(name).exists():
        return checkpoint.load(name)
    if not torch_installed():
        raise UserError(f"{name}: torch is not installed; a model of yours needs it: pip install 'liquid-accel[train]'")
    if calibration is None:
        raise UserError(f"{name}: there are no data to try the model on; expected --data CAL.npz")
    from liquid_accel.importer import import_model, locate

    return import_model(locate(name), calibration)


OF_EQUATIONS = ("solver", "steps", "iterations", "rtol", "atol", "controller", "budget")


def compile_options(arguments: argparse.Namespace) -> CompileOptions:
    """What the arguments ask of the compiler. Raises `UserError`."""
    from liquid_accel.compiler.options import SOLVERS, CompileOptions, available, check_given

    solver = arguments.solver or "fused"
    if solver not in (*SOLVERS, *available()):
        raise UserError(f"--solver is '{solver}'; expected one of {', '.join(SOLVERS)}")
    names = (*OF_EQUATIONS[1:], "weight_bits")
    options: dict[str, Any] = {name: found for name in names if (found := getattr(arguments, name)) is not None}
    if arguments.jump:
        options["jump"] = True
    check_given(solver, options, "--")
    if isinstance(arguments.delta_threshold, dict):
        options["delta_thresholds"] = arguments.delta_threshold
    elif arguments.delta_threshold is not None:
        options["delta_threshold"] = arguments.delta_threshold
    return CompileOptions(solver, **options)


def _check_equations(arguments: argparse.Namespace, model: Checkpoint) -> None:
    """`UserError` where something was asked of the solver of a model that has none."""
    from liquid_accel.layers import CELLS, Ctrnn, Ltc, Node

    kinds = [layer.kind for layer in model.layers if isinstance(layer, CELLS)]
    if not kinds or any(isinstance(layer, Ltc | Ctrnn | Node) for layer in model.layers):
        return
    given = [name for name in (*OF_EQUATIONS, "jump") if getattr(arguments, name)]
    if given:
        flag = "--" + given[0].replace("_", "-")
        raise UserError(
            f"{flag} goes with equations, and {', '.join(kinds)} updates itself without a solver; expected none"
        )


def summary(image: Image) -> dict[str, object]:
    """What an image is, in short."""
    return {
        "cells": list(image.cells), "solver": image.solver, "steps": image.steps, "rtol": image.rtol,
        "atol": image.atol, "adaptive": image.adaptive, "budget": image.budget,
        "delta_thresholds": dict(image.delta_thresholds), "weight_bits": image.weight_bits,
        "lanes": image.config.lanes, "config_hash": f"0x{image.config.config_hash:08x}",
        "inputs": image.inputs, "outputs": image.outputs, "states": image.state_size,
        "instructions": len(image.comments), "frame_macs": image.frame_macs, "rhs_macs": image.rhs_macs,
        "predicted_cycles_per_frame": image.predicted_cycles(0, 1000) / 1000, "predicted_exact": image.cycles.exact,
        "warnings": list(image.warnings),
    }  # fmt: skip


def solver_text(image: Image) -> str:
    """The solver and its settings in a few words."""
    if image.solver == "none":
        return "none, the cell updates itself"
    steps = [] if image.adaptive else [f"{image.steps} steps a frame"]
    tolerance = [f"rtol {image.rtol:g}, atol {image.atol:g}"] if image.rtol else []
    budget = [f"at most {image.budget} right-hand sides a frame"] if image.budget else []
    return ", ".join([image.solver, *steps, *tolerance, *budget])


def _kept(image: Image) -> str:
    """What is skipped without a threshold: the sums W h of a pair's last stage are a frame's first product."""
    listed = any(region.space == "KEPT" for region in image.memory_map)
    return "the product of each frame's first slope, which is kept" if listed else ""


def summary_rows(image: Image) -> list[tuple[str, str]]:
    """The same for people."""
    cycles = image.predicted_cycles(0, 1000) / 1000
    kind = "exact" if image.cycles.exact else "a mean over the calibration data"
    skipped = ", ".join(f"{name}: moves of up to {threshold:g}" for name, threshold in image.delta_thresholds.items())
    cells = ", ".join(image.cells)
    return [
        ("solver", solver_text(image)),
        ("columns skipped", skipped or _kept(image) or "none"),
        ("machine", f"{image.config.lanes} lanes, configuration 0x{image.config.config_hash:08x}"),
        ("network", f"{image.inputs} inputs, {cells} of {image.state_size} states, {image.outputs} outputs"),
        ("weights", f"{image.weight_bits} bits"),
        ("program", f"{len(image.comments)} of {image.config.program_words} instructions"),
        ("products", f"{image.frame_macs:,} a frame and {image.rhs_macs:,.0f} a right-hand side"),
        ("predicted cycles", f"{cycles:,.0f} a frame, {kind}"),
    ]
