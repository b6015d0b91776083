# SPDX-License-Identifier: BSD-2-Clause
"""The golden model's states against scipy's solution of the article's equation, written out here with plain sums.

The weights are the image's own, as numbers: what is held is the machine's solver, its tables and its rounding. Each
solver has a bound, and with a tighter tolerance a tighter one.
"""

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from toys import dequantised, run_golden, toy_data, toy_model

from liquid_accel.checkpoint import Checkpoint
from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.data import Dataset
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, TABLEAUS

TIMES = np.random.default_rng(9).choice([0.0, 0.05, 0.4, 1.5], size=(5, 7))
# Tolerance of each step, and bounds of the root mean square and of any state over all frames.
ADAPTIVE = {1e-2: (1e-2, 5e-2), 1e-3: (1.5e-3, 8e-3)}
# Steps a frame, and the same bounds; frames are up to three time constants long.
FIXED = {"rk4": (8, 1e-3, 5e-3), "heun": (16, 2e-3, 1e-2), "expeuler": (16, 2e-2, 1e-1), "fused": (16, 3e-2, 1.2e-1)}


def equation(p: dict[str, Any], x: Any, form: str, activation: str) -> Any:
    """dh/dt of the article for one frame's input."""
    act = np.tanh if activation == "tanh" else lambda v: 1 / (1 + np.exp(-v))
    x = np.tanh(p["dense0.weight"] @ x + p["dense0.bias"])
    tau = np.log1p(np.exp(p["ltc.tau_weight"] @ x + p["ltc.tau_bias"]))
    drive = p["ltc.bias"] + (p["ltc.input_weight"] @ x if form == "input" else 0.0)
    return lambda _, h: (act(p["ltc.recurrent_weight"] @ h + drive) - h) / tau


def by_scipy(model: Checkpoint, p: dict[str, Any], data: Dataset, form: str, activation: str) -> Any:
    offset, scale = np.array(model.features.mean), np.array(model.features.scale)
    states = np.zeros((*data.x.shape[:2], len(p["ltc.bias"])))
    for b, length in enumerate(data.lengths):
        h = np.zeros(states.shape[2])
        for t in range(length):
            slope = equation(p, (data.x[b, t].astype(np.float64) - offset) / scale, form, activation)
            if data.dt[b, t] > 0:
                h = solve_ivp(slope, (0, data.dt[b, t]), h, "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
            states[b, t] = h
    return states


def errors(solver: str, form: str, activation: str, **options: Any) -> tuple[float, float]:
    """(root mean square, largest) over states, frames and sequences."""
    model = toy_model(4, before=(5,), size=9, form=form, activation=activation)
    data = toy_data(4, sequences=5, dt=TIMES)
    config = preset("test", tables=8, add_elements=256, base_elements=256, program_words=256)
    image = compile(model, calibration=data, config=config, options=CompileOptions(solver=solver, **options))
    run = run_golden(image, data)
    exact = by_scipy(model, dequantised(image, model), data, form, activation)
    wrong = np.abs(run.states - exact)[data.mask]
    return float(np.sqrt(np.mean(wrong**2))), float(wrong.max())


@pytest.mark.parametrize(("form", "activation"), [("input", "tanh"), ("literal", "sigmoid")])
@pytest.mark.parametrize("tolerance", ADAPTIVE)
@pytest.mark.parametrize("solver", sorted({*TABLEAUS, *EXPONENTIAL_PAIRS}))
def test_adaptive_steps_follow_scipy(solver: str, tolerance: float, form: str, activation: str) -> None:
    rms, largest = errors(solver, form, activation, rtol=tolerance, atol=tolerance)
    print(f"{solver} at {tolerance}: rms {rms:.1e}, largest {largest:.1e}")
    assert rms <= ADAPTIVE[tolerance][0]
    assert largest <= ADAPTIVE[tolerance][1]


@pytest.mark.parametrize("solver", FIXED)
def test_fixed_steps_follow_scipy(solver: str) -> None:
    steps, most_rms, most = FIXED[solver]
    rms, largest = errors(solver, "input", "tanh", steps=steps)
    print(f"{solver} with {steps} steps: rms {rms:.1e}, largest {largest:.1e}")
    assert rms <= most_rms
    assert largest <= most
