# SPDX-License-Identifier: BSD-2-Clause
"""FST files as their readers have them: wellen, which is Surfer's, and fstapi, which is GTKWave's."""

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pylibfst
import pytest
import pywellen

from liquid_accel.sim import fst
from liquid_accel.sim.fst import FstWriter, Kind

VARIABLES = {
    "top.bit": (Kind.WIRE, 1),
    "top.word": (Kind.WIRE, 13),
    "top.deep.wide": (Kind.WIRE, 70),
    "top.deep.count": (Kind.INTEGER, 32),
    "top.deep.level": (Kind.REAL, 0),
    "top.deep.text": (Kind.TEXT, 0),
    "top.deep.still": (Kind.WIRE, 5),
}
Changes = dict[str, list[tuple[int, Any]]]


def value(rng: random.Random, kind: Kind, width: int) -> Any:
    """Something that such a variable may hold; None now and then, which is x of bits."""
    if kind == Kind.REAL:
        return rng.choice([0.0, -0.125, 1e-300, 3.5 * rng.random()])
    if kind == Kind.TEXT:
        return rng.choice(["", "dot v[2] w[0]", "k1 = F(y1) = (f(y) - y) / tau", "x" * rng.randrange(300), "τ"])
    return rng.choice([None, rng.getrandbits(width), rng.getrandbits(width), 0, (1 << width) - 1])


def write(path: Path, seed: int, times: int = 400) -> Changes:
    """A file of random changes; what is in it."""
    rng = random.Random(seed)
    changes: Changes = {name: [] for name in VARIABLES}
    with path.open("wb") as file:
        out = FstWriter(file, -9)
        numbers = {}
        out.scope("top")
        for name, (kind, width) in VARIABLES.items():
            if name == "top.deep.wide":
                out.scope("deep")
            numbers[name] = out.variable(name.rpartition(".")[2], kind, width)
        out.up()
        out.up()
        now = 0
        for _ in range(times):
            now += rng.choice([1, 7, 300, 10**9])
            out.time(now)
            for name, (kind, width) in VARIABLES.items():
                if name != "top.deep.still" and rng.random() < 0.4:
                    changes[name].append((now, value(rng, kind, width)))
                    out.change(numbers[name], changes[name][-1][1])
        out.close()
    return changes


def wellen(path: Path) -> Changes:
    """Changes as wellen reads them."""
    return {variable.full_name: list(variable.tv) for variable in pywellen.Waveform(str(path)).all_vars()}


def fstapi(path: Path) -> Changes:
    """Changes as fstapi reads them."""
    lib, ffi = pylibfst.lib, pylibfst.ffi
    reader = lib.fstReaderOpen(str(path).encode())
    assert reader != ffi.NULL
    _, signals = pylibfst.get_scopes_signals2(reader)
    names = {signal.handle: name for name, signal in signals.by_name.items()}
    found: Changes = {name: [] for name in names.values()}

    def change(_: Any, time: int, handle: int, text: Any) -> None:
        found[names[handle]].append((time, pylibfst.string(text)))

    def long_change(_: Any, time: int, handle: int, text: Any, length: int) -> None:
        found[names[handle]].append((time, ffi.buffer(text, length)[:].decode()))

    lib.fstReaderSetFacProcessMaskAll(reader)
    pylibfst.fstReaderIterBlocks2(reader, change, long_change)
    lib.fstReaderClose(reader)
    return found


def same(kind: Kind, width: int, ours: Any, theirs: Any) -> bool:
    """Whether a reader's value, which is text or a number, is what was written."""
    if kind == Kind.REAL:
        return math.isclose(float(theirs), ours, rel_tol=1e-12, abs_tol=0)
    if kind == Kind.TEXT:
        return bool(theirs == ours.replace("τ", "\\u03c4"))
    if isinstance(theirs, int):
        return bool(theirs == ours)
    text = str(theirs).lower()
    return text == "x" * width if ours is None else int(text, 2) == ours


@pytest.mark.parametrize("block", [300, 8 << 20])  # bytes: many blocks, and one
@pytest.mark.parametrize("read", [wellen, fstapi])
def test_readers_find_what_was_written(
    read: Callable[[Path], Changes], block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fst, "BLOCK_BYTES", block)
    path = tmp_path / "random.fst"
    wanted, found = write(path, 3), read(path)
    assert set(found) == set(wanted)
    for name, (kind, width) in VARIABLES.items():
        # What stands before the first change is the reader's; a value that is written again is no change to some.
        last: Any = object()
        for time, theirs in found[name]:
            before = [ours for at, ours in wanted[name] if at <= time]
            if before:
                assert same(kind, width, before[-1], theirs), (name, time, before[-1], theirs)
        told = dict(found[name])
        for time, ours in wanted[name]:
            if ours != last:
                assert time in told, (name, time)
            last = ours
    assert pywellen.Waveform(str(path)).file_format == "FST"


def test_a_file_without_changes_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "empty.fst"
    write(path, 1, times=0)
    assert set(wellen(path)) == set(VARIABLES)
