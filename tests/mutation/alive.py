# SPDX-License-Identifier: BSD-2-Clause
"""Mutants of the accelerator: all of them in one compiled simulation, one of them alive at a time.

yosys' `mutate` chooses single faults, evenly over cells, ports and bits: a bit inverted, stuck, or tied to another.
With `-ctrl` each of them waits for its number on an input, so that hundreds of mutants need one build.
"""

import ctypes
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.sim.bus import SimulatedTransport
from liquid_accel.sim.cxxrtl import FUNCTIONS, CxxrtlTransport
from liquid_accel.sim.cxxrtl_build import build, open_library
from liquid_accel.sim.elaborate import run_yosys, to_rtlil

LOOP = str(Path(__file__).parent / "alive.cpp")
PATIENCE = 10_000  # cycles
BITS = 12  # of the input that chooses a mutant
PREPARE = "read_rtlil device.il\nhierarchy -top liquid\nproc\nflatten\nopt_clean"
# Parts of the machine: what the names of their cells begin with, and their share of the mutants.
PARTS: Mapping[str, tuple[tuple[str, ...], int]] = {
    "lanes": ((r"core.\lanes.",), 2),
    "narrowing and additions": ((r"core.\elements.$", r"core.\elements.\narrow", r"core.\elements.\add"), 4),
    "function unit": ((r"core.\elements.\function.", r"core.\elements.\log_step."), 3),
    "gate": ((r"core.\elements.\gate.",), 2),
    "error norm": ((r"core.\norm.",), 1),
    "kept sums": ((r"core.\elements.\kept_sums.", r"core.\tracker."), 3),
    "step controller": ((r"core.\controller.",), 4),
    "sequencer": ((r"core.\sequencer.", r"core.\fetch."), 6),
    "counters": ((r"core.\counters.",), 2),
    "bus": ((r"registers.",), 4),
    "FIFOs": ((r"core.\fifo_in.", r"core.\fifo_out."), 1),
}


@dataclass(frozen=True)
class Mutant:
    """One fault: its number on the input, the part that it is in, and the command that makes it."""

    number: int
    part: str
    command: str

    def __str__(self) -> str:
        fields = dict(re.findall(r"-(\w+) (\S+)", self.command))
        cell = fields["cell"].replace("$flatten\\", "").replace("\\", "")
        wire = f" ({fields['wire']}[{fields['wirebit']}])" if "wire" in fields else ""
        control = f", bit {fields['ctrlbit']}" if "ctrlbit" in fields else ""
        place = f"{cell}.{fields['port']}[{fields['portbit']}]"
        return f"{self.number} {self.part}: {fields['mode']}{control} at {place}{wire}"


def mutate(config: LiquidConfig, count: int, seed: int) -> tuple[str, str, list[Mutant]]:
    """`count` mutants or a few more, shared out over PARTS, and the machine that holds them all, as RTLIL and JSON."""
    total = sum(share for _, share in PARTS.values())
    with tempfile.TemporaryDirectory(prefix="liquid-mutate-") as name:
        folder = Path(name)
        (folder / "device.il").write_text(to_rtlil(Accelerator(config), "liquid"))
        script, wanted = [PREPARE], list[int]()
        for index, (prefixes, share) in enumerate(PARTS.values()):
            many = -(-count * share // total)
            cells = " ".join(rf"liquid/c:$flatten\{prefix.replace('$', '?')}*" for prefix in prefixes)
            script += [f"select -set part {cells}", f"mutate -list {2 * many} -seed {seed} -o {index}.txt @part"]
            wanted.append(many)
        run_yosys("\n".join(script), folder)
        mutants: list[Mutant] = []
        for index, part in enumerate(PARTS):
            # A clock that waits for a number is no clock any more.
            lines = [line for line in (folder / f"{index}.txt").read_text().splitlines() if "CLK " not in line]
            chosen = lines[:: max(1, len(lines) // wanted[index])][: wanted[index]]
            mutants += [Mutant(len(mutants) + k, part, line) for k, line in enumerate(chosen, 1)]
        if len(mutants) >= 1 << BITS:
            raise ValueError(f"{len(mutants)} mutants: at most {(1 << BITS) - 1} have a number")
        alive = (m.command.replace("mutate", f"mutate -ctrl mutant {BITS} {m.number}", 1) for m in mutants)
        write = ("opt_clean", "write_rtlil mutants.il", "write_json mutants.json")
        run_yosys("\n".join([PREPARE, *alive, *write]), folder)
        return (folder / "mutants.il").read_text(), (folder / "mutants.json").read_text(), mutants


class Machine(CxxrtlTransport):
    """A simulation of its own, from reset on, with mutant `number` alive; 0: none. It is given up soon."""

    def __init__(self, library: ctypes.CDLL, number: int) -> None:
        SimulatedTransport.__init__(self, PATIENCE, wait_step=PATIENCE)
        self._begin(library, lambda handle: library.liquid_mutant(handle, number))

    def wait(self, timeout_s: float) -> bool:
        """Advance until the interrupt is high, 20 PATIENCE at most; 100 cycles where there is no time to wait."""
        self._check(0, 0)
        return self._advance(20 * PATIENCE if timeout_s else 100)


def compiled(text: str) -> ctypes.CDLL:
    """The library of a machine with mutants."""
    return open_library(
        build(text, loop=LOOP), {**FUNCTIONS, "liquid_mutant": (None, [ctypes.c_void_p, ctypes.c_uint32])}
    )
