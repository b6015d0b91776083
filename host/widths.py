# SPDX-License-Identifier: BSD-2-Clause
"""The width of a model's weights, chosen by what it costs: each width compiled and run on the golden model.

    choice = choose(model, data, config=config, options=options, max_accuracy_drop=1.0)
    choice.image, choice.tries, choice.sensitivity

rms is that of the outputs' error over all frames, against the float reference with the same solver; the drop is that of
the accuracy on the data's labels, in percentage points. Of the widths that keep every bound the smallest is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.compiler.options import WEIGHT_BITS
from liquid_accel.data import Dataset
from liquid_accel.driver.parallel import run_on
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.sim import reference

if TYPE_CHECKING:
    from liquid_accel.rtl.config import LiquidConfig
    from liquid_accel.sim.reference import Run, SolverSettings


@dataclass(frozen=True)
class Try:
    """What a width comes to: `rms` of the outputs' error, the share of sequences with the float model's label, and,
    where the data have labels, the accuracy; `kept` says whether all bounds are."""

    bits: int
    rms: float
    agreement: float | None
    accuracy: float | None
    kept: bool


@dataclass(frozen=True)
class Choice:
    """The image with the smallest width that keeps the bounds, None where none does; all `tries`, the widest last; and
    of that image, or the widest, the rms that the weights of each layer alone cause, formats left aside."""

    image: Image | None
    tries: tuple[Try, ...]
    float_accuracy: float | None
    sensitivity: Mapping[str, float]


def choose(
    model: Checkpoint,
    data: Dataset,
    *,
    config: LiquidConfig,
    options: CompileOptions,
    max_accuracy_drop: float | None = None,
    rms: float | None = None,
) -> Choice:
    """Try every width, narrow to wide, until one keeps the bounds. Raises `UserError` for data without labels where
    accuracy is bound, and for what the compiler refuses."""
    labels = data.labels
    if max_accuracy_drop is not None and (labels is None or model.task.kind != "classification"):
        raise UserError(f"{data.name}: y is no class label a sequence; a bound on accuracy needs one, and a classifier")
    settings = _settings(model, options)
    exact = reference.run(model, data, settings)
    held = None if labels is None else exact.accuracy(labels)
    tries: list[Try] = []
    for bits in sorted(WEIGHT_BITS):
        image = compile(model, calibration=data, config=config, options=replace(options, weight_bits=bits))
        result = run_on("golden", image, data).result
        error = _rms(result.y, exact.outputs, data)
        classifier = model.task.kind == "classification"
        accuracy = float(np.mean(result.label == labels)) if classifier and labels is not None else None
        kept = rms is None or error <= rms
        if max_accuracy_drop is not None and accuracy is not None and held is not None:
            kept = kept and 100 * (held - accuracy) <= max_accuracy_drop + 1e-9
        agreement = float(np.mean(result.label == exact.labels)) if classifier else None
        tries.append(Try(bits, error, agreement, accuracy, kept))
        if kept:
            break
    alone = sensitivity(model, data, image, settings, exact)
    return Choice(image if tries[-1].kept else None, tuple(tries), held, alone)


def sensitivity(
    model: Checkpoint, data: Dataset, image: Image, settings: SolverSettings, exact: Run
) -> dict[str, float]:
    """rms error of the outputs with the image's weights in one layer and the model's own in all others, by layer."""
    quantised = image.dequantised()
    found = {}
    for name in dict.fromkeys(key.split(".", 1)[0] for key in quantised):
        own = {key: value for key, value in quantised.items() if key.split(".", 1)[0] == name}
        weights = {key: own.get(key, value) for key, value in model.tensors.items()}
        found[name] = _rms(reference.run(model, data, settings, weights=weights).outputs, exact.outputs, data)
    return found


def _rms(outputs: npt.NDArray[np.floating], exact: npt.NDArray[np.floating], data: Dataset) -> float:
    return float(np.sqrt(np.mean((outputs - exact)[data.mask] ** 2)))


def _settings(model: Checkpoint, options: CompileOptions) -> SolverSettings:
    from liquid_accel.sim.reference import SolverSettings

    if options.solver not in reference.SOLVERS:
        raise UserError(f"solver is {options.solver}; a width is chosen against the float reference, which has "
                        f"{', '.join(reference.SOLVERS)}")  # fmt: skip
    return SolverSettings(options.solver, options.steps, options.rtol, options.atol)
