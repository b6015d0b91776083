# SPDX-License-Identifier: BSD-2-Clause
"""synapses.cpp, compiled for this processor when it is first wanted, and kept: faster than torch's operations.

It serves finite float32 on the processor. For anything else, without a C++ compiler, or with LIQUID_SYNAPSES=torch in
the environment, torch's operations do the same work; the two differ by rounding. The samples of a batch are dealt out
to as many threads as torch uses; sums over them depend on that number by rounding too.
"""

import contextlib
import ctypes
import math
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from liquid_accel.sim.cache import cache_folder, key, locked, prune

SOURCE = Path(__file__).with_name("synapses.cpp")
# Linked apart, because -ffast-math at the link has the whole process flush small numbers to 0. Sums keep their order:
# the exponential's argument is reduced by a difference that would be lost. NaN is not its business: see `kernel`.
COMPILE = ("-std=c++17", "-O3", "-march=native", "-ffast-math", "-fno-associative-math", "-fPIC", "-Wno-psabi", "-c")
BLOCK = 8  # samples that the source handles at a time
FUNCTIONS = ("liquid_sums", "liquid_sums_backward", "liquid_unfold", "liquid_unfold_backward")
Parameters = Sequence[Tensor]
Result = TypeVar("Result")


def kernel(*tensors: Tensor) -> "Kernel | None":
    """The compiled synapses where they can serve these tensors."""
    if os.environ.get("LIQUID_SYNAPSES") == "torch":
        return None
    if any(value.dtype != torch.float32 or value.device.type != "cpu" for value in tensors):
        return None
    # A sum is finite where all numbers are (or not even there, in which case nothing but time is lost).
    if not all(math.isfinite(float(value.detach().sum())) for value in tensors):
        return None
    return _kernel()


@cache
def _kernel() -> "Kernel | None":
    with contextlib.suppress(OSError, subprocess.SubprocessError, AttributeError):
        library = ctypes.CDLL(str(_library()))
        for name in FUNCTIONS:
            getattr(library, name).restype = None
        return Kernel(library)
    return None


def _library() -> Path:
    """Built where it is missing; raises `OSError` or `SubprocessError`."""
    cxx = next((found for name in (os.environ.get("CXX"), "g++", "c++", "clang++")
                if name and (found := shutil.which(name))), None)  # fmt: skip
    if cxx is None:
        raise FileNotFoundError("no C++ compiler")
    version = subprocess.run([cxx, "--version"], capture_output=True, text=True, check=True).stdout
    library = cache_folder("synapses") / f"{key([SOURCE.read_text(), version, _processor(), *COMPILE])}.so"
    with locked(library):
        if not library.exists():
            with tempfile.TemporaryDirectory(prefix="build-", dir=library.parent) as folder:
                parts, whole = Path(folder) / "synapses.o", Path(folder) / "synapses.so"
                subprocess.run([cxx, *COMPILE, SOURCE, "-o", parts], capture_output=True, check=True, timeout=120)
                subprocess.run([cxx, "-shared", parts, "-o", whole], capture_output=True, check=True, timeout=120)
                whole.rename(library)
                prune(library.parent, ".so")
    with contextlib.suppress(OSError):  # a cache that may only be read is still of use
        os.utime(library)
    return library


def _processor() -> str:
    """What -march=native depends on, where the system tells it: a home folder may be shared between machines."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return platform.processor() + platform.machine()


class Kernel:
    """The functions of the source on tensors; shapes as there. `parameters` are A, C, sigma and mu, (J, I)."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def sums(self, v: Tensor, parameters: Parameters) -> Tensor:
        """(pull, leak), (2, N, I), of `v` (N, J)."""
        count, sources = v.shape
        out = v.new_empty(2, count, parameters[0].shape[1])
        given = _contiguous(v, *parameters)
        self._each(count, lambda first, last: self._call("liquid_sums", (count, sources, out.shape[2], first, last),
                                                         (*given, out)))  # fmt: skip
        return out

    def sums_backward(self, v: Tensor, parameters: Parameters, d_sums: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients in `v` (N, J) and in the parameters (4, J, I)."""
        count, sources = v.shape
        units, d_v = parameters[0].shape[1], torch.empty_like(v)
        given = _contiguous(v, *parameters, d_sums)

        def run(first: int, last: int) -> Tensor:
            d_parameters = v.new_empty(4, sources, units)
            sizes = (count, sources, units, first, last)
            self._call("liquid_sums_backward", sizes, (*given, d_v, d_parameters))
            return d_parameters

        return d_v, _total(self._each(count, run))

    def unfold(
        self, start: Tensor, given: Tensor, step: Tensor, cm: Tensor, parameters: Parameters, unfolds: int
    ) -> tuple[Tensor, Tensor]:
        """States and divisors (T, n, B, I)."""
        frames, (batch, units) = given.shape[1], start.shape
        states, inertia = (start.new_empty(frames, unfolds, batch, units) for _ in range(2))
        handed = _contiguous(start, given, step.expand(frames, batch, units), cm, *parameters)
        self._each(batch, lambda first, last: self._call(
            "liquid_unfold", (frames, unfolds, batch, units, first, last), (*handed, states, inertia)))  # fmt: skip
        return states, inertia

    def unfold_backward(
        self, start: Tensor, step: Tensor, cm: Tensor, parameters: Parameters, states: Tensor, inertia: Tensor,
        d_states: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Gradients in the state after each unfold (T, n, B, I), in `start`, and in the parameters (4, I, I)."""
        frames, unfolds, batch, units = states.shape
        d_after, d_start = torch.empty_like(states), torch.empty_like(start)
        handed = _contiguous(start, step.expand(frames, batch, units), cm, *parameters, states, inertia, d_states)

        def run(first: int, last: int) -> Tensor:
            d_parameters = start.new_empty(4, units, units)
            sizes = (frames, unfolds, batch, units, first, last)
            self._call("liquid_unfold_backward", sizes, (*handed, d_after, d_start, d_parameters))
            return d_parameters

        return d_after, d_start, _total(self._each(batch, run))

    def _call(self, name: str, sizes: Sequence[int], tensors: Sequence[Tensor]) -> None:
        pointers = [ctypes.c_void_p(value.data_ptr()) for value in tensors]
        getattr(self.library, name)(*map(ctypes.c_int64, sizes), *pointers)

    @staticmethod
    def _each(count: int, run: Callable[[int, int], Result]) -> list[Result]:
        """`run` for ranges of whole blocks that together are 0 to `count`, each on a thread of its own."""
        blocks = -(-count // BLOCK)
        workers = max(1, min(torch.get_num_threads(), blocks))
        ends = [min(count, BLOCK * (blocks * index // workers)) for index in range(workers + 1)]
        ends[-1] = count
        if workers == 1:
            return [run(0, count)]
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(run, ends[:-1], ends[1:]))


def _contiguous(*tensors: Tensor) -> list[Tensor]:
    """As the source reads them; they are to be held while it runs."""
    return [value.detach().contiguous() for value in tensors]


def _total(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.stack(tuple(parts)).sum(0)
