# SPDX-License-Identifier: BSD-2-Clause
"""From a trained model to an image: formats, quantised weights, tables, memory map, program, stalls, prediction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from liquid_accel.compiler.options import CompileOptions, available
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig, preset

if TYPE_CHECKING:
    from liquid_accel.checkpoint import Checkpoint
    from liquid_accel.data import Dataset

__all__ = ["CompileOptions", "available", "compile"]


def compile(
    model: Checkpoint | str | Path,
    *,
    calibration: Dataset | None = None,
    config: LiquidConfig | None = None,
    options: CompileOptions | None = None,
) -> Image:
    """Compile a checkpoint (or the file that holds one) for a machine of `config`, by default the preset up5k, or
    up5k-skip where the options ask for kept sums.

    `calibration` shows the compiler what values occur; without it, data are drawn from the ranges that the checkpoint
    stores. Raises `UserError` for a layer that no program can be made for, a model that does not fit, a damaged file.
    """
    from liquid_accel.compiler import backend

    if isinstance(model, str | Path):
        from liquid_accel import checkpoint

        model = checkpoint.load(model)
    options = options or CompileOptions()
    return backend.build(model, calibration, config or preset(options.preset("up5k")), options)
