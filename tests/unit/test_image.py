# SPDX-License-Identifier: BSD-2-Clause
"""The `.liquid` file: bit-identical or not at all."""

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from images import HEAD, description_length, signed, with_description
from toys import toy_data, toy_model

from liquid_accel.compiler import CompileOptions, compile
from liquid_accel.errors import UserError
from liquid_accel.image import IMAGE_FORMAT, MAGIC, Image, row_words, space_rows
from liquid_accel.rtl import isa
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.rtl.isa import Space


@pytest.fixture(scope="module")
def image() -> Image:
    return compile(toy_model(), calibration=toy_data(), options=CompileOptions(steps=2))


def test_saved_and_loaded_it_is_the_same_to_the_bit(image: Image, tmp_path: Path) -> None:
    path = tmp_path / "a.liquid"
    image.save(path)
    loaded = Image.load(path)
    assert loaded == image
    assert loaded.to_bytes() == path.read_bytes() == image.to_bytes()
    assert set(loaded.sections) == set(Space)
    for space in Space:
        assert np.array_equal(loaded.sections[space], image.sections[space])
    assert (loaded.config, loaded.bounds, loaded.cycles) == (image.config, image.bounds, image.cycles)
    assert [p.name for p in tmp_path.iterdir()] == ["a.liquid"]


def test_the_same_model_compiles_to_the_same_bytes(image: Image) -> None:
    again = compile(toy_model(), calibration=toy_data(), options=CompileOptions(steps=2))
    assert again.to_bytes() == image.to_bytes()
    assert compile(toy_model(seed=5), calibration=toy_data(), options=CompileOptions(steps=2)) != image


def test_any_flipped_byte_is_refused(image: Image) -> None:
    blob = image.to_bytes()
    length = description_length(blob)
    regions = {
        "magic": range(8), "version": range(8, 12), "length": range(12, 16),
        "description": range(HEAD, HEAD + length, 97), "sections": range(HEAD + length, len(blob) - 32, 89),
        "checksum": range(len(blob) - 32, len(blob)),
    }  # fmt: skip
    for positions in regions.values():
        for position in positions:
            damaged = bytearray(blob)
            damaged[position] ^= 0x10
            with pytest.raises(UserError, match="a.liquid: .*expected"):
                Image.from_bytes(bytes(damaged), "a.liquid")


@pytest.mark.parametrize("keep", [0, 4, 8, 15, 16, 40, 200, -1, -32, -33])
def test_any_truncation_is_refused(image: Image, keep: int) -> None:
    with pytest.raises(UserError, match=r"a\.liquid: "):
        Image.from_bytes(image.to_bytes()[:keep], "a.liquid")


def test_bytes_behind_the_end_are_refused(image: Image) -> None:
    with pytest.raises(UserError, match="damaged or truncated"):
        Image.from_bytes(image.to_bytes() + b"\0", "a.liquid")


def test_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.liquid"
    np.savez(foreign.with_suffix(".npz"), x=np.ones(3))
    foreign.with_suffix(".npz").rename(foreign)
    with pytest.raises(UserError, match=r"foreign\.liquid: not a \.liquid image; expected"):
        Image.load(foreign)
    with pytest.raises(UserError, match=r"none\.liquid: no such file; expected"):
        Image.load(tmp_path / "none.liquid")
    with pytest.raises(UserError, match="is a folder; expected"):
        Image.load(tmp_path)


def test_another_version_is_named(image: Image) -> None:
    blob = image.to_bytes()
    newer = signed(struct.pack("<8sI", MAGIC, IMAGE_FORMAT + 1) + blob[12:-32])
    with pytest.raises(UserError, match=f"image format is {IMAGE_FORMAT + 1}; expected {IMAGE_FORMAT}"):
        Image.from_bytes(newer, "a.liquid")
    with pytest.raises(UserError, match=f"instruction set is 99; expected {isa.ISA_VERSION}"):
        Image.from_bytes(with_description(blob, isa_version=99), "a.liquid")


def test_a_folder_that_is_not_there_is_a_user_error_and_leaves_nothing(image: Image, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        image.save(tmp_path / "no" / "a.liquid")
    (tmp_path / "taken.liquid").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        image.save(tmp_path / "taken.liquid")
    assert [p.name for p in tmp_path.iterdir()] == ["taken.liquid"]


def test_the_listing_has_a_line_an_instruction(image: Image) -> None:
    lines = image.listing().splitlines()
    assert len(lines) == len(image.program()) == len(image.comments)
    assert lines[0].split()[:3] == ["0", "frame", f"{image.inputs + isa.HEADER_WORDS}"]
    assert any("h + g (f - h)" in line for line in lines)


def test_predicted_cycles_add_up(image: Image) -> None:
    model = image.cycles
    assert image.predicted_cycles(1, 0) == model.first
    assert image.predicted_cycles(2, 3, 4, 5) == (
        2 * model.first + 3 * model.other + 4 * model.first_zero_dt + 5 * model.other_zero_dt
    )
    assert model.first_zero_dt < model.first


def test_the_instructions_survive_their_encoding(image: Image) -> None:
    issue = image.sections[Space.ISSUE].reshape(-1, 4)
    finish = image.sections[Space.FINISH].reshape(-1, 2, 4)
    assert not issue[:, 3].any()
    assert not finish[:, :, 3].any()
    for at, (instruction, low) in enumerate(zip(image.program(), issue.tolist(), strict=True)):
        words = instruction.encode()
        assert words[0] == sum(word << 16 * k for k, word in enumerate(low))
        # Two neighbours share a finish word, and each half of it is a row.
        halves = finish[at // 2, :, :3].reshape(-1).tolist()
        if instruction.last:
            assert words[1] == sum(word << 16 * k for k, word in enumerate(halves))


@pytest.mark.parametrize("lanes", [4, 8, 16, 32])
def test_the_host_layout_of_every_memory_is_whole(lanes: int) -> None:
    config = LiquidConfig(lanes=lanes, gate_elements=512, base_elements=512, add_elements=512)
    for space in Space:
        assert row_words(config, space) & (row_words(config, space) - 1) == 0
    assert row_words(config, Space.WEIGHT) * 2 == lanes
    assert space_rows(config, Space.A) * lanes == config.add_elements


def test_dequantised_weights_are_near_the_checkpoint(image: Image) -> None:
    model = toy_model()
    weights = image.dequantised()
    assert weights.keys() == model.tensors.keys()
    for name, tensor in model.tensors.items():
        assert weights[name].shape == tensor.shape
        # Half a unit of 8 bits, of which a row uses at least 6 and the sign; biases have 16.
        limit = np.abs(tensor).max(axis=-1, keepdims=True) / 127 if tensor.ndim == 2 else 2.0**-10
        assert (np.abs(weights[name] - tensor) <= limit).all(), name


def test_two_images_differ_where_any_field_does(image: Image) -> None:
    assert replace(image, max_dt=1.0) != image
    assert hash(replace(image)) == hash(image)
