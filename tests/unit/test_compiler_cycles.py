# SPDX-License-Identifier: BSD-2-Clause
"""Predicted cycles against those that the golden model counts."""

from dataclasses import replace

import numpy as np
import pytest
from toys import predicted_cycles, run_golden, toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.tableaus import FIXED_TABLEAUS, GATES

IRREGULAR = np.random.default_rng(3).choice([0.0, 0.01, 0.3, 1.0, 4.0], size=(6, 7))
FIXED = {*GATES, *FIXED_TABLEAUS}


@pytest.mark.parametrize("solver", ["fused", "expeuler", "euler", "rk4"])
@pytest.mark.parametrize("steps", [1, 4, 16])
def test_predicted_cycles_of_fixed_steps_are_exact(config: LiquidConfig, solver: str, steps: int) -> None:
    model, frames = toy_model(), toy_data(dt=IRREGULAR)
    image = compile(model, calibration=frames, config=config, options=CompileOptions(solver=solver, steps=steps))
    run = run_golden(image, frames, trace=False)
    assert image.cycles.exact
    assert (run.inside & (frames.dt == 0)).any()
    assert predicted_cycles(image, frames) == run.counters["cycles"].sum()


@pytest.mark.parametrize("solver", sorted(FIXED))
@pytest.mark.parametrize("kind", [{}, {"constant_tau": True}, {"tau_recurrent": True}, {"size": (8, 5)}])
def test_every_fixed_step_solver_is_exact_on_every_liquid_layer(
    small_config: LiquidConfig, solver: str, kind: dict[str, object]
) -> None:
    """With spacings of frames over four orders of magnitude, whose leading zeros a PLAN counts."""
    model, frames = toy_model(before=(), **kind), toy_data(dt=10.0 ** np.random.default_rng(5).uniform(-4, 0, (6, 7)))
    config = replace(small_config, base_elements=256)  # a layer takes whole rows of lanes, and there are stacks
    image = compile(model, calibration=frames, config=config, options=CompileOptions(solver=solver, steps=2))
    assert image.cycles.exact
    assert predicted_cycles(image, frames) == run_golden(image, frames, trace=False).counters["cycles"].sum()


def test_predicted_cycles_of_adaptive_steps_are_near(config: LiquidConfig) -> None:
    model = toy_model()
    image = compile(model, calibration=toy_data(sequences=40), config=config, options=CompileOptions(solver="bs32"))
    other = toy_data(seed=9, sequences=40)
    run = run_golden(image, other)
    assert not image.cycles.exact
    assert predicted_cycles(image, other) == pytest.approx(run.counters["cycles"].sum(), rel=0.1)
