# SPDX-License-Identifier: BSD-2-Clause
"""A device as users see it: load an image, run batches, stream frames. It sees a transport and nothing behind it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

import numpy as np
import numpy.typing as npt

from liquid_accel import data
from liquid_accel.data import Dataset
from liquid_accel.driver.decode import Decoder
from liquid_accel.driver.encoder import Encoder, check_width
from liquid_accel.driver.errors import say_lost
from liquid_accel.driver.flow import Flow, batch_mark, exchange
from liquid_accel.driver.frames import encode
from liquid_accel.driver.machine import Machine
from liquid_accel.driver.result import Result, collect
from liquid_accel.driver.session import PATIENCE_S
from liquid_accel.driver.steps import Answer, Stepper
from liquid_accel.driver.stream import Source, Stream, frames_of
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl.transport import Transport

Progress = Callable[[int, int], None]
Outputs = npt.NDArray[np.float32]


class Device:
    """An accelerator behind `transport`; use it with `with`, or call `close`.

        with liquid_accel.open("sim", config=image.config) as device:
            device.load(image)
            result = device.run(x, dt=1.0)              # a batch of whole sequences
            y = device.step(frame, dt=0.01)             # one more frame of a streamed sequence
            for y in device.stream(source): ...         # a sequence from a source, several frames under way

    Any thread may call it: one call at a time is carried out, whole, and the others wait, so that frames of two threads
    follow each other and never mix. They belong to the one streamed sequence, though: threads with sequences of their
    own take a device each, or `Pool`.

    `patience_s`: a device that finishes no frame for that long counts as stuck. Raises `DeviceError` where what answers
    is not an accelerator, or speaks another version of the instruction set. A `DeviceError` in any call means that what
    was under way is lost, a batch as a whole, and the streamed sequence. The next `run`, `step` or `stream` puts the
    device in order by itself: opened again if it was lost, the same configuration asked for, aborted, and the image
    loaded and read back; a `step` then begins a new sequence. `restarts` counts these.
    """

    def __init__(self, transport: Transport, patience_s: float = PATIENCE_S) -> None:
        self._machine = Machine(transport, patience_s)
        self._lock = threading.RLock()
        self._work: str | None = None  # the call under way
        self._stream: Stream | None = None
        self._closed = False
        self._encoder: Encoder | None = None
        self._stepper: Stepper | None = None
        self._number = 0  # frames of the streamed sequence so far
        self._last: Answer | None = None

    @property
    def config_hash(self) -> int:
        """The hash of the device's configuration."""
        return self._machine.config_hash

    @property
    def clock_mhz(self) -> float | None:
        """The device's clock, or None where it does not know it, as simulations do not."""
        return self._machine.clock_khz / 1000 or None

    @property
    def restarts(self) -> int:
        """How often the device was put in order again after a failure."""
        return self._machine.restarts

    @property
    def frames(self) -> int:
        """Frames of the streamed sequence so far: 0 where the next `step` begins a new one."""
        return self._number

    @property
    def last(self) -> Result | None:
        """The `Result` of the last frame of `step` or `stream`."""
        return None if self._last is None else self._last.result

    # ---- Images ------------------------------------------------------------------------------------------------

    def load(self, image: Image) -> None:
        """Write an image and read it back; ends a stream. Raises `UserError` where it was compiled for another
        configuration or does not fit, before anything is written; and `DeviceError` where a memory does not hold what
        was written, after which no frame runs before another `load`."""
        with self._turn("load", streaming=True):
            self._end_sequence()
            self._encoder = self._stepper = None
            self._machine.load(image)
            self._encoder, self._stepper = Encoder(image), Stepper(image, self._machine.session)

    @property
    def image(self) -> Image:
        """The image that is loaded. Raises `UserError` without one."""
        if self._machine.image is None:
            raise UserError("device: no image is loaded; expected load(image) before frames")
        return self._machine.image

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
        Frames are sent while others are computed. Ends the streamed sequence. Raises `UserError` for arrays that are
        not sound and `DeviceError` where the device fails.
        """
        with self._turn("run"):
            image = self.image
            batch = x if isinstance(x, Dataset) else self._dataset(x, dt, lengths)
            check_inputs(image, batch)
            inside = batch.mask
            number = np.broadcast_to(np.arange(1, batch.x.shape[1] + 1), inside.shape)[inside]
            traced = states or trace
            spacing = image.data_dt(batch.dt, batch.dt_given)[inside]
            sent = encode(image, batch.x[inside], spacing, number, trace=traced, name=batch.name)
            total = len(sent.words)
            decoder = Decoder(image, total, traced)
            told = None if progress is None else (lambda done: progress(done, total))
            self._number = 0
            self._machine.prepare()
            with self._machine.guarded():
                session = self._machine.session
                flow = Flow(session, decoder, self._machine.capacity, batch_mark(image, traced))
                exchange(flow, sent.words.reshape(-1), decoder, told)
        return collect(image, decoder, batch.lengths, batch.x.shape[1], sent.saturated, steps=trace)

    def _dataset(self, x: npt.ArrayLike, dt: npt.ArrayLike | None, lengths: npt.ArrayLike | None) -> Dataset:
        given = {"x": x, "dt": dt, "lengths": lengths}
        arrays = {key: np.asarray(array) for key, array in given.items() if array is not None}
        return data.from_arrays(arrays, self.image.default_dt)

    # ---- Streams -----------------------------------------------------------------------------------------------

    def step(self, frame: npt.ArrayLike, dt: float | None = None, *, trace: bool = False) -> Outputs:
        """Run one more frame (features,) of the streamed sequence; returns its outputs (outputs,).

        A sequence begins with the first call after `load`, `reset`, `abort`, `run`, a stream, or a `DeviceError`.
        `last` then holds the frame's `Result`. Cost: one transaction of the transport, and well below 0.1 ms here.
        """
        with self._turn("step"):
            encoder, stepper = self._encoder, self._stepper
            if encoder is None or stepper is None:
                raise UserError("device: no image is loaded; expected load(image) before frames")
            if not self._machine.ready:
                self._number = 0
                self._machine.prepare()
            words, saturated = encoder.frame(frame, dt, self._number + 1, trace)
            try:
                answer = stepper.step(words, saturated, trace)
            except BaseException as error:
                self._machine.failed(error)
                say_lost(error, self._number)
                self._number = 0
                raise
            self._number += 1
            self._last = answer
            return answer.y

    def stream(self, source: Source, *, depth: int | None = None, trace: bool = False) -> Iterator[Outputs]:
        """The outputs of one sequence, frame by frame and in order, from a `source` of frames (features,) or of pairs
        (frame, dt).

        Several frames are under way at a time, so that sending, computing and receiving overlap: at most `depth`, by
        default as many as the input FIFO holds. The source is asked for a frame only where there is room for it. With
        `depth=1` each result comes before the next frame is asked for, as a live source wants it. The sequence begins
        anew, and a `step` after the stream begins another. Where the stream is closed early (`break`), what is under
        way is aborted; until it has ended or is closed, `run`, `step`, `reset` and another stream raise `UserError`,
        while `load`, `abort` and `close` end it. Raises what the source raises, `UserError` for a frame that is not
        sound, and `DeviceError`.
        """
        self.check_depth(depth)
        return self._outputs(iter(source), depth, trace)

    def check_depth(self, depth: int | None) -> None:
        """Raise `UserError` unless a stream of that depth can be opened: now, and not with its first frame."""
        _ = self.image
        if depth is not None and (not isinstance(depth, int) or depth < 1):
            raise UserError(f"stream: depth is {depth!r}; expected a number of frames, 1 or more")

    def _outputs(self, source: Iterator[object], depth: int | None, trace: bool) -> Iterator[Outputs]:
        stream = self.open_stream(depth, trace)
        try:
            more = True
            while more or stream.under_way:
                while more and stream.room:
                    try:
                        item = next(source)
                    except StopIteration:
                        more = False
                    else:
                        stream.put(*frames_of(item))
                for answer in stream.trip() if stream.under_way else ():
                    self.remember(answer)
                    yield answer.y
        finally:
            stream.close()

    def open_stream(self, depth: int | None = None, trace: bool = False) -> Stream:
        """What `stream` is made of, for who drives it himself: `put` frames, `trip`, `close`."""
        with self._turn("stream"):
            image, encoder = self.image, self._encoder
            assert encoder is not None
            self._number = 0
            self._machine.prepare()
            self._stream = Stream(self._lock, self._machine, image, encoder, depth, trace)
            return self._stream

    def remember(self, answer: Answer) -> None:
        """What `last` is from now on."""
        self._last = answer

    def reset(self) -> None:
        """The next `step` starts a new sequence."""
        with self._turn("reset"):
            self._number = 0

    def end_sequence(self) -> None:
        """The same, for who does not know whether a stream is under way, which goes on."""
        with self._lock:
            self._number = 0

    def stop_on(self, stop: threading.Event | None) -> None:
        """From now on, calls end with a `DeviceError` within a second after `stop` was set; None: never."""
        self._machine.session.stop = stop

    # ---- Ends --------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """End everything at once, a stream too; the image stays, and the next frame starts a new sequence."""
        with self._turn("abort", streaming=True):
            self._end_sequence()
            self._machine.abort()

    def close(self) -> None:
        """Give the device back; a call under way in another thread ends with a `DeviceError` within a second. A second
        call does nothing, any other call after it raises `UserError`."""
        self._machine.session.closing = True
        with self._lock:
            if not self._closed:
                self._closed = True
                self._end_sequence()
                self._machine.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- Turns -------------------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self, what: str, streaming: bool = False) -> Iterator[None]:
        """One call at a time; `streaming`: one that ends a stream rather than to be refused."""
        with self._lock:
            if self._closed:
                raise UserError(f"device: it is closed; expected {what} before that")
            if self._work is not None:
                raise UserError(f"device: {self._work} is under way in this thread; expected {what} after it")
            if self._stream is not None and self._stream.open and not streaming:
                raise UserError(f"device: a stream is under way; expected {what} after its end, or close it before")
            self._work = what
            try:
                yield
            finally:
                self._work = None

    def _end_sequence(self) -> None:
        self._number = 0
        if self._stream is not None:
            self._stream.open = False


def check_inputs(image: Image, batch: Dataset) -> None:
    """Raise `UserError` where the frames are not the image's."""
    check_width(image, batch.x.shape[2], batch.name)
