# SPDX-License-Identifier: BSD-2-Clause
"""Settings of the phase-locked loops: from the oscillator's frequency and the one asked for to dividers.

Every loop here is  f_out = f_in * multiplier / (divider * post),  its oscillator at f_vco = f_out * post. The settings
with the least error are taken; among equals, the smallest divider, and then the oscillator nearest to the middle of
its range.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MHZ = 1e6


@dataclass(frozen=True)
class Limits:
    """What a data sheet allows, in MHz, and the dividers that the block can be set to.

    compare   frequency at which the phases are compared, f_in / divider
    """

    source: str
    output: tuple[float, float]
    compare: tuple[float, float]
    oscillator: tuple[float, float]
    divider: range
    multiplier: range
    post: tuple[int, ...]
    # Whether the loop counts the oscillator itself (f_vco = compare * multiplier) or its output.
    counts_oscillator: bool


# The sources of the numbers: FPGA-TN-02052 and FPGA-DS-02008 of Lattice, as `icepll` of Project IceStorm has them.
ICE40 = Limits(
    "FPGA-DS-02008", (16, 275), (10, 133), (533, 1066), range(1, 17), range(1, 129), tuple(2**q for q in range(1, 7)),
    counts_oscillator=True,
)  # fmt: skip
# FPGA-DS-02012 and FPGA-TN-02200 of Lattice, as `ecppll` of Project Trellis has them; feedback from the output CLKOP.
ECP5 = Limits(
    "FPGA-DS-02012", (10, 400), (3.125, 400), (400, 800), range(1, 129), range(1, 81), tuple(range(1, 129)),
    counts_oscillator=False,
)  # fmt: skip
GOWIN_POST = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
# DS117 (speed C6/I5) and DS226 (C8/I7) of Gowin, as `gowin_pll` of Project Apicula has them.
GW1NR_9_C6 = Limits(
    "DS117", (3.125, 600), (3, 400), (400, 1200), range(1, 65), range(1, 65), GOWIN_POST, counts_oscillator=False
)
GW2AR_18_C8 = Limits(
    "DS226", (3.90625, 625), (3, 500), (500, 1250), range(1, 65), range(1, 65), GOWIN_POST, counts_oscillator=False
)


@dataclass(frozen=True)
class PllSettings:
    """Dividers as the arithmetic has them, 1 and up; the blocks' parameters are derived in boards/clocking.py."""

    input_hz: int
    output_hz: int
    divider: int
    multiplier: int
    post: int
    compare_hz: float
    oscillator_hz: float


class PllError(ValueError):
    """No settings reach the frequency that was asked for; the message says what does."""


def settings(limits: Limits, input_hz: int, output_hz: float, tolerance: float = 0.01) -> PllSettings:
    """The settings whose output is nearest to `output_hz`.

    Raises `PllError` where the output is out of the block's range, or farther than `tolerance` (a fraction) from what
    it can make of this input.
    """
    low, high = limits.output
    if not low * MHZ <= output_hz <= high * MHZ:
        raise PllError(f"clock is {output_hz / MHZ:g} MHz; expected {low:g} to {high:g}, which is what the PLL makes")
    best = min(_candidates(limits, input_hz, output_hz), key=lambda found: found[0], default=None)
    if best is None or abs(best[1].output_hz - output_hz) > tolerance * output_hz:
        nearest = "nothing" if best is None else f"{best[1].output_hz / MHZ:g} MHz"
        raise PllError(
            f"clock is {output_hz / MHZ:g} MHz; expected one that the PLL makes of {input_hz / MHZ:g} MHz, "
            f"the nearest is {nearest}"
        )
    return best[1]


Ranked = tuple[tuple[float, int, float], PllSettings]


def _candidates(limits: Limits, input_hz: int, output_hz: float) -> Iterable[Ranked]:
    """Every legal setting near the frequency, with what it is ranked by."""
    middle = MHZ * sum(limits.oscillator) / 2
    for divider in limits.divider:
        compare = input_hz / divider
        if not limits.compare[0] * MHZ <= compare <= limits.compare[1] * MHZ:
            continue
        for post in limits.post:
            exact = output_hz * (post if limits.counts_oscillator else 1) / compare
            for multiplier in {int(exact), int(exact) + 1} & set(limits.multiplier):
                counted = compare * multiplier
                oscillator = counted if limits.counts_oscillator else counted * post
                output = oscillator / post
                if not limits.oscillator[0] * MHZ <= oscillator <= limits.oscillator[1] * MHZ:
                    continue
                if not limits.output[0] * MHZ <= output <= limits.output[1] * MHZ:
                    continue
                rank = (round(abs(output - output_hz)), divider, abs(oscillator - middle))
                yield rank, PllSettings(input_hz, round(output), divider, multiplier, post, compare, oscillator)
