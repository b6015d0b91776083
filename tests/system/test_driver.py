# SPDX-License-Identifier: BSD-2-Clause
"""The driver: whatever stands behind the transport, results belong to frames and nothing waits for ever."""

import time

import numpy as np
import pytest
from system.small import model, sequences

import liquid_accel
from liquid_accel import checkpoint, data
from liquid_accel.driver import Device, DeviceError
from liquid_accel.driver.figures import predicted_cycles
from liquid_accel.driver.frames import encode, pool_weight
from liquid_accel.driver.parallel import run_on
from liquid_accel.errors import UserError
from liquid_accel.rtl import formats, isa, registers
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.transport import Transactions
from liquid_accel.sim.golden import GoldenTransport

COUNTERS = ("status", "cycles", "rhs_evals", "steps_accepted", "steps_rejected", "mac_cycles", "saturations", "words")


@pytest.fixture(scope="module", params=["fused", "bs32"])
def image(request):
    return liquid_accel.compile(model(), config=preset("test"), solver=request.param)


@pytest.fixture
def device(image):
    with liquid_accel.open("golden", config=image.config) as opened:
        opened.load(image)
        yield opened


def test_the_result_does_not_depend_on_the_order_of_the_batch(image, device):
    arrays = sequences()
    straight = device.run(**arrays, states=True, trace=True)
    order = np.random.default_rng(2).permutation(len(arrays["x"]))
    turned = device.run(**{name: array[order] for name, array in arrays.items()}, states=True)
    for name in (*COUNTERS, "state_words", "label"):
        np.testing.assert_array_equal(getattr(straight, name)[order], getattr(turned, name), err_msg=name)


def test_tracing_changes_no_counter_and_no_output(device):
    arrays = sequences()
    plain, traced = device.run(**arrays), device.run(**arrays, states=True, trace=True)
    for name in COUNTERS:
        np.testing.assert_array_equal(getattr(plain, name), getattr(traced, name), err_msg=name)
    assert plain.h is None
    assert plain.steps is None


def test_step_records_are_those_that_the_counters_count(image, device):
    result = device.run(**sequences(), trace=True)
    accepted = np.zeros_like(result.steps_accepted)
    steps = result.steps
    np.add.at(accepted, (steps["sequence"], steps["frame"]), steps["accepted"].astype(int))
    if image.adaptive:
        np.testing.assert_array_equal(accepted, result.steps_accepted)
    else:
        assert len(steps) == 0


def test_streaming_equals_a_batch(device):
    arrays = sequences(count=3)
    batch = device.run(**arrays, states=True)
    for row in range(3):
        device.reset()
        for frame in range(arrays["lengths"][row]):
            y = device.step(arrays["x"][row, frame], dt=arrays["dt"][row, frame])
            np.testing.assert_array_equal(y, batch.y[row, frame])
            assert device.last.cycles[0, 0] == batch.cycles[row, frame]


def test_a_batch_begins_anew_after_a_stream(device):
    arrays = sequences(count=2)
    before = device.run(**arrays)
    device.step(arrays["x"][0, 0], dt=1.0)
    np.testing.assert_array_equal(device.run(**arrays).words, before.words)


def test_what_lies_past_a_length_is_zero_and_ignored(device):
    arrays = sequences()
    result = device.run(**arrays)
    for name in (*COUNTERS, "y"):
        assert not getattr(result, name)[~result.mask].any()
    spoilt = dict(arrays, x=np.where(result.mask[..., None], arrays["x"], np.nan))
    np.testing.assert_array_equal(device.run(**spoilt).words, result.words)


def test_the_label_is_the_lowest_of_the_largest(device):
    result = device.run(**sequences())
    for row, length in enumerate(result.lengths):
        assert result.label[row] == result.words[row, length - 1].tolist().index(result.words[row, length - 1].max())


def test_shares_give_the_same_result_as_one_device(image):
    batch = data.from_arrays(sequences(), image.default_dt)
    one = run_on("golden", image, batch, states=True, trace=True).result
    shared = run_on("golden", image, batch, states=True, trace=True, jobs=3).result
    for name in (*COUNTERS, "state_words", "steps"):
        np.testing.assert_array_equal(getattr(one, name), getattr(shared, name), err_msg=name)


def test_inputs_are_rounded_to_even_and_what_saturates_is_counted(image):
    scale, mean = np.array(image.input_scale), np.array(image.input_mean)
    halves = np.array([[0.5, 1.5, -0.5], [2.5, 1e9, -1e9]])
    x = halves / 2.0**image.input_frac_bits * scale + mean
    sent = encode(image, x, np.ones(2), np.array([1, 2]))
    assert sent.words[:, isa.HEADER_WORDS :].view(np.int16).tolist() == [[0, 2, 0], [2, 32767, -32768]]
    assert sent.saturated.tolist() == [0, 2]


def test_headers_hold_flags_time_and_pool_weight(image):
    unit = image.machine_unit
    sent = encode(image, np.zeros((3, 3)), np.array([0.0, unit / 4, unit]), np.array([1, 2, 3]), trace=True).words
    assert sent[:, 0].tolist() == [isa.Flag.FIRST | isa.Flag.TRACE, isa.Flag.TRACE, isa.Flag.TRACE]
    ticks = sent[:, 1].astype(int) | sent[:, 2].astype(int) << 16
    assert ticks.tolist() == [0, 1 << formats.TICK_BITS - 2, 1 << formats.TICK_BITS]
    assert sent[:, 3].view(np.int16).tolist() == [-32768, -2 << 11, 0]
    assert [formats.float_value(int(code)) for code in sent[:, 4]] == pytest.approx([1, 1 / 2, 1 / 3], rel=2**-12)
    assert pool_weight(10**9) == pool_weight(1 << 16)


def test_dt_is_in_seconds_where_the_model_counts_them():
    frames = liquid_accel.compile(model(), config=preset("test"), solver="fused")
    seconds = liquid_accel.compile(model(unit=0.01), config=preset("test"), solver="fused")
    arrays = sequences(count=2)
    with liquid_accel.open("golden", config=frames.config) as device:
        device.load(frames)
        want = device.run(**arrays)
        device.load(seconds)
        got = device.run(arrays["x"], dt=arrays["dt"] * 0.01, lengths=arrays["lengths"])
    np.testing.assert_array_equal(got.words, want.words)


def test_a_data_set_without_dt_has_the_models_spacing():
    image = liquid_accel.compile(model(unit=0.01), calibration=sequences()["x"], config=preset("test"))
    x = sequences()["x"]
    with liquid_accel.open("golden", config=image.config) as device:
        device.load(image)
        want = device.run(x, dt=0.01)
        got = device.run(data.from_arrays({"x": x}))
    np.testing.assert_array_equal(got.words, want.words)
    assert predicted_cycles(image, data.from_arrays({"x": x})) == want.cycles.sum()


# ---- What goes wrong -----------------------------------------------------------------------------------------


class Spy(Transactions):
    """A transport that counts writes, and can stop answering or lie about a register."""

    def __init__(self, inner, lies=None):
        self.inner, self.lies, self.writes, self.dead, self.stream = inner, lies or {}, 0, False, []

    def write(self, address, words):
        self.writes += 1
        if not (self.dead and address == registers.address("IN_DATA")):
            self.inner.write(address, words)

    def read(self, address, count):
        if self.stream and address == registers.address("OUT_DATA"):
            return np.resize(np.array(self.stream, np.uint16), count)
        for name, value in self.lies.items():
            if address == registers.address(name):
                return np.full(count, value, np.uint16)
        return self.inner.read(address, count)

    def wait(self, timeout_s):
        return self.inner.wait(timeout_s)

    def close(self):
        self.inner.close()


def test_an_image_of_another_configuration_is_refused_before_anything_is_written(image):
    spy = Spy(GoldenTransport(preset("up5k-skip")))
    with Device(spy) as device, pytest.raises(UserError, match="compiled for configuration"):
        device.load(image)
    assert spy.writes == 0


@pytest.mark.parametrize(("register", "what"), [("ID", "no accelerator"), ("VERSION", "instruction set")])
def test_something_else_behind_the_wire_is_refused(image, register, what):
    spy = Spy(GoldenTransport(image.config), {register: 0x7777})
    with pytest.raises(DeviceError, match=what):
        Device(spy)
    assert spy.writes == 0


def test_a_memory_that_does_not_hold_what_was_written_is_found(image):
    with Device(Spy(GoldenTransport(image.config), {"MEM_DATA": 0x1234})) as device:
        with pytest.raises(DeviceError, match="does not hold the image"):
            device.load(image)


def test_a_device_that_stops_answering_is_given_up(image):
    spy = Spy(GoldenTransport(image.config))
    with Device(spy, patience_s=0.3) as device:
        device.load(image)
        spy.dead = True
        start = time.monotonic()
        with pytest.raises(DeviceError, match=r"stuck: no frame was finished for 0\.3 s, 0 of 9"):
            device.run(np.zeros((9, 3)))
        assert time.monotonic() - start < 3
        with pytest.raises(DeviceError, match="stuck"):  # it was loaded again, and is stuck as before
            device.run(np.zeros((9, 3)))
        spy.dead = False
        again = device.run(np.zeros((9, 3)))
        assert device.restarts == 2
        device.load(image)
        np.testing.assert_array_equal(device.run(np.zeros((9, 3))).words, again.words)


def test_a_device_that_steps_for_ever_is_given_up(image):
    spy = Spy(GoldenTransport(image.config))
    with Device(spy, patience_s=0.3) as device:
        device.load(image)
        spy.lies = {"OUT_LEVEL": isa.STEP_RECORD_WORDS}
        spy.stream = [isa.MARK_STEP | isa.StepFlag.ACCEPTED, 0, 0, 0]
        with pytest.raises(DeviceError, match="stuck"):
            device.run(np.zeros((9, 3)), trace=True)


def test_an_error_of_the_device_is_named(image):
    spy = Spy(GoldenTransport(image.config))
    with Device(spy, patience_s=5) as device:
        device.load(image)
        spy.dead = True
        spy.lies = {"STATUS": 1 | registers.mask("STATUS", "ILLEGAL")}
        with pytest.raises(DeviceError, match="an instruction that does not exist"):
            device.run(np.zeros((9, 3)))


def test_an_output_stream_out_of_step_is_found(image):
    spy = Spy(GoldenTransport(image.config))
    with Device(spy) as device:
        device.load(image)
        spy.lies = {"OUT_DATA": 0x0BAD}
        with pytest.raises(DeviceError, match="out of step at frame 0: word 0 is 0x0bad"):
            device.run(np.zeros((9, 3)))


def test_a_frame_of_the_wrong_width_is_refused(device):
    with pytest.raises(UserError, match="4 features a frame; expected 3"):
        device.run(np.zeros((2, 5, 4)))
    with pytest.raises(UserError, match="^frame: x has 4 features a frame; expected 3"):
        device.step(np.zeros(4))


def test_a_dt_longer_than_the_machine_counts_is_refused(image, device):
    with pytest.raises(UserError, match="expected at most"):
        device.run(np.zeros((2, 3)), dt=image.max_dt * 1.01)


def test_targets_that_do_not_exist_are_refused():
    with pytest.raises(UserError, match="names no place"):
        liquid_accel.open("uart:")
    with pytest.raises(UserError, match="is unknown"):
        liquid_accel.open("verilator")


def test_a_torch_model_compiles_and_does_what_it_did():
    torch = pytest.importorskip("torch", reason="torch is the optional extra `train`")
    torch.manual_seed(0)
    net, x = liquid_accel.LiquidClassifier(3, 6, 3).eval(), sequences()["x"]
    image = liquid_accel.compile(net, calibration=x, config="test")
    assert image.config == preset("test")
    with liquid_accel.open("golden", config="test") as device:
        device.load(image)
        got = device.run(x).y[:, -1]
    with torch.no_grad():
        np.testing.assert_allclose(got, net(torch.from_numpy(x)).numpy(), atol=0.03)
    assert liquid_accel.compile(net, config="test").inputs == 3
    with pytest.raises(UserError, match="x has 4 features; expected 3"):
        liquid_accel.compile(net, calibration=np.zeros((2, 3, 4)), config="test")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 5}, "model is of type int; expected a Checkpoint"),
        ({"config": "huge"}, "config: preset 'huge' is unknown"),
        ({"config": 8}, "config is of type int; expected a LiquidConfig"),
        ({"stepz": 3}, "option 'stepz' is unknown; expected one of solver, tableau, steps"),
        ({"solver": "bs32", "steps": 3}, "^steps goes with a fixed-step solver, bs32"),
        ({"rtol": 0.1}, "^rtol goes with an adaptive solver, fused"),
        ({"min_factor": 0.1}, "^min_factor goes with an adaptive solver"),
    ],
)
def test_wrong_arguments_of_the_api_are_named(arguments, words):
    with pytest.raises(UserError, match=words):
        liquid_accel.compile(**{"model": model(), **arguments})


def test_a_checkpoint_comes_through_the_api_as_through_a_file(tmp_path):
    checkpoint.save(model(), tmp_path / "m.safetensors")
    loaded = checkpoint.load(tmp_path / "m.safetensors")
    config = preset("test")
    assert liquid_accel.compile(loaded, config=config) == liquid_accel.compile(model(), config=config)
