# SPDX-License-Identifier: BSD-2-Clause
"""A device that fails wherever it may and comes back: every result is the golden one, or an error was raised."""

import numpy as np
import pytest
from flaky import KINDS, Flaky
from hypothesis import given, settings
from hypothesis import strategies as st
from system.small import model
from watch import DT, FRAMES, Watch, known_outputs

import liquid_accel
from liquid_accel.driver import Device, DeviceError, DeviceGone
from liquid_accel.errors import UserError
from liquid_accel.rtl import registers
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.transport import Wait

PATIENCE_S = 0.02


@pytest.fixture(scope="module")
def image():
    return liquid_accel.compile(model(), config=preset("test"), solver="fused", steps=1)


@pytest.fixture(scope="module")
def golden(image):
    with known_outputs(image) as outputs:
        yield outputs


def watched(image, golden, faults):
    transport = Flaky(image.config, faults)
    return transport, Watch(Device(transport, PATIENCE_S), image, golden)


@pytest.fixture(scope="module")
def operations(image, golden):
    """How many operations the session takes from the device's opening on."""
    transport, watch = watched(image, golden, {})
    opening = transport.done
    watch.session()
    assert watch.errors == []
    assert watch.device.restarts == 0
    return opening, transport.done


@pytest.mark.parametrize("kind", KINDS)
def test_one_fault_at_any_operation_gives_no_wrong_word_and_passes(image, golden, operations, kind):
    raised = 0
    for at in range(*operations):
        transport, watch = watched(image, golden, {at: kind})
        watch.session()
        assert transport.happened == [kind]
        watch.step(10)  # where a device got stuck at the very end, this finds it
        watch.calm()
        raised += len(watch.errors)
        assert len(watch.errors) <= 2, f"{kind} at {at}: {watch.errors}"
    if kind != "garbage":
        assert raised > (operations[1] - operations[0]) // 4


@settings(max_examples=25, deadline=None)
@given(faults=st.lists(st.tuples(st.integers(1, 60), st.sampled_from(KINDS)), max_size=6))
def test_any_number_of_faults_gives_no_wrong_word(image, golden, operations, faults):
    at, script = operations[0] - 1, {}
    for gap, kind in faults:
        at += gap
        script[at] = kind
    transport, watch = watched(image, golden, script)
    watch.session()
    watch.session()
    transport.faults = {}
    watch.step(10)
    watch.calm()


# ---- What is said, and what the next call does ---------------------------------------------------------------


@pytest.fixture
def pair(image):
    transport = Flaky(image.config)
    with Device(transport, PATIENCE_S) as device:
        device.load(image)
        yield transport, device


def test_a_device_that_disappears_in_a_sequence_is_declared_lost_and_the_next_frame_begins_anew(pair, golden):
    transport, device = pair
    for k in range(3):
        device.step(FRAMES[k], DT[k])
    transport.faults = {transport.done + 1: "lost before"}
    said = "lost: it was reset; the streamed sequence is lost after 3 frames, and the next frame begins a new one"
    with pytest.raises(DeviceGone, match=said):
        device.step(FRAMES[3], DT[3])
    assert (device.frames, device.restarts, transport.reopened) == (0, 0, 0)
    np.testing.assert_array_equal(device.step(FRAMES[3], DT[3]), golden([3])[0])
    assert (device.frames, device.restarts, transport.reopened) == (1, 1, 1)


def test_a_device_that_does_not_come_back_raises_each_time(pair):
    transport, device = pair
    transport.faults = {transport.done: "lost before"}

    def nobody():
        raise liquid_accel.rtl.transport.TransportError("the port does not exist")

    transport.reopen = nobody
    with pytest.raises(DeviceGone):
        device.run(FRAMES)
    for _ in range(2):
        with pytest.raises(DeviceGone, match="cannot be reached: the port does not exist"):
            device.run(FRAMES)
    del transport.reopen
    device.run(FRAMES)
    assert device.restarts == 1


def test_another_device_in_its_place_is_not_used(pair, image, golden):
    transport, device = pair
    transport.faults = {transport.done: "lost before"}
    with pytest.raises(DeviceGone):
        device.step(FRAMES[0])
    other, right = preset("test", fifo_words=64), image.config
    for _ in range(2):
        transport.device = type(transport.device)(other)
        with pytest.raises(DeviceError, match=f"another device answers now: .* 0x{other.config_hash:08x}; expected"):
            device.step(FRAMES[0])
    transport.device = type(transport.device)(right)
    np.testing.assert_array_equal(device.step(FRAMES[0], DT[0]), golden([0])[0])


def test_a_reset_that_nobody_tells_of_is_found_before_patience_ends(image):
    transport = Flaky(image.config)
    with Device(transport) as device:  # which waits for a minute
        device.load(image)
        transport.faults = {transport.done: "reset"}
        with pytest.raises(DeviceGone, match="its program has stopped"):
            device.step(FRAMES[0])
        device.step(FRAMES[0])


def test_an_interrupt_from_the_keyboard_leaves_a_device_that_can_be_used(pair, golden):
    transport, device = pair
    device.step(FRAMES[0])

    def interrupted(operations):
        del transport.transact
        raise KeyboardInterrupt

    transport.transact = interrupted
    with pytest.raises(KeyboardInterrupt):
        device.step(FRAMES[1])
    np.testing.assert_array_equal(device.step(FRAMES[1], DT[1]), golden([1])[0])
    assert device.restarts == 1


def test_a_callback_that_raises_ends_a_batch_and_nothing_else(pair, golden):
    _, device = pair
    with pytest.raises(ZeroDivisionError):
        device.run(FRAMES, DT, progress=lambda done, total: 1 // 0)
    np.testing.assert_array_equal(device.run(FRAMES, DT).y[0], golden(list(range(12))))


def test_bad_input_costs_nothing(pair, golden):
    _, device = pair
    device.step(FRAMES[0], DT[0])
    for frame, dt in (([1.0], None), (FRAMES[1], -1), (FRAMES[1] * np.nan, 1.0), (FRAMES[1], np.inf)):
        with pytest.raises(UserError, match="^frame: "):
            device.step(frame, dt)
    np.testing.assert_array_equal(device.step(FRAMES[1], DT[1]), golden([0, 1])[1])
    assert device.restarts == 0


def test_a_section_that_no_memory_holds_is_refused_before_anything_is_written(image):
    from dataclasses import replace

    transport = Flaky(image.config)
    with Device(transport) as device:
        before = transport.done
        for space, words in image.sections.items():
            long = replace(image, sections={**image.sections, space: np.zeros(1 << 17, np.uint16)})
            with pytest.raises(UserError, match=f"section {space.name} has shape"):
                device.load(long)
            typed = replace(image, sections={**image.sections, space: words.astype(np.int32)})
            with pytest.raises(UserError, match="expected at most"):
                device.load(typed)
        assert transport.done == before
        with pytest.raises(UserError, match="no image"):
            device.run(FRAMES)


def test_a_closed_device_stays_closed(pair):
    transport, device = pair
    device.close()
    device.close()
    assert transport.closed
    for call in (lambda: device.step(FRAMES[0]), lambda: device.run(FRAMES), device.reset, device.abort):
        with pytest.raises(UserError, match="it is closed"):
            call()
    assert transport.reopened == 0


def test_a_step_is_one_transaction_and_a_load_a_few(image):
    transport = Flaky(image.config)
    trips = []
    inner = transport.transact

    def transact(operations):
        trips.append(operations)
        return inner(operations)

    transport.transact = transact
    with Device(transport) as device:
        device.load(image)
        assert len(trips) <= 5
        device.step(FRAMES[0])
        trips.clear()
        for k in range(1, 6):
            device.step(FRAMES[k])
        assert len(trips) == 5
        for operations in trips:
            assert [type(each).__name__ for each in operations] == ["Write", "Wait", "Read", "Read"]
            assert isinstance(operations[1], Wait)
            assert operations[3].address == registers.address("STATUS")
