# SPDX-License-Identifier: BSD-2-Clause
"""Devices for asyncio: the words of the synchronous ones; what is cancelled leaves a device that can be used."""

import asyncio
import threading

import numpy as np
import pytest
from flaky import Flaky
from hypothesis import given, settings
from hypothesis import strategies as st
from system.small import INPUTS, model

import liquid_accel
from liquid_accel import aio
from liquid_accel.driver import Device, DeviceError, DeviceGone
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import preset

COUNT = 12
FRAMES = np.random.default_rng(5).normal(0, 1, (COUNT, INPUTS)).astype(np.float32)
DT = np.random.default_rng(6).uniform(0, 2, COUNT)
PAIRS = list(zip(FRAMES, DT))


@pytest.fixture(scope="module")
def image():
    return liquid_accel.compile(model(), config=preset("test"), solver="fused", steps=1)


@pytest.fixture(scope="module")
def golden(image):
    with liquid_accel.open("golden", config=image.config) as device:
        device.load(image)
        return device.run(FRAMES, DT).y[0]


class Gated(Flaky):
    """Answers nothing while `gate` is shut; `entered` says that it was asked."""

    def __init__(self, config):
        super().__init__(config)
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()

    def transact(self, operations):
        self.entered.set()
        self.gate.wait()
        return super().transact(operations)


async def until(event):
    """Wait for an event of a thread."""
    await asyncio.to_thread(event.wait)


def test_all_calls_give_what_the_device_gives(image, golden):
    async def work():
        async with aio.open("golden", config=image.config) as device:
            await device.load(image)
            np.testing.assert_array_equal((await device.run(FRAMES, DT)).y[0], golden)
            for k in range(3):
                np.testing.assert_array_equal(await device.step(*PAIRS[k]), golden[k])
                np.testing.assert_array_equal(device.last.y[0, 0], golden[k])
            await device.reset()
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])
            await device.abort()
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])
            with pytest.raises(UserError, match="x has 2 features"):
                await device.step([1, 2])
        with pytest.raises(UserError, match="not open"):
            await device.step(*PAIRS[0])

    asyncio.run(work())


def test_the_module_is_there_without_being_imported():
    assert liquid_accel.aio is aio


@pytest.mark.parametrize("depth", [None, 1, 3])
@pytest.mark.parametrize("kind", ["plain", "asynchronous"])
def test_a_stream_gives_what_a_batch_gives(image, golden, depth, kind):
    async def source():
        for pair in PAIRS:
            await asyncio.sleep(0)
            yield pair

    async def work():
        async with aio.open("golden", config=image.config) as device:
            await device.load(image)
            got = []
            async for y in device.stream(PAIRS if kind == "plain" else source(), depth=depth):
                np.testing.assert_array_equal(device.last.y[0, 0], y)
                got.append(y)
            np.testing.assert_array_equal(got, golden)
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])

    asyncio.run(work())


def test_results_come_while_a_live_source_keeps_waiting(image, golden):
    async def work():
        frames = asyncio.Queue()

        async def source():
            while (pair := await frames.get()) is not None:
                yield pair

        async with aio.open("golden", config=image.config) as device:
            await device.load(image)
            stream = device.stream(source())
            for k in range(4):
                frames.put_nowait(PAIRS[k])
                np.testing.assert_array_equal(await anext(stream), golden[k])
            frames.put_nowait(None)
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])

    asyncio.run(work())


def test_a_wait_for_an_output_that_is_cancelled_loses_nothing(image, golden):
    async def work():
        frames = asyncio.Queue()

        async def source():
            while True:
                yield await frames.get()

        async with aio.open("golden", config=image.config) as device:
            await device.load(image)
            stream = device.stream(source())
            for k in range(4):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(stream), 0.01)
                frames.put_nowait(PAIRS[k])
                np.testing.assert_array_equal(await anext(stream), golden[k])
            await stream.aclose()
            await stream.aclose()
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])

    asyncio.run(work())


@pytest.mark.parametrize("taken", [1, 5])
def test_a_break_ends_a_stream(image, golden, taken):
    async def work():
        async with aio.open("golden", config=image.config) as device:
            await device.load(image)
            got = 0
            async for _ in device.stream(PAIRS):
                got += 1
                if got == taken:
                    break
            for k in range(2):
                np.testing.assert_array_equal(await device.step(*PAIRS[k]), golden[k])
            assert device.device.restarts == 0

    asyncio.run(work())


def test_a_stream_that_fails_raises_and_the_device_goes_on(image, golden):
    async def work():
        transport = Flaky(image.config)
        async with aio.AsyncDevice(Device(transport, 0.02)) as device:
            await device.load(image)
            transport.faults = {transport.done + 8: "lost before"}
            got = []

            async def take(source):
                async for y in device.stream(source, depth=1):
                    got.append(y)

            with pytest.raises(DeviceGone, match="the streamed sequence is lost after"):
                await take(PAIRS)
            np.testing.assert_array_equal(got, golden[: len(got)])
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])
            for wrong, kind in (([(1, 2)], UserError), ((1 // 0 for _ in range(1)), ZeroDivisionError)):
                with pytest.raises(kind):
                    await take(wrong)
            np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])
        assert not transport.closed  # it was handed in

    asyncio.run(work())


# ---- Cancellation --------------------------------------------------------------------------------------------


def test_a_step_cancelled_before_its_turn_is_no_frame(image, golden):
    async def work():
        transport = Gated(image.config)
        async with aio.AsyncDevice(Device(transport)) as device:
            await device.load(image)
            await device.step(*PAIRS[0])
            transport.gate.clear()
            first = asyncio.create_task(device.step(*PAIRS[1]))
            second = asyncio.create_task(device.step(*PAIRS[9]))
            await asyncio.sleep(0.01)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            transport.gate.set()
            np.testing.assert_array_equal(await first, golden[1])
            np.testing.assert_array_equal(await device.step(*PAIRS[2]), golden[2])

    asyncio.run(work())


def test_a_step_cancelled_under_way_ends_the_sequence(image, golden):
    async def work():
        transport = Gated(image.config)
        async with aio.AsyncDevice(Device(transport)) as device:
            await device.load(image)
            for stuck in (False, True):
                await device.step(*PAIRS[0])
                transport.gate.clear()
                transport.entered.clear()
                transport.stuck = stuck  # for a minute, were it not cancelled
                task = asyncio.create_task(device.step(*PAIRS[1]))
                await until(transport.entered)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                transport.gate.set()
                np.testing.assert_array_equal(await device.step(*PAIRS[0]), golden[0])
                np.testing.assert_array_equal(await device.step(*PAIRS[1]), golden[1])
                await device.reset()

    asyncio.run(work())


def test_closing_ends_what_is_under_way(image):
    async def work():
        transport = Gated(image.config)
        async with aio.AsyncDevice(lambda: Device(transport)) as device:
            await device.load(image)
            transport.stuck = True
            transport.entered.clear()
            task = asyncio.create_task(device.step(*PAIRS[0]))
            await until(transport.entered)
        with pytest.raises(DeviceError, match="being closed"):
            await task
        assert transport.closed

    asyncio.run(work())


@settings(max_examples=40, deadline=None)
@given(waits=st.lists(st.integers(0, 12), min_size=1, max_size=10))
def test_whatever_is_cancelled_no_word_is_wrong(image, golden, waits):
    """A step is given so many turns of the event loop, and then cancelled."""

    async def work():
        async with aio.open("golden", config=image.config) as device:
            await device.load(image)
            frame = 0
            for wait in waits:
                task = asyncio.create_task(device.step(*PAIRS[frame]))
                for _ in range(wait):
                    await asyncio.sleep(0.0005)
                task.cancel()
                try:
                    np.testing.assert_array_equal(await task, golden[frame])
                except asyncio.CancelledError:
                    await device.abort()  # after which it is known: a new sequence
                    frame = -1
                frame += 1
            for k in range(frame, COUNT):
                np.testing.assert_array_equal(await device.step(*PAIRS[k]), golden[k])

    asyncio.run(work())
