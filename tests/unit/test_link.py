# SPDX-License-Identifier: BSD-2-Clause
"""The transport over the link against the twin of the device's side: exactly once, or lost and said so."""

from dataclasses import replace

import numpy as np
import pytest
from bench import link_faults
from hypothesis import given, settings
from hypothesis import strategies as st
from link_twin import EchoBus, Faults, LinkTwin, TwinChannel
from system.small import model, sequences

import liquid_accel
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.link import LinkTransport
from liquid_accel.driver.link_session import Patience
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.registers import address
from liquid_accel.rtl.transport import DeviceLost, Read, Transport, TransportError, Wait, Write
from liquid_accel.sim.golden import GoldenTransport

IN, OUT, MARK = address("IN_DATA"), address("OUT_DATA"), address("OUT_MARK")


def connect(bus=None, faults=None, **settings) -> tuple[LinkTransport, TwinChannel]:
    channel = TwinChannel(LinkTwin(bus or EchoBus()), faults)
    return LinkTransport(channel, clock=channel.clock, **settings), channel


def trip(words: list[int], seconds: float = 1.0) -> list[Write | Wait | Read]:
    return [Write(MARK, [len(words)]), Write(IN, words), Wait(seconds), Read(OUT, len(words))]


def test_it_is_a_transport():
    assert isinstance(connect()[0], Transport)


def test_a_frame_its_result_and_the_wait_between_take_one_round_trip():
    transport, channel = connect()
    before = channel.twin.frames["carried out"]
    *_, woken, words = transport.transact(trip([10, 20, 30]))
    assert woken.tolist() == [1]
    assert words.tolist() == [10, 40503 + 20, 2 * 40503 + 30 & 0xFFFF]
    assert channel.twin.frames["carried out"] == before + 1


def test_bursts_of_any_length():
    transport, channel = connect()
    words = np.random.default_rng(0).integers(0, 65536, 1000)
    transport.write(address("MEM_ADDRESS"), [100])
    transport.write(address("MEM_DATA"), words)
    transport.write(address("MEM_ADDRESS"), [100])
    before = channel.twin.frames["carried out"]
    np.testing.assert_array_equal(transport.read(address("MEM_DATA"), 1000), words)
    assert channel.twin.frames["carried out"] == before + 8
    assert transport.read(address("MEM_DATA"), 0).size == 0
    transport.write(address("MEM_DATA"), [])
    assert transport.transact([]) == []


@pytest.mark.parametrize("khz", [0, 12_000, 100_000])
def test_a_wait_lasts_as_long_as_was_asked_for(khz):
    transport, channel = connect(EchoBus(clock_khz=khz))
    channel.twin.clock_hz = 1e3 * (khz or 12_000)
    assert transport.clock_khz == khz
    start = channel.now
    assert not transport.wait(2.0)
    assert 2.0 <= channel.now - start < 2.1
    start = channel.now
    assert not transport.wait(0.0)
    assert channel.now - start < 0.01
    assert transport.statistics.timeouts == 0


def test_what_follows_a_wait_in_vain_is_not_carried_out():
    transport, channel = connect()
    answers = transport.transact([Write(MARK, [5]), Write(IN, [1, 2]), Wait(0.3), Read(OUT, 2), Write(7, [1])])
    assert [a.tolist() for a in answers] == [[], [], [0]]
    assert channel.twin.bus.log[-1] == ("write", IN, (1, 2))


def test_a_wait_goes_on_in_as_many_requests_as_it_takes():
    transport, channel = connect(EchoBus(waits=5))
    assert transport.transact(trip([1, 2], 10.0))[-1].tolist() == [1, 40503 + 2]
    assert [entry[0] for entry in channel.twin.bus.log[-3:]] == ["write", "write", "read"]


def test_the_tag_wraps():
    transport, channel = connect(first_tag=65533)
    for value in range(8):
        transport.write(7, [value])
        assert transport.read(7, 1).tolist() == [value]
    assert channel.twin.frames["carried out"] == 17


def test_a_device_slower_than_it_says_is_asked_for_shorter_waits():
    transport, channel = connect(EchoBus(clock_khz=12_000))
    channel.twin.clock_hz = 12e6 / 40
    transport.wait(20.0)
    start, before = channel.now, replace(transport.statistics)
    assert not transport.wait(20.0)
    assert channel.now - start < 30.0
    after = transport.statistics
    assert after.timeouts - before.timeouts < (after.requests - before.requests) / 4


# ---- Faults ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 0.3]), st.integers(0, 3))
def test_with_faults_everything_is_carried_out_once_and_in_order(seed, rate, waits):
    draw = np.random.default_rng(seed)
    plain, channel = connect(EchoBus(waits))
    faulty, wire = connect(EchoBus(waits), Faults(seed, rate), patience=Patience(tries=30))
    for _ in range(60):
        listed = trip(draw.integers(0, 65536, draw.integers(1, 200)).tolist(), 1e4)
        listed.append(Read(int(draw.integers(0, 256)), int(draw.integers(0, 3))))
        for expected, found in zip(plain.transact(listed), faulty.transact(listed), strict=True):
            np.testing.assert_array_equal(expected, found)

    def accesses(bus):
        return [(kind, register, word) for kind, register, words in bus.log[4:] for word in words]

    assert accesses(wire.twin.bus) == accesses(channel.twin.bus)


@pytest.mark.parametrize("rate", [0.1, 0.4])
def test_nothing_is_wrong_when_devices_are_reset_and_unplugged_as_well(rate, monkeypatch):
    """What tests/bench/link_faults.py does with 100,000 transactions, with a few, and one loss in 50 of them."""
    monkeypatch.setattr(link_faults, "RESETS", 0.02)
    bench = link_faults.Bench(rate, seed=7)
    for _ in range(400):
        bench.frame()
    bench.compare()
    assert bench.lost > 0
    assert bench.accesses > 10_000
    assert (bench.wrong, bench.hangs) == (0, 0)


def test_two_copies_on_the_wire_do_not_call_up_more_for_ever():
    """Noise that the device answers again and again, each answer making it miss the head of what comes then."""
    transport, channel = connect()
    noise = iter([b"\x7e\x01" * 300])
    channel.faults = lambda frame: [(0.0, next(noise, b"")), (0.0, frame)]
    assert transport.transact(trip(list(range(100))))[-1].size == 100
    assert transport.statistics.damaged < 10


def test_sessions_are_apart():
    transport, channel = connect()
    for _ in range(300):
        before = channel.twin.last
        transport.reopen()
        distance = (channel.twin.last - before) % 65536
        assert 1000 < distance < 65536 - 1000


def test_a_request_that_the_device_found_damaged_is_sent_again_at_once():
    transport, channel = connect()
    frames = iter([[(0.0, b"\x7eabc\x7e")]])
    channel.faults = lambda frame: next(frames, [(0.0, frame)])
    start = channel.now
    assert transport.read(address("CLOCK_KHZ_LOW"), 1).tolist() == [0]
    assert channel.now - start < 0.01
    assert transport.statistics.damaged == 1


def test_a_lost_answer_is_given_again_and_nothing_done_twice():
    transport, channel = connect()
    frames = iter(["sent", "lost"])
    channel.faults = lambda frame: [] if next(frames, "") == "lost" else [(0.0, frame)]
    assert transport.transact(trip([7]))[-1].tolist() == [7]
    assert channel.twin.frames["repeated"] == 1
    assert channel.twin.bus.pushed == 1


def test_a_wire_that_damages_everything_is_given_up():
    transport, channel = connect()
    channel.faults = lambda frame: [(0.0, b"\x7eabc\x7e")]
    with pytest.raises(DeviceLost, match="no answer to any of 8 tries; check the twin"):
        transport.read(1, 1)
    assert channel.now < 60
    with pytest.raises(TransportError, match=r"bytes that came hold no sound frame; check the twin"):
        transport.reopen()


# ---- Devices that come and go ------------------------------------------------------------------------------------


def test_a_reset_is_noticed_before_anything_else_is_carried_out():
    transport, channel = connect()
    transport.write(7, [1])
    channel.twin.reset()
    before = list(channel.twin.bus.log)
    for _ in range(2):
        with pytest.raises(DeviceLost, match="^twin: the device was reset"):
            transport.write(7, [2])
    assert channel.twin.bus.log == before
    transport.reopen()
    transport.write(7, [3])
    assert transport.read(7, 1).tolist() == [3]


def test_another_host_is_noticed():
    transport, channel = connect(first_tag=5)
    connect_again = TwinChannel(channel.twin)
    LinkTransport(connect_again, clock=connect_again.clock, first_tag=1000)
    with pytest.raises(DeviceLost, match="another host"):
        transport.read(7, 1)


def test_an_unplugged_device_is_lost_until_it_is_back():
    transport, channel = connect()
    channel.plugged = False
    with pytest.raises(DeviceLost, match="^twin: the device is gone$"):
        transport.read(7, 1)
    with pytest.raises(TransportError, match="twin is not there"):
        transport.reopen()
    channel.plugged = True
    with pytest.raises(DeviceLost):
        transport.read(7, 1)
    transport.reopen()
    assert transport.read(7, 1).tolist() == [0]


def test_silence_at_the_beginning_is_no_device_and_the_channel_is_closed():
    channel = TwinChannel(LinkTwin(EchoBus()), lambda frame: [])
    with pytest.raises(TransportError, match="^twin: no answer to any of 2 tries; check the twin$") as caught:
        LinkTransport(channel, Patience(tries=2), clock=channel.clock)
    assert not isinstance(caught.value, DeviceLost)
    assert channel.closed


def test_another_version_of_the_link_is_refused(monkeypatch):
    monkeypatch.setattr("link_twin.VERSION", 9)
    with pytest.raises(TransportError, match="version 9 of the link; expected 1"):
        connect()


def test_after_an_interrupted_call_the_next_is_right():
    """The request was sent, its answer not yet read: it is carried out once, and its answer is not the next one's."""
    transport, channel = connect()
    read = channel.read

    def interrupted(limit, timeout_s):
        channel.read = read
        raise KeyboardInterrupt

    for cut in ("read", "write"):
        setattr(channel, "read", interrupted) if cut == "read" else None
        if cut == "write":
            channel.faults = lambda frame: (setattr(channel, "faults", lambda f: [(0.0, f)]), [])[1]
            channel.read = interrupted
        with pytest.raises(KeyboardInterrupt):
            transport.transact(trip([1]))
        assert transport.transact([Read(OUT, 1)])[0].tolist() == [0xDEAD]
    assert channel.twin.bus.pushed == 2


def test_a_closed_transport_says_so():
    transport, channel = connect()
    transport.close()
    transport.close()
    assert channel.closed
    for call in (lambda: transport.read(1, 1), transport.reopen):
        with pytest.raises(TransportError, match="closed"):
            call()


# ---- A driver over it -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 0.05])
def test_a_driver_cannot_tell_the_link_from_a_bus(rate):
    image = liquid_accel.compile(model(), config=preset("test"), solver="bs32")
    with liquid_accel.open("golden", config=image.config) as device:
        device.load(image)
        expected = device.run(**sequences(), states=True)
    transport, _ = connect(GoldenTransport(image.config), Faults(3, rate), patience=Patience(tries=30))
    with Device(transport) as device:
        device.load(image)
        found = device.run(**sequences(), states=True)
        for name in ("words", "state_words", "cycles", "status"):
            np.testing.assert_array_equal(getattr(expected, name), getattr(found, name), err_msg=name)
        streamed = [device.step(frame, dt=1.0) for frame in sequences()["x"][0]]
    assert len(streamed) == 9


def test_a_driver_of_a_device_that_was_reset_never_gives_a_result():
    image = liquid_accel.compile(model(), config=preset("test"), solver="fused")
    transport, channel = connect(GoldenTransport(image.config))
    with Device(transport) as device:
        device.load(image)
        channel.twin.reset()
        channel.twin.bus = GoldenTransport(image.config)
        with pytest.raises(DeviceError, match="reset"):
            device.run(**sequences())
