# SPDX-License-Identifier: BSD-2-Clause
"""The whole accelerator under cocotb: a small compiled model over the bus, word for word the golden model's.

`case` compiles a random network for a machine whose FIFOs are short, so that both of them fill up, and asks the golden
model what it answers to a few sequences of irregular frames.
"""

from pathlib import Path

import numpy as np
import pytest
from runner import run_cocotb
from toys import toy_data, toy_model

import liquid_accel
from liquid_accel.compiler import predict
from liquid_accel.compiler.backend import data_dt
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.core import Core
from liquid_accel.rtl.isa import Flag

FIFO_WORDS = 64
SOLVERS = ("fused", "bs32")
SEQUENCES, FRAMES = 4, 4


def machine(lanes: int) -> LiquidConfig:
    return preset("test", lanes=lanes, fifo_words=FIFO_WORDS)


def case(folder: Path, config: LiquidConfig, solver: str, seed: int) -> dict[str, str]:
    """Write the sections of an image, frames, and the words that they bring; returns the environment that names them.

    dt lies between 0 and 2 units, some of it exactly 0; some sequences are traced.
    """
    random = np.random.default_rng(seed)
    dt = random.uniform(0.0, 2.0, (SEQUENCES, FRAMES)) * (random.random((SEQUENCES, FRAMES)) > 0.25)
    data = toy_data(seed, sequences=SEQUENCES, frames=FRAMES, dt=dt)
    model = toy_model(seed, before=(8,), size=10, classes=2)
    image = liquid_accel.compile(model, calibration=data, config=config, solver=solver)
    spacing = data_dt(image, data)
    sequences = []
    for b, count in enumerate(data.lengths):
        frames = predict.frame_words(image, data.x[b, :count], spacing[b, :count])
        frames[:, 0] |= np.uint16(Flag.TRACE if b % 2 else 0)
        sequences.append(frames)
    expected = predict.machine(image, SEQUENCES).run(sequences)
    path = folder / "case.npz"
    arrays = {f"section{int(space)}": words for space, words in image.sections.items()}
    arrays["frames"] = np.concatenate(sequences)
    arrays["expected"] = np.concatenate([words for sequence in expected for words in sequence])
    np.savez(path, **arrays)
    return {"MACHINE_CASE": str(path), "MACHINE_SEED": str(seed), "MACHINE_FIFO_WORDS": str(config.fifo_words)}


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_word_over_the_bus(simulator: str, lanes: int, solver: str, tmp_path: Path) -> None:
    config = machine(lanes)
    environment = case(tmp_path, config, solver, seed=3)
    run_cocotb(Accelerator(config), "cocotb_accelerator", simulator, environment=environment)


@pytest.mark.parametrize("solver", SOLVERS)
def test_core_streams(simulator: str, lanes: int, solver: str, tmp_path: Path) -> None:
    config = machine(lanes)
    environment = case(tmp_path, config, solver, seed=4)
    run_cocotb(Core(config), "cocotb_core", simulator, environment=environment)
