# SPDX-License-Identifier: BSD-2-Clause
"""A program that differs, made small, and kept in a file."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from machines import Soaked
from program_generator import Case, Traffic, again

from liquid_accel.rtl.isa import Control, Finish, Instruction, Op, Space

Still = Callable[[Case], bool]


def shrink(failing: Case, still: Still) -> Case:
    """The smallest case found for which `still` says that it differs: what the golden model refuses is no case.

    A calmer host, fewer frames, NOPs for instructions, which keep their places, fewer rows of loops, and zeros for
    memories and inputs.
    """
    best = failing
    for make in (_host, _frames, _instructions, _rows, _sections, _inputs):
        for smaller in make(best):
            case = smaller(best)
            if case is not None and still(case):
                best = case
    return best


Step = Callable[[Case], Case | None]


def _host(case: Case) -> Iterator[Step]:
    yield lambda best: replace(best, traffic=Traffic())
    yield lambda best: replace(best, illegal=[])
    yield lambda best: replace(best, kept=[])


def _frames(case: Case) -> Iterator[Step]:
    for count in range(1, len(case.frames)):
        yield lambda best, n=count: again(best, best.program, best.frames[:n]) if n < len(best.frames) else None


def _stretches(case: Case) -> Iterator[tuple[int, int]]:
    """Places of stretches of the program, long ones first."""
    size = len(case.program)
    while size:
        yield from ((at, at + size) for at in range(0, len(case.program), size))
        size //= 2


def _changed(best: Case, program: list[Instruction]) -> Case | None:
    return again(best, program, best.frames) if program != best.program else None


def _instructions(case: Case) -> Iterator[Step]:
    """All but a frame's beginning and end, and the jump back to it; a loop goes as a whole."""
    last = max(at for at, i in enumerate(case.program) if i.op == Op.CONTROL and i.control == Control.JUMP)
    kept = {last, *(at for at, i in enumerate(case.program) if i.op == Op.CONTROL and i.control in _ENDS)}

    def without(best: Case, first: int, end: int) -> Case | None:
        stretch = best.program[first:end]
        begun = sum(i.op == Op.CONTROL and i.control == Control.LOOP for i in stretch)
        if begun != sum(i.loop_end for i in stretch) or not kept.isdisjoint(range(first, end)):
            return None
        nothing = (Instruction(stall=i.stall) for i in stretch)
        return _changed(best, [*best.program[:first], *nothing, *best.program[end:]])

    for first, end in _stretches(case):
        yield lambda best, first=first, end=end: without(best, first, end)
    for at, i in enumerate(case.program):
        if i.op == Op.CONTROL and i.control == Control.LOOP:
            end = next(e for e in range(at, len(case.program)) if case.program[e].loop_end) + 1
            yield lambda best, first=at, end=end: without(best, first, end)


_ENDS = (Control.FRAME, Control.DONE)


def _rows(case: Case) -> Iterator[Step]:
    def shorter(best: Case, at: int, rows: int) -> Case | None:
        i = best.program[at]
        if i.op != Op.CONTROL or i.control != Control.LOOP or i.imm & 255 <= rows:
            return None
        return _changed(best, [*best.program[:at], replace(i, imm=i.imm & ~255 | rows), *best.program[at + 1 :]])

    for at in range(len(case.program)):
        for rows in (1, 3, 16):
            yield lambda best, at=at, rows=rows: shorter(best, at, rows)


def _sections(case: Case) -> Iterator[Step]:
    def emptier(best: Case, space: Space, part: slice) -> Case | None:
        words = best.sections[space].copy()
        words[part] = 0
        if (words == best.sections[space]).all():
            return None
        return again(replace(best, sections=best.sections | {space: words}), best.program, best.frames)

    for space, words in case.sections.items():
        if space in (Space.ISSUE, Space.FINISH):
            continue
        parts = 1
        while parts <= 4:
            length = -(-len(words) // parts)
            for first in range(0, len(words), length):
                part = slice(first, first + length)
                yield lambda best, space=space, part=part: emptier(best, space, part)
            parts *= 2


def _inputs(case: Case) -> Iterator[Step]:
    def quiet(best: Case, first: int) -> Case | None:
        frames = [[*words[:first], *[0] * (len(words) - first)] for words in best.frames]
        return again(best, best.program, frames) if frames != best.frames else None

    for first in (1, 3, 5):
        yield lambda best, first=first: quiet(best, first)


# ---- Files


def _packed(words: Any) -> list[list[int]]:
    """[first, word, ...] for each stretch that is not 0."""
    found: list[list[int]] = []
    zeros = 3  # that end a stretch
    for at, word in enumerate(int(w) for w in words):
        if word:
            if not found or zeros > 2:
                found.append([at])
            else:
                found[-1] += [0] * zeros
            found[-1].append(word)
            zeros = 0
        else:
            zeros += 1
    return found


def _unpacked(stretches: list[list[int]], count: int) -> list[int]:
    words = [0] * count
    for first, *stretch in stretches:
        words[first : first + len(stretch)] = stretch
    return words


def _text(i: Instruction) -> str:
    """The fields that are not what they are in a NOP."""

    def changed(item: Any, default: Any) -> list[str]:
        values = {f.name: getattr(item, f.name) for f in fields(item)}
        return [f"{name} {getattr(v, 'name', v)}" for name, v in values.items() if v != getattr(default, name)]

    rest = [text for text in changed(i, Instruction()) if not text.startswith("finish")]
    return ", ".join(rest + ["finish: " + ", ".join(changed(i.finish, Finish()))] * i.last)


def write(path: Path, machine: Soaked, case: Case, text: str = "") -> None:
    """A file of plain numbers: configuration, memories as the host writes them, frames, host, what has to come."""
    memories = {"sections": case.sections, "memories": case.memories}
    record = {
        "what": text,
        "machine": machine.record(),
        "program": [f"{at}: {_text(i)}" for at, i in enumerate(case.program) if i != Instruction()],
        "frames": case.frames,
        "traffic": asdict(case.traffic),
        "illegal": case.illegal,
        "expected": case.expected,
        "kept": [[len(words), _packed(words)] for words in case.kept],
    } | {
        name: {space.name: [len(words), _packed(words)] for space, words in found.items()}
        for name, found in memories.items()
    }
    path.write_text(json.dumps(record) + "\n")


def read(path: Path) -> tuple[Soaked, Case]:
    """What `write` wrote; the program is in its sections."""
    record = json.loads(path.read_text())
    sections, memories = (
        {Space[space]: _unpacked(stretches, count) for space, (count, stretches) in record[name].items()}
        for name in ("sections", "memories")
    )
    machine = Soaked.of(record["machine"])
    return machine, Case(
        machine.config, [], {space: np.array(words, np.uint16) for space, words in sections.items()}, record["frames"],
        record["expected"], memories, Traffic(**record["traffic"]),
        [_unpacked(stretches, count) for count, stretches in record["kept"]], record["illegal"],
    )  # fmt: skip
