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

    from liquid_accel.checkpoint import Checkpoint
    from liquid_accel.data import Dataset
    from liquid_accel.driver import Device, DeviceError, Result
    from liquid_accel.errors import UserError
    from liquid_accel.image import Image
    from liquid_accel.models import LTC, LiquidClassifier
    from liquid_accel.rtl.config import LiquidConfig, preset

__all__ = [
    "LTC", "Device", "DeviceError", "Image", "LiquidClassifier", "LiquidConfig", "Result", "UserError", "__version__",
    "compile", "open", "preset",
]  # fmt: skip

_HOMES = {
    "LTC": "models", "LiquidClassifier": "models", "Device": "driver", "DeviceError": "driver",
    "Result": "driver", "UserError": "errors", "Image": "image", "LiquidConfig": "rtl.config", "preset": "rtl.config",
}  # fmt: skip


def open(target: str = "sim", config: LiquidConfig | None = None) -> Device:
    """A device: "golden" (the NumPy model), "sim" (the compiled RTL), "pysim" (the RTL in Amaranth's simulator).

    `config` says which machine, by default the preset up5k; an image runs on the one that it was compiled for.
    Raises `UserError` for another name and `DeviceError` where the device cannot be opened.
    """
    from liquid_accel.driver.targets import open_target

    return open_target(target, config)


def compile(
    model: Checkpoint | str | Path,
    *,
    calibration: Dataset | npt.ArrayLike | None = None,
    config: LiquidConfig | None = None,
    **options: Any,
) -> Image:
    """The image of a checkpoint, or of the file that holds one, for a machine of `config`, by default the preset up5k.

    `calibration`, frames x (sequences, time, features) or a `Dataset`, shows what values occur; without it, data are
    drawn from the ranges that the checkpoint stores. `options` are those of `CompileOptions`: solver, steps, rtol, atol
    and others. Raises `UserError` for a layer that no program can be made for, or a model that does not fit.
    """
    from liquid_accel.compiler import CompileOptions
    from liquid_accel.compiler import compile as compile_image
    from liquid_accel.data import Dataset, from_arrays

    if calibration is not None and not isinstance(calibration, Dataset):
        import numpy as np

        calibration = from_arrays({"x": np.asarray(calibration)}, name="calibration")
    return compile_image(model, calibration=calibration, config=config, options=CompileOptions(**options))


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'liquid_accel' has no attribute '{name}'")
    return getattr(import_module(f"liquid_accel.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
