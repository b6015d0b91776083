# SPDX-License-Identifier: BSD-2-Clause
"""Images that were made to do harm: their checksum is right, and they are refused before anything is touched."""

import json
import math
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from images import DIGEST, HEAD, description_length, joined, signed, split, with_description, with_section, with_text
from toys import toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.driver import Device
from liquid_accel.errors import UserError
from liquid_accel.image import DESCRIPTION_MAX, FILE_MAX, Image
from liquid_accel.rtl.config import preset
from liquid_accel.rtl.isa import Space
from liquid_accel.sim.golden import GoldenTransport

NAME = "a.liquid"


def made() -> Image:
    model = toy_model(size=4, before=())
    return compile(model, calibration=toy_data(), options=CompileOptions(steps=2), config=preset("test"))


@pytest.fixture(scope="module")
def image() -> Image:
    return made()


IMAGE = made()
BLOB = IMAGE.to_bytes()
DESCRIPTION, SECTIONS = split(BLOB)


def refused(blob: bytes, message: str = "") -> None:
    with pytest.raises(UserError, match=rf"^a\.liquid: .*{message}") as caught:
        Image.from_bytes(blob, NAME)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable(), "one sentence, on one line"


def changed(path: tuple[str | int, ...], value: object) -> bytes:
    """The file with the value at a path of its description replaced."""
    description = json.loads(json.dumps(DESCRIPTION))
    place = description
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return joined(description, SECTIONS)


def paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([at] if at else []), *(path for key, item in inner for path in paths(item, (*at, key)))]


PATHS = paths(DESCRIPTION)
PLACE = {"name": "out.weight", "space": "WEIGHT", "start": 0, "shape": [3, 4], "columns": 4, "shift": 0, "row": 0,
         "column": 0, "part": [], "offset": 0}  # fmt: skip
REGION = {"space": "A", "start": 0, "rows": 1, "name": "x"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("solver",), 3, "solver is 3; expected text"),
        (("solver",), "rk4\x1b[2J", "printable"),
        (("warnings",), ["\ud800"], "printable"),
        (("comments",), ["x" * 5000] * len(IMAGE.comments), "at most 4096 printable characters"),
        (("comments",), [], "comments has 0 entries"),
        (("adaptive",), 1, "adaptive is 1; expected true or false"),
        (("inputs",), 0, "inputs is 0; expected 1 or more"),
        (("inputs",), 3.0, "inputs is 3.0; expected a whole number"),
        (("inputs",), True, "inputs is True; expected a whole number"),
        (("inputs",), 10**30, "expected a whole number"),
        (("inputs",), 4, "input_mean is .*expected 4 numbers"),
        (("outputs",), 5, "outputs is 5; expected 1 to 4"),
        (("outputs",), 0, "outputs is 0"),
        (("output_words",), 6, "padded to 6 words; expected a multiple of 4"),
        (("output_words",), 1 << 13, "padded to 8192 words"),
        (("output_words",), 8, "pushes the mark 0xb004"),
        (("state_size",), 9, "state_size is 9; expected 1 to 4"),
        (("state_words",), 8, "mark 0xb004"),
        (("input_mean",), [0.5, 0.5], "input_mean is .*expected 3 numbers"),
        (("input_mean",), {"0": 1.0}, "expected a list"),
        (("input_mean", 0), "0.5", "expected a finite number"),
        (("input_scale", 1), 0, "input_scale is .*expected numbers > 0"),
        (("input_scale", 1), -2.0, "input_scale is .*expected numbers > 0"),
        (("input_frac_bits",), 4000, "input_frac_bits is 4000; expected -64 to 64"),
        (("state_frac_bits",), -65, "state_frac_bits is -65"),
        (("time_unit_s",), 0.0, "time_unit_s is 0.0"),
        (("machine_unit",), -1.0, "machine_unit is -1.0"),
        (("max_dt",), 0.0, "max_dt is 0.0; expected more than 0"),
        (("max_dt",), 1e300, "max_dt is 1e\\+300"),
        (("default_dt",), -1.0, "default_dt is -1.0; expected 0 or more"),
        (("rhs_macs",), -1.0, "rhs_macs is -1.0"),
        (("budget",), 256, "budget is 256; expected 0 to 255"),
        (("delta_thresholds",), {"ltc": -1.0}, "delta_thresholds is"),
        (("delta_thresholds",), [], "expected an object"),
        (("weight_bits",), 9, "weight_bits is 9; expected 1 to 8"),
        (("task",), "harm", "task is 'harm'; expected one of"),
        (("regular_log_dt",), 1 << 15, "regular_log_dt is 32768"),
        (("config", "lanes"), 5, "lanes is 5: one of"),
        (("config", "lanes"), 4.0, "lanes is 4.0; expected a whole number"),
        (("config",), {"lanes": 4}, "field 'add_elements' that is missing"),
        (("config", "wings"), 2, "field 'wings' that is missing or not known"),
        (("surprise",), 1, "field 'surprise' that is missing or not known"),
        (("cycles",), {}, "the description.cycles has a field"),
        (("bounds", 0), {"name": "x"}, r"bounds\[0\] has a field 'limit'"),
        (("formats",), 3, "formats is 3; expected a list"),
        (("sections",), [], "sections has 0 memories"),
        (("sections",), 7, "sections has 0 memories"),
        (("sections",), [["WEIGHT", 1 << 60]], "sections has"),
        (("sections",), [["NOWHERE", 4]], "sections has"),
        (("sections",), [["WEIGHT", 4]] * 2, "sections has"),
        (("sections", 0), ["ISSUE", -1], "sections has"),
        (("sections", 0), ["ISSUE", 4, 4], "sections has"),
        (("sections", 0, 1), 0, "bytes belong to no section|section"),
        (("memory_map",), [REGION | {"start": -1}], "memory_map has 'x' in 1 rows from -1"),
        (("memory_map",), [REGION | {"rows": 33}], "memory_map has 'x' in 33 rows from 0 of A"),
        (("memory_map",), [REGION | {"space": "Q"}], "memory_map names memory 'Q'"),
        (("tensors",), [PLACE | {"space": "S"}], "tensors name memory 'S'"),
        (("tensors",), [PLACE | {"shape": [1 << 40, 4]}], "expected a place within the image's weights"),
        (("tensors",), [PLACE | {"shape": [1 << 30, 1 << 30], "part": [0, 0]}], "tensors have 1152921504606846976"),
        (("tensors",), [PLACE | {"shape": [4]}], "shapes of 2 dimensions"),
        (("tensors",), [PLACE | {"start": 1000}], "expected a place within the image's weights"),
        (("tensors",), [PLACE | {"columns": 3}], "expected a place within the image's weights"),
        (("tensors",), [PLACE | {"row": 1, "part": [3, 4]}], "the part to lie within the tensor"),
        (("tensors",), [PLACE | {"shift": 5000}], "a shift of at most 64"),
        (("tensors",), [PLACE | {"offset": -1}], "places >= 0"),
        (("tensors",), [PLACE, PLACE | {"shape": [3, 5], "part": [3, 4]}], "differ in shape"),
        (("tensors",), [PLACE | {"space": "A", "shape": [300]}], "expected a place within the image's words"),
        (("isa_version",), [[9]], r"instruction set is \[\[9\]\]; expected"),
    ],
)
def test_a_field_that_is_not_sound_is_named(path: tuple[str | int, ...], value: object, message: str) -> None:
    refused(changed(path, value), message)


@pytest.mark.parametrize("field", sorted(DESCRIPTION))
def test_a_field_that_is_missing_is_named(field: str) -> None:
    description = {name: value for name, value in DESCRIPTION.items() if name != field}
    refused(joined(description, SECTIONS), "instruction set is None" if field == "isa_version" else field)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not JSON"), (b"7", "expected an object"), (b"[" * 200_000, "too deep"),
        (b'{"a":' * 100_000, "too deep"), (b"\xff\xfe", "not JSON"), (b'{"inputs":NaN}', "holds NaN"),
        (b'{"inputs":-Infinity}', "holds -Infinity"), (b"9" * 5000, "not JSON"), (b'{"isa_version":1e999}', "inf"),
    ],
)  # fmt: skip
def test_text_that_is_no_description(text: bytes, message: str) -> None:
    refused(with_text(text, SECTIONS), message)


def test_numbers_that_are_not_finite() -> None:
    text = json.dumps(DESCRIPTION, sort_keys=True, separators=(",", ":"))
    for name in ("machine_unit", "default_dt", "rhs_macs"):
        before = f'"{name}":{json.dumps(DESCRIPTION[name])}'
        assert before in text
        blob = with_text(text.replace(before, f'"{name}":1e999').encode(), SECTIONS)
        refused(blob, f"{name} is inf; expected a finite number")
    assert math.isfinite(DESCRIPTION["machine_unit"])


def test_the_same_name_twice_is_refused() -> None:
    text = json.dumps(DESCRIPTION, sort_keys=True, separators=(",", ":"))
    refused(with_text(f'{{"inputs":1,{text[1:]}'.encode(), SECTIONS), "not as `liquid compile` writes it")


@pytest.mark.parametrize("length", [0, 1, 100, len(BLOB), 1 << 31, (1 << 32) - 1, DESCRIPTION_MAX + 1])
def test_a_description_of_another_length(length: int) -> None:
    refused(signed(BLOB[:12] + length.to_bytes(4, "little") + BLOB[16:-DIGEST]))


@pytest.mark.parametrize("space", list(Space))
def test_memories_of_odd_and_of_absurd_sizes(space: Space) -> None:
    refused(with_section(BLOB, space.name, lambda words: words.extend(bytes(2))), "FINISH|section|bytes")
    refused(with_section(BLOB, space.name, lambda words: words.extend(bytes(1 << 20))), "FINISH|section")
    refused(signed(BLOB[:-DIGEST] + b"\0\0"), "bytes belong to no section")


def test_a_table_too_steep_for_the_function_unit() -> None:
    refused(with_section(BLOB, "TABLE", lambda words: words.__setitem__(slice(0, 4), b"\0\0\0\4")), "a step of 1024")


def test_files_without_end_and_too_long(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"zero: not a \.liquid image"):
        Image.load("/dev/zero")
    (tmp_path / NAME).write_bytes(BLOB + bytes(FILE_MAX))
    with pytest.raises(UserError, match=f"larger than any image; expected at most {FILE_MAX} bytes"):
        Image.load(tmp_path / NAME)


def test_the_memory_that_a_file_can_ask_for_is_bounded_by_its_size() -> None:
    """The costliest texts for a JSON parser: many small objects."""
    for piece in (b"[],", b"{},", b"1.5,", b'"\\u1234",'):
        text = b"[" + piece * (DESCRIPTION_MAX // len(piece) - 1) + b"0]"
        blob = with_text(text, SECTIONS)
        tracemalloc.start()
        refused(blob, "expected an object")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 40 * len(blob), piece


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PATHS), VALUES)
def test_any_value_at_any_place_is_refused_or_kept_to_the_byte(path: tuple[str | int, ...], value: Any) -> None:
    blob = changed(path, value)
    try:
        found = Image.from_bytes(blob, NAME)
    except UserError as error:
        assert str(error).startswith(f"{NAME}: ")
        return
    assert found.to_bytes() == blob
    found.dequantised()
    found.listing()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_bytes_of_description_and_sections_are_refused_or_kept(seed: int) -> None:
    draw = random.Random(seed)
    body = bytearray(BLOB[:-DIGEST])
    for _ in range(draw.randint(1, 3)):
        body[draw.randrange(HEAD, len(body))] = draw.randrange(256)
    blob = signed(bytes(body))
    try:
        found = Image.from_bytes(blob, NAME)
    except UserError:
        return
    assert found.to_bytes() == blob
    found.dequantised()


def test_nothing_is_written_where_an_image_is_for_another_machine(image: Image) -> None:
    class Spy(GoldenTransport):
        writes = 0

        def write(self, address: int, words: Any) -> None:
            self.writes += 1
            super().write(address, words)

    wire = Spy(preset("test", weight_words=512))
    with Device(wire) as device:
        before = wire.writes
        with pytest.raises(UserError, match="was compiled for configuration"):
            device.load(image)
        assert wire.writes == before


def test_changes_to_a_description_are_what_they_say() -> None:
    """The helpers of these tests change what they should and nothing else."""
    assert joined(DESCRIPTION, SECTIONS) == BLOB
    assert with_description(BLOB, task="regression") == changed(("task",), "regression")
    assert Image.from_bytes(changed(("task",), "regression")).task == "regression"
    assert description_length(BLOB) + HEAD + DIGEST + len(SECTIONS) == len(BLOB)
    assert np.array_equal(Image.from_bytes(with_section(BLOB, "C", bytearray.clear)).sections[Space.C], [])
