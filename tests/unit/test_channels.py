# SPDX-License-Identifier: BSD-2-Clause
"""Channels and mapped registers: a pseudo-terminal, a bus of bytes both ways, a window of words."""

import contextlib
import mmap
import os
import struct
import threading
import time
import tty

import numpy as np
import pytest
from link_twin import EchoBus, LinkTwin

from liquid_accel.driver.channel import ChannelError
from liquid_accel.driver.link import LinkTransport
from liquid_accel.driver.mapped import MappedTransport, map_registers
from liquid_accel.driver.serial_channel import SerialChannel
from liquid_accel.driver.spi_channel import SpiChannel
from liquid_accel.rtl.registers import address, mask
from liquid_accel.rtl.transport import DeviceLost, Read, TransportError, Wait, Write

IN, OUT, MARK = address("IN_DATA"), address("OUT_DATA"), address("OUT_MARK")


# ---- Serial ports ----------------------------------------------------------------------------------------------


@pytest.fixture
def terminal():
    """(master, name of the slave); what a test leaves open is closed."""
    master, slave = os.openpty()
    tty.setraw(slave)
    name = os.ttyname(slave)
    os.close(slave)
    yield master, name
    with contextlib.suppress(OSError):
        os.close(master)


def test_every_byte_passes_a_terminal_unchanged(terminal):
    master, name = terminal
    channel = SerialChannel(name)
    every = bytes(range(256))
    channel.write(every)
    sent = b""
    while len(sent) < 256:
        sent += os.read(master, 4096)
    assert sent == every
    os.write(master, every)
    got = b""
    while len(got) < 256:
        got += channel.read(100, 5.0)
    assert got == every
    channel.close()


def test_a_read_returns_what_is_there_and_nothing_after_its_time(terminal):
    master, name = terminal
    channel = SerialChannel(name)
    assert channel.read(100, 0.0) == b""
    assert channel.read(100, 0.01) == b""
    os.write(master, b"abc")
    assert channel.read(2, 5.0) == b"ab"
    assert channel.read(2, 5.0) == b"c"
    channel.close()


def test_what_was_said_before_it_was_opened_is_not_heard(terminal):
    master, name = terminal
    SerialChannel(name).close()
    channel = SerialChannel(name)
    os.write(master, b"old")
    channel.reopen()
    assert channel.read(100, 0.05) == b""
    channel.close()
    channel.close()


def test_a_port_belongs_to_one_program(terminal):
    _, name = terminal
    channel = SerialChannel(name)
    with pytest.raises(ChannelError, match=f"^uart:{name} cannot be opened: another program uses it$"):
        SerialChannel(name)
    channel.close()
    SerialChannel(name).close()


def test_an_unplugged_port_is_one_sentence(terminal):
    master, name = terminal
    channel = SerialChannel(name)
    os.close(master)
    for use in (lambda: channel.read(1, 1.0), lambda: channel.write(b"x"), channel.reopen):
        with pytest.raises(ChannelError, match=f"^uart:{name}") as caught:
            use()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("port", "words"), [("/dev/ttyNone", "does not exist"), ("/dev/null", "cannot be opened")])
def test_what_is_no_port_cannot_be_opened(port, words):
    with pytest.raises(ChannelError, match=words):
        SerialChannel(port)


# ---- SPI -------------------------------------------------------------------------------------------------------


class FakeSpi:
    """spidev with a twin behind it: a byte out for each byte in, 0x7E where there is nothing to say."""

    def __init__(self, twin):
        self.twin, self.said, self.opened, self.transfers, self.fail = twin, bytearray(), [], 0, False
        self.mode = self.max_speed_hz = None

    def open(self, bus, chip):
        if self.fail:
            raise FileNotFoundError(2, "No such file or directory")
        self.opened.append((bus, chip))

    def xfer2(self, data):
        if self.fail:
            raise OSError(5, "Input/output error")
        assert len(data) <= 4096
        self.transfers += 1
        out = []
        for value in data:
            out.append(self.said.pop(0) if self.said else 0x7E)
            answer = self.twin.byte(value)
            if answer is not None:
                self.said += answer[1]
        return out

    def close(self):
        self.opened.append("closed")


def test_a_transport_over_spi_carries_everything():
    port = FakeSpi(LinkTwin(EchoBus()))
    transport = LinkTransport(SpiChannel("/dev/spidev1.2", 500_000, lambda: port))
    assert port.opened == [(1, 2)]
    assert (port.mode, port.max_speed_hz) == (0, 500_000)
    words = np.random.default_rng(0).integers(0, 65536, 700)
    words[::3] = 0x7E7E
    transport.write(address("MEM_ADDRESS"), [0])
    transport.write(address("MEM_DATA"), words)
    transport.write(address("MEM_ADDRESS"), [0])
    np.testing.assert_array_equal(transport.read(address("MEM_DATA"), 700), words)
    answers = transport.transact([Write(MARK, [1]), Write(IN, [5]), Wait(0.1), Read(OUT, 1)])
    assert answers[-1].tolist() == [5]
    assert transport.statistics.timeouts == transport.statistics.damaged == 0
    transport.close()
    assert port.opened[-1] == "closed"


def test_an_answer_may_end_at_any_place_of_a_transfer():
    """The flag that ends a frame is not taken for an idle one, wherever the transfers cut."""
    for shift in range(40):
        port = FakeSpi(LinkTwin(EchoBus()))
        transport = LinkTransport(SpiChannel("0.0", open_port=lambda port=port: port))
        transport.write(7, [shift])
        port.said += b"\x7e" * shift
        assert transport.read(7, 1 + shift % 9).tolist() == [shift] * (1 + shift % 9)
        assert transport.statistics.timeouts == 0


def test_a_bus_that_fails_is_lost_and_opened_again():
    port = FakeSpi(LinkTwin(EchoBus()))
    transport = LinkTransport(SpiChannel("0.0", open_port=lambda: port))
    port.fail = True
    with pytest.raises(DeviceLost, match=r"^spi:0.0: the bus fails \(Input/output error\)$"):
        transport.read(7, 1)
    with pytest.raises(TransportError, match="^spi:0.0 cannot be opened: No such file or directory$"):
        transport.reopen()
    port.fail = False
    transport.reopen()
    assert transport.read(7, 1).tolist() == [0]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "spidev", None)
    with pytest.raises(ChannelError, match="needs the package spidev"):
        SpiChannel("/dev/spidev0.0")


def test_what_is_no_spi_device_is_refused():
    with pytest.raises(ChannelError, match="spidevBUS.CHIP"):
        SpiChannel("/dev/ttyS0", open_port=lambda: FakeSpi(LinkTwin(EchoBus())))


# ---- Mapped registers ----------------------------------------------------------------------------------------------


class BusWindow:
    """256 words of 32 bits in front of a bus; the upper half reads as rubbish, as some buses have it."""

    def __init__(self, bus):
        self.bus = bus

    def __getitem__(self, register):
        return int(self.bus.read(register, 1)[0]) | 0xABCD0000

    def __setitem__(self, register, word):
        assert 0 <= word < 65536
        self.bus.write(register, [word])


def test_bursts_are_one_access_a_word_in_order():
    bus = EchoBus()
    transport = MappedTransport(BusWindow(bus))
    bus.log.clear()
    transport.write(IN, [1, 2, 0xFFFF])
    assert transport.read(OUT, 3).tolist() == [1, 40503 + 2, 2 * 40503 + 0xFFFF & 0xFFFF]
    assert [(kind, register) for kind, register, _ in bus.log] == [("write", IN)] * 3 + [("read", OUT)] * 3
    assert transport.read(OUT, 0).size == 0
    for wrong in (lambda: transport.read(256, 1), lambda: transport.write(1, [65536])):
        with pytest.raises(TransportError):
            wrong()


@pytest.mark.parametrize(
    ("enable", "registers", "high"),
    [
        ("OUT_READY", {"OUT_LEVEL": 5, "OUT_MARK": 5}, True),
        ("OUT_READY", {"OUT_LEVEL": 4, "OUT_MARK": 5}, False),
        ("OUT_READY", {"OUT_LEVEL": 0, "OUT_MARK": 0}, False),
        ("OUT_READY", {"OUT_LEVEL": 1, "OUT_MARK": 0}, True),
        ("OUT_READY", {"STATUS": 0xFFFF}, False),
        ("STARVED", {"STATUS": mask("STATUS", "IDLE")}, True),
        ("STARVED", {"STATUS": 0, "OUT_LEVEL": 99}, False),
        ("ERROR", {"STATUS": mask("STATUS", "IDLE")}, False),
        *(("ERROR", {"STATUS": mask("STATUS", name)}, True)
          for name in ("ILLEGAL", "IN_OVERFLOW", "OUT_UNDERFLOW", "MEM_BUSY", "BAD_ADDRESS")),
    ],
)  # fmt: skip
def test_the_interrupt_is_what_its_registers_say(enable, registers, high):
    window = [0] * 256
    for name, value in registers.items():
        window[address(name)] = value
    transport = MappedTransport(window)
    assert not transport.wait(0.0)
    transport.write(address("IRQ_ENABLE"), [mask("IRQ_ENABLE", enable)])
    assert transport.wait(0.0) is high


def test_registers_of_a_file_are_words_at_four_bytes_each(tmp_path):
    file = tmp_path / "registers"
    offset = mmap.ALLOCATIONGRANULARITY + 64
    file.write_bytes(bytes(offset + 1024))
    transport = map_registers(str(file), offset)
    transport.write(address("MEM_DATA"), [0x1234])
    with file.open("r+b") as handle:
        handle.seek(offset + 4 * address("MEM_DATA"))
        assert struct.unpack("=I", handle.read(4)) == (0x1234,)
        handle.seek(offset + 4 * 0xFF)
        handle.write(struct.pack("=I", 0x12345678))
    assert transport.read(0xFF, 2).tolist() == [0x5678] * 2
    transport.close()
    transport.close()
    with pytest.raises(TransportError, match="closed"):
        transport.read(1, 1)


def test_a_wait_sees_what_the_device_writes_meanwhile(tmp_path):
    file = tmp_path / "registers"
    file.write_bytes(bytes(1024))
    transport = map_registers(str(file))
    transport.write(MARK, [3])
    transport.write(address("IRQ_ENABLE"), [mask("IRQ_ENABLE", "OUT_READY")])

    def device():
        time.sleep(0.02)
        with file.open("r+b") as handle:
            handle.seek(4 * address("OUT_LEVEL"))
            handle.write(struct.pack("=I", 3))

    thread = threading.Thread(target=device)
    thread.start()
    assert transport.wait(30.0)
    thread.join()
    transport.write(MARK, [4])
    assert not transport.wait(0.005)
    transport.close()


@pytest.mark.parametrize(
    ("size", "offset", "words"),
    [(1000, 0, "holds 1000 bytes; expected at least 1024"), (2048, 1028, "expected at least 2052"),
     (2048, 2, "multiple of 4"), (None, 0, "does not exist")],
)  # fmt: skip
def test_a_file_that_holds_no_registers_is_refused(tmp_path, size, offset, words):
    file = tmp_path / "registers"
    if size is not None:
        file.write_bytes(bytes(size))
    with pytest.raises(TransportError, match=words):
        map_registers(str(file), offset)
