# SPDX-License-Identifier: BSD-2-Clause
"""Streams: what a source gives comes out in order, the source is asked only where there is room, and ends are clean."""

import threading

import numpy as np
import pytest
from flaky import Flaky
from hypothesis import given, settings
from hypothesis import strategies as st
from system.small import INPUTS, model

import liquid_accel
from liquid_accel.driver import Device, DeviceError
from liquid_accel.errors import UserError
from liquid_accel.rtl import isa
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.registers import address
from liquid_accel.rtl.transport import Transactions
from liquid_accel.sim.golden import GoldenTransport

COUNT = 40
FRAMES = np.random.default_rng(5).normal(0, 1, (COUNT, INPUTS)).astype(np.float32)
DT = np.random.default_rng(6).uniform(0, 2, COUNT) * (np.random.default_rng(7).random(COUNT) > 0.2)
PAIRS = list(zip(FRAMES, DT))
BUDGETED = {"solver": "bs32", "rtol": 1e-4, "atol": 1e-4, "budget": 6}


@pytest.fixture(scope="module", params=[{"solver": "fused"}, BUDGETED], ids=["fused", "budget"])
def image(request):
    return liquid_accel.compile(model(), config=preset("test", fifo_words=128), **request.param)


@pytest.fixture(scope="module")
def golden(image):
    """The whole sequence as a batch, traced."""
    with liquid_accel.open("golden", config=image.config) as device:
        device.load(image)
        result = device.run(FRAMES, DT, states=True, trace=True)
    assert (result.time_lag > 0).any() == bool(image.budget)  # else the words of a lag would not be tried
    return result


class Narrow(Transactions):
    """The golden model with FIFOs of `depth` words, as a machine has them: it computes a frame where the answer fits,
    and refuses what passes its depth. `most` is the largest number of frames that were under way."""

    def __init__(self, image):
        self.inner, self.depth = GoldenTransport(image.config), image.config.fifo_words
        self.width = isa.HEADER_WORDS + image.inputs
        self.waiting, self.frames, self.read_out, self.most = [], 0, 0, 0

    def _level(self):
        return int(self.inner.read(address("OUT_LEVEL"), 1)[0])

    def _compute(self):
        while len(self.waiting) >= self.width and self._level() <= self.depth // 2:
            self.inner.write(address("IN_DATA"), np.array(self.waiting[: self.width], np.uint16))
            del self.waiting[: self.width]

    def write(self, register, words):
        if register == address("IN_DATA"):
            self.waiting += [int(word) for word in words]
            self.most = max(self.most, len(self.waiting) // self.width)
            assert len(self.waiting) <= self.depth, "the input FIFO ran over"
        else:
            if register == address("CONTROL"):
                self.waiting = []
            self.inner.write(register, words)

    def read(self, register, count):
        self._compute()
        if register == address("OUT_DATA"):
            assert count <= self._level(), "the output FIFO was read when empty"
        room = np.full(count, self.depth - len(self.waiting), np.uint16)
        return room if register == address("IN_ROOM") else self.inner.read(register, count)

    def wait(self, timeout_s):
        self._compute()
        return self.inner.wait(timeout_s)

    def close(self):
        self.inner.close()


@pytest.fixture
def device(image):
    with Device(Narrow(image), patience_s=5) as opened:
        opened.load(image)
        yield opened


def same(device, golden, frame):
    """`device.last` is the frame of the golden batch."""
    last = device.last
    names = ("words", "cycles", "status", "rhs_evals", "saturations", "time_lag", "error_estimate", "steps_rejected")
    for name in names:
        np.testing.assert_array_equal(getattr(last, name)[0, 0], getattr(golden, name)[0, frame], err_msg=name)


def same_steps(device, golden, frame):
    rows = golden.steps[golden.steps["frame"] == frame]
    for name in ("code", "norm", "accepted", "clipped"):
        np.testing.assert_array_equal(device.last.steps[name], rows[name])
    np.testing.assert_array_equal(device.last.state_words[0, 0], golden.state_words[0, frame])


@pytest.mark.parametrize("trace", [False, True])
@pytest.mark.parametrize("depth", [None, 1, 2, 100])
def test_a_stream_gives_what_a_batch_gives(device, golden, depth, trace):
    got = 0
    for k, y in enumerate(device.stream(PAIRS, depth=depth, trace=trace)):
        np.testing.assert_array_equal(y, golden.y[0, k])
        same(device, golden, k)
        if trace:
            same_steps(device, golden, k)
        got += 1
    assert got == COUNT


def test_steps_and_batches_through_small_fifos_give_the_same(device, golden):
    for k in range(COUNT):
        np.testing.assert_array_equal(device.step(*PAIRS[k], trace=k % 2 == 1), golden.y[0, k])
        same(device, golden, k)
    three = device.run(np.stack([FRAMES] * 3), DT, [COUNT, 7, COUNT - 1])
    for row, length in enumerate(three.lengths):
        for name in ("words", "cycles", "time_lag"):
            np.testing.assert_array_equal(getattr(three, name)[row, :length], getattr(golden, name)[0, :length])
    traced = device.run(FRAMES, DT, states=True, trace=True)
    np.testing.assert_array_equal(traced.state_words, golden.state_words)
    np.testing.assert_array_equal(traced.steps, golden.steps)


def test_a_source_of_frames_alone_has_the_models_spacing(device):
    want = device.run(FRAMES[:5])
    np.testing.assert_array_equal(list(device.stream(FRAMES[:5])), want.y[0])
    np.testing.assert_array_equal(list(device.stream([(frame, None) for frame in FRAMES[:5]])), want.y[0])


@settings(max_examples=40, deadline=None)
@given(depth=st.integers(1, 20), takes=st.lists(st.integers(1, 5), max_size=8))
def test_no_more_than_depth_frames_are_ahead_of_what_was_given(image, depth, takes):
    asked = 0

    def source():
        nonlocal asked
        for pair in PAIRS:
            asked += 1
            yield pair

    with Device(Narrow(image), patience_s=5) as device:
        device.load(image)
        stream = device.stream(source(), depth=depth)
        assert asked == 0
        given = 0
        for count in takes:
            for _ in range(count):
                if next(stream, None) is not None:
                    given += 1
            assert given <= asked <= given + depth
        stream.close()


def test_a_depth_of_one_gives_each_result_before_the_next_frame_is_asked_for(device):
    events = []

    def source():
        for k in range(4):
            events.append(f"frame {k}")
            yield PAIRS[k]

    for k, _ in enumerate(device.stream(source(), depth=1)):
        events.append(f"result {k}")
    assert events == [f"{what} {k}" for k in range(4) for what in ("frame", "result")]


def test_several_frames_are_under_way_at_a_time(image, device):
    list(device.stream(PAIRS))
    assert device._machine._transport.most == image.config.fifo_words // (isa.HEADER_WORDS + INPUTS)


# ---- Ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken", [0, 1, 7, COUNT])
def test_a_stream_closed_early_leaves_the_device_right(device, golden, taken):
    stream = device.stream(PAIRS)
    for _ in range(taken):
        next(stream)
    stream.close()
    for k in range(3):
        np.testing.assert_array_equal(device.step(*PAIRS[k]), golden.y[0, k])
    np.testing.assert_array_equal(list(device.stream(PAIRS[:4])), golden.y[0, :4])
    assert device.restarts == 0


def test_a_break_ends_a_stream(device, golden):
    for _ in device.stream(PAIRS):
        break
    np.testing.assert_array_equal(device.step(*PAIRS[0]), golden.y[0, 0])


def test_while_a_stream_is_under_way_other_work_is_refused(device, golden):
    device.step(*PAIRS[0])
    stream = device.stream(PAIRS)
    next(stream)
    for call in (
        lambda: device.step(*PAIRS[1]), lambda: device.run(FRAMES), device.reset, lambda: next(device.stream(PAIRS)),
    ):  # fmt: skip
        with pytest.raises(UserError, match="a stream is under way"):
            call()
    for k in range(1, 5):
        np.testing.assert_array_equal(next(stream), golden.y[0, k])
    stream.close()


def test_load_and_abort_end_a_stream(image, device, golden):
    for end in (device.abort, lambda: device.load(image)):
        stream = device.stream(PAIRS, depth=1)
        next(stream)
        end()
        np.testing.assert_array_equal(device.step(*PAIRS[0]), golden.y[0, 0])
        with pytest.raises(UserError, match="ended by another call"):
            next(stream)
        np.testing.assert_array_equal(device.step(*PAIRS[1]), golden.y[0, 1])


def test_what_a_source_raises_comes_through_and_the_device_goes_on(device, golden):
    def source():
        yield from PAIRS[:3]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(device.stream(source()))
    with pytest.raises(UserError, match="x has 2 features"):
        list(device.stream([*PAIRS[:3], ([1.0, 2.0], 1.0)]))
    np.testing.assert_array_equal(list(device.stream(PAIRS[:4])), golden.y[0, :4])
    assert device.restarts == 0


def test_a_depth_that_is_none_is_refused_at_once(device):
    for depth in (0, -1, 1.5):
        with pytest.raises(UserError, match="depth is .*; expected a number of frames"):
            device.stream(PAIRS, depth=depth)


def test_without_an_image_there_is_no_stream(image):
    with Device(Flaky(image.config)) as device, pytest.raises(UserError, match="no image is loaded"):
        device.stream(PAIRS)


# ---- Threads -------------------------------------------------------------------------------------------------


def in_threads(*calls):
    """Run calls side by side; what they raise is raised."""
    errors = []

    def guarded(call):
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_steps_of_threads_follow_each_other_whole(device):
    """Whatever the order, the outputs are those of one sequence in that order."""
    order = []
    inner = device._stepper.step

    def step(words, saturated, traced):
        answer = inner(words, saturated, traced)
        order.append((words[isa.HEADER_WORDS :].tolist(), answer.y.tolist()))
        return answer

    device._stepper.step = step
    halves = FRAMES[:12], FRAMES[12:24]
    in_threads(*[lambda half=half: [device.step(frame, 1.0) for frame in half] for half in halves])
    device._stepper.step = inner
    sent = {tuple(device._encoder.frame(frame, 1.0, 1, False)[0][isa.HEADER_WORDS :].tolist()): k
            for k, frame in enumerate(FRAMES)}  # fmt: skip
    frames = [sent[tuple(words)] for words, _ in order]
    assert sorted(frames) == list(range(24))
    want = device.run(FRAMES[frames], 1.0)
    np.testing.assert_array_equal([y for _, y in order], want.y[0])


def test_batches_of_threads_do_not_mix(device, golden):
    def work():
        for _ in range(3):
            np.testing.assert_array_equal(device.run(FRAMES, DT).words, golden.words)

    in_threads(work, work)


def test_a_call_within_a_call_is_refused(device):
    with pytest.raises(UserError, match="run is under way in this thread; expected step after it"):
        device.run(FRAMES, progress=lambda done, total: device.step(FRAMES[0]))


def test_closing_ends_a_call_of_another_thread(image):
    transport = Flaky(image.config)
    device = Device(transport)  # which waits for a minute
    device.load(image)
    transport.stuck = True
    entered, inner = threading.Event(), transport.transact

    def transact(operations):
        entered.set()
        return inner(operations)

    transport.transact = transact
    raised = []

    def step():
        with pytest.raises(DeviceError, match="the device is being closed") as caught:
            device.step(FRAMES[0])
        raised.append(caught.value)

    thread = threading.Thread(target=step)
    thread.start()
    entered.wait()
    device.close()
    thread.join()
    assert len(raised) == 1
    assert transport.closed
