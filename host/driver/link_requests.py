# SPDX-License-Identifier: BSD-2-Clause
"""Operations of a transaction packed into requests: as few as REQUEST_WORDS and RESPONSE_WORDS allow.

Every operation but a wait can be cut anywhere, at the cost of one more word for the rest of it. So a request is
filled in order until it has no room for another word, and no packing in order takes fewer requests than that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from liquid_accel.driver.link_codec import WORD_BYTES
from liquid_accel.rtl.link import OPERATION_FIELDS, REQUEST_WORDS, RESPONSE_WORDS, field_lows
from liquid_accel.rtl.transport import Operation, Read, TransportError, Write, as_words, check_burst

_LOW = field_lows(OPERATION_FIELDS)
_WRITE = 1 << _LOW["write"]
_COUNT = _LOW["count"]
assert max(REQUEST_WORDS, RESPONSE_WORDS) < 1 << dict(OPERATION_FIELDS)["count"]


@dataclass(frozen=True)
class Prepared:
    """A checked operation: `data` of a write, `count` words of a write or a read, seconds of a wait."""

    address: int = 0
    count: int = 0
    data: bytes | None = None
    timeout_s: float | None = None

    @property
    def words(self) -> int:
        """Words that it moves over the bus; a wait answers with one."""
        return 1 if self.timeout_s is not None else self.count


def prepare(operation: Operation) -> Prepared:
    """Check an operation, before anything is sent. Raises `TransportError`."""
    if isinstance(operation, Write):
        words = as_words(operation.words)
        check_burst(operation.address, words.size)
        return Prepared(operation.address, words.size, data=words.astype("<u2", copy=False).tobytes())
    if isinstance(operation, Read):
        check_burst(operation.address, operation.count)
        return Prepared(operation.address, operation.count)
    if not operation.timeout_s >= 0:
        raise TransportError(f"a wait cannot last {operation.timeout_s} s")
    return Prepared(timeout_s=operation.timeout_s)


@dataclass
class Piece:
    """The part of operation number `index` that a request holds: `answers` words come back for it."""

    index: int
    answers: int
    is_wait: bool = False


@dataclass
class Request:
    """Operations of one request, what belongs to whom in its answer, and where the next request begins."""

    operations: bytes = b""
    pieces: list[Piece] = field(default_factory=list)
    answers: int = 0
    wait_units: int = 0
    next: tuple[int, int] = (0, 0)


def pack(operations: Sequence[Prepared], start: tuple[int, int], units: Callable[[int], int]) -> Request:
    """The request that begins at `start`: (operation, words of it that are done already).

    `units(index)` says for how many WAIT_UNITs the wait of that number lasts, WAIT_LIMIT at most. `next` is past the
    end where nothing is left to be done. A request without pieces need not be sent.
    """
    request, parts = Request(), []
    room, answer_room = REQUEST_WORDS, RESPONSE_WORDS
    index, done = start
    while index < len(operations):
        operation = operations[index]
        left = operation.words - done
        if left:
            is_write = operation.data is not None
            take = min(left, room - 1 if is_write else answer_room)
            if take <= 0 or room <= 0:
                break
            room -= 1 + take if is_write else 1
            answer_room -= 0 if is_write else take
            if operation.timeout_s is not None:
                lasting = units(index)
                request.wait_units += lasting
                parts.append(lasting.to_bytes(WORD_BYTES, "little"))
            else:
                word = operation.address | take << _COUNT | (_WRITE if is_write else 0)
                parts.append(word.to_bytes(WORD_BYTES, "little"))
            if operation.data is not None:
                parts.append(operation.data[WORD_BYTES * done : WORD_BYTES * (done + take)])
            request.pieces.append(Piece(index, 0 if is_write else take, operation.timeout_s is not None))
            if take < left:
                done += take
                continue
        index, done = index + 1, 0
    request.operations = b"".join(parts)
    request.answers = RESPONSE_WORDS - answer_room
    request.next = index, done
    return request
