# SPDX-License-Identifier: BSD-2-Clause
"""Two results of the same frames, word for word: how many words differ, and which is the first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.result import Result

COUNTERS = (
    "status", "cycles", "rhs_evals", "steps_accepted", "steps_rejected", "mac_cycles", "saturations", "macs_skipped",
)  # fmt: skip
LAGS = ("time_lag", "error_estimate")  # sent for frames that a budget cut short alone
# In the order in which a frame brings them about, so that the first difference is nearest to its cause.
STEP_FIELDS = ("code", "norm", "accepted", "limited", "saturated", "clipped")


@dataclass(frozen=True)
class Difference:
    """A word that differs: of which frame of which sequence, what it is, and its two values."""

    sequence: int
    frame: int
    what: str
    golden: int
    device: int

    def __str__(self) -> str:
        return f"sequence {self.sequence}, frame {self.frame}, {self.what}: golden {self.golden}, device {self.device}"


@dataclass(frozen=True)
class Comparison:
    """Words `compared` and words that differ (`mismatches`), the latter `by_kind` too, and the `first` of them."""

    compared: int
    mismatches: int
    by_kind: dict[str, int]
    first: Difference | None


def compare(golden: Result, device: Result) -> Comparison:
    """Compare outputs, status and counters of every frame, and states and steps where both hold them."""
    found: dict[str, int] = {}
    compared, firsts = 0, []
    if golden.steps is not None and device.steps is not None:
        count, different, first = _steps(golden.steps, device.steps)
        compared, found["steps"] = compared + count, different
        firsts += [(first, 0)] if first else []
    words: list[tuple[str, Any, Any]] = []
    if golden.state_words is not None and device.state_words is not None:
        words.append(("states", golden.state_words, device.state_words))
    words.append(("outputs", golden.words, device.words))
    words += [(name, getattr(golden, name), getattr(device, name)) for name in (*COUNTERS, *LAGS)]
    frames = int(golden.mask.sum())
    for rank, (name, left, right) in enumerate(words, 1):
        sent = int(((left != 0) | (right != 0)).sum()) if name in LAGS else frames
        compared += sent * (left.shape[2] if left.ndim == 3 else 1)
        where = np.argwhere(left != right)
        found[name] = len(where)
        if len(where):
            at = tuple(int(i) for i in where[0])
            what = f"{name[:-1]} word {at[2]}" if left.ndim == 3 else name
            firsts.append((Difference(at[0], at[1], what, int(left[at]), int(right[at])), rank))
    first = min(firsts, key=lambda pair: (pair[0].sequence, pair[0].frame, pair[1]))[0] if firsts else None
    return Comparison(compared, sum(found.values()), {name: count for name, count in found.items() if count}, first)


def _steps(golden: npt.NDArray[Any], device: npt.NDArray[Any]) -> tuple[int, int, Difference | None]:
    """Words compared, words that differ, and the first. A step that only one has differs in every field."""
    if np.array_equal(golden, device):  # as it should be, and much the fastest
        return len(golden) * len(STEP_FIELDS), 0, None
    left, right = _by_frame(golden), _by_frame(device)
    compared = different = 0
    first: Difference | None = None
    for place in sorted(left.keys() | right.keys()):
        ours, theirs = left.get(place, []), right.get(place, [])
        for index in range(max(len(ours), len(theirs))):
            compared += len(STEP_FIELDS)
            if index >= min(len(ours), len(theirs)):
                different += len(STEP_FIELDS)
                first = first or Difference(*place, "number of steps", len(ours), len(theirs))
                continue
            for name, a, b in zip(STEP_FIELDS, ours[index], theirs[index], strict=True):
                different += a != b
                if a != b:
                    first = first or Difference(*place, f"step {index} {name}", a, b)
    return compared, different, first


def _by_frame(steps: npt.NDArray[Any]) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    frames: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for step in steps:
        place = int(step["sequence"]), int(step["frame"])
        frames.setdefault(place, []).append(tuple(int(step[name]) for name in STEP_FIELDS))
    return frames
