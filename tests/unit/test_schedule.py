# SPDX-License-Identifier: BSD-2-Clause
"""Stalls: enough, as the golden model's hazard checks say, and not one cycle more."""

from dataclasses import replace

import numpy as np
import pytest
from toys import run_golden, toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.compiler.schedule import Scheduler
from liquid_accel.image import Image
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import (
    E_A,
    E_B,
    AddSource,
    Cond,
    Control,
    Finish,
    Instruction,
    Op,
    Space,
    Timing,
    drain,
)
from liquid_accel.sim.golden import GoldenError

TIMES = np.random.default_rng(3).choice([0.0, 0.3, 1.0, 4.0], size=(6, 7))


def with_stall(image: Image, at: int, stall: int) -> Image:
    """The image with another stall at one instruction."""
    words = image.sections[Space.ISSUE].copy()
    issue, _ = replace(image.program()[at], stall=stall).encode()
    words[4 * at : 4 * at + 3] = [issue >> 16 * part & 0xFFFF for part in range(3)]
    return replace(image, sections={**image.sections, Space.ISSUE: words})


@pytest.mark.parametrize("solver", ["fused", "bs32"])
@pytest.mark.parametrize("size", [5, 12])
def test_every_stall_is_needed(small_config: LiquidConfig, solver: str, size: int) -> None:
    frames = toy_data(dt=TIMES)
    options = CompileOptions(solver=solver, steps=2)
    image = compile(toy_model(size=size), calibration=frames, config=small_config, options=options)
    run_golden(image, frames, check_hazards=True)
    program = image.program()
    # A jump back waits for all that is under way, whatever the instructions behind its target need of it.
    back = {at for at, i in enumerate(program) if i.op == Op.CONTROL and i.control == Control.JUMP and i.target <= at}
    stalls = [(at, i.stall) for at, i in enumerate(program) if i.stall and at not in back]
    assert len(stalls) > 5
    for at, stall in stalls:
        with pytest.raises(GoldenError, match="hazard"):
            run_golden(with_stall(image, at, stall - 1), frames, check_hazards=True)


def test_the_products_of_64_units_on_8_lanes_run_back_to_back(config: LiquidConfig) -> None:
    """The last row of a new state is read at column 56 of the next product, when it has just been written."""
    if config.lanes != 8:
        pytest.skip("a statement about 8 lanes")
    image = compile(toy_model(size=64), calibration=toy_data(), config=config)
    steps = [i for i in image.program() if i.op == Op.DOT and i.finish.v_en and i.finish.add]
    assert len(steps) == 4
    assert [i.stall for i in steps] == [0, 0, 0, 0]
    assert all(i.stall == 0 for i in image.program() if i.op == Op.CONTROL and i.control == Control.SWAP)


def scheduled(program: list[Instruction], config: LiquidConfig) -> list[int]:
    return [i.stall for i in Scheduler(config).schedule([Instruction(control=Control.FRAME), *program])][1:]


def term(x: int = 100, **fields: int) -> Instruction:
    return Instruction(Op.TERM, x=x, last=1, finish=Finish(**fields))  # type: ignore[arg-type]


def test_two_rows_keep_the_lanes_apart(config: LiquidConfig) -> None:
    lanes = config.lanes
    assert scheduled([term(), term()], config) == [0, lanes - 2]
    assert scheduled([term(), term(row_scaled=1)], config) == [0, lanes - 2]


def test_a_row_is_read_once_its_last_lane_is_written(config: LiquidConfig) -> None:
    """Its snapshot is in the slot before; it is drained `drain` slots after that."""
    assert scheduled([term(v_en=1, v=3), term(x=3)], config) == [0, drain(config.lanes) - 1]
    assert scheduled([term(v_en=1, v=3), term(x=4)], config) == [0, config.lanes - 2]


@pytest.mark.parametrize(
    ("mask", "reader", "stage"),
    [(E_A, {"a": 1, "a_sel": AddSource.MEMORY}, Timing.READ_A), (E_B, {"b": 1, "add": 1}, Timing.READ_B)],
)
def test_element_memories_are_read_a_cycle_after_they_are_written(
    config: LiquidConfig, mask: int, reader: dict[str, int], stage: int
) -> None:
    apart = max(Timing.WRITE + 1 - stage, config.lanes)
    assert scheduled([term(e=1, e_mask=mask), term(**reader)], config) == [0, apart - 2]


def test_a_wait_for_earlier_rows_is_spent_once_before_the_loop(config: LiquidConfig) -> None:
    body = Instruction(Op.DOT, x=3, cols=64, last=1, loop_end=1, finish=Finish(v_en=1, v=80))
    loop = Instruction(control=Control.LOOP, imm=3)
    assert scheduled([term(v_en=1, v=3), loop, body], config) == [0, drain(config.lanes) - 2, 0]


def test_both_ways_into_a_jump_target_are_safe(config: LiquidConfig) -> None:
    """The row is written on one way only, and the jump leaves no more than its own cycle between."""
    program = [
        Instruction(control=Control.JUMP, cond=Cond.FIRST, target=4),
        term(v_en=1, v=3),
        Instruction(control=Control.NOP),
        term(x=3),
    ]
    stalls = scheduled(program, config)
    assert stalls == [0, 0, 0, drain(config.lanes) - 2]


def test_parity_tells_rows_apart(config: LiquidConfig) -> None:
    """What one parity writes the other reads after a swap, and only then."""
    top = config.vector_rows // 2
    written = Instruction(Op.TERM, x=100, last=1, finish=Finish(v_en=1, v=3 ^ top, v_par=1))
    read = Instruction(Op.TERM, x=3, x_par=1, last=1)
    swap = Instruction(control=Control.SWAP)
    assert scheduled([written, swap, read], config) == [0, 0, drain(config.lanes) - 2]
    assert scheduled([written, read], config) == [0, config.lanes - 2]


def test_decide_waits_for_the_norm_and_a_jump_back_for_everything(config: LiquidConfig) -> None:
    empty = drain(config.lanes)
    decide = Instruction(control=Control.DECIDE)
    assert scheduled([term(norm=1), decide], config) == [0, empty + Timing.NORM - 1]
    assert scheduled([term(), Instruction(control=Control.PLAN), decide], config) == [0, empty - 1, 0]
    assert scheduled([term(), Instruction(control=Control.JUMP, target=0)], config) == [0, empty - 2]
    assert scheduled([term(out=1), Instruction(control=Control.EMIT)], config) == [0, empty]


def test_a_loop_without_an_end_is_a_mistake(config: LiquidConfig) -> None:
    with pytest.raises(ValueError, match="does not end"):
        scheduled([Instruction(control=Control.LOOP, imm=2), term()], config)
