# SPDX-License-Identifier: BSD-2-Clause
"""A device as users see it: load an image, run batches, stream frames. It sees a transport and nothing behind it."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import numpy as np
import numpy.typing as npt

from liquid_accel import data
from liquid_accel.data import Dataset
from liquid_accel.driver.decode import Decoder
from liquid_accel.driver.errors import DeviceError
from liquid_accel.driver.frames import encode
from liquid_accel.driver.result import Result, collect
from liquid_accel.driver.session import PATIENCE_S, Session
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl import isa, registers
from liquid_accel.rtl.transport import Transport

Progress = Callable[[int, int], None]


class Device:
    """An accelerator behind `transport`; use it with `with`, or call `close`.

        with liquid_accel.open("sim", config=image.config) as device:
            device.load(image)
            result = device.run(x, dt=1.0)

    `patience_s`: a device that takes and finishes no frame for that long counts as stuck. Raises `DeviceError`
    where what answers is not an accelerator, or speaks another version of the instruction set.
    """

    def __init__(self, transport: Transport, patience_s: float = PATIENCE_S) -> None:
        self._transport = transport
        self._session = Session(transport, patience_s)
        self._image: Image | None = None
        self._number = 0  # frames of the streamed sequence so far
        self.last: Result | None = None
        try:
            self.config_hash = self._identify()
        except BaseException:
            transport.close()
            raise

    def _identify(self) -> int:
        product, version = self._session.read("ID"), self._session.read("VERSION")
        if product != registers.PRODUCT_ID:
            raise DeviceError(f"no accelerator answers: ID is 0x{product:04x}, expected 0x{registers.PRODUCT_ID:04x}")
        if version != isa.ISA_VERSION:
            raise DeviceError(
                f"the device's instruction set is version {version}; this driver speaks {isa.ISA_VERSION}"
            )
        return self._session.read("CONFIG_HASH_LOW") | self._session.read("CONFIG_HASH_HIGH") << 16

    # ---- Images ------------------------------------------------------------------------------------------------

    def load(self, image: Image) -> None:
        """Write an image and read it back. Raises `UserError` if it was compiled for another configuration, before
        anything is written, and `DeviceError` where a memory does not hold what was written."""
        if image.config.config_hash != self.config_hash:
            raise UserError(
                f"image: it was compiled for configuration 0x{image.config.config_hash:08x} with {image.config.lanes} "
                f"lanes; expected the device's, 0x{self.config_hash:08x}"
            )
        self._image = None
        self._session.abort()
        for space, words in image.sections.items():
            self._session.write_memory(space, words)
        # Read back once all is written, so that a memory that answers for another is found as well.
        for space, words in image.sections.items():
            held = self._session.read_memory(space, words.size)
            if not np.array_equal(held, words):
                at = int(np.flatnonzero(held != words)[0])
                raise DeviceError(
                    f"memory {space.name} does not hold the image: word {at} is 0x{held[at]:04x}, "
                    f"expected 0x{words[at]:04x}"
                )
        self._session.check()
        self._image = image
        self._number = 0
        self._session.start()

    @property
    def image(self) -> Image:
        """The image that is loaded. Raises `UserError` without one."""
        if self._image is None:
            raise UserError("device: no image is loaded; expected load(image) before frames")
        return self._image

    # ---- Batches -----------------------------------------------------------------------------------------------

    def run(
        self,
        x: npt.ArrayLike | Dataset,
        dt: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        *,
        states: bool = False,
        trace: bool = False,
        progress: Progress | None = None,
    ) -> Result:
        """Run sequences x (sequences, time, features) or (time, features), each from a fresh state, or a `Dataset`.

        `dt` is a number, one a step or one a sequence and step, in seconds or, where the model counts time in frames,
        in those; None is the model's own spacing. `states` asks for the states at the end of each frame and `trace` for
        the steps of the solver as well; neither changes a counter. `progress` is told (finished frames, all frames).
        Raises `UserError` for arrays that are not sound and `DeviceError` where the device fails.
        """
        image = self.image
        batch = x if isinstance(x, Dataset) else self._dataset(x, dt, lengths)
        check_inputs(image, batch)
        inside = batch.mask
        number = np.broadcast_to(np.arange(1, batch.x.shape[1] + 1), inside.shape)[inside]
        traced = states or trace
        dt = image.data_dt(batch.dt, batch.dt_given)[inside]
        sent = encode(image, batch.x[inside], dt, number, trace=traced, name=batch.name)
        decoder = self._exchange(sent.words, traced, progress)
        self._number = 0
        return collect(image, decoder, batch.lengths, batch.x.shape[1], sent.saturated, steps=trace)

    def _dataset(
        self, x: npt.ArrayLike, dt: npt.ArrayLike | None, lengths: npt.ArrayLike | None, name: str = "data"
    ) -> Dataset:
        given = {"x": x, "dt": dt, "lengths": lengths}
        arrays = {key: np.asarray(array) for key, array in given.items() if array is not None}
        return data.from_arrays(arrays, self.image.default_dt, name)

    def _exchange(self, words: npt.NDArray[np.uint16], traced: bool, progress: Progress | None) -> Decoder:
        total = len(words)
        decoder = Decoder(self.image, total, traced)
        told = None if progress is None else (lambda done: progress(done, total))
        try:
            self._session.exchange(words.reshape(-1), decoder, self.image.config.fifo_words, told)
        except BaseException:
            # What is left in the FIFOs belongs to nobody: the next run needs a load, which aborts first.
            self._image = None
            raise
        return decoder

    # ---- Streams -----------------------------------------------------------------------------------------------

    def step(self, frame: npt.ArrayLike, dt: float | None = None, *, trace: bool = False) -> npt.NDArray[np.float32]:
        """Run one more frame (features,) of the streamed sequence; returns its outputs (outputs,).

        A sequence begins with the first call after `load`, `reset` or `run`. `last` then holds the frame's `Result`.
        """
        batch = self._dataset(np.asarray(frame)[None, :] if np.ndim(frame) == 1 else frame, dt, None, "frame")
        if batch.x.shape[:2] != (1, 1):
            raise UserError(f"frame: its shape is {np.shape(frame)}; expected ({self.image.inputs},), one frame")
        check_inputs(self.image, batch)
        number = np.array([self._number + 1])
        sent = encode(self.image, batch.x[0], batch.dt[0], number, trace=trace, name="frame")
        decoder = self._exchange(sent.words, trace, None)
        self._number += 1
        self.last = collect(self.image, decoder, batch.lengths, 1, sent.saturated, steps=trace)
        outputs: npt.NDArray[np.float32] = self.last.y[0, 0]
        return outputs

    def reset(self) -> None:
        """The next `step` starts a new sequence."""
        self._number = 0

    # ---- Ends --------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """End everything at once; the image stays, and the next frame starts a new sequence."""
        self._session.abort()
        self._number = 0
        if self._image is not None:
            self._session.start()

    def close(self) -> None:
        """Give the device back."""
        self._transport.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_inputs(image: Image, batch: Dataset) -> None:
    """Raise `UserError` where the frames are not the image's."""
    if batch.x.shape[2] != image.inputs:
        raise UserError(f"{batch.name}: x has {batch.x.shape[2]} features a frame; expected {image.inputs}")
