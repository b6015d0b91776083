# SPDX-License-Identifier: BSD-2-Clause
"""The data, the shipped network, and networks trained for the benchmark, kept in a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from liquid_accel import checkpoint, data
from liquid_accel.checkpoint import Checkpoint
from liquid_accel.cli.common import note
from liquid_accel.data import Dataset
from liquid_accel.demo.run import find
from liquid_accel.fitting import Recipe
from liquid_accel.sim.cache import cache_folder, key, locked, prune
from liquid_accel.training import torch_installed, train_checkpoint

KEEP = 96  # checkpoints; each takes some 100 kB
ORDER = 1  # of this file's way of training: another one trains anew


@dataclass(frozen=True)
class Bench:
    """What is measured on: the test utterances `batch` (some of them with `utterances`), and how networks are trained:
    `epochs` None is the recipe's."""

    utterances: int | None = None
    epochs: int | None = None

    @cached_property
    def train(self) -> Dataset:
        """The training utterances."""
        return data.load(find("data", "japanese_vowels_train.npz"))

    @cached_property
    def batch(self) -> Dataset:
        """The test utterances, or every so many of them."""
        whole = data.load(find("data", "japanese_vowels_test.npz"))
        step = 1 if self.utterances is None else max(1, len(whole.x) // self.utterances)
        return whole.subset(slice(None, None, step))

    @cached_property
    def shipped(self) -> Checkpoint:
        """The network that comes with the project."""
        return checkpoint.load(find("checkpoints", "japanese_vowels.safetensors"))

    def trained(self, cell: str, hidden_size: int, seed: int = 0, skip_threshold: float = 0.0) -> Checkpoint | None:
        """A network with that cell, from the cache or trained now; None without torch."""
        recipe = Recipe(skip_threshold=skip_threshold)
        digest = hashlib.sha256(self.train.x.tobytes()).hexdigest()
        settings = json.dumps([ORDER, cell, hidden_size, seed, self.epochs, recipe.record()], sort_keys=True)
        path = cache_folder("bench") / f"{cell}-{hidden_size}-{key([settings, digest])}.safetensors"
        with locked(path):
            if path.exists():
                path.touch()
                return checkpoint.load(path)
            if not torch_installed():
                return None
            note(f"training: {cell}, {hidden_size} units, seed {seed}")
            model = train_checkpoint(
                self.train, seed=seed, epochs=self.epochs, progress=False, recipe=recipe, cell=cell,
                hidden_size=hidden_size,
            )  # fmt: skip
            checkpoint.save(model, path)
        prune(cache_folder("bench"), ".safetensors", KEEP)
        return model
