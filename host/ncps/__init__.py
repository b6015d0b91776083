# SPDX-License-Identifier: BSD-2-Clause
"""Drop-ins for the package ncps 1.0: its names, its draws and its return values. No torch comes with the wirings.

    from liquid_accel.ncps.torch import LTC, CfC
    from liquid_accel.ncps.wirings import AutoNCP
"""

from importlib import import_module
from typing import Any

from liquid_accel.ncps import wirings

LAYERS = ("LTC", "CfC", "CfCCell", "LTCCell", "WiredCfCCell")
__all__ = ["LTC", "CfC", "CfCCell", "LTCCell", "WiredCfCCell", "torch", "wirings"]


def __getattr__(name: str) -> Any:
    if name == "torch":
        return import_module("liquid_accel.ncps.torch")
    if name in LAYERS:
        return getattr(import_module("liquid_accel.ncps.torch"), name)
    raise AttributeError(f"module 'liquid_accel.ncps' has no attribute '{name}'")
