# SPDX-License-Identifier: BSD-2-Clause
"""Devices for asyncio: the same calls as coroutines, carried out one after the other by a thread of the device's own.

    async with liquid_accel.aio.open("uart:/dev/ttyUSB0") as device:
        await device.load(image)
        y = await device.step(frame, dt=0.01)
        async for y in device.stream(source): ...       # source: an iterable or an asynchronous one

A call that is cancelled before its turn does nothing. One that is cancelled while the device works on it ends within a
second, and the streamed sequence with it, since nobody knows how much of it the device has taken: the next `step`
begins a new one. The device can be used at once; what comes next waits for its turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import numpy.typing as npt

from liquid_accel.data import Dataset
from liquid_accel.driver.device import Device, Outputs, Progress
from liquid_accel.driver.result import Result
from liquid_accel.driver.steps import Answer
from liquid_accel.driver.stream import Frame, Stream, frames_of
from liquid_accel.errors import UserError
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig

T = TypeVar("T")
AsyncSource = Iterable[Any] | AsyncIterable[Frame | tuple[Frame, float | None]]


def open(target: str = "sim", config: LiquidConfig | str | None = None) -> AsyncDevice:
    """The device that `liquid_accel.open` opens, to be used with `async with`, which opens it."""
    import liquid_accel

    return AsyncDevice(lambda: liquid_accel.open(target, config))


class AsyncDevice:
    """A `Device`, or what `device` makes one with, for `async with`. Each call is that of `Device`, as a coroutine, and
    they are carried out in the order in which they were made. A device that was handed in stays open."""

    def __init__(self, device: Device | Callable[[], Device]) -> None:
        self._make = device
        self._device: Device | None = None
        self._thread = _thread()

    @property
    def device(self) -> Device:
        """The device itself. Raises `UserError` outside of `async with`."""
        if self._device is None:
            raise UserError("device: it is not open; expected `async with` around its use")
        return self._device

    @property
    def last(self) -> Result | None:
        """The `Result` of the last frame of `step` or `stream`."""
        return self.device.last

    async def __aenter__(self) -> AsyncDevice:
        if isinstance(self._make, Device):
            self._device = self._make
        else:
            self._device = await asyncio.wrap_future(self._thread.submit(self._make))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the device back; calls under way end with a `DeviceError`. A second call does nothing."""
        device, self._device = self._device, None
        if device is not None and device is not self._make:
            await asyncio.to_thread(device.close)
        self._thread.shutdown(wait=False)
        self._thread = _thread()  # it may be opened again

    async def load(self, image: Image) -> None:
        """See `Device.load`."""
        await self._call(lambda: self.device.load(image))

    async def run(
        self,
        x: npt.ArrayLike | Dataset,
        dt: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
        *,
        states: bool = False,
        trace: bool = False,
        progress: Progress | None = None,
    ) -> Result:
        """See `Device.run`; `progress` is called by the device's thread."""
        options: dict[str, Any] = {"states": states, "trace": trace, "progress": progress}
        return await self._call(lambda: self.device.run(x, dt, lengths, **options))

    async def step(self, frame: npt.ArrayLike, dt: float | None = None, *, trace: bool = False) -> Outputs:
        """See `Device.step`."""
        return await self._call(lambda: self.device.step(frame, dt, trace=trace))

    def stream(self, source: AsyncSource, *, depth: int | None = None, trace: bool = False) -> AsyncStream:
        """See `Device.stream`; a result comes as soon as it is there, also while the source keeps one waiting."""
        return AsyncStream(self, source, depth, trace)

    async def reset(self) -> None:
        """See `Device.reset`."""
        await self._call(lambda: self.device.reset())

    async def abort(self) -> None:
        """See `Device.abort`."""
        await self._call(lambda: self.device.abort())

    # ---- The thread --------------------------------------------------------------------------------------------

    async def _call(self, call: Callable[[], T]) -> T:
        """Carry out a call of the device that may be cancelled."""
        device, stop = self.device, threading.Event()
        ended, lock = False, threading.Lock()

        def turn() -> T:
            nonlocal ended
            device.stop_on(stop)
            try:
                return call()
            finally:
                device.stop_on(None)
                with lock:
                    ended = True
                    if stop.is_set():
                        device.end_sequence()

        future = asyncio.wrap_future(self._thread.submit(turn))
        try:
            return await future
        except asyncio.CancelledError:
            with lock:
                stop.set()
                late = ended  # it was carried out, and nobody hears of what came of it
            if late:
                self._thread.submit(device.end_sequence)
            raise

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Have the device's thread do something, after the calls before it."""
        return self._thread.submit(call)


def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "liquid-device")


class AsyncStream(AsyncIterator[Outputs]):
    """The outputs of a streamed sequence. It ends when the source does, by `aclose`, or when nobody holds it any more.

    A cancelled wait for the next output loses nothing: the next wait goes on with it. A plain iterable is asked for its
    frames by the event loop's thread.
    """

    _open = False

    def __init__(self, owner: AsyncDevice, source: AsyncSource, depth: int | None, trace: bool) -> None:
        self._owner, self._device = owner, owner.device
        self._device.check_depth(depth)
        self._source = _asynchronous(source)
        self._options = depth, trace
        self._stream: Stream | None = None
        self._answers: deque[Answer] = deque()
        self._more, self._open = True, True
        self._opening: Future[Stream] | None = None
        self._pull: asyncio.Task[Any] | None = None
        self._trip: asyncio.Future[list[Answer]] | None = None

    def __aiter__(self) -> AsyncStream:
        return self

    async def __anext__(self) -> Outputs:
        if not self._open:
            raise StopAsyncIteration
        try:
            while not self._answers:
                stream = self._stream or await self._opened()
                if self._more and self._pull is None and stream.room:
                    self._pull = asyncio.ensure_future(_next(self._source))
                if self._trip is None and stream.under_way:
                    self._trip = asyncio.wrap_future(self._owner.submit(stream.trip))
                waits = [each for each in (self._pull, self._trip) if each is not None]
                if not waits:
                    raise StopAsyncIteration
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                self._take(stream)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._end()
            raise
        answer = self._answers.popleft()
        self._device.remember(answer)
        return answer.y

    async def _opened(self) -> Stream:
        if self._opening is None:
            depth, trace = self._options
            self._opening = self._owner.submit(lambda: self._device.open_stream(depth, trace))
        self._stream = await asyncio.shield(asyncio.wrap_future(self._opening))
        return self._stream

    def _take(self, stream: Stream) -> None:
        """What came of the source and of the device."""
        if self._pull is not None and self._pull.done():
            pull, self._pull = self._pull, None
            item = pull.result()
            if item is _END:
                self._more = False
            else:
                stream.put(*frames_of(item))
        if self._trip is not None and self._trip.done():
            trip, self._trip = self._trip, None
            self._answers.extend(trip.result())

    async def aclose(self) -> None:
        """End the stream; what is under way is aborted. A second call does nothing."""
        ending = self._end()
        if ending is not None:
            await asyncio.wrap_future(ending)

    def _end(self) -> Future[None] | None:
        if not self._open:
            return None
        self._open = False
        opening = self._opening
        with suppress(RuntimeError):  # the loop, or the device, may have been closed before
            if self._pull is not None:
                self._pull.cancel()
            if opening is not None:
                # The thread gets to it after the opening.
                return self._owner.submit(lambda: None if opening.exception() else opening.result().close())
        return None

    def __del__(self) -> None:
        self._end()


_END = object()


async def _next(source: AsyncIterator[Any]) -> Any:
    try:
        return await anext(source)
    except StopAsyncIteration:  # which a task cannot end with
        return _END


async def _asynchronous(source: AsyncSource) -> AsyncIterator[Any]:
    if isinstance(source, AsyncIterable):
        async for item in source:
            yield item
    else:
        for item in source:
            yield item
