# SPDX-License-Identifier: BSD-2-Clause
"""Work against precision on the shipped network: scipy's solution of the same quantised network is the measure."""

import math

import numpy as np
import pytest

from liquid_accel import checkpoint, data
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.demo import precision, tables
from liquid_accel.demo.precision import Curve, Study
from liquid_accel.demo.run import find
from liquid_accel.driver.parallel import run_on
from liquid_accel.sim import reference

UTTERANCES = 24
LIMIT = 2e-2  # rms over frames and neurons


class Found:
    """The golden model's run with the default tolerance, and scipy's solution."""

    def __init__(self, config):
        self.model = checkpoint.load(find("checkpoints", "japanese_vowels.safetensors"))
        test = data.load(find("data", "japanese_vowels_test.npz"))
        self.batch = test.subset(np.linspace(0, len(test.x) - 1, UTTERANCES).astype(np.intp))
        train = data.load(find("data", "japanese_vowels_train.npz"))
        image = compile(self.model, calibration=train, config=config, options=CompileOptions("bs32"))
        self.weights = image.dequantised()
        self.exact = reference.run(self.model, self.batch, "exact", weights=self.weights).states
        self.golden = run_on("golden", image, self.batch, states=True).result


@pytest.fixture(scope="module")
def found(config):
    return Found(config)


@pytest.mark.slow
def test_adaptive_states_are_close_for_fewer_right_hand_sides_than_any_rk4_as_close(found):
    inside = found.batch.mask
    error = math.sqrt(np.mean((found.golden.h[inside] - found.exact[inside]) ** 2))
    rhs = found.golden.rhs_evals[inside].mean()
    assert error <= LIMIT
    for steps in range(1, 65):
        run = reference.run(found.model, found.batch, "rk4", steps=steps, weights=found.weights)
        if math.sqrt(np.mean((run.states[inside] - found.exact[inside]) ** 2)) <= error:
            break
    else:
        pytest.fail("no RK4 is as close")
    assert run.rhs_evals_per_frame == 4 * steps
    assert rhs < run.rhs_evals_per_frame, f"{rhs} right-hand sides a frame; RK4 is as close with {4 * steps}"


@pytest.mark.slow
def test_what_the_demo_calls_exact_is(found):
    fine = precision.exact(found.model, found.batch, found.weights)
    assert np.abs(fine - found.exact).max() < 1e-6


@pytest.mark.slow
def test_errors_of_the_curve_are_those_against_scipy(found):
    fine = precision.exact(found.model, found.batch, found.weights)
    ours = precision.rk4_curve(found.model, found.batch, found.weights, fine)
    scipys = precision.rk4_curve(found.model, found.batch, found.weights, found.exact)
    np.testing.assert_allclose(ours.error, scipys.error, rtol=1e-2)
    assert ours.rhs == tuple(4 * steps for steps in precision.RK4_STEPS)


def study(rhs, error):
    """A study in which RK4 has an error of 0.2, 1e-3, 1e-4 and 1e-5 with 4, 8, 12 and 16 right-hand sides."""
    curves = (
        Curve("bs32", precision.TOLERANCES, rhs, error),
        Curve("rk4", precision.RK4_STEPS, (4.0, 8.0, 12.0, 16.0), (0.2, 1e-3, 1e-4, 1e-5)),
    )
    return Study(curves, np.arange(3), None, np.array([0.01, 0.02, 5.0]), np.array([0.02, 0.01, 0.03]))


def test_the_sentences_say_who_is_cheaper():
    both = study((4.5, 5.0, 6.0, 7.0, 8.0, 13.0), (1e-1, 5e-2, 1.5e-2, 4e-3, 2e-3, 5e-4))
    assert both.rk4_as_close(1.5e-2) == 8.0
    assert tables.precision(both) == (
        "bs32 at tolerance 0.01: states within 1.5e-2 rms of the exact solution at 6 right-hand sides a frame; "
        "the cheapest RK4 that is as close takes 8."
    )
    assert both.crossing() == (4e-3, 2e-3)
    assert "4.0e-3 bs32" in tables.who_wins(both)
    assert "At 2.0e-3 and below RK4 wins" in tables.who_wins(both)
    assert "in 1 of the 3 utterances" in tables.who_wins(both)
    assert "is 5.0, that of bs32 3.0e-2." in tables.who_wins(both)
    always = study((4.5, 5.0, 6.0, 7.0, 7.5, 11.0), (1e-1, 5e-2, 1.5e-2, 4e-3, 2e-3, 5e-4))
    assert always.crossing() == (5e-4, None)
    never = study((8.5, 9.0, 9.5, 10.0, 11.0, 13.0), (1e-1, 5e-2, 1.5e-2, 4e-3, 2e-3, 5e-4))
    assert never.crossing() == (None, 1e-1)
    below = study((4.5, 5.0, 20.0, 30.0, 40.0, 50.0), (1e-1, 5e-2, 5e-6, 4e-6, 3e-6, 2e-6))
    assert "takes more than 16." in tables.precision(below)
