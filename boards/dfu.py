# SPDX-License-Identifier: BSD-2-Clause
"""The suffix that a file for a USB bootloader ends with (USB DFU 1.1, table B.1)."""

from __future__ import annotations

import struct
import zlib

VENDOR, PRODUCT = 0x1209, 0x5AF0  # of the OrangeCrab's bootloader
ANY_RELEASE = 0xFFFF
DFU_VERSION = 0x0100
SUFFIX_BYTES = 16


def with_suffix(data: bytes) -> bytes:
    """`data` with the suffix that says which device it is for, and the checksum over all before it."""
    fields = struct.pack("<HHHH3sB", ANY_RELEASE, PRODUCT, VENDOR, DFU_VERSION, b"UFD", SUFFIX_BYTES)
    # The checksum is CRC-32 without its last inversion.
    return data + fields + struct.pack("<I", zlib.crc32(data + fields) ^ 0xFFFFFFFF)
