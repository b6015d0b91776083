# SPDX-License-Identifier: BSD-2-Clause
"""DATA.npz: sequences with their lengths, time steps and targets, checked where they enter."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from liquid_accel.errors import UserError

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
LengthArray = npt.NDArray[np.int32]
TargetArray = npt.NDArray[np.int64] | npt.NDArray[np.float32]


@dataclass(frozen=True)
class Dataset:
    """B sequences of at most T frames of F features.

    `x` float32 (B, T, F), zero past each length; `lengths` int32 (B,); `dt` float64 (B, T), the time from
    the frame before, in seconds or, where the model counts them, in frames; `y` int64 class labels or float32
    targets, a row a sequence (B, ...) or a frame (B, T, ...), or None. `dt_given` tells whether the file held `dt`;
    where it did not, a model puts its own default in the place of what was filled in.
    """

    x: FloatArray
    lengths: LengthArray
    dt: DoubleArray
    y: TargetArray | None
    dt_given: bool = False
    name: str = "data"

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """(B, T), true where a frame is within its sequence."""
        inside: npt.NDArray[np.bool_] = np.arange(self.x.shape[1])[None, :] < self.lengths[:, None]
        return inside

    @property
    def labels(self) -> npt.NDArray[np.int64] | None:
        """Class labels (B,), one a sequence, or None where `y` is anything else."""
        if self.y is None or self.y.dtype != np.int64 or self.y.shape != (len(self.x),):
            return None
        return self.y.astype(np.int64, copy=False)

    def subset(self, rows: npt.NDArray[np.intp] | slice) -> "Dataset":
        """The sequences `rows`, in that order."""
        y = None if self.y is None else self.y[rows]
        return Dataset(self.x[rows], self.lengths[rows], self.dt[rows], y, self.dt_given, self.name)


def load(path: str | Path, default_dt: float = 1.0) -> Dataset:
    """Read and check DATA.npz; `default_dt` fills in where the file holds no `dt`.

    Arrays: `x` (sequences, time, features) or (time, features); optional `lengths` (sequences,), `dt` (a
    scalar, (time,) or (sequences, time)) and `y`. What lies past a length is ignored. Raises `UserError`.
    """
    return from_arrays(read_arrays(path), default_dt, name=str(path))


def read_arrays(path: str | Path) -> dict[str, npt.NDArray[np.generic]]:
    """All arrays of an `.npz` file, without ever unpickling one."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such file; expected an .npz file with an array 'x'")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; expected an .npz file with an array 'x'")
    try:
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path}: not an .npz file, or a truncated one; expected an .npz file with an array 'x'")
        arrays: dict[str, npt.NDArray[np.generic]] = {}
        with np.load(path, allow_pickle=False) as archive:
            for key in archive.files:
                try:
                    array = archive[key]
                except ValueError as error:
                    if "pickle" in str(error).lower():
                        raise UserError(f"{path}: array '{key}' is pickled; expected plain numbers") from None
                    raise
                if not isinstance(array, np.ndarray):
                    raise UserError(f"{path}: '{key}' is not a NumPy array; expected an .npz file with an array 'x'")
                arrays[key] = array
        return arrays
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise a dozen types for a damaged file
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: cannot be read as an .npz file ({reason}); it may be corrupted") from None


def from_arrays(arrays: dict[str, npt.NDArray[np.generic]], default_dt: float = 1.0, name: str = "data") -> Dataset:
    """The same checks for arrays in memory; `name` stands for the file in messages."""
    if "x" not in arrays:
        held = ", ".join(f"'{key}'" for key in sorted(arrays)) or "nothing"
        raise UserError(f"{name}: array 'x' is missing, the file holds {held}; expected x (sequences, time, features)")
    x = _real(arrays["x"], "x", name)
    if x.ndim not in (2, 3):
        raise UserError(f"{name}: x has shape {x.shape}; expected (sequences, time, features) or (time, features)")
    single = x.ndim == 2
    x = x[None] if single else x
    if 0 in x.shape:
        raise UserError(f"{name}: x is empty, its shape is {x.shape}; expected a sequence, a frame and a feature")
    batch, frames, _ = x.shape
    lengths = _lengths(arrays.get("lengths"), batch, frames, name)
    inside = np.arange(frames)[None, :] < lengths[:, None]
    kept = np.where(inside[..., None], x, 0.0)
    _finite(kept, "x", name)
    with np.errstate(over="ignore"):
        narrow = kept.astype(np.float32)
    _finite(narrow, "x (as float32)", name)
    dt = _spacing(arrays.get("dt"), default_dt, inside, name)
    y = _targets(arrays.get("y"), batch, frames, inside, single, name)
    return Dataset(narrow, lengths, dt, y, "dt" in arrays, name)


def _real(array: npt.NDArray[np.generic], field: str, name: str) -> DoubleArray:
    if array.dtype.kind not in "fiub":
        raise UserError(f"{name}: {field} has type {array.dtype}; expected real numbers")
    return array.astype(np.float64)


def _finite(array: npt.NDArray[np.floating], field: str, name: str) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        where = ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
        raise UserError(
            f"{name}: {field}[{where}] is {array[bad][0]} ({int(bad.sum())} such values); expected finite numbers"
        )


def _lengths(array: npt.NDArray[np.generic] | None, batch: int, frames: int, name: str) -> LengthArray:
    if array is None:
        return np.full(batch, frames, np.int32)
    if array.ndim == 0 and batch == 1:
        array = array[None]
    if array.shape != (batch,):
        raise UserError(f"{name}: lengths has shape {array.shape}; expected ({batch},), one a sequence")
    values = _real(array, "lengths", name)
    for bad, expected in (
        (~np.isfinite(values) | (values != np.round(values)), "whole numbers"),
        (values < 1, "at least 1, a sequence may not be empty"),
        (values > frames, f"at most {frames}, the frames in x"),
    ):
        if bad.any():
            raise UserError(f"{name}: lengths[{int(np.argmax(bad))}] is {values[bad][0]:g}; expected {expected}")
    return values.astype(np.int32)


def _spacing(
    array: npt.NDArray[np.generic] | None, default: float, inside: npt.NDArray[np.bool_], name: str
) -> DoubleArray:
    batch, frames = inside.shape
    if array is None:
        return np.where(inside, default, 0.0)
    dt = _real(array, "dt", name)
    if dt.shape not in ((), (1,), (frames,), (batch, frames)):
        raise UserError(f"{name}: dt has shape {dt.shape}; expected a scalar, ({frames},) or ({batch}, {frames})")
    dt = np.where(inside, np.broadcast_to(dt, (batch, frames)), 0.0)
    bad = ~(np.isfinite(dt) & (dt >= 0.0))
    if bad.any():
        row, frame = (int(i) for i in np.argwhere(bad)[0])
        raise UserError(f"{name}: dt of sequence {row}, frame {frame} is {dt[row, frame]}; expected finite and >= 0")
    return dt


def _targets(
    array: npt.NDArray[np.generic] | None,
    batch: int,
    frames: int,
    inside: npt.NDArray[np.bool_],
    single: bool,
    name: str,
) -> TargetArray | None:
    if array is None:
        return None
    # Beside a single sequence without a batch axis, targets lack that axis too.
    if single and (array.ndim == 0 or array.shape[0] != 1):
        array = array[None]
    if array.ndim == 0 or array.shape[0] != batch:
        raise UserError(f"{name}: y has shape {array.shape}; expected {batch} rows, one a sequence")
    if array.size == 0:
        raise UserError(f"{name}: y is empty, its shape is {array.shape}; expected a target a sequence or a frame")
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    values = _real(array, "y", name)
    if values.ndim >= 2 and values.shape[1] == frames:
        values = np.where(inside.reshape(inside.shape + (1,) * (values.ndim - 2)), values, 0.0)
    _finite(values, "y", name)
    return values.astype(np.float32)
