# SPDX-License-Identifier: BSD-2-Clause
"""The driver: from arrays to frames, over any transport, and back."""

from liquid_accel.driver.device import Device
from liquid_accel.driver.errors import DeviceError, DeviceGone
from liquid_accel.driver.result import Result

__all__ = ["Device", "DeviceError", "DeviceGone", "Result"]
