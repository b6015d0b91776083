# SPDX-License-Identifier: BSD-2-Clause
"""`liquid train`: a liquid network from a data set of labelled sequences."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from liquid_accel.cli.common import (
    Subparsers,
    add_json,
    check_output,
    note,
    per_cent,
    positive_float,
    positive_int,
    print_json,
    show,
    subcommand,
    table,
)  # fmt: skip
from liquid_accel.errors import UserError

EXAMPLE = """  liquid train japanese-vowels -o model.safetensors
  liquid train japanese-vowels --select 5 -o model.safetensors    # how the shipped checkpoint was made
  liquid train keywords -o keywords.safetensors                   # spoken words, two stacked layers
  liquid train TRAIN.npz --cell gru --layers 2 -o model.safetensors
  liquid train japanese-vowels --for-solver rk4:1 -o model.safetensors     # one step of rk4 a frame is stable
  liquid train TRAIN.npz --cell ltc --seeds 5 --test TEST.npz"""
# Applications: the name of their data, and what they are trained with where nothing else is asked for.
APPS: dict[str, tuple[str, dict[str, Any]]] = {
    "japanese-vowels": ("japanese_vowels", {}),
    "keywords": ("keywords", {"depth": 2, "mean": "all", "epochs": 60}),
}


def add(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    from liquid_accel.architecture import CELLS

    parser = subcommand(subparsers, "train", run, "train a liquid network on labelled sequences", EXAMPLE)
    parser.add_argument("data", metavar="APP|DATA.npz", help=f"a data set, or an application: {', '.join(APPS)}")
    parser.add_argument(
        "--cell", default="ltc", choices=CELLS, metavar="CELL",
        help=f"kind of the recurrent cell (default: ltc), one of {', '.join(CELLS)}",
    )  # fmt: skip
    parser.add_argument("-o", "--output", metavar="MODEL.safetensors", help="the checkpoint to write")
    parser.add_argument(
        "--form", default="input", choices=("input", "literal"),
        help="of ltc: inputs act inside the activation too, or through the time constants alone (default: input)",
    )  # fmt: skip
    parser.add_argument("--tau-recurrent", action="store_true", help="of ltc: the state acts on the time constants too")
    parser.add_argument(
        "--density", type=float, default=1.0, metavar="P",
        help="of ltc-synaptic: fraction of the pairs of neurons with a synapse, drawn at random (default: 1, all)",
    )  # fmt: skip
    parser.add_argument(
        "--mode", default="default", choices=("default", "no_gate"), help="of cfc: how its two heads join",
    )  # fmt: skip
    parser.add_argument(
        "--hidden", "--hidden-size", dest="hidden_size", type=positive_int, default=64, metavar="N",
        help="neurons of a cell (default: 64)",
    )  # fmt: skip
    parser.add_argument(
        "--layers", dest="depth", type=positive_int, metavar="N", help="cells, stacked (default: 1; keywords: 2)"
    )
    parser.add_argument(
        "--projection", type=int, metavar="P", help="width of the layer in front; 0: none (default: that of the cells)"
    )
    parser.add_argument(
        "--mean", choices=("last", "all"), help="cells that the read-out sees (default: last; keywords: all)"
    )
    parser.add_argument(
        "--skip-threshold", type=float, default=0.0, metavar="T",
        help="train as on a machine that skips columns whose input moved by no more than T (default: 0, off)",
    )  # fmt: skip
    parser.add_argument(
        "--tau-floor", type=positive_float, default=0.5, metavar="T",
        help="time constants below T frame spacings are penalised (default: 0.5)",
    )  # fmt: skip
    parser.add_argument(
        "--tau-ceiling", type=positive_float, default=0.0, metavar="T", help="and those above T (default: no ceiling)"
    )
    parser.add_argument(
        "--for-solver", metavar="SOLVER:STEPS",
        help="keep the network no stiffer than so many steps a frame of an explicit solver can take, as rk4:1",
    )  # fmt: skip
    parser.add_argument("--epochs", type=positive_int, metavar="N", help="passes over the data (default: the recipe's)")
    parser.add_argument("--seed", type=int, metavar="S", help="of weights and batches (default: 0)")
    parser.add_argument(
        "--select", type=positive_int, metavar="N",
        help="take the seed of 0 to N - 1 that does best on a fifth of the training data, held back",
    )  # fmt: skip
    parser.add_argument(
        "--seeds",
        type=positive_int,
        metavar="N",
        help="a study: train with seeds 0 to N - 1 and compare them on --test",
    )
    parser.add_argument("--test", metavar="TEST.npz", help="data for a final accuracy; an application brings its own")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train once, or study seeds."""
    from liquid_accel import data

    if arguments.seeds is None and not arguments.output:
        raise UserError("-o: the checkpoint has no name; expected -o MODEL.safetensors, or --seeds N for a study")
    if arguments.seeds and (arguments.output or arguments.select):
        raise UserError("--seeds: a study keeps no checkpoint; expected it without -o and --select")
    if arguments.seed is not None and (arguments.seeds or arguments.select):
        several = "--seeds" if arguments.seeds else "--select"
        raise UserError(f"--seed goes with a single training, {several} takes its own seeds; expected one of the two")
    train_path, test_path = _paths(arguments)
    if arguments.seeds and test_path is None:
        raise UserError("--seeds: a study has nothing to compare on; expected --test TEST.npz")
    train = data.load(train_path)
    test = None if test_path is None else data.load(test_path)
    return _study(arguments, train, test) if arguments.seeds else _train(arguments, train, test)


def _paths(arguments: argparse.Namespace) -> tuple[Path, Path | None]:
    from liquid_accel.shipped import shipped

    test = None if arguments.test is None else Path(arguments.test)
    if arguments.data not in APPS:
        if not Path(arguments.data).exists() and "." not in Path(arguments.data).name:
            raise UserError(f"{arguments.data}: no such application or file; expected {', '.join(APPS)} or DATA.npz")
        return Path(arguments.data), test
    name, _ = APPS[arguments.data]
    try:
        return shipped("data", f"{name}_train.npz"), test or shipped("data", f"{name}_test.npz")
    except FileNotFoundError as error:
        raise UserError(f"{arguments.data}: {error}") from None


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Those of `train_checkpoint`, once they have been found sound."""
    from liquid_accel.training import Architecture, Recipe, check_skipping, check_stiffness

    _, usual = APPS.get(arguments.data, ("", {}))
    asked = {name: getattr(arguments, name) for name in (*(field.name for field in fields(Architecture)), "epochs")}
    asked = usual | {name: value for name, value in asked.items() if value is not None}
    epochs = asked.pop("epochs", None)
    shape = asked
    recipe = Recipe(
        skip_threshold=arguments.skip_threshold, tau_floor=arguments.tau_floor, tau_ceiling=arguments.tau_ceiling,
        **_for_solver(arguments.for_solver),
    )  # fmt: skip
    check_skipping(recipe, Architecture(**shape))
    check_stiffness(recipe, Architecture(**shape))
    return shape | {"epochs": epochs, "recipe": recipe}


def _for_solver(text: str | None) -> dict[str, Any]:
    """Fields of the recipe for SOLVER:STEPS."""
    if text is None:
        return {}
    name, _, steps = text.partition(":")
    if not steps.isdecimal():
        raise UserError(f"--for-solver is '{text}'; expected SOLVER:STEPS, as rk4:1")
    return {"for_solver": name, "for_steps": int(steps)}


def _train(arguments: argparse.Namespace, train: Any, test: Any) -> int:
    from liquid_accel import checkpoint
    from liquid_accel.evaluate import accuracy, train_selected
    from liquid_accel.stiffness import measure
    from liquid_accel.training import check, train_checkpoint

    options = _options(arguments)
    check(train, arguments.epochs)
    output = check_output(arguments.output, "the checkpoint")
    if arguments.select:
        note(f"choosing one of {arguments.select} seeds on a held-back fifth of {train.name}, then training on all")
        model = train_selected(train, arguments.select, **options)
    else:
        model = train_checkpoint(train, seed=arguments.seed or 0, **options)
    checkpoint.save(model, output)
    found = {
        "checkpoint": str(output), "seed": model.training["seed"], "train_accuracy": accuracy(model, train),
        "accuracy": None if test is None or test.labels is None else accuracy(model, test),
        "parameters": sum(tensor.size for tensor in model.tensors.values()),
        "training": dict(model.training),
    }  # fmt: skip
    stiff = measure(model, train)
    found |= dict.fromkeys(("stiffness", "stable_steps", "tau_frames")) if stiff is None else stiff
    if arguments.json:
        print_json(found)
        return 0
    rows = [
        ("parameters", f"{found['parameters']:,}"), ("seed", found["seed"]),
        ("accuracy on the training data", per_cent(found["train_accuracy"])),
        ("accuracy on the test data", per_cent(found["accuracy"])),
    ]  # fmt: skip
    rows = rows if found["accuracy"] is not None else rows[:-1]
    show(table(str(output), ("", ""), [*rows, *_stiffness_rows(found)]))
    return 0


def _stiffness_rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    if found["stiffness"] is None:
        return []
    steps = [f"{name} {count or 'never'}" for name, count in found["stable_steps"].items()]
    rows = [
        ("stiffness: fastest mode times the frame spacing", f"{found['stiffness']:.2f}"),
        ("steps a frame with which explicit solvers are stable", ", ".join(steps)),
    ]  # fmt: skip
    if found["tau_frames"] is None:
        return rows
    low, middle, high = found["tau_frames"]
    return [("time constants in frames: smallest, median, largest", f"{low:.2f}, {middle:.2f}, {high:.2f}"), *rows]


def _study(arguments: argparse.Namespace, train: Any, test: Any) -> int:
    from liquid_accel.evaluate import seed_study, study_table

    study = seed_study(train, test, arguments.seeds, **_options(arguments))
    if arguments.json:
        print_json(study)
    else:
        show(study_table(study))
    return 0
