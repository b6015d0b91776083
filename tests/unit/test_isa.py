# SPDX-License-Identifier: BSD-2-Clause
"""Encodings of instructions: every field comes back, lies where the tables say, or is refused if it does not fit."""

import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquid_accel.rtl import isa
from liquid_accel.rtl.formats import LOG2_CORRECTION
from liquid_accel.rtl.isa import (
    CONTROL_FIELDS,
    FINISH_FIELDS_HIGH,
    FINISH_FIELDS_LOW,
    FINISH_HALF_BITS,
    ISSUE_BITS,
    MAC_FIELDS,
    Cond,
    Control,
    Finish,
    Instruction,
    Op,
)

LAYOUTS = {"mac": MAC_FIELDS, "control": CONTROL_FIELDS, "low": FINISH_FIELDS_LOW, "high": FINISH_FIELDS_HIGH}
KINDS = {
    "a_sel": isa.AddSource, "c_sel": isa.Factor, "mode": isa.Mode, "keep": isa.Keep, "norm": isa.Norm,
    "track": isa.Track, "control": Control, "cond": Cond,
}  # fmt: skip


def values(layout: tuple[tuple[str, int], ...], *without: str) -> dict[str, st.SearchStrategy[Any]]:
    """Any value of every field."""
    return {
        name: st.sampled_from(KINDS[name]) if name in KINDS else st.integers(0, 2**width - 1)
        for name, width in layout
        if name not in without
    }


FINISHES = st.builds(Finish, **values(FINISH_FIELDS_LOW), **values(FINISH_FIELDS_HIGH))
PRODUCTS = st.builds(
    Instruction,
    op=st.sampled_from([op for op in Op if op != Op.CONTROL]),
    cols=st.integers(1, 256),
    finish=FINISHES,
    last=st.just(1),
    **values(MAC_FIELDS, "op", "cols", "last"),
)
CONTROLS = st.builds(Instruction, op=st.just(Op.CONTROL), **values(CONTROL_FIELDS, "op"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_words_fill_no_more_than_their_bits_with_names_that_are_fields(name: str) -> None:
    layout, of = LAYOUTS[name], Instruction if name in ("mac", "control") else Finish
    assert sum(width for _, width in layout) <= (ISSUE_BITS if of is Instruction else FINISH_HALF_BITS)
    assert {field for field, _ in layout} <= {f.name for f in fields(of)}


def test_the_halves_of_a_finish_word_have_every_field_once() -> None:
    names = [name for name, _ in (*FINISH_FIELDS_LOW, *FINISH_FIELDS_HIGH)]
    assert sorted(names) == sorted(f.name for f in fields(Finish))


@given(FINISHES)
def test_a_finish_word_comes_back_from_its_two_halves(finish: Finish) -> None:
    word = finish.encode()
    assert word < 1 << 2 * FINISH_HALF_BITS
    assert Finish.decode(word) == finish


@given(st.one_of(PRODUCTS, CONTROLS))
def test_an_instruction_comes_back(instruction: Instruction) -> None:
    issue, finish = instruction.encode()
    assert issue < 1 << ISSUE_BITS
    assert Instruction.decode(issue, finish) == instruction


def test_fields_lie_where_the_layout_says() -> None:
    at, word = 0, Instruction(op=Op.SPARSE, stall=5, cols=256, x=1, w=0x1234, w_load=1).encode()[0]
    found = {}
    for name, width in MAC_FIELDS:
        found[name] = word >> at & (1 << width) - 1
        at += width
    assert found == {
        "op": 4, "loop_end": 0, "stall": 5, "last": 0, "indexed": 0, "x_par": 0, "w_load": 1, "cols": 255, "x": 1,
        "w": 0x1234,
    }  # fmt: skip
    # keep is the lowest field of the low half, c that of the high half.
    assert Finish(keep=isa.Keep.READ, c=5, c_shift=0, indexed=0).encode() == 3 | 5 << 48


def test_a_finish_word_counts_only_where_the_row_ends() -> None:
    finish = Finish(v=3, v_en=1)
    open_row, closed = Instruction(op=Op.DOT, finish=finish), Instruction(op=Op.DOT, last=1, finish=finish)
    assert open_row.encode()[1] == 0
    assert closed.encode()[1] == finish.encode()
    assert Instruction.decode(open_row.encode()[0], finish.encode()).finish == Finish()


@pytest.mark.parametrize(
    ("instruction", "field"),
    [
        (Instruction(op=Op.DOT, cols=257), "cols is 256: 0 to 255"),
        (Instruction(op=Op.DOT, cols=0), "cols is -1"),
        (Instruction(op=Op.DOT, w=1 << 14), "w is"),
        (Instruction(stall=64), "stall is 64: 0 to 63"),
        (Instruction(control=Control.TAKE, list=4), "list is 4: 0 to 3"),
        (Instruction(op=Op.TERM, last=1, finish=Finish(m=64)), "m is 64: 0 to 63"),
        (Instruction(op=Op.TERM, last=1, finish=Finish(t=64)), "t is 64: 0 to 63"),
    ],
)
def test_a_field_that_does_not_fit_is_named(instruction: Instruction, field: str) -> None:
    with pytest.raises(ValueError, match=f"instruction field {field}"):
        instruction.encode()


@pytest.mark.parametrize("issue", [5, 6, 7, max(Control) + 1 << 10, max(Cond) + 1 << 15])  # op, control, cond
def test_a_code_that_does_not_exist_is_refused(issue: int) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        Instruction.decode(issue, 0)


@pytest.mark.parametrize(
    ("instruction", "slots"),
    [
        (Instruction(control=Control.NOP, stall=9), 1),
        (Instruction(op=Op.DOT, cols=64, last=1), 65),
        (Instruction(op=Op.DOT, cols=64), 64),
        (Instruction(op=Op.TERM), 1),
        (Instruction(op=Op.SPARSE, cols=64), 7),
        (Instruction(op=Op.SPARSE, cols=64, last=1), 8),
    ],
)
def test_slots_are_columns_and_the_snapshot_and_of_a_sparse_product_what_its_scales_need(
    instruction: Instruction, slots: int
) -> None:
    assert instruction.slots(8) == slots


def test_a_sparse_row_of_any_list_is_far_enough_behind_another_row_to_load_its_scales() -> None:
    for lanes in (4, 8, 16, 32):
        assert Instruction(op=Op.SPARSE, last=1).slots(lanes) == lanes


def test_the_correction_of_log2_is_at_the_middles_of_64_segments() -> None:
    middles = [(k + 0.5) / 64 for k in range(64)]
    assert list(LOG2_CORRECTION) == [round(2048 * (math.log2(1 + x) - x)) for x in middles]
