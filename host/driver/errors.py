# SPDX-License-Identifier: BSD-2-Clause
"""What a driver raises when the device, rather than the user, is at fault."""


class DeviceError(Exception):
    """The device did not answer, answered nonsense, or reported an error. The message is one sentence."""
