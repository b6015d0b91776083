# SPDX-License-Identifier: BSD-2-Clause
"""Several devices behind one queue: the words of one device, whoever computes them and whoever fails."""

import threading
from concurrent.futures import CancelledError

import numpy as np
import pytest
from flaky import KINDS, Flaky
from hypothesis import given, settings
from hypothesis import strategies as st
from system.small import model, sequences

import liquid_accel
from liquid_accel import data
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.compare import compare
from liquid_accel.errors import UserError
from liquid_accel.rtl.config import preset

PATIENCE_S = 0.02


@pytest.fixture(scope="module")
def image():
    return liquid_accel.compile(model(), config=preset("test"), solver="fused", steps=1)


@pytest.fixture(scope="module")
def batch(image):
    return data.from_arrays(sequences(count=16), image.default_dt)


@pytest.fixture(scope="module")
def golden(image, batch):
    with liquid_accel.open("golden", config=image.config) as device:
        device.load(image)
        return device.run(batch, states=True, trace=True)


def flaky(image, count, faults=()):
    """Devices; `faults` are dictionaries of operations after the opening."""
    transports = [Flaky(image.config) for _ in range(count)]
    devices = [Device(transport, PATIENCE_S) for transport in transports]
    return transports, devices


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_batch_is_dealt_out_and_comes_back_as_from_one_device(image, batch, golden, count):
    said = []
    with liquid_accel.Pool(["golden"] * count, image.config) as pool:
        pool.load(image)
        result = pool.run(batch, states=True, trace=True, progress=lambda done, total: said.append((done, total)))
        arrays = sequences(count=16)
        again = pool.run(arrays["x"], arrays["dt"], arrays["lengths"])
    assert compare(golden, result).mismatches == 0
    np.testing.assert_array_equal(golden.label, result.label)
    np.testing.assert_array_equal(golden.words, again.words)
    assert said[-1] == (int(batch.lengths.sum()),) * 2
    assert [done for done, _ in said] == sorted(done for done, _ in said)


def test_sequences_are_submitted_by_many_threads(image, batch, golden):
    def submit(rows):
        futures = [pool.submit(batch.x[k, : batch.lengths[k]], batch.dt[k, : batch.lengths[k]]) for k in rows]
        for k, future in zip(rows, futures):
            np.testing.assert_array_equal(future.result().words[0], golden.words[k, : batch.lengths[k]])
            done.append(k)

    done = []
    with liquid_accel.Pool(["golden"] * 2, image.config) as pool:
        pool.load(image)
        threads = [threading.Thread(target=submit, args=(range(k, 16, 4),)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(done) == list(range(16))


@settings(max_examples=12, deadline=None)
@given(faults=st.lists(st.tuples(st.integers(0, 90), st.sampled_from(KINDS)), max_size=3))
def test_devices_that_fail_change_no_word(image, batch, golden, faults):
    """One of four devices is sound, so that a result comes always."""
    transports, devices = flaky(image, 4)
    with liquid_accel.Pool(devices) as pool:
        pool.load(image)
        for transport, (at, kind) in zip(transports, faults):
            transport.faults = {transport.done + at: kind}
        np.testing.assert_array_equal(pool.run(batch).words, golden.words)
        assert len(pool.failures) <= len(faults)
        pool.load(image)
        assert not pool.failures or any(not transport.happened for transport in transports)
        np.testing.assert_array_equal(pool.run(batch).words, golden.words)
    assert not any(transport.closed for transport in transports)


def test_a_device_that_fails_is_taken_out_and_taken_in_by_the_next_load(image, batch, golden):
    transports, devices = flaky(image, 2)
    with liquid_accel.Pool(devices) as pool:
        pool.load(image)
        transports[0].faults = {transports[0].done: "lost before"}
        for _ in range(2):
            np.testing.assert_array_equal(pool.run(batch).words, golden.words)
        while not pool.failures:  # the other one may have been quicker
            pool.run(batch)
        assert list(pool.failures) == [devices[0]]
        used = transports[0].done
        pool.run(batch)
        assert transports[0].done == used
        pool.load(image)
        assert pool.failures == {}
        assert transports[0].reopened == 1


def test_only_where_no_device_is_left_there_is_an_error(image, batch):
    transports, devices = flaky(image, 2)
    with liquid_accel.Pool(devices) as pool:
        pool.load(image)
        for transport in transports:
            transport.faults = {transport.done + 3: "lost before"}
        said = "no device of 2 is left; the last one failed: the device was lost"
        with pytest.raises(DeviceError, match=said):
            pool.run(batch)  # each share takes more than three operations
        with pytest.raises(DeviceError, match="no device of 2 is left"):
            pool.submit(batch.x[0])
        assert set(pool.failures) == set(devices)


def test_a_load_that_fails_on_one_device_goes_on_with_the_others(image, batch, golden):
    transports, devices = flaky(image, 2)
    with liquid_accel.Pool(devices) as pool:
        transports[1].faults = {transports[1].done + 20: "silent before"}
        pool.load(image)
        assert list(pool.failures) == [devices[1]]
        np.testing.assert_array_equal(pool.run(batch).words, golden.words)
        for transport in transports:
            transport.faults = {transport.done + 20: "silent after"}
        with pytest.raises(DeviceError, match="no device of 2 is left"):
            pool.load(image)


def test_what_is_wrong_is_told_at_once(image, batch):
    with pytest.raises(UserError, match="expected a list of one target"):
        liquid_accel.Pool([])
    with pytest.raises(UserError, match="expected a list of one target"):
        liquid_accel.Pool("golden")
    with pytest.raises(UserError, match="is unknown"):
        liquid_accel.Pool(["golden", "verilator"])
    pool = liquid_accel.Pool(["golden"], image.config)
    with pytest.raises(UserError, match="no image is loaded"):
        pool.run(batch)
    pool.load(image)
    with pytest.raises(UserError, match="x has 2 features"):
        pool.submit(np.zeros((4, 2)))
    with pytest.raises(UserError, match="expected at most"):
        pool.submit(np.zeros((4, 3)), dt=1e9)
    other = liquid_accel.compile(model(), config=preset("test", fifo_words=64), solver="fused")
    with pytest.raises(UserError, match="compiled for configuration"):
        pool.load(other)
    pool.close()
    pool.close()
    for call in (lambda: pool.run(batch), lambda: pool.submit(batch.x[0]), lambda: pool.load(image)):
        with pytest.raises(UserError, match="pool: it is closed"):
            call()


def test_what_waits_when_a_pool_is_closed_or_a_future_is_cancelled_never_runs(image, batch):
    transport = Flaky(image.config)
    gate, entered, inner = threading.Event(), threading.Event(), transport.transact
    device = Device(transport, PATIENCE_S)
    pool = liquid_accel.Pool([device])
    pool.load(image)

    def transact(operations):
        entered.set()
        gate.wait()
        return inner(operations)

    transport.transact = transact
    first, second, third = (pool.submit(batch.x[k]) for k in range(3))
    entered.wait()
    assert second.cancel()
    closing = threading.Thread(target=pool.close)
    closing.start()
    with pytest.raises(CancelledError):
        third.result()
    gate.set()
    closing.join()
    np.testing.assert_array_equal(first.result().words.shape, (1, *batch.x.shape[1:2], 3))
    assert not transport.closed
    device.run(batch)  # it is its owner's


def test_an_error_of_a_callback_goes_to_who_called(image, batch, golden):
    with liquid_accel.Pool(["golden"] * 2, image.config) as pool:
        pool.load(image)
        with pytest.raises(ZeroDivisionError):
            pool.run(batch, progress=lambda done, total: 1 // 0)
        np.testing.assert_array_equal(pool.run(batch).words, golden.words)
        assert pool.failures == {}
