# SPDX-License-Identifier: BSD-2-Clause
"""An image as C99: a model that computes what the golden model does, in integers, word for word (docs/export.md).

    files = c_files(image, "keywords.liquid")           # {name: text}
    files |= {CHECK: check_file(image, title, data)}    # frames with the golden model's answers

What is common to all models lies in c/ beside this file; of its functions a model gets those that it uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from liquid_accel.driver.frames import POOL_FRAMES, encode_time
from liquid_accel.export.element import tables
from liquid_accel.export.memories import KEPT
from liquid_accel.export.program import Program, tidy
from liquid_accel.image import Image
from liquid_accel.rtl import formats
from liquid_accel.rtl.isa import Param, Space, Status

HEADER, SOURCE = "liquid_model.h", "liquid_model.c"
NUMBERS_HEADER, NUMBERS = "liquid_model_numbers.h", "liquid_model_numbers.c"
CHECK = "liquid_model_check.c"
HERE = Path(__file__).parent / "c"
LINE = 112  # characters of a line of numbers
_PLACE = re.compile(r"^/\*@(\w+)@\*/\n", re.MULTILINE)
_PART = re.compile(r"^/\*! (\w+) \*/\n", re.MULTILINE)
Ints = npt.NDArray[np.int64]


def c_files(image: Image, title: str) -> dict[str, str]:
    """The model and its header, and the optional pair that knows floating point. Raises UserError for an image that C
    has no words for; what the compiler writes is none."""
    program = Program(image)
    heading = f"/* {tidy(title)}: {image.inputs} inputs, {image.outputs} outputs, {image.state_size} states, solver " \
              f"{tidy(image.solver)}; written by `liquid export --c`. */\n"  # fmt: skip
    frame = _frame(program)
    parts = _parts(frame + (HERE / "model.c").read_text())
    shared = {"title": heading}
    return {
        HEADER: filled("model.h", shared | {
            "constants": _header_constants(image), "status": _status("LIQUID_MODEL_"), "state": _state(program),
        }),
        SOURCE: filled("model.c", shared | {
            "defines": _defines(program), "constants": _constants(program, parts), "parts": parts, "frame": frame,
            "init": _init(program), "default": _default(image),
        }),
        NUMBERS_HEADER: filled("numbers.h", shared),
        NUMBERS: filled("numbers.c", shared | {"constants": _number_constants(image)}),
    }  # fmt: skip


def filled(template: str, texts: Mapping[str, str]) -> str:
    """A file of c/ with texts in its places, each of which is a line /*@name@*/."""
    return _PLACE.sub(lambda found: texts[found[1]], (HERE / template).read_text())


def array(kind: str, name: str, values: Iterable[int]) -> str:
    """A constant array of numbers."""
    lines, line = list[str](), "   "
    for value in values:
        word = f" {int(value)},"
        if len(line) + len(word) > LINE:
            lines.append(line)
            line = "   "
        line += word
    return "\n".join([f"static const {kind} {name} = {{", *lines, line, "};", ""])


def _parts(text: str) -> str:
    """The common functions that `text` uses, with all that they use, in their order."""
    pieces: dict[str, str] = {}
    for template in ("arithmetic.c", "steps.c", "time.c"):
        _, *found = _PART.split((HERE / template).read_text())
        pieces |= dict(zip(found[::2], found[1::2]))
    used, waiting = {"arithmetic_shift"}, [text]
    while waiting:
        words = set(re.findall(r"\w+", waiting.pop())) & pieces.keys()
        waiting += [pieces[name] for name in words - used]
        used |= words
    return "\n" + "\n".join(body.strip() + "\n" for name, body in pieces.items() if name in used)


def _frame(program: Program) -> str:
    lines = []
    if "w" in program.uses:
        lines.append("const int8_t *w;")
    lines += [f"unsigned {name} = 0;" for name in ("taken", "pushed") if name in program.uses]
    lines += [f"(void){name};" for name, local in (("input", "taken"), ("output", "pushed"))
              if local not in program.uses]  # fmt: skip
    return "".join(f"    {line}\n" for line in lines) + "".join(f"{line}\n" for line in program.statements)


def _header_constants(image: Image) -> str:
    ticks, _ = encode_time(image, np.array([image.default_dt]))
    unit = "frames" if image.time_unit_s is None else "s"
    return "".join(f"#define LIQUID_MODEL_{name} {value}\n" for name, value in (
        ("INPUTS", image.inputs), ("OUTPUTS", image.outputs),
        ("INPUT_FRAC_BITS", image.input_frac_bits), ("OUTPUT_FRAC_BITS", image.output_frac_bits),
        ("TICK_BITS", formats.TICK_BITS), ("DEFAULT_TICKS", f"{ticks[0]}u"),
        ("UNIT", f"{image.machine_unit!r} /* a machine time unit, and the longest dt, in {unit} */"),
        ("MAX_DT", repr(image.max_dt)),
    ))  # fmt: skip


def _status(prefix: str) -> str:
    return "".join(f"#define {prefix}STATUS_{bit.name} {int(bit)}u\n" for bit in Status)


def _state(program: Program) -> str:
    fields = ["uint32_t frame, time_left, step, norm, rhs_evals, accepted, rejected, saturations, skipped;"]
    for name, memory in program.memories.items():
        if memory.ram:
            kind = "uint32_t" if name == KEPT else "int16_t"
            fields.append(f"{kind} {name}[{len(memory.ram) * memory.lanes}];")
    fields += ["int16_t log2_dt;", "uint16_t pool, step_code, peak;"]
    fields += ["uint8_t parity, fresh, history, at_limit, newest, opening, clipped, judged, step_saturated, again;"]
    if "lists" in program.uses:
        fields += ["uint16_t threshold, track_offset;"]
        fields += ["uint8_t tracked, first_taken, taken, list_start[4], list_end[4], column[256];"]
    return "".join(f"    {field}\n" for field in fields)


def _defines(program: Program) -> str:
    values = {
        "LANES": f"{program.image.config.lanes}u", "TICK_BITS": formats.TICK_BITS, "POOL_FRAMES": f"{POOL_FRAMES}u",
        "NORM_CLAMP": f"{formats.NORM_CLAMP}u", "NORM_MASK": f"{(1 << formats.NORM_BITS) - 1}u",
        "SKIPPED_MOST": f"{(1 << formats.LONG_COUNTER) - 1}u",
    }  # fmt: skip
    if "steps" in program.uses:
        values |= {name.name: program.offset("s", name) for name in Param}
    return "".join(f"#define {name} {value}\n" for name, value in values.items()) + _status("")


def _constants(program: Program, parts: str) -> str:
    image, texts = program.image, list[str]()
    if "w" in program.uses:
        weights = image.sections[Space.WEIGHT].astype("<u2").view(np.int8)
        texts.append("/* Rows of weights, a column after the other, and behind each row its shifts. */\n"
                     + array("int8_t", "WEIGHTS[]", weights.tolist()))  # fmt: skip
    if re.search(r"\bTABLES\b", "\n".join(program.statements)):
        entries = tables(image)
        rows = "\n".join(array("", "", row).split("{", 1)[1].rsplit("}", 1)[0].join("{}") + "," for row in entries)
        texts.append(f"static const int16_t TABLES[{len(entries)}][256] = {{\n{rows}\n}};\n")
    if "EXP2_ROM" in parts:
        texts.append(array("uint16_t", "EXP2_ROM[256]", formats.EXP2_ROM))
    if "LOG2_CORRECTION" in parts:
        texts.append(array("uint8_t", f"LOG2_CORRECTION[{len(formats.LOG2_CORRECTION)}]", formats.LOG2_CORRECTION))
    for name, memory in program.memories.items():
        if memory.flash:
            texts.append(array("int16_t", f"{name.upper()}[]", memory.words[memory.flash].reshape(-1).tolist()))
        for at, words in memory.initial():
            texts.append(array("int16_t", f"{name.upper()}_{at}[]", words.tolist()))
    return "\n".join(texts)


def _init(program: Program) -> str:
    return "".join(
        f"    memcpy(m->{name}{f' + {at}' if at else ''}, {name.upper()}_{at}, sizeof {name.upper()}_{at});\n"
        for name, memory in program.memories.items() for at, _ in memory.initial()
    )  # fmt: skip


def _default(image: Image) -> str:
    """The usual spacing of frames is no whole number of ticks: its logarithm is a constant."""
    ticks, logs = encode_time(image, np.array([image.default_dt]))
    return f"    if (ticks == LIQUID_MODEL_DEFAULT_TICKS) return {logs[0]};\n" if ticks[0] else ""


def _number_constants(image: Image) -> str:
    numbers = {"MEAN": image.input_mean, "SCALE": image.input_scale}
    text = "".join(
        f"static const double {name}[] = {{{', '.join(repr(float(v)) for v in values)}}};\n"
        for name, values in numbers.items()
    )
    steps = {"INPUT_STEPS": image.input_frac_bits, "OUTPUT_STEPS": image.output_frac_bits}
    text += "".join(f"#define {name} {float(1 << bits)!r}\n" for name, bits in steps.items())
    return text + "#define UNIT LIQUID_MODEL_UNIT\n"
