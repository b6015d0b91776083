# SPDX-License-Identifier: BSD-2-Clause
"""Coverage-guided fuzzing of the image loader: any bytes give an image, byte for byte, or a `UserError`.

Inputs that a mutation made are signed again, so that they come past the checksum. Run by tests/fuzz/run.py; arguments
are libFuzzer's.
"""

import json
import random
import struct
import sys
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(
    include=[f"liquid_accel.{name}" for name in ("image", "image_check", "image_fields", "image_program", "rtl.isa")]
):
    from liquid_accel import image_check
    from liquid_accel.errors import UserError
    from liquid_accel.image import Image

import images
from fuzz.limits import bounded

# Values at the edges of what a field may be.
ODD = (None, True, -1, 0, 1, 3.5, 1e300, 2**31, 2**53, 10**40, "", "S", "\x1b", [], [[]], {}, {"a": 1}, [0, 2**40])


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) inside a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [pair for key in keys for pair in ((value, key), *places(value[key]))]


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """A field's value, some bytes of the description, or of the sections, and a right checksum; now and then any
    bytes."""
    draw = random.Random(seed)
    kind = draw.randrange(8)
    try:
        description, sections = images.split(data)
    except (ValueError, RecursionError, struct.error):
        kind = 0
    if kind == 0:
        return bytes(atheris.Mutate(data, min(max_size, len(data) + 64)))
    if kind <= 3 and isinstance(description, dict) and description:
        place, key = draw.choice(places(description))
        place[key] = draw.choice((*ODD, draw.randrange(1 << draw.randrange(1, 20)), place[key]))
        if isinstance(place, list) and draw.random() < 0.2:
            place.insert(draw.randrange(len(place) + 1), place[key])
        return images.joined(description, sections)
    if kind == 4:
        text = json.dumps(description, sort_keys=True, separators=(",", ":")).encode()
        return images.with_text(bytes(atheris.Mutate(text, len(text) + 64)), sections)
    if kind == 5:
        return images.joined(description, bytes(atheris.Mutate(sections, len(sections))))
    body = bytearray(sections)
    for _ in range(draw.randint(1, 4) if body else 0):
        body[draw.randrange(len(body))] ^= 1 << draw.randrange(8)
    return images.joined(description, bytes(body))


def one(data: bytes) -> None:
    try:
        image = Image.from_bytes(data, "a.liquid")
    except UserError as error:
        if not (str(error).startswith("a.liquid: ") and str(error).isprintable() and len(str(error)) < 400):
            raise AssertionError(f"not one sentence: {error}") from None
        return
    if image.to_bytes() != data:
        raise AssertionError("an image that is not the file's bytes")
    image_check.check(image)
    image.dequantised()
    image.listing()


if __name__ == "__main__":
    atheris.Setup(sys.argv, bounded(one), custom_mutator=mutate)
    atheris.Fuzz()
