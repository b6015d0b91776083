# SPDX-License-Identifier: BSD-2-Clause
"""Kept sums and lists of moved columns in the golden machine, against sums in plain integers."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from golden_programs import CONFIG, DRAIN, FIRST, N, control, done, frame, header, machine, run, trailer, vector
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel.rtl.isa import Cond, Control, Finish, Instruction, Keep, Op, Space, Status, Track
from liquid_accel.sim.golden import GoldenMachine

ROWS_IN, ROWS_OUT = 3, 2  # of a matrix of 12 columns and 8 outputs
COLS = ROWS_IN * N
X_AT, M_AT, V_AT = 10, 20, 40  # rows of X, M and V
WORDS = st.integers(-32768, 32767)


def tracked_inputs(threshold: int, chosen: int = 1, *, target: int = 0) -> list[Instruction]:
    """A column vector from the frame's inputs, in V, tracked."""
    finish = Finish(source=1, v=V_AT, v_en=1, track=Track.MOVED, t=X_AT)
    take = Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=finish)
    track = control(Control.TRACK, list=chosen, imm=threshold, target=target)
    return [track, control(Control.LOOP, imm=ROWS_IN), take]


def updated(chosen: int = 1, *, toggle: int = 1, uncounted: int = 0) -> list[Instruction]:
    """M += W (what moved); row r of the sums, scaled, to V."""
    finish = Finish(keep=Keep.ADD, m=M_AT, row_scaled=1, v=V_AT + 8, v_en=1)
    product = Instruction(
        op=Op.SPARSE, cols=COLS, w=6, w_load=1, x=uncounted, last=1, loop_end=1, finish=finish, stall=1
    )
    return [control(Control.TAKE, list=chosen, imm=toggle), control(Control.LOOP, imm=ROWS_OUT), product]


def loaded(
    program: Sequence[Instruction], w: npt.NDArray[np.int64], scales: Sequence[int], **options: bool
) -> GoldenMachine:
    """A machine with the matrix w (outputs, columns) in its weight memory from 6 on."""
    m = machine(program, **options)
    groups = [np.vstack((w[r * N : r * N + N].T, scales[r * N : r * N + N])) for r in range(ROWS_OUT)]
    m.load(Space.WEIGHT, 6 * N // 2, np.vstack(groups).astype(np.int8).reshape(-1).view(np.uint16))
    return m


def rows_of(memory: npt.NDArray[np.int64], at: int, rows: int) -> list[int]:
    return [int(v) for v in memory[0, at * N : (at + rows) * N]]


def dense(w: npt.NDArray[np.int64], x: Sequence[int]) -> list[int]:
    return [sum(int(a) * int(b) for a, b in zip(row, x, strict=True)) for row in w]


def wrapped(v: int) -> int:
    return (v + 2**31) % 2**32 - 2**31


MATRIX = st.lists(st.lists(st.integers(-128, 127), min_size=COLS, max_size=COLS), min_size=8, max_size=8)
SCALES = st.lists(st.integers(0, 31), min_size=8, max_size=8)


@settings(max_examples=100, deadline=None)
@given(
    w=MATRIX,
    thresholds=st.lists(st.sampled_from([0, 1, 300, 20000, 32767]), min_size=1, max_size=3),
    vectors=st.lists(st.lists(st.one_of(WORDS, st.integers(-400, 400)), min_size=COLS, max_size=COLS), max_size=6),
    offsets=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=8, max_size=8),
    start=st.sampled_from([0, 60, 90]),
    toggle=st.integers(0, 1),
    whole=st.booleans(),
)
def test_kept_sums_are_the_matrix_times_the_operands_that_they_were_computed_with(
    w: list[list[int]],
    thresholds: list[int],
    vectors: list[list[int]],
    offsets: list[int],
    start: int,
    toggle: int,
    whole: bool,
) -> None:
    """M == M0 + W X modulo 2**32 after each frame, whatever moves: vectors of all sizes, deltas past 16 bits too."""
    program = [frame(COLS * len(thresholds)), control(Control.JUMP, cond=Cond.NOT_FIRST, target=3)]
    program += [control(Control.LIST, list=1, imm=start)]
    for threshold in thresholds:
        program += [*tracked_inputs(threshold), *updated(toggle=toggle)]
    matrix = np.array(w, np.int64)
    m = loaded([*program, *done()], matrix, [0] * 8, whole_loops=whole)
    m.state.kept.per_sequence(1)[0, M_AT * N : (M_AT + ROWS_OUT) * N] = offsets
    for k in range(0, len(vectors) - len(thresholds) + 1, len(thresholds)):
        inputs = [v for part in vectors[k : k + len(thresholds)] for v in part]
        counts = trailer(run(m, header(flags=FIRST * (k == 0), inputs=inputs))[0])
        x = rows_of(m.state.operands.per_sequence(1), X_AT, ROWS_IN)
        expected = [wrapped(offset + total) for offset, total in zip(offsets, dense(matrix, x), strict=True)]
        assert rows_of(m.state.kept.per_sequence(1), M_AT, ROWS_OUT) == expected
        # And the operands are what came last, within the threshold, but for deltas past 16 bits.
        bound = 32767 if counts["status"] & Status.SATURATED else max(thresholds)
        assert all(abs(a - b) <= 2 * bound + 1 for a, b in zip(x, inputs[-COLS:], strict=True))
        assert counts["skipped"] + counts["mac_cycles"] == len(thresholds) * ROWS_OUT * COLS


@settings(max_examples=60, deadline=None)
@given(
    w=MATRIX,
    scales=SCALES,
    vectors=st.lists(st.lists(st.integers(-16384, 16383), min_size=COLS, max_size=COLS), min_size=1, max_size=4),
)
def test_at_threshold_0_a_sparse_product_is_the_dense_one(
    w: list[list[int]], scales: list[int], vectors: list[list[int]]
) -> None:
    program = [frame(COLS), *tracked_inputs(0), *updated(), *done()]
    m = loaded(program, np.array(w), scales)
    last = [0] * COLS
    for inputs in vectors:
        counts = trailer(run(m, header(inputs=inputs))[0])
        sums = dense(np.array(w), inputs)
        narrow = [(total + (1 << n >> 1)) >> n for total, n in zip(sums, scales, strict=True)]
        assert vector(m, V_AT + 8, ROWS_OUT) == [min(max(v, -32768), 32767) for v in narrow]
        moved = sum(a != b for a, b in zip(inputs, last, strict=True))
        assert counts["mac_cycles"] == ROWS_OUT * moved
        assert counts["skipped"] == ROWS_OUT * (COLS - moved)
        # FRAME, TRACK, LOOP, rows of inputs, TAKE, LOOP, sparse rows, DONE.
        fixed = 6 + 1 + 1 + 1 + 1 + DRAIN + 1
        assert counts["cycles"] == fixed + ROWS_IN * (N + 1) + ROWS_OUT * (1 + max(moved, N - 1) + 1)
        last = inputs


def test_a_batch_of_lists_of_different_lengths_is_its_sequences_one_by_one() -> None:
    rng = np.random.default_rng(5)
    w, scales = rng.integers(-128, 128, (8, COLS)), [9] * 8
    clear = Finish(track=Track.SET, t=X_AT, keep=Keep.SET, m=M_AT)
    program = [
        frame(COLS),
        control(Control.JUMP, cond=Cond.NOT_FIRST, target=5),
        control(Control.LIST, list=1, imm=9),
        control(Control.LOOP, imm=ROWS_IN),
        Instruction(op=Op.TERM, x=62, w=0, last=1, loop_end=1, finish=clear),
        *tracked_inputs(500),
        *updated(),
        *done(),
    ]
    frames = [rng.integers(-900, 900, (n, 5 + COLS)) for n in (3, 1, 5, 2, 4)]
    for part in frames:
        part[:, :5] = 0
        part[0, 0] = FIRST
    source = loaded(program, w, scales)
    together = source.fan_out(5)
    outputs = together.run(frames)
    skipped = {trailer(words)["skipped"] for sequence in outputs for words in sequence}
    assert len(skipped) > 2  # or the test shows nothing
    for b in range(5):
        for whole in (True, False):
            alone = loaded(program, w, scales, whole_loops=whole)
            assert [v.tolist() for v in alone.run([frames[b]])[0]] == [v.tolist() for v in outputs[b]]
            for name in ("kept", "operands"):
                expected = getattr(together.state, name).per_sequence(5)[b]
                np.testing.assert_array_equal(getattr(alone.state, name).per_sequence(1)[0], expected)
            np.testing.assert_array_equal(alone.state.columns[0], together.state.columns[b])


# ---- One by one


def row_tracked(
    inputs: Sequence[int], *, list_at: int, threshold: int, target: int, x: Sequence[int], half: int = 0
) -> GoldenMachine:
    """One row of inputs, tracked by list 2 against x, and the list taken."""
    finish = Finish(source=1, track=Track.MOVED, t=X_AT)
    program = [
        frame(N),
        control(Control.LIST, list=2, imm=list_at),
        control(Control.TRACK, list=2, imm=threshold, target=target),
        Instruction(op=Op.IN, cols=N, last=1, finish=finish),
        control(Control.TAKE, list=2, imm=half),
        *done(),
    ]
    m = machine(program)
    m.state.operands.per_sequence(1)[0, X_AT * N : X_AT * N + N] = x
    assert trailer(run(m, header(inputs=inputs))[0])["saturations"] == 0
    return m


def test_what_moved_by_more_than_the_threshold_is_an_entry_and_what_did_not_keeps_its_operand() -> None:
    m = row_tracked([111, 110, 89, 90], list_at=5, threshold=10, target=3, x=[100] * 4, half=1)
    assert m.dump(Space.S, 5, 2).view(np.int16).tolist() == [11, -11]
    assert m.state.columns[0, 5:7].tolist() == [3 * N, 3 * N + 2]
    assert rows_of(m.state.operands.per_sequence(1), X_AT, 1) == [111, 100, 89, 100]
    assert (m.state.taken_first.tolist(), m.state.taken_count.tolist()) == ([5], [2])
    assert (m.state.list_start[0, 2], m.state.list_end[0, 2]) == (133, 133)


@pytest.mark.parametrize(("list_at", "half", "again"), [(5, 0, 5), (5, 1, 133), (200, 1, 72), (254, 0, 254)])
def test_take_begins_the_list_anew(list_at: int, half: int, again: int) -> None:
    m = row_tracked([1, 2, 3, 4], list_at=list_at, threshold=0, target=0, x=[0] * 4, half=half)
    assert (m.state.taken_first.tolist(), m.state.taken_count.tolist()) == ([list_at], [4])
    assert (m.state.list_start[0, 2], m.state.list_end[0, 2]) == (again, again)
    words = [m.dump(Space.S, (list_at + k) % 256, 1)[0] for k in range(4)]
    assert words == [1, 2, 3, 4]  # a list wraps


def test_column_numbers_have_eight_bits() -> None:
    m = row_tracked([1, 2, 3, 4], list_at=0, threshold=0, target=64 + 2, x=[0] * 4)
    assert m.state.columns[0, :4].tolist() == [8, 9, 10, 11]


def test_a_threshold_has_fifteen_bits() -> None:
    m = row_tracked([5, -6, 6, 0], list_at=0, threshold=0x8005, target=0, x=[0] * 4)
    assert m.state.taken_count.tolist() == [2]


def test_a_delta_past_16_bits_makes_no_entry_and_saturates_the_step_but_counts_nothing() -> None:
    m = row_tracked([32767, -32768, 32767, 0], list_at=0, threshold=0, target=0, x=[-1, 1, 0, -32768])
    assert m.state.taken_count.tolist() == [1]
    assert m.dump(Space.S, 0, 1).tolist() == [32767]
    assert rows_of(m.state.operands.per_sequence(1), X_AT, 1) == [-1, 1, 32767, -32768]
    assert m.state.status.tolist() == [int(Status.SATURATED)]
    assert m.state.controller.saturated.tolist() == [True]
    m = row_tracked([-32768, 0, 0, 0], list_at=0, threshold=32767, target=0, x=[0] * 4)
    assert m.dump(Space.S, 0, 1).view(np.int16).tolist() == [-32768]
    assert m.state.status.tolist() == [0]


def test_a_column_that_comes_twice_is_added_twice_and_a_row_takes_the_pointer_on() -> None:
    """The list of two tracked rows with the same columns; 2 rows of W are read one behind the other without w_load."""
    finish = Finish(source=1, track=Track.MOVED, t=X_AT, indexed=0)
    take = Instruction(op=Op.IN, cols=N, last=1, finish=finish)
    first = Instruction(op=Op.SPARSE, cols=N, w=6, w_load=1, x=1)
    second = Instruction(op=Op.SPARSE, cols=N, x=1, last=1, finish=Finish(v=V_AT, v_en=1, keep=Keep.READ, m=M_AT))
    program = [frame(2 * N), take, take, control(Control.TAKE), first, second, *done()]
    m = machine(program)
    w = np.random.default_rng(8).integers(-128, 128, (2 * N + 1, N))
    m.load(Space.WEIGHT, 6 * N // 2, w.astype(np.int8).reshape(-1).view(np.uint16))
    m.state.kept.per_sequence(1)[0, M_AT * N : M_AT * N + N] = [7, -7, 0, 1]
    counts = trailer(run(m, header(inputs=[1, 2, 3, 4, 11, 2, -3, 0]))[0])
    total = np.array([11, 2, -3, 0])  # x in the end, as X was 0
    expected = total @ w[:N] + total @ w[N : 2 * N] + [7, -7, 0, 1]
    assert vector(m, V_AT) == expected.tolist()
    assert rows_of(m.state.kept.per_sequence(1), M_AT, 1) == [7, -7, 0, 1]
    assert m.state.wp.tolist() == [6 + 2 * N + 1]
    # Seven entries, uncounted; the second product has a snapshot.
    assert (counts["mac_cycles"], counts["skipped"]) == (14, 0)
    assert counts["cycles"] == 6 + 2 * (N + 1) + 1 + 7 + 8 + DRAIN + 1


def test_a_sparse_product_takes_as_long_as_a_row_scaled_row_needs_at_the_least() -> None:
    cost = {}
    least = N - 1
    for moved in (0, least, least + 1):
        program = [frame(COLS), *tracked_inputs(0), control(Control.TAKE, list=1)]
        program += [Instruction(op=Op.SPARSE, cols=COLS, w=6, w_load=1, last=1), *done()]
        inputs = [1] * moved + [0] * (COLS - moved)
        cost[moved] = trailer(run(machine(program), header(inputs=inputs))[0])["cycles"]
    base = 6 + 2 + ROWS_IN * (N + 1) + 1 + DRAIN + 1
    assert cost == {0: base + least + 1, least: base + least + 1, least + 1: base + least + 2}


def test_sums_that_are_kept_wrap_at_32_bits_and_a_row_of_inputs_keeps_them_too() -> None:
    finish = Finish(source=1, keep=Keep.ADD, m=M_AT)
    m = machine(
        [frame(N), Instruction(op=Op.TERM, x=60, w=0), Instruction(op=Op.IN, cols=N, last=1, finish=finish), *done()]
    )
    m.load(Space.VECTOR, 60 * N, np.array([1, -1, 5, 0], np.int16))
    m.state.kept.per_sequence(1)[0, M_AT * N : M_AT * N + N] = [2**31 - 1, -(2**31), 1, 3]
    run(m, header(inputs=[0] * N))
    assert rows_of(m.state.kept.per_sequence(1), M_AT, 1) == [-(2**31), 2**31 - 1, 6, 3]


def test_kept_memories_are_as_deep_as_configured() -> None:
    state = GoldenMachine(CONFIG, 3).state
    assert state.kept.data.shape == state.operands.data.shape == (3 * CONFIG.kept_elements // N, N)
