# SPDX-License-Identifier: BSD-2-Clause
"""The golden machine: products, rows and their addresses."""

from dataclasses import replace

import numpy as np
from golden_programs import DRAIN, N, control, done, frame, header, machine, row, run, trailer, vector

from liquid_accel.rtl.isa import (
    E_A,
    E_C,
    Control,
    Finish,
    Instruction,
    Op,
    Space,
)


def test_dot_is_a_matrix_vector_product_and_reads_its_scales_after_the_columns() -> None:
    rng = np.random.default_rng(3)
    cols, w, x = 7, rng.integers(-128, 128, (7, N)), rng.integers(-32768, 32768, 8)
    scales = np.array([[9, 10, 11, 12 + 32]])  # five bits count
    f = Finish(row_scaled=1, v=20, v_en=1)
    m = machine([frame(), Instruction(op=Op.DOT, x=5, w=100, w_load=1, cols=cols, last=1, finish=f), *done()])
    m.load(Space.WEIGHT, 100 * N // 2, np.concatenate((w, scales)).astype(np.int8).reshape(-1).view(np.uint16))
    m.load(Space.VECTOR, 5 * N, x.astype(np.int16))
    result = trailer(run(m, header())[0])
    sums, n = x[:cols] @ w, np.array([9, 10, 11, 12])
    assert vector(m, 20) == np.clip((sums + (1 << (n - 1))) >> n, -32768, 32767).tolist()
    assert result == {
        "status": 0,
        "cycles": 6 + 7 + 1 + DRAIN + 1,
        "rhs_evals": 0,
        "accepted": 0,
        "rejected": 0,
        "mac_cycles": 7,
        "saturations": 0,
        "skipped": 0,
    }


def test_sums_go_on_until_last_and_start_at_zero_again() -> None:
    f = Finish(v=20, v_en=1)
    nop = control(Control.NOP)  # so that the two rows have finish words of their own
    program = [frame(), nop, Instruction(op=Op.TERM, x=60, w=1), row(f, w=2), row(replace(f, v=21), w=0), *done()]
    m = machine(program)
    m.load(Space.S, 0, np.array([1, -3, 100], np.int16))
    m.load(Space.VECTOR, 60 * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 20, 2) == [97, 194, 291, 388, 1, 2, 3, 4]


def test_a_loop_of_dots_walks_through_the_weights() -> None:
    f = Finish(v=20, v_en=1)
    dot = Instruction(op=Op.DOT, x=5, w=10, w_load=1, cols=4, last=1, loop_end=1, finish=f)
    m = machine([frame(), control(Control.LOOP, imm=3 | 1 << 15), dot, *done()])
    w = np.random.default_rng(1).integers(-9, 9, (15, N))
    m.load(Space.WEIGHT, 10 * N // 2, w.astype(np.int8).reshape(-1).view(np.uint16))
    m.load(Space.VECTOR, 5 * N, [1, 2, 3, 4])
    result = trailer(run(m, header())[0])
    expected = [np.array([1, 2, 3, 4]) @ w[5 * r : 5 * r + 4] for r in range(3)]
    assert vector(m, 20, 3) == np.concatenate(expected).tolist()
    assert (result["rhs_evals"], result["mac_cycles"]) == (1, 12)
    assert result["cycles"] == 6 + 1 + 3 * 5 + DRAIN + 1


def test_in_takes_the_frame_s_words_and_then_zeros() -> None:
    f = Finish(source=1, v=20, v_en=1)
    take = Instruction(op=Op.IN, cols=N, last=1, loop_end=1, finish=f)
    m = machine([frame(6), control(Control.LOOP, imm=2), take, *done()])
    run(m, header(inputs=[1, -2, 3, 4, -5, 6]))
    assert vector(m, 20, 2) == [1, -2, 3, 4, -5, 6, 0, 0]


def test_parity_flips_the_top_bit_of_a_row_and_is_cleared_by_first() -> None:
    f = Finish(v=2, v_en=1, v_par=1, sub=1, b=3, b_par=1, e=1, e_mask=E_A | E_C, e_par=1)
    m = machine([frame(), control(Control.SWAP), row(f, x=33, x_par=1), *done()])
    m.load(Space.VECTOR, 1 * N, [10, 20, 30, 40])
    m.load(Space.B, (3 + 8) * N, [1, 2, 3, 4])
    run(m, header())
    assert vector(m, 34) == [9, 18, 27, 36]
    assert m.dump(Space.A, 17 * N, N).tolist() == [9, 18, 27, 36]
    assert m.dump(Space.C, 9 * N, N).tolist() == [9, 18, 27, 36]
    m.load(Space.VECTOR, 1 * N, [0] * N)
    run(m, header(flags=0))  # parity comes back to 0, so that row 33 is read
    assert vector(m, 2) == [0, 0, 0, 0]
    run(m, header())
    assert vector(m, 34) == [-1, -2, -3, -4]


def test_row_addresses_wrap() -> None:
    f = Finish(v=63, v_en=1)
    m = machine([frame(), control(Control.LOOP, imm=2), row(f, indexed=1, x=63, loop_end=1), *done()])
    m.load(Space.VECTOR, 63 * N, [1, 2, 3, 4])
    m.load(Space.VECTOR, 0, [5, 6, 7, 8])
    run(m, header())
    assert vector(m, 63) == [1, 2, 3, 4]
    assert vector(m, 0) == [5, 6, 7, 8]
