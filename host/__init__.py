# SPDX-License-Identifier: BSD-2-Clause
"""liquid_accel: an open accelerator for liquid neural networks.

    image = liquid_accel.compile(model, calibration=x)
    with liquid_accel.open("sim", config=image.config) as device:
        device.load(image)
        result = device.run(x, dt=1.0)

Names are loaded when they are first used: neither torch nor Amaranth comes with the import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from liquid_accel.version import PACKAGE_VERSION as __version__

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from liquid_accel import aio, ncps
    from liquid_accel.checkpoint import Checkpoint
    from liquid_accel.data import Dataset
    from liquid_accel.driver import Device, DeviceError, DeviceGone, Result
    from liquid_accel.driver.pool import Pool
    from liquid_accel.errors import UserError
    from liquid_accel.image import Image
    from liquid_accel.models import CTRNN, LTC, LiquidClassifier
    from liquid_accel.models.ode import NeuralODE, odeint
    from liquid_accel.rtl.config import LiquidConfig, preset

__all__ = [
    "CTRNN", "LTC", "Device", "DeviceError", "DeviceGone", "Image", "LiquidClassifier", "LiquidConfig", "NeuralODE",
    "Pool", "Result", "UserError", "__version__", "aio", "compile", "ncps", "odeint", "open", "preset",
]  # fmt: skip

_HOMES = {
    "LTC": "models", "CTRNN": "models", "LiquidClassifier": "models", "NeuralODE": "models.ode",
    "odeint": "models.ode", "Device": "driver", "DeviceError": "driver",
    "DeviceGone": "driver", "Result": "driver", "Pool": "driver.pool",
    "UserError": "errors", "Image": "image", "LiquidConfig": "rtl.config", "preset": "rtl.config",
}  # fmt: skip


def open(target: str = "sim", config: LiquidConfig | str | None = None) -> Device:
    """A device: "golden" (the NumPy model), "sim" (the compiled RTL), "pysim" (the RTL in Amaranth's simulator).

    `config`, or the name of a preset, says which machine, by default the preset up5k; an image runs on the one that it
    was compiled for. Raises `UserError` for another name and `DeviceError` where the device cannot be opened.
    """
    from liquid_accel.driver.targets import open_target

    return open_target(target, _config(config))


def compile(
    model: Checkpoint | LiquidClassifier | Any | str | Path,
    *,
    calibration: Dataset | npt.ArrayLike | None = None,
    config: LiquidConfig | str | None = None,
    **options: Any,
) -> Image:
    """The image of a model for a machine of `config`, or of the preset of that name, by default up5k; where columns are
    to be skipped and that preset keeps no sums, of the one that stands for it (up5k-skip).

    `model` is a checkpoint, the file that holds one, a torch `LiquidClassifier`, which takes its features as they
    are and counts time in frames, or a torch model of ncps' or torch's own layers (docs/import.md), which takes
    `calibration` to be tried on. `calibration`, frames x (sequences, time, features) or a `Dataset`, shows what values
    occur; without it, data are drawn from the ranges that the checkpoint stores, for a torch model from -4 to 4.
    `options` are those of `CompileOptions`: solver, steps, rtol, atol and others. Raises `UserError` for a layer that
    no program can be made for, or a model that does not fit.
    """
    from dataclasses import fields

    from liquid_accel.compiler import CompileOptions
    from liquid_accel.compiler import compile as compile_image
    from liquid_accel.compiler.options import check_given
    from liquid_accel.data import Dataset, from_arrays
    from liquid_accel.errors import UserError

    known = [field.name for field in fields(CompileOptions)]
    for name in options:
        if name not in known:
            raise UserError(f"compile: option '{name}' is unknown; expected one of {', '.join(known)}")
    settings = CompileOptions(**options)
    check_given(settings.solver, options)
    if calibration is not None and not isinstance(calibration, Dataset):
        import numpy as np

        calibration = from_arrays({"x": np.asarray(calibration)}, name="calibration")
    checkpoint = _checkpoint(model, calibration)
    if isinstance(config, str):
        config = settings.preset(config)
    return compile_image(checkpoint, calibration=calibration, config=_config(config), options=settings)


def _config(config: LiquidConfig | str | None) -> LiquidConfig | None:
    from liquid_accel.errors import UserError
    from liquid_accel.rtl.config import LiquidConfig, preset

    if config is None or isinstance(config, LiquidConfig):
        return config
    if not isinstance(config, str):
        raise UserError(f"config is of type {type(config).__name__}; expected a LiquidConfig or the name of a preset")
    try:
        return preset(config)
    except ValueError as error:
        raise UserError(f"config: {error}") from None


def _checkpoint(model: Any, calibration: Dataset | None) -> Checkpoint | str | Path:
    from pathlib import Path

    from liquid_accel.checkpoint import Checkpoint, Features
    from liquid_accel.errors import UserError

    if isinstance(model, Checkpoint | str | Path):
        return model
    if not (hasattr(model, "to_checkpoint") and hasattr(model, "in_features")):  # asked without torch
        if not (hasattr(model, "state_dict") and hasattr(model, "named_children")):
            kind = type(model).__name__
            raise UserError(f"model is of type {kind}; expected a Checkpoint, the file of one or a torch model")
        if calibration is None:
            raise UserError("calibration is missing; expected frames to try the model on")
        from liquid_accel.importer import import_model

        return import_model(model, calibration)
    inputs: int = model.in_features
    ranges = ((-4.0, 4.0),) * inputs
    if calibration is not None:
        seen = calibration.x[calibration.mask]
        ranges = tuple((float(low), float(high)) for low, high in zip(seen.min(0), seen.max(0), strict=True))
    if len(ranges) != inputs:
        raise UserError(f"calibration: x has {len(ranges)} features; expected {inputs}")
    result: Checkpoint = model.to_checkpoint(Features((0.0,) * inputs, (1.0,) * inputs, ranges))
    return result


def __getattr__(name: str) -> Any:
    if name in ("aio", "ncps"):
        return import_module(f"liquid_accel.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'liquid_accel' has no attribute '{name}'")
    return getattr(import_module(f"liquid_accel.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
