# SPDX-License-Identifier: BSD-2-Clause
"""Loops that the golden machine runs at once, or must not, against the row by row interpreter."""

from dataclasses import replace
from typing import Any

import numpy as np
from golden_programs import CONFIG, FIRST, N, control, done, frame, header, machine, row, run, vector
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.isa import (
    E_A,
    E_B,
    E_C,
    E_S,
    AddSource,
    Control,
    Factor,
    Finish,
    Instruction,
    Op,
    Space,
)
from liquid_accel.sim.golden import GoldenMachine

BIT = st.integers(0, 1)

ROWS = st.integers(0, 9)


@st.composite
def loop_bodies(draw: st.DrawFn) -> list[Instruction]:
    """Rows whose addresses overlap now and then."""
    body = []
    for _ in range(draw(st.integers(1, 3))):
        f = Finish(
            narrow=3,
            row_scaled=draw(st.sampled_from([0, 0, 1])),
            a=draw(ROWS),
            a_sel=draw(st.sampled_from([AddSource.NONE, AddSource.MEMORY])),
            b=draw(ROWS),
            sub=draw(BIT),
            b_par=draw(BIT),
            c=draw(ROWS),
            c_sel=draw(st.sampled_from([Factor.ONE, Factor.MEMORY])),
            c_shift=20,
            v=draw(ROWS),
            v_en=draw(BIT),
            v_par=draw(BIT),
            e=draw(ROWS),
            e_mask=draw(st.sampled_from([0, E_A, E_B, E_C, E_S])),
            out=draw(st.sampled_from([0, 0, 0, 1])),
            indexed=draw(st.sampled_from([1, 1, 1, 0])),
            source=draw(st.sampled_from([0, 0, 0, 0, 1])),
        )
        op = draw(st.sampled_from([Op.DOT, Op.TERM]))
        cols = draw(st.integers(1, 9)) if op == Op.DOT else 1
        shape: dict[str, Any] = {"cols": cols, "x": draw(ROWS), "x_par": draw(BIT), "indexed": draw(BIT)}
        body.append(
            Instruction(
                op=op,
                w=draw(st.integers(0, 40)),
                w_load=draw(BIT) if op == Op.DOT else 0,
                last=draw(st.sampled_from([1, 1, 1, 0])),
                finish=f,
                **shape,
            )
        )
    return body


@settings(max_examples=150, deadline=None)
@given(loop_bodies(), st.integers(1, 5), BIT, st.integers(0, 2**32 - 1))
def test_whole_loops_are_row_by_row(body: list[Instruction], rows: int, parity: int, seed: int) -> None:
    body = [*body[:-1], replace(body[-1], loop_end=1)]
    drop = [Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=Finish(source=1))]
    program = [
        frame(24),
        *[control(Control.SWAP)] * parity,
        control(Control.LOOP, imm=rows),
        *body,
        control(Control.LOOP, imm=24 // N),  # the inputs that are left
        *drop,
        *done(),
    ]
    rng = np.random.default_rng(seed)
    images = {s: rng.integers(-2000, 2000, machine(program).dump(s).size) for s in Space if s != Space.TABLE}
    frames = rng.integers(0, 65536, (3, 29))
    frames[:, 0] = [FIRST, 0, FIRST]
    results = []
    for whole in (True, False):
        m = GoldenMachine(CONFIG, whole_loops=whole)
        for space, image in images.items():
            if space not in (Space.ISSUE, Space.FINISH):
                m.load(space, 0, image)
        m.load_program(program)
        words = [w.tolist() for w in m.run([frames])[0]]
        memories = [m.dump(s).tolist() for s in images]
        results.append((words, memories, m.state.scale.tolist(), m.state.wp.tolist(), m.state.accumulators.tolist()))
    assert results[0] == results[1]


def test_a_loop_that_reads_its_own_results_runs_row_by_row() -> None:
    f = Finish(v=21, v_en=1)
    m = machine([frame(), control(Control.LOOP, imm=4), row(f, x=20, indexed=1, w=1, loop_end=1), *done()])
    m.load(Space.S, 1, [2])
    m.load(Space.VECTOR, 20 * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 24) == [16, 32, 48, 64]
