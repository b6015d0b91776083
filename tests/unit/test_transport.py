# SPDX-License-Identifier: BSD-2-Clause
"""The transports: both simulators carry the same words, wait for the interrupt, and refuse what no bus can carry."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulators import need
from standin import CLEAR, FIFO, IDENTITY, IDENTITY_WORD, LANES, LEVEL, SCRATCH, TIMER, StandIn

from liquid_accel.rtl.transport import Transport, TransportError, as_words
from liquid_accel.sim import cxxrtl, cxxrtl_build, simulator
from liquid_accel.sim.bus import SimulatedTransport
from liquid_accel.sim.cxxrtl import CxxrtlTransport
from liquid_accel.sim.pysim import PysimTransport

DEPTH = 16
Opener = Callable[..., SimulatedTransport]


@pytest.fixture(params=["cxxrtl", "pysim"])
def open_standin(request: pytest.FixtureRequest) -> Opener:
    """Open the stand-in in one simulator, then in the other."""
    need(request.param)
    kind = {"cxxrtl": CxxrtlTransport, "pysim": PysimTransport}[request.param]
    return lambda **options: kind(device=StandIn(DEPTH), **options)


@pytest.fixture
def device(open_standin: Opener) -> SimulatedTransport:
    return open_standin()


def test_it_is_a_transport(device: SimulatedTransport) -> None:
    assert isinstance(device, Transport)


def test_a_read_repeats_at_one_address(device: SimulatedTransport) -> None:
    words = device.read(IDENTITY, 5)
    assert words.dtype == np.uint16
    assert words.tolist() == [IDENTITY_WORD] * 5


def test_a_burst_arrives_in_order_at_one_address(device: SimulatedTransport) -> None:
    device.write(FIFO, range(100, 100 + DEPTH))
    assert device.read(LEVEL, 1).tolist() == [DEPTH]
    assert device.read(FIFO, DEPTH).tolist() == list(range(100, 100 + DEPTH))
    assert device.read(LEVEL, 1).tolist() == [0]


def test_every_request_is_taken_once(device: SimulatedTransport) -> None:
    device.write(SCRATCH, [1] * 7)
    device.read(SCRATCH, 4)
    assert device.read(CLEAR, 1).tolist() == [11]


def test_empty_bursts_do_nothing(device: SimulatedTransport) -> None:
    device.write(SCRATCH, [])
    assert device.read(SCRATCH, 0).tolist() == []
    assert device.read(CLEAR, 1).tolist() == [0]


def test_signed_words_travel_as_their_twos_complement(device: SimulatedTransport) -> None:
    device.write(SCRATCH, np.array([-2], np.int16))
    assert device.read(SCRATCH, 1).tolist() == [0xFFFE]


def test_wait_returns_at_the_interrupt(device: SimulatedTransport) -> None:
    device.write(TIMER, [500])
    before = device.cycles
    assert device.wait(10.0)
    assert 490 <= device.cycles - before <= 500
    assert device.wait(10.0), "the line stays high until it is cleared"
    device.write(CLEAR, [0])
    assert not device.wait(0.0)


def test_wait_gives_up_but_moves_the_clock(device: SimulatedTransport) -> None:
    before = device.cycles
    assert not device.wait(0.0)
    assert device.cycles > before


def test_a_stalled_burst_is_an_error_and_the_last_word(open_standin: Opener) -> None:
    device = open_standin(patience=200)
    with pytest.raises(TransportError, match=rf"write to register 0x02 stopped after {DEPTH} of {DEPTH + 4} words"):
        device.write(FIFO, range(DEPTH + 4))
    with pytest.raises(TransportError, match="cannot be used any more"):
        device.read(IDENTITY, 1)


def test_a_closed_device_says_so(device: SimulatedTransport) -> None:
    device.close()
    device.close()
    for call in (lambda: device.read(0, 1), lambda: device.write(0, [0]), lambda: device.wait(0.0)):
        with pytest.raises(TransportError, match="closed"):
            call()


@pytest.mark.parametrize("address", [-1, 256])
def test_addresses_are_checked(device: SimulatedTransport, address: int) -> None:
    with pytest.raises(TransportError, match="address"):
        device.read(address, 1)


@pytest.mark.parametrize("words", [[-1], [65536], [0.5], [[1, 2]]])
def test_words_are_checked(words: list[object]) -> None:
    with pytest.raises(TransportError):
        as_words(np.asarray(words))


SCRIPTS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from([SCRATCH, CLEAR, LANES, 99]), st.lists(st.integers(0, 65535))),
        st.tuples(st.just("fifo"), st.just(FIFO), st.lists(st.integers(0, 65535), max_size=DEPTH)),
        st.tuples(st.just("read"), st.sampled_from([IDENTITY, SCRATCH, LEVEL, CLEAR, 99]), st.integers(0, 9)),
    ),
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(SCRIPTS)
def test_both_simulators_answer_the_same_words(script: list[tuple[str, int, object]]) -> None:
    need("cxxrtl")
    heard = []
    for kind in (CxxrtlTransport, PysimTransport):
        answers: list[int] = []
        with kind(device=StandIn(DEPTH)) as device:
            for what, address, argument in script:
                if what == "read":
                    answers += device.read(address, argument).tolist()
                else:
                    device.write(address, argument)
                if what == "fifo":
                    answers += device.read(FIFO, len(argument)).tolist()
            answers.append(device.cycles)
        heard.append(answers)
    assert heard[0] == heard[1]


def test_the_simulators_agree_cycle_by_cycle_on_a_device_that_never_rests() -> None:
    need("cxxrtl")
    heard = []
    for kind in (CxxrtlTransport, PysimTransport):
        with kind(device=StandIn(DEPTH, work=3)) as device:
            device.write(LANES, [7, 8, 9])
            assert not device._advance(1000)
            heard.append(device.read(LANES, 300).tolist())
    assert heard[0] == heard[1]
    assert len(set(heard[0])) > 100


def test_an_edit_of_the_design_is_another_library_and_the_same_design_is_not_built_again(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("cxxrtl")
    monkeypatch.setattr(cxxrtl_build, "cache_folder", lambda kind: tmp_path)
    built: list[str] = []
    for depth in (4, 4, 5):
        with CxxrtlTransport(device=StandIn(depth), progress=built.append) as device:
            assert device.read(IDENTITY, 1).tolist() == [IDENTITY_WORD]
    assert len(built) == 2
    assert len(list(tmp_path.glob("*.so"))) == 2
    assert not list(tmp_path.glob("build-*"))


def test_logic_that_feeds_back_through_cells_is_settled_first(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower way of stepping gives the same words where it is not needed."""
    need("cxxrtl")
    monkeypatch.setattr(cxxrtl_build, "cache_folder", lambda kind: tmp_path)
    heard = []
    for feedback in (cxxrtl_build.FEEDBACK, "bool converged = true;"):
        monkeypatch.setattr(cxxrtl_build, "FEEDBACK", feedback)
        monkeypatch.setattr(cxxrtl_build, "FLAGS", [*cxxrtl_build.FLAGS, f"-DVARIANT={len(heard)}"])
        with CxxrtlTransport(device=StandIn(DEPTH, work=2)) as device:
            device.write(LANES, [1, 2])
            heard.append([*device.read(LANES, 200).tolist(), device.cycles])
    assert heard[0] == heard[1]


def test_without_a_compiler_pysim_takes_over_and_says_so(monkeypatch, capsys) -> None:
    monkeypatch.setattr(cxxrtl, "compiler", lambda: None)
    with simulator.open_simulator(None, device=StandIn(DEPTH)) as device:
        assert isinstance(device, PysimTransport)
        assert device.read(IDENTITY, 1).tolist() == [IDENTITY_WORD]
    assert "no C++ compiler" in capsys.readouterr().err


def test_a_failing_compiler_is_one_error_with_what_it_printed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("cxxrtl")
    monkeypatch.setattr(cxxrtl_build, "cache_folder", lambda kind: tmp_path)
    monkeypatch.setattr(cxxrtl_build, "FLAGS", ["-no-such-flag"])
    with pytest.raises(cxxrtl_build.SimulatorBuildError, match="no-such-flag"):
        CxxrtlTransport(device=StandIn(DEPTH))
    assert not list(tmp_path.glob("*.so"))


def test_an_unknown_simulator_is_named() -> None:
    with pytest.raises(ValueError, match="'verilog' is unknown"):
        simulator.open_simulator(None, "verilog")
