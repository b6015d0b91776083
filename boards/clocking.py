# SPDX-License-Identifier: BSD-2-Clause
"""Clock and reset of a board: its oscillator through a PLL, and reset until the PLL has locked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import io

from liquid_accel.boards import pll
from liquid_accel.boards.pll import Limits, PllSettings
from liquid_accel.rtl.reset import PowerOnReset

# Block RAM of the iCE40 reads zeroes for some 3 us after configuration; five times that covers it and harms nobody.
RESET_SECONDS = 15e-6


def reset_cycles(clock_hz: int) -> int:
    """Cycles of reset after lock: a power of two that lasts RESET_SECONDS at least."""
    return 1 << max(4, (int(RESET_SECONDS * clock_hz)).bit_length())


# A maker of a PLL instance: its settings, the oscillator's port, and the two signals that come out of it.
Instantiate = Callable[[Module, PllSettings, io.SingleEndedPort, Signal, Signal], None]


@dataclass(frozen=True)
class Pll:
    """A family's PLL: what its data sheet allows, and how it is instantiated."""

    primitive: str
    limits: Limits
    instantiate: Instantiate

    def settings(self, input_hz: int, output_hz: float) -> PllSettings:
        """Settings for an output frequency; `pll.PllError` where there are none."""
        return pll.settings(self.limits, input_hz, output_hz)


def ice40_parameters(found: PllSettings) -> dict[str, Any]:
    """Parameters of SB_PLL40_*: f_out = f_in (DIVF + 1) / ((DIVR + 1) 2^DIVQ), the loop filter by the compare rate."""
    bounds = (17e6, 26e6, 44e6, 66e6, 101e6)
    return {
        "p_FEEDBACK_PATH": "SIMPLE",
        "p_PLLOUT_SELECT": "GENCLK",
        "p_DIVR": Const(found.divider - 1, 4),
        "p_DIVF": Const(found.multiplier - 1, 7),
        "p_DIVQ": Const(found.post.bit_length() - 1, 3),
        "p_FILTER_RANGE": Const(1 + sum(found.compare_hz >= bound for bound in bounds), 3),
    }


def _ice40(m: Module, found: PllSettings, clock: Signal, locked: Signal, primitive: str, **source: Any) -> None:
    m.submodules.pll = Instance(
        primitive, **ice40_parameters(found), **source, i_RESETB=Const(1), i_BYPASS=Const(0),
        o_PLLOUTGLOBAL=clock, o_LOCK=locked,
    )  # fmt: skip


def _ice40_pad(m: Module, found: PllSettings, port: io.SingleEndedPort, clock: Signal, locked: Signal) -> None:
    """The oscillator stands on the pin that belongs to the PLL."""
    _ice40(m, found, clock, locked, "SB_PLL40_PAD", i_PACKAGEPIN=port.io)


def _ice40_core(m: Module, found: PllSettings, port: io.SingleEndedPort, clock: Signal, locked: Signal) -> None:
    """The oscillator stands on another pin, and reaches the PLL through the fabric."""
    m.submodules.oscillator = buffer = io.Buffer("i", port)
    _ice40(m, found, clock, locked, "SB_PLL40_CORE", i_REFERENCECLK=buffer.i)


def ecp5_parameters(found: PllSettings) -> dict[str, Any]:
    """Parameters of EHXPLLL: f_out = f_in CLKFB_DIV / CLKI_DIV, f_vco = f_out CLKOP_DIV, feedback from CLKOP."""
    return {
        "p_CLKI_DIV": found.divider, "p_CLKFB_DIV": found.multiplier, "p_CLKOP_DIV": found.post,
        "p_FEEDBK_PATH": "CLKOP", "p_CLKOP_ENABLE": "ENABLED",
        # The output's phase: half of its divider less one is its rising edge at that of the input.
        "p_CLKOP_CPHASE": max(found.post // 2 - 1, 0), "p_CLKOP_FPHASE": 0,
        "p_PLLRST_ENA": "DISABLED", "p_INTFB_WAKE": "DISABLED", "p_STDBY_ENABLE": "DISABLED",
        "p_DPHASE_SOURCE": "DISABLED", "p_OUTDIVIDER_MUXA": "DIVA",
        "a_FREQUENCY_PIN_CLKI": f"{found.input_hz / 1e6:g}", "a_FREQUENCY_PIN_CLKOP": f"{found.output_hz / 1e6:g}",
        "a_ICP_CURRENT": "12", "a_LPF_RESISTOR": "8", "a_MFG_ENABLE_FILTEROPAMP": "1", "a_MFG_GMCREF_SEL": "2",
    }  # fmt: skip


def _ecp5(m: Module, found: PllSettings, port: io.SingleEndedPort, clock: Signal, locked: Signal) -> None:
    m.submodules.oscillator = buffer = io.Buffer("i", port)
    zeros = "RST STDBY PHASESEL0 PHASESEL1 PHASEDIR PHASESTEP PHASELOADREG PLLWAKESYNC ENCLKOP".split()
    m.submodules.pll = Instance(
        "EHXPLLL", **ecp5_parameters(found), **{f"i_{name}": Const(0) for name in zeros},
        i_CLKI=buffer.i, i_CLKFB=clock, o_CLKOP=clock, o_LOCK=locked,
    )  # fmt: skip


def gowin_parameters(found: PllSettings, device: str) -> dict[str, Any]:
    """Parameters of rPLL: f_out = f_in (FBDIV_SEL + 1) / (IDIV_SEL + 1), f_vco = f_out ODIV_SEL."""
    return {
        "p_FCLKIN": f"{found.input_hz / 1e6:g}", "p_DEVICE": device,
        "p_IDIV_SEL": found.divider - 1, "p_FBDIV_SEL": found.multiplier - 1, "p_ODIV_SEL": found.post,
        "p_DYN_IDIV_SEL": "false", "p_DYN_FBDIV_SEL": "false", "p_DYN_ODIV_SEL": "false", "p_DYN_DA_EN": "false",
        "p_DYN_SDIV_SEL": 2, "p_PSDA_SEL": "0000", "p_DUTYDA_SEL": "1000",
        "p_CLKOUT_FT_DIR": Const(1, 1), "p_CLKOUTP_FT_DIR": Const(1, 1),
        "p_CLKOUT_DLY_STEP": 0, "p_CLKOUTP_DLY_STEP": 0, "p_CLKFB_SEL": "internal",
        "p_CLKOUT_BYPASS": "false", "p_CLKOUTP_BYPASS": "false", "p_CLKOUTD_BYPASS": "false",
        "p_CLKOUTD_SRC": "CLKOUT", "p_CLKOUTD3_SRC": "CLKOUT",
    }  # fmt: skip


def _gowin(device: str) -> Instantiate:
    def instantiate(m: Module, found: PllSettings, port: io.SingleEndedPort, clock: Signal, locked: Signal) -> None:
        m.submodules.oscillator = buffer = io.Buffer("i", port)
        zeros = {"RESET": 1, "RESET_P": 1, "CLKFB": 1, "FBDSEL": 6, "IDSEL": 6, "ODSEL": 6, "PSDA": 4, "DUTYDA": 4,
                 "FDLY": 4}  # fmt: skip
        m.submodules.pll = Instance(
            "rPLL", **gowin_parameters(found, device), **{f"i_{name}": Const(0, n) for name, n in zeros.items()},
            i_CLKIN=buffer.i, o_CLKOUT=clock, o_LOCK=locked,
        )  # fmt: skip

    return instantiate


ICE40_PAD = Pll("SB_PLL40_PAD", pll.ICE40, _ice40_pad)
ICE40_CORE = Pll("SB_PLL40_CORE", pll.ICE40, _ice40_core)
ECP5 = Pll("EHXPLLL", pll.ECP5, _ecp5)
GW1NR_9 = Pll("rPLL", pll.GW1NR_9_C6, _gowin("GW1NR-9C"))
GW2AR_18 = Pll("rPLL", pll.GW2AR_18_C8, _gowin("GW2AR-18C"))


def add_sync_domain(m: Module, kind: Pll, found: PllSettings, port: io.SingleEndedPort) -> None:
    """Give `m` its sync domain: the PLL's output, in reset until the lock is there and some cycles after."""
    clock, locked = Signal(name="clock"), Signal(name="locked")
    kind.instantiate(m, found, port, clock, locked)
    m.domains.sync = ClockDomain("sync")
    m.submodules.power_on_reset = reset = PowerOnReset(reset_cycles(found.output_hz))
    m.d.comb += [
        ClockSignal("sync").eq(clock),
        reset.clk.eq(clock),
        reset.ready.eq(locked),
        ResetSignal("sync").eq(reset.rst),
    ]
