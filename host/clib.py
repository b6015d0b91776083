# SPDX-License-Identifier: BSD-2-Clause
"""The C library's files (docs/c.md): the sources as they are, a header from the tables, an image as arrays."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from pathlib import Path

from liquid_accel.image import Image
from liquid_accel.rtl import formats, isa, link, registers

SOURCES = ("liquid.h", "liquid.c", "liquid_link.h", "liquid_link.c", "example_posix.c")
REGISTERS, MODEL_HEADER, MODEL = "liquid_registers.h", "model.h", "model.c"
LICENCE = "/* SPDX-License-Identifier: BSD-2-Clause */"
NUMBERS_A_LINE = 10


def sources() -> dict[str, str]:
    """The files that are the same for every model, the generated header among them."""
    folder = Path(__file__).resolve().parent / "c"
    return {name: (folder / name).read_text() for name in SOURCES} | {REGISTERS: registers_header()}


def registers_header() -> str:
    """Addresses and fields of the registers, numbers of the link and of the streams, as C macros."""
    sections = {
        "Registers": _registers(),
        "The link (docs/link.md)": _link(),
        "Memories behind MEM_DATA": ((f"SPACE_{space.name}", int(space)) for space in isa.Space),
        "Streams (docs/isa.md)": _streams(),
        "Numbers": (
            (name, getattr(formats, name)) for name in ("TICK_BITS", "FLOAT_MANTISSA_BITS", "FLOAT_BIAS")
        ),
    }  # fmt: skip
    lines = [LICENCE, "/* Written by `liquid clib` from the tables of the gateware: not to be edited. */"]
    lines += ["#ifndef LIQUID_REGISTERS_H", "#define LIQUID_REGISTERS_H"]
    for title, values in sections.items():
        lines += ["", f"/* {title} */"]
        lines += [f"#define LIQUID_{name} 0x{value:X}u" for name, value in values]
    lines[-1:] = [lines[-1], f"#define LIQUID_LOG2_FRAC_BITS {formats.LOG2.frac_bits}", "", "#endif", ""]
    return "\n".join(lines)


def _registers() -> Iterator[tuple[str, int]]:
    yield "PRODUCT_ID", registers.PRODUCT_ID
    yield "ISA_VERSION", isa.ISA_VERSION
    for register in registers.REGISTERS:
        yield f"REG_{register.name}", register.address
        for field, low, _ in register.fields:
            yield f"{register.name}_{field}", register.mask(field)
            yield f"{register.name}_{field}_LOW", low


def _link() -> Iterator[tuple[str, int]]:
    for name in (
        "LINK_VERSION", "FLAG", "ESCAPE", "ESCAPE_FLIP", "CRC_POLYNOMIAL", "CRC_RESIDUE", "REQUEST_WORDS",
        "RESPONSE_WORDS", "WAIT_UNIT", "WAIT_LIMIT",
    ):  # fmt: skip
        yield f"LINK_{name.removeprefix('LINK_')}", getattr(link, name)
    yield from ((f"LINK_{code.name}", int(code)) for code in link.Code)
    for what, fields in (("OPERATION", link.OPERATION_FIELDS), ("STATUS", link.STATUS_FIELDS)):
        lows = link.field_lows(fields)
        for field, width in fields:
            if not field.startswith("unused"):
                yield f"LINK_{what}_{field.upper()}_LOW", lows[field]
                yield f"LINK_{what}_{field.upper()}_MASK", (1 << width) - 1


def _streams() -> Iterator[tuple[str, int]]:
    for name in ("HEADER_WORDS", "TRAILER_WORDS", "LAG_WORDS", "MARK_VECTOR", "MARK_LAG", "MARK_DONE", "MARK_MASK"):
        yield name, getattr(isa, name)
    flags: tuple[tuple[str, type[enum.IntFlag]], ...] = (("FLAG", isa.Flag), ("STATUS_BIT", isa.Status))
    for prefix, kind in flags:
        yield from ((f"{prefix}_{bit.name}", int(bit)) for bit in kind)


def model_files(image: Image, name: str) -> dict[str, str]:
    """`liquid_model` of liquid.h with the image's sections as constant arrays; `name` is said in a comment."""
    title = f"/* Written by `liquid clib` from {name}: not to be edited. */"
    header = [
        LICENCE, title, "#ifndef LIQUID_MODEL_H", "#define LIQUID_MODEL_H", "", '#include "liquid.h"', "",
        "extern const liquid_image liquid_model;", "", "#endif", "",
    ]  # fmt: skip
    lines = [LICENCE, title, f'#include "{MODEL_HEADER}"', ""]
    sections = [(space, words) for space, words in sorted(image.sections.items()) if words.size]
    for space, words in sections:
        lines += [f"static const uint16_t words_{space.name.lower()}[] = {{", *_rows(map(str, words.tolist())), "};"]
    lines.append("static const liquid_section sections[] = {")
    lines += [
        f"    {{LIQUID_SPACE_{space.name}, {words.size}, words_{space.name.lower()}}}," for space, words in sections
    ]
    lines.append("};")
    for array, values in (("input_mean", image.input_mean), ("input_scale", image.input_scale)):
        # Hexadecimal, so that the compiler reads the very number.
        lines += [f"static const double {array}[] = {{", *_rows(float(v).hex() for v in values), "};"]
    fields = {
        "config_hash": f"0x{image.config.config_hash:08x}u", "isa_version": image.isa_version,
        "inputs": image.inputs, "outputs": image.outputs, "output_words": image.output_words,
        "section_count": len(sections), "sections": "sections",
        "input_frac_bits": image.input_frac_bits, "output_frac_bits": image.output_frac_bits,
        "input_mean": "input_mean", "input_scale": "input_scale",
        "machine_unit": image.machine_unit.hex(), "default_dt": image.default_dt.hex(), "max_dt": image.max_dt.hex(),
    }  # fmt: skip
    lines += ["", "const liquid_image liquid_model = {"]
    lines += [f"    .{field} = {value}," for field, value in fields.items()]
    return {MODEL_HEADER: "\n".join(header), MODEL: "\n".join([*lines, "};", ""])}


def _rows(values: Iterable[str]) -> list[str]:
    listed = list(values)
    cuts = range(0, len(listed), NUMBERS_A_LINE)
    return [f"    {', '.join(listed[at : at + NUMBERS_A_LINE])}," for at in cuts]
