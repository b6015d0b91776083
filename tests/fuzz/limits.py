# SPDX-License-Identifier: BSD-2-Clause
"""A limit on the time that one input may take. (libFuzzer's own -timeout ends a Python process without a word.)"""

import signal
from collections.abc import Callable

SECONDS = 10.0


def bounded(one: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """`one`, which fails where it takes longer than SECONDS."""

    def stop(number: int, frame: object) -> None:
        raise AssertionError(f"an input takes longer than {SECONDS:g} s")

    def limited(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            one(data)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, stop)
    return limited
