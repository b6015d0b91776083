# SPDX-License-Identifier: BSD-2-Clause
"""Image files taken apart and signed again: what someone can make who knows the format."""

import json
import struct
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from liquid_accel.image import IMAGE_FORMAT, MAGIC

HEAD = 16  # magic, version, length of the description
DIGEST = 32


def description_length(blob: bytes) -> int:
    return int(struct.unpack_from("<I", blob, 12)[0])


def signed(body: bytes) -> bytes:
    """Everything before the checksum, with a right one."""
    return body + sha256(body).digest()


def split(blob: bytes) -> tuple[dict[str, Any], bytes]:
    """Description and sections."""
    end = HEAD + description_length(blob)
    return json.loads(blob[HEAD:end]), blob[end:-DIGEST]


def joined(description: object, sections: bytes) -> bytes:
    """A file as the compiler would write it, whatever the description holds."""
    return with_text(json.dumps(description, sort_keys=True, separators=(",", ":")).encode(), sections)


def with_text(text: bytes, sections: bytes) -> bytes:
    """The same, with the description's very bytes."""
    return signed(struct.pack("<8sII", MAGIC, IMAGE_FORMAT, len(text)) + text + sections)


def with_description(blob: bytes, **changes: object) -> bytes:
    """The file with fields of its description replaced, and a right checksum."""
    description, sections = split(blob)
    return joined(description | changes, sections)


def with_section(blob: bytes, name: str, change: Callable[[bytearray], object]) -> bytes:
    """The file with one memory changed in place, or to another length, and a right checksum."""
    description, body = split(blob)
    parts: dict[str, bytearray] = {}
    for label, words in description["sections"]:
        parts[label], body = bytearray(body[: 2 * words]), body[2 * words :]
    change(parts[name])
    return with_sections(description, parts)


def with_sections(description: dict[str, Any], parts: Mapping[str, bytes]) -> bytes:
    listed = [[label, len(part) // 2] for label, part in parts.items()]
    return joined(description | {"sections": listed}, b"".join(parts.values()))
