# SPDX-License-Identifier: BSD-2-Clause
"""The netlist that the boards' own synthesis makes of the accelerator, simulated cell by cell in Icarus Verilog.

Of each cell the model is yosys's (share/ice40/cells_sim.v, share/ecp5/cells_sim.v); of the two ECP5 blocks that yosys
has as black boxes it is that of tests/vendor_models.py.
"""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from program import Program
from vendor_models import DP16KD, MULT18X18D

from liquid_accel.boards import flow
from liquid_accel.boards.family import UP5K, ecp5_part
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.config import LiquidConfig
from liquid_accel.sim.cache import key, locked, prune
from liquid_accel.sim.elaborate import run_yosys, to_rtlil, yosys_share, yosys_version

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "gate"
BENCH = HERE / "bench.v"
# For each vendor the part, and the clock that synthesis is asked for.
PARTS = {"ice40": (UP5K, 12.0), "ecp5": (ecp5_part("25", "CABGA256", 6), 60.0)}
LIBRARIES = {"ice40": ("cells_sim.v",), "ecp5": ("common_sim.vh", "ccu2c_sim.vh")}
OWN_MODELS = {"MULT18X18D": MULT18X18D, "DP16KD": DP16KD}
MODULE = re.compile(r"^module (\S+?)\s*\(.*?^endmodule", re.M | re.S)
# Default values of ports, which Icarus does not know: every pin is connected.
MACROS = "`define NO_ICE40_DEFAULT_ASSIGNMENTS\n"
# From the netlist as the boards place it to Verilog. Scopes of the hierarchy that was are no cells. With wires of one
# bit each Icarus is some times as fast: of a wide one it copies all bits when one changes.
SCRIPT = "read_json top.json\ndelete t:$scopeinfo\nsplitnets\nwrite_verilog -noattr half.v"
CLOCK_KHZ = 12_000
KEEP = 4  # simulations of a netlist and of what it becomes when a cell is broken; each is some 20 MB
STALLS = 0x2000  # of 65,536 cycles, in which the bench takes no answer


class GateLevelError(Exception):
    """Icarus refused a netlist, or the simulation of one stopped; the message is what it said."""


@dataclass(frozen=True)
class Netlist:
    """A folder with top.json and netlist.v, and with what is compiled of it."""

    vendor: str
    folder: Path

    @property
    def text(self) -> str:
        """The netlist in Verilog: instances of the vendor's cells, and wires."""
        return (self.folder / "netlist.v").read_text()


def synthesise(config: LiquidConfig, vendor: str) -> Netlist:
    """The netlist of `Accelerator(config, vendor)`, made by the flow of boards/ where it is not in build/gate yet.

    Takes about half a minute. Its ports are the accelerator's, clk and rst; all else is flat.
    """
    part, clock_mhz = PARTS[vendor]
    device: Any = Accelerator(config, vendor, clock_khz=CLOCK_KHZ)
    text = to_rtlil(device, "top")
    folder = BUILD / f"{vendor}-{key([text, yosys_version(), part.family.script, SCRIPT])[:12]}"
    BUILD.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not (folder / "netlist.v").exists():
            folder.mkdir(exist_ok=True)
            (folder / "top.il").write_text(text)
            flow.synthesise(part, folder, clock_mhz)
            run_yosys(SCRIPT, folder)
            (folder / "half.v").rename(folder / "netlist.v")
    return Netlist(vendor, folder)


def cells(text: str) -> dict[str, int]:
    """How many of each cell a netlist in Verilog has."""
    found: dict[str, int] = {}
    for kind in re.findall(r"^  ([A-Z][A-Z0-9_]+) (?:#\(|\S+\s+\()", text, re.M):
        found[kind] = found.get(kind, 0) + 1
    return found


def models(vendor: str, used: Iterable[str]) -> str:
    """The models of cells, with the cells that those are made of. Raises GateLevelError for a cell that has none."""
    text = "\n".join((yosys_share() / vendor / name).read_text() for name in LIBRARIES[vendor])
    known = {found[1]: found[0] for found in MODULE.finditer(text)} | OWN_MODELS
    wanted, chosen = list(used), dict[str, str]()
    while wanted:
        name = wanted.pop()
        if name in chosen:
            continue
        if name not in known:
            raise GateLevelError(f"cell {name}: there is no model of it")
        chosen[name] = known[name]
        wanted += [other for other in known if re.search(rf"^\s*{re.escape(other)}\s*#?\(", known[name], re.M)]
    # What stands before the first module are macros, and delays are no part of what is simulated.
    parts = [MACROS, text[: MODULE.search(text).start()], *chosen.values()]  # type: ignore[union-attr]
    return re.sub(r"^\s*specify$.*?^\s*endspecify$", "", "\n".join(parts), flags=re.M | re.S)


def compiled(netlist: Netlist, text: str | None = None) -> Path:
    """The simulation of a netlist, or of a changed `text` of it, for vvp. Raises GateLevelError."""
    text = netlist.text if text is None else text
    return build(netlist.folder, models(netlist.vendor, cells(text)) + text)


def build(folder: Path, text: str) -> Path:
    """The simulation of Verilog whose top module is `top`, with the bench, by its content in `folder`.

    The KEEP that were used last stay. Raises GateLevelError.
    """
    command = ["iverilog", "-g2005", "-s", "bench", f"-Pbench.STALLS={STALLS}"]
    version = subprocess.run(["iverilog", "-V"], capture_output=True, text=True).stdout.splitlines()[0]
    made = folder / f"{key([text, BENCH.read_text(), version, *command])[:12]}.vvp"
    with locked(made):
        if not made.exists():
            source, half = made.with_suffix(".v"), made.with_suffix(".half")
            source.write_text(text)
            done = subprocess.run([*command, "-o", half, source, BENCH], capture_output=True, text=True)
            if done.returncode:
                raise GateLevelError(f"iverilog: {done.stderr.strip()[-1500:]}")
            half.rename(made)
            source.unlink()
            prune(folder, ".vvp", KEEP)
    made.touch()
    return made


@dataclass(frozen=True)
class Outcome:
    """What a simulation answered, a word of hexadecimal digits each (x where a bit is undefined), and how it ended."""

    answers: list[str]
    end: str

    def mismatches(self, program: Program) -> list[str]:
        """In words, every answer that is not the golden model's; none where all are."""
        found = [
            f"answer {at} is 0x{got}, golden 0x{wanted:04x}"
            for at, (got, wanted) in enumerate(zip(self.answers, program.answers))
            if got != f"{wanted:04x}"
        ]
        if len(self.answers) != len(program.answers):
            found.append(f"{len(self.answers)} answers of {len(program.answers)}: {self.end}")
        return found


def simulate(simulation: Path, program: Program, folder: Path, *, to_the_end: bool = True) -> Outcome:
    """Carry out a program's orders on a simulation; files go to `folder`. Raises GateLevelError where vvp fails.

    Unless `to_the_end` it stops at the first answer that is wrong.
    """
    orders, expected, answers = (folder / f"{name}.hex" for name in ("orders", "expected", "answers"))
    orders.write_text("".join(f"{order:08x}\n" for order in program.orders))
    expected.write_text("".join(f"{answer:04x}\n" for answer in program.answers))
    options = [f"+script={orders}", f"+answers={answers}", *([] if to_the_end else [f"+expected={expected}"])]
    done = subprocess.run(["vvp", "-N", str(simulation), *options], capture_output=True, text=True)
    if done.returncode:
        raise GateLevelError(f"vvp ended with status {done.returncode}: {(done.stdout + done.stderr).strip()[-1500:]}")
    said = [line for line in done.stdout.splitlines() if line.startswith("bench: ")]
    return Outcome(answers.read_text().split(), said[-1] if said else done.stdout.strip()[-500:])
