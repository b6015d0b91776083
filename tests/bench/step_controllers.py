# SPDX-License-Identifier: BSD-2-Clause
"""Which step controller is best: right-hand sides a frame at equal errors, in float, on the shipped training file.

    python tests/bench/step_controllers.py [METHOD ...]        about a minute a method

For each filter, order exponent q and first step after a jump the tolerance is swept, and the right-hand sides a frame
are read off, log against log, where the rms error of the states is 0.05, 0.02, 0.01 and 0.001 ("-": not reached by the
sweep). dt is even, as recorded, or drawn from 1/4 to 4 frames, evenly in the logarithm.
"""

import sys
from dataclasses import replace

import numpy as np

from liquid_accel import checkpoint, data
from liquid_accel.data import Dataset
from liquid_accel.rtl.tableaus import EXPONENTIAL_PAIRS, FILTERS, TABLEAUS
from liquid_accel.shipped import shipped
from liquid_accel.sim import reference
from liquid_accel.sim.reference_controller import Controller

TOLERANCES = np.geomspace(1.0, 5e-4, 10)
ERRORS = (5e-2, 2e-2, 1e-2, 1e-3)


def work_at(errors: list[float], evals: list[float]) -> list[str]:
    """Right-hand sides a frame at each of `ERRORS`."""
    x, y = np.log(np.array(sorted(zip(errors, evals)))).T
    found = np.exp(np.interp(np.log(ERRORS), x, y, left=np.nan, right=np.nan))
    return ["     -" if np.isnan(value) else f"{value:6.2f}" for value in found]


def main(methods: list[str]) -> None:
    net = checkpoint.load(shipped("checkpoints", "japanese_vowels.safetensors"))
    even = data.load(shipped("data", "japanese_vowels_train.npz"), net.default_dt)
    spread = np.exp2(np.random.default_rng(0).uniform(-2, 2, even.dt.shape))
    sets: dict[str, Dataset] = {"even": even, "random": replace(even, dt=spread, dt_given=True)}
    exact = {name: reference.run(net, some, "exact").states for name, some in sets.items()}
    print(f"method  dt      filter q jump  rhs a frame at rms {', '.join(f'{error:g}' for error in ERRORS)}")
    for method in methods:
        order = (TABLEAUS.get(method) or EXPONENTIAL_PAIRS[method]).error_order
        for name, some in sets.items():
            for kind in FILTERS:
                for q, jump in ((q, jump) for q in (order, order + 1) for jump in (False, True)):
                    errors, evals = [], []
                    for tolerance in TOLERANCES:
                        settings = reference.SolverSettings(
                            method, rtol=tolerance / 2, atol=tolerance / 2, controller=Controller.of(kind, q, jump=jump)
                        )
                        run = reference.run(net, some, settings)
                        errors.append(float(np.sqrt(np.mean((run.states - exact[name])[some.mask] ** 2))))
                        evals.append(run.rhs_evals_per_frame)
                    print(f"{method:7} {name:7} {kind:6} {q} {jump!s:5}", *work_at(errors, evals), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or [*TABLEAUS, *EXPONENTIAL_PAIRS])
