# SPDX-License-Identifier: BSD-2-Clause
"""Collects the words that the sequences of a batch push, and sorts them by sequence and frame."""

import numpy as np

from liquid_accel.sim.golden.arithmetic import Int
from liquid_accel.sim.golden.memory import Words


class OutputLog:
    """Pushes arrive in the order of execution, so that those of one sequence are in order."""

    def __init__(self) -> None:
        self._keys: list[Int] = []
        self._words: list[Int] = []

    def push(self, sequences: Int, frames: Int, words: Int) -> None:
        """`words` (n, k) go out in the frames `frames` (n,) of `sequences` (n,)."""
        count = words.shape[1]
        self._keys.append(np.repeat(np.stack((sequences, np.maximum(frames, 0)), axis=1), count, axis=0))
        self._words.append(words.reshape(-1) & 0xFFFF)

    def sort(self, counts: Int) -> list[list[Words]]:
        """[sequence][frame] -> words; `counts` is the number of frames of each sequence."""
        total = int(counts.sum())
        first = np.concatenate(([0], np.cumsum(counts)))  # number of each sequence's first frame
        if not self._words:
            streams = [np.zeros(0, np.uint16)] * total
        else:
            keys = np.concatenate(self._keys)
            frame = first[keys[:, 0]] + keys[:, 1]
            order = np.argsort(frame, kind="stable")
            words = np.concatenate(self._words)[order].astype(np.uint16)
            streams = np.split(words, np.cumsum(np.bincount(frame, minlength=total))[:-1])
        return [streams[first[b] : first[b + 1]] for b in range(len(counts))]
