# SPDX-License-Identifier: BSD-2-Clause
"""Loops that the golden machine runs at once, or must not, against the row by row interpreter."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from golden_programs import CONFIG, FIRST, N, apart, control, done, frame, header, machine, row, run, vector
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
    Keep,
    Norm,
    Op,
    Space,
    Track,
)
from liquid_accel.sim.golden import GoldenMachine
from liquid_accel.sim.golden.loops import WEIGHTED, LoopAnalyser
from liquid_accel.sim.golden.state import State

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
            keep=draw(st.sampled_from([Keep.NONE, Keep.NONE, *Keep])),
            m=draw(ROWS),
            norm=draw(st.sampled_from(Norm)),
            track=draw(st.sampled_from([Track.NONE, Track.NONE, *Track])),
            t=draw(ROWS),
        )
        op = draw(st.sampled_from([Op.DOT, Op.TERM, Op.SPARSE]))
        cols = {Op.DOT: draw(st.integers(1, 9)), Op.SPARSE: draw(st.integers(20, 22))}.get(op, 1)
        shape: dict[str, Any] = {"cols": cols, "x": draw(ROWS), "x_par": draw(BIT), "indexed": draw(BIT)}
        body.append(
            Instruction(
                op=op,
                w=draw(st.integers(0, 40)),
                w_load=draw(BIT) if op in WEIGHTED else 0,
                last=draw(st.sampled_from([1, 1, 1, 0])),
                finish=f,
                **shape,
            )
        )
    return body


def hidden(state: State) -> list[npt.NDArray[np.int64]]:
    """What programs can change and the host cannot see."""
    lists = [state.kept.data, state.operands.data, state.columns, state.list_start, state.list_end]
    return [*lists, state.scale, state.wp, state.accumulators, state.controller.norm, state.controller.saturated]


@settings(max_examples=200, deadline=None)
@given(loop_bodies(), st.integers(1, 5), BIT, st.sampled_from([0, 30, 120, 200]), BIT, st.integers(0, 2**32 - 1))
def test_whole_loops_are_row_by_row(
    body: list[Instruction], rows: int, parity: int, words: int, half: int, seed: int
) -> None:
    drop = [Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=Finish(source=1))]
    # Three rows of inputs leave entries for the sparse products: up to 12 columns of which a part moved.
    moved = Finish(source=1, track=Track.MOVED, t=40)
    before = [
        frame(36),
        *[control(Control.SWAP)] * parity,
        control(Control.LIST, list=1, imm=words),
        control(Control.TRACK, list=1, imm=20000),
        control(Control.LOOP, imm=3),
        Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=moved),
        control(Control.TAKE, list=1, imm=half),
        control(Control.TRACK, list=1, imm=300),
        control(Control.LOOP, imm=rows),
    ]
    body = apart(body, len(before))
    body = [*body[:-1], replace(body[-1], loop_end=1)]
    # And what is left of them is dropped.
    after = [control(Control.NOP), control(Control.LOOP, imm=24 // N), control(Control.NOP), *drop]
    program = [*before, *body, *after, *done()]
    rng = np.random.default_rng(seed)
    images = {s: rng.integers(-2000, 2000, machine(program).dump(s).size) for s in Space if s != Space.TABLE}
    frames = rng.integers(0, 65536, (3, 41))
    frames[:, 0] = [FIRST, 0, FIRST]
    results = []
    for whole in (True, False):
        m = GoldenMachine(CONFIG, whole_loops=whole)
        for space, image in images.items():
            if space not in (Space.ISSUE, Space.FINISH):
                m.load(space, 0, image)
        m.load_program(program)
        outputs = [w.tolist() for w in m.run([frames])[0]]
        memories = [m.dump(s).tolist() for s in images]
        results.append((outputs, memories, *(part.tolist() for part in hidden(m.state))))
    assert results[0] == results[1]


def test_a_loop_that_reads_its_own_results_runs_row_by_row() -> None:
    f = Finish(v=21, v_en=1)
    m = machine([frame(), control(Control.LOOP, imm=4), row(f, x=20, indexed=1, w=1, loop_end=1), *done()])
    m.load(Space.S, 1, [2])
    m.load(Space.VECTOR, 20 * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 24) == [16, 32, 48, 64]


# ---- Which loops run at once


def dot(op: Op = Op.DOT, **finish: Any) -> Instruction:
    return Instruction(op=op, x=30, cols=8, last=1, finish=Finish(**finish))


TERM = Instruction(op=Op.TERM, indexed=1, last=1)


def term(x: int, **finish: Any) -> Instruction:
    return replace(TERM, x=x, finish=Finish(**finish))


@pytest.mark.parametrize(
    ("body", "at_once"),
    [
        ([dot(Op.SPARSE, keep=Keep.ADD, m=3, row_scaled=1, v=10, v_en=1)], True),
        ([term(5, track=Track.MOVED, t=3, v=10, v_en=1)], True),
        # A row behind: k[r] is row 10 + r, y[r] is row 20 + r, of which the second group writes r - 1.
        ([dot(v=10, v_en=1), term(9, v=19, v_en=1)], True),
        ([dot(Op.SPARSE, keep=Keep.ADD, v=10, v_en=1), term(9, v=19, v_en=1, track=Track.MOVED)], True),
        # A row ahead: the second group reads what the first one has not written yet.
        ([dot(v=10, v_en=1), term(11, v=20, v_en=1)], False),
        # The dot reads rows 30 and 31, which the second group has written in part.
        ([dot(v=10, v_en=1), term(9, v=29, v_en=1)], False),
        # Two groups whose entries are in the order of rows.
        ([term(5, track=Track.MOVED, t=3), term(5, track=Track.MOVED, t=20)], False),
        ([term(5, track=Track.MOVED, t=3), term(5, track=Track.SET, t=20)], True),
        ([term(5, track=Track.SET, t=3), term(5, track=Track.MOVED, t=2)], True),
        # The second group compares with operands that the first one has not written yet.
        ([term(5, track=Track.SET, t=3), term(5, track=Track.MOVED, t=4)], False),
        ([term(5, track=Track.MOVED, t=3), term(5, track=Track.SET, t=4)], False),
        # One row of sums for all rows.
        ([dot(Op.SPARSE, keep=Keep.ADD, m=3, indexed=0)], False),
        ([dot(Op.SPARSE, keep=Keep.SET, m=3), term(5, keep=Keep.READ, m=2)], True),
        ([dot(Op.SPARSE, keep=Keep.SET, m=3), term(5, keep=Keep.READ, m=4)], False),
    ],
)
def test_loops_that_run_at_once(body: list[Instruction], at_once: bool) -> None:
    found = LoopAnalyser(CONFIG).analyse(tuple(enumerate(body)), 5)
    assert (found is not None) == at_once


def test_a_loop_that_works_a_row_behind_gives_what_its_rows_give() -> None:
    """y[r - 1] = 2 k[r - 1] with k[r] = W x, in one loop of one row more than k has."""
    body = apart([dot(v=10, v_en=1), replace(term(9, v=19, v_en=1), w=1, loop_end=1)], 2)
    m = machine([frame(), control(Control.LOOP, imm=4), *body, *done()])
    m.load(Space.S, 1, [2])
    w = np.random.default_rng(2).integers(-9, 9, (36, N))
    m.load(Space.WEIGHT, 0, w.astype(np.int8).reshape(-1).view(np.uint16))
    m.load(Space.VECTOR, 30 * N, range(8))
    run(m, header())
    expected = np.concatenate([np.arange(8) @ w[9 * r : 9 * r + 8] for r in range(3)])
    assert vector(m, 20, 3) == (2 * expected).tolist()


def test_a_loop_whose_list_reaches_the_entries_taken_runs_row_by_row() -> None:
    """Entries appended by a row are those that a later row's product reads: W is all ones."""
    sparse = Instruction(op=Op.SPARSE, cols=16, w=0, w_load=1, last=1, loop_end=1)
    body = [replace(sparse, finish=Finish(track=Track.MOVED, t=8, v=20, v_en=1))]
    moved = Instruction(op=Op.IN, cols=N, last=1, finish=Finish(source=1, track=Track.MOVED))
    lists = [control(Control.LIST, list=2, imm=1), control(Control.TAKE, list=1)]
    before = [frame(N), control(Control.TRACK, list=1), moved, *lists, control(Control.TRACK, list=2)]
    results = []
    for whole in (True, False):
        m = machine([*before, control(Control.LOOP, imm=2), *body, *done()], whole_loops=whole)
        m.load(Space.WEIGHT, 0, [0x0101] * 17 * 2 * N)
        run(m, header(inputs=[1, 2, 3, 4]))
        results.append(vector(m, 20, 2))
    # Row 0 is 1 + 2 + 3 + 4; its entries, 10 each, replace 2, 3 and 4, so that row 1 is 1 + 3 * 10.
    assert results == [[10] * N + [31] * N] * 2
