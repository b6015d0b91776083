# SPDX-License-Identifier: BSD-2-Clause
"""DATA.npz: what is read, what is ignored, and what is refused with which words."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquid_accel import data
from liquid_accel.errors import UserError
from liquid_accel.shipped import shipped

X = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def test_full_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=X, lengths=np.array([4, 2]), dt=np.float32(0.5), y=np.array([1, 0]))
    got = data.load(path)
    assert (got.x.dtype, got.lengths.dtype, got.dt.dtype) == (np.float32, np.int32, np.float64)
    assert np.array_equal(got.x[0], X[0])
    assert np.array_equal(got.x[1, :2], X[1, :2])
    assert got.lengths.tolist() == [4, 2]
    assert got.dt.tolist() == [[0.5] * 4, [0.5, 0.5, 0.0, 0.0]]
    assert got.labels is not None
    assert got.labels.tolist() == [1, 0]
    assert got.dt_given


def test_one_sequence_without_a_batch_axis() -> None:
    got = data.from_arrays({"x": X[0]})
    assert got.x.shape == (1, 4, 3)
    assert got.lengths.tolist() == [4]
    assert got.y is None
    assert data.from_arrays({"x": X[0], "lengths": np.array(2), "y": np.array(1)}).y.tolist() == [1]


def test_missing_dt_is_the_callers_default() -> None:
    got = data.from_arrays({"x": X}, default_dt=0.25)
    assert not got.dt_given
    assert np.all(got.dt == 0.25)


@pytest.mark.parametrize("dt", [np.float64(2.0), np.full(4, 2.0), np.full((2, 4), 2.0), np.array([2])])
def test_dt_is_a_scalar_or_per_step_or_per_sequence_and_step(dt: np.ndarray) -> None:
    assert np.all(data.from_arrays({"x": X, "dt": dt}).dt == 2.0)


def test_dt_of_zero_is_legal() -> None:
    assert np.all(data.from_arrays({"x": X, "dt": np.zeros(4)}).dt == 0.0)


def test_what_lies_past_a_length_is_ignored() -> None:
    x, dt = X.copy(), np.ones((2, 4))
    x[1, 2:], dt[1, 2:] = np.nan, -np.inf
    y = np.where(np.isnan(x[..., 0]), np.nan, 1.0).astype(np.float32)
    got = data.from_arrays({"x": x, "dt": dt, "lengths": np.array([4, 2]), "y": y})
    assert np.all(got.x[1, 2:] == 0)
    assert np.all(got.dt[1, 2:] == 0)
    assert got.y is not None
    assert np.all(np.isfinite(got.y))


BAD: dict[str, tuple[dict[str, np.ndarray | None], list[str]]] = {
    "no x": ({"x": None}, ["'x'", "missing"]),
    "x of one axis": ({"x": np.zeros(3)}, ["x has shape (3,)"]),
    "x of four axes": ({"x": np.zeros((1, 1, 1, 1))}, ["x has shape"]),
    "no sequence": ({"x": np.zeros((0, 4, 3))}, ["x is empty"]),
    "no frame": ({"x": np.zeros((2, 0, 3))}, ["x is empty"]),
    "text": ({"x": np.array([["a"]])}, ["x has type"]),
    "complex": ({"x": X * 1j}, ["x has type complex"]),
    "NaN in x": ({"x": np.where(X == 7, np.nan, X)}, ["x[0, 2, 1] is nan", "finite"]),
    "infinity in x": ({"x": np.where(X == 7, -np.inf, X)}, ["x[0, 2, 1] is -inf"]),
    "too large for float32": ({"x": np.where(X == 7, 1e300, X.astype(np.float64))}, ["x", "float32"]),
    "zero length": ({"lengths": np.array([4, 0])}, ["lengths[1] is 0"]),
    "all lengths zero": ({"lengths": np.zeros(2, np.int32)}, ["lengths[0] is 0"]),
    "negative length": ({"lengths": np.array([-1, 4])}, ["lengths[0] is -1"]),
    "length past the frames": ({"lengths": np.array([4, 5])}, ["lengths[1] is 5", "at most 4"]),
    "fraction of a length": ({"lengths": np.array([4, 1.5])}, ["lengths[1] is 1.5"]),
    "NaN length": ({"lengths": np.array([4, np.nan])}, ["lengths[1] is nan"]),
    "lengths for others": ({"lengths": np.ones(3)}, ["lengths has shape (3,)"]),
    "negative dt": ({"dt": np.float32(-1)}, ["dt", "-1.0"]),
    "infinite dt": ({"dt": np.float32(np.inf)}, ["dt", "inf"]),
    "NaN dt": ({"dt": np.array([1, 1, np.nan, 1])}, ["dt of sequence 0, frame 2 is nan"]),
    "dt for others": ({"dt": np.ones(2)}, ["dt has shape (2,)"]),
    "y for others": ({"y": np.ones(3)}, ["y has shape (3,)"]),
    "NaN in y": ({"y": np.array([1.0, np.nan])}, ["y[1] is nan"]),
    "empty y": ({"y": np.zeros((2, 0))}, ["y is empty"]),
}


@pytest.mark.parametrize(("change", "words"), BAD.values(), ids=BAD.keys())
def test_bad_arrays_are_refused_by_name(tmp_path: Path, change: dict[str, np.ndarray | None], words: list[str]) -> None:
    path = tmp_path / "bad.npz"
    arrays = {"x": X, "y": np.array([0, 1]), **change}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    with pytest.raises(UserError) as caught:
        data.load(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"", "not an .npz"), (b"hello", "not an .npz"), (pickle.dumps(1), "not an .npz")],
    ids=["missing", "empty", "foreign", "pickle"],
)
def test_bad_files_are_refused_by_name(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "bad.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=words):
        data.load(path)


def test_a_folder_a_bare_npy_and_pickled_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        data.load(tmp_path)
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(UserError, match=r"not an \.npz"):
        data.load(tmp_path / "a.npy")
    np.savez(tmp_path / "p.npz", x=np.array([None, X], dtype=object))
    with pytest.raises(UserError, match="'x' is pickled"):
        data.load(tmp_path / "p.npz")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_truncated_file_is_always_refused(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("cut") / "d.npz"
    np.savez_compressed(path, x=X, y=np.array([0, 1]))
    blob = path.read_bytes()
    path.write_bytes(blob[: draw.draw(st.integers(0, len(blob) - 1))])
    with pytest.raises(UserError):
        data.load(path)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("flip") / "d.npz"
    np.savez_compressed(path, x=X, y=np.array([0, 1]))
    blob = bytearray(path.read_bytes())
    blob[draw.draw(st.integers(0, len(blob) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    path.write_bytes(blob)
    try:
        got = data.load(path)
    except UserError:
        return
    assert np.array_equal(got.x, X)


def test_shipped_data_has_the_published_split() -> None:
    train = data.load(shipped("data", "japanese_vowels_train.npz"))
    test = data.load(shipped("data", "japanese_vowels_test.npz"))
    assert train.x.shape == (270, 29, 12)
    assert test.x.shape == (370, 29, 12)
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [30] * 9
    assert (min(train.lengths.min(), test.lengths.min()), max(train.lengths.max(), test.lengths.max())) == (7, 29)
