# SPDX-License-Identifier: BSD-2-Clause
"""What a driver raises when the device, rather than the user, is at fault."""


class DeviceError(Exception):
    """The device did not answer, answered nonsense, or reported an error. The message is one sentence.

    Whatever was under way is lost, a batch and a streamed sequence alike. The next call begins by putting the device
    in order (abort, load again), so that what it gives is right.
    """


class DeviceGone(DeviceError):
    """The device was reset, unplugged or fell silent. The next call opens it again first, where its transport can."""


def say_lost(error: BaseException, frames: int) -> None:
    """Add to a `DeviceError` that the streamed sequence is lost after so many frames."""
    if isinstance(error, DeviceError):
        told = f"the streamed sequence is lost after {frames} frames, and the next frame begins a new one"
        error.args = (f"{error}; {told}",)
