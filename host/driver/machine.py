# SPDX-License-Identifier: BSD-2-Clause
"""A device that holds an image: written and read back, kept track of, and put in order again after a failure.

What stands in its memories and FIFOs is known from a `load` that succeeded until something fails: an answer that does
not come, or is not what was expected, an error that the device reports, an exception that cuts a transaction off. From
then on they belong to nobody, and `prepare` opens the device again where it was lost, makes sure that it is the same
one, aborts, and loads the image again, before any frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from liquid_accel.driver.errors import DeviceError, DeviceGone
from liquid_accel.driver.flow import capacity
from liquid_accel.driver.session import PATIENCE_S, Session
from liquid_accel.errors import UserError
from liquid_accel.image import Image, row_words, space_rows
from liquid_accel.rtl import isa, registers
from liquid_accel.rtl.transport import Transport, TransportError


class Machine:
    """The device behind `transport`. `restarts` counts how often it was put in order again."""

    def __init__(self, transport: Transport, patience_s: float = PATIENCE_S) -> None:
        self.session = Session(transport, patience_s)
        self.image: Image | None = None
        self.capacity = 0  # words of the input FIFO
        self.restarts = 0
        self.clock_khz = 0  # where the device does not know
        self._transport = transport
        self._ready = False  # the image is in the memories, the program waits for a frame, the FIFOs are empty
        self._gone = False  # nothing is known of what stands behind the transport
        try:
            self.config_hash = self._identify()
        except BaseException:
            transport.close()
            raise

    @property
    def ready(self) -> bool:
        """Whether a frame may be sent at once."""
        return self._ready

    def load(self, image: Image) -> None:
        """Write an image and read it back; where this fails, the device has none. Raises `UserError` for one that does
        not fit, before anything is written, and `DeviceError`."""
        with self.guarded():
            self._find(image)
        check_image(image, self.config_hash)
        self.image = None
        with self.guarded():
            self._write(image)
        self.image = image

    def prepare(self) -> bool:
        """Make the device ready for a frame; true where it had to be put in order. Raises `DeviceError`."""
        if self._ready:
            return False
        assert self.image is not None  # who calls has asked for it
        with self.guarded():
            self._find(self.image)
            self._write(self.image)
        self.restarts += 1
        return True

    def abort(self) -> None:
        """End everything at once; memories stay. Raises `DeviceError`."""
        ready = self._ready
        with self.guarded():
            self._find(self.image)
            self._ready = False
            self.session.abort()
            if ready:
                self.session.start()
                self._ready = True

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """For all that speaks to the device: an exception leaves it in a state that nobody knows."""
        try:
            yield
        except BaseException as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException) -> None:
        """Something went wrong while frames were under way: nobody knows what the device holds."""
        self._ready = False
        # What is not the driver's own may have cut a transaction off.
        self._gone |= isinstance(error, DeviceGone) or not isinstance(error, DeviceError)

    def close(self) -> None:
        """Give the device back."""
        self._ready = False
        self._transport.close()

    # ---- Steps of it -------------------------------------------------------------------------------------------

    def _find(self, image: Image | None) -> None:
        """Open a device that was lost again, and ask who it is: for an `image` that ran on the last one, the same."""
        if not self._gone:
            return
        reopen = getattr(self._transport, "reopen", None)
        try:
            if reopen is not None:
                reopen()
        except TransportError as error:
            raise DeviceGone(f"the device cannot be reached: {error}") from error
        before, found = self.config_hash, self._identify()
        if image is not None and before == image.config.config_hash != found:
            # The right one may come back: this goes on to be looked for.
            raise DeviceError(
                f"another device answers now: its configuration is 0x{found:08x}; expected 0x{before:08x}, that of the "
                "image"
            )
        self.config_hash = found
        self._gone = False

    def _identify(self) -> int:
        product, version, low, high, khz, khz_high = self.session.values(
            "ID", "VERSION", "CONFIG_HASH_LOW", "CONFIG_HASH_HIGH", "CLOCK_KHZ_LOW", "CLOCK_KHZ_HIGH"
        )
        if product != registers.PRODUCT_ID:
            raise DeviceError(f"no accelerator answers: ID is 0x{product:04x}, expected 0x{registers.PRODUCT_ID:04x}")
        if version != isa.ISA_VERSION:
            raise DeviceError(
                f"the device's instruction set is version {version}; this driver speaks {isa.ISA_VERSION}"
            )
        self.clock_khz = khz | khz_high << 16
        return low | high << 16

    def _write(self, image: Image) -> None:
        self._ready = False
        self.capacity = capacity(image, self.session.abort())
        self.session.write_memories(image.sections)
        # Read back once all is written, so that a memory that answers for another is found as well.
        held = self.session.read_memories({space: words.size for space, words in image.sections.items()})
        for space, words in image.sections.items():
            if not np.array_equal(held[space], words):
                at = int(np.flatnonzero(held[space] != words)[0])
                raise DeviceError(
                    f"memory {space.name} does not hold the image: word {at} is 0x{held[space][at]:04x}, "
                    f"expected 0x{words[at]:04x}"
                )
        self.session.start()
        self._ready = True


def check_image(image: Image, config_hash: int) -> None:
    """Raise `UserError` for an image of another configuration, or with a section that its memory does not hold."""
    config = image.config
    if config.config_hash != config_hash:
        raise UserError(
            f"image: it was compiled for configuration 0x{config.config_hash:08x} with {config.lanes} lanes; expected "
            f"the device's, 0x{config_hash:08x}"
        )
    for space, words in image.sections.items():
        most = space_rows(config, space) * row_words(config, space)
        if words.ndim != 1 or words.dtype != np.uint16 or words.size > most:
            raise UserError(
                f"image: section {space.name} has shape {words.shape} and type {words.dtype}; expected at most {most} "
                "words of uint16"
            )
