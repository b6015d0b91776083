# SPDX-License-Identifier: BSD-2-Clause
"""Numbers of the link (docs/link.md). A table: it imports nothing of ours."""

from __future__ import annotations

import enum

LINK_VERSION = 1

FLAG = 0x7E
ESCAPE = 0x7D
ESCAPE_FLIP = 0x20
CRC_POLYNOMIAL = 0xEDB88320  # reflected
CRC_RESIDUE = 0xDEBB20E3  # of sound content with its CRC, before the final exclusive-or

REQUEST_WORDS = 125  # of operations; a tag before them and a CRC behind
RESPONSE_WORDS = 125  # a tag and a status before them and a CRC behind
CRC_WORDS = 2
WAIT_UNIT = 4096  # cycles
WAIT_LIMIT = 255  # units

# An operation: (name, width), least significant first. Count 0 is a wait, or with `write` nothing.
OPERATION_FIELDS = (("address", 8), ("count", 7), ("write", 1))
# A response's second word.
STATUS_FIELDS = (("code", 3), ("interrupt", 1), ("unused", 4), ("count", 7), ("unused_high", 1))



def field_lows(fields: tuple[tuple[str, int], ...]) -> dict[str, int]:
    """The lowest bit of each field."""
    lows, low = {}, 0
    for name, width in fields:
        lows[name] = low
        low += width
    return lows


MIN_DIVISOR = 4  # clock cycles a bit of the UART
DEFAULT_BAUD = 1_000_000
SPI_CLOCK_RATIO = 8  # clock cycles a period of the SPI clock, at least


class Code(enum.IntEnum):
    """What became of a request."""

    OK = 0
    DAMAGED = 1
    SEQUENCE = 2
    CLOSED = 3
