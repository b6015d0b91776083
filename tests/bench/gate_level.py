# SPDX-License-Identifier: BSD-2-Clause
"""The chip as synthesis made it for iCE40, cell by cell, against the golden model.

    python tests/bench/gate_level.py [--preset test] [--sequences 2] [--folder build/gate-level]

The netlist of the whole chip, UART included, with yosys's models of its cells (liquid_accel.sim.netlist), is simulated;
the driver loads a small network over the UART and runs sequences, states and steps included. Exit status 1 where any
word differs from the golden model's. Compiling the simulation takes long, and has not been seen to end yet.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chip_rig import CLOCK_HZ, Rig, work

from liquid_accel.boards import flow
from liquid_accel.boards.family import UP5K
from liquid_accel.rtl.accelerator import Accelerator
from liquid_accel.rtl.chip import Chip
from liquid_accel.rtl.config import LiquidConfig, preset
from liquid_accel.rtl.link import MIN_DIVISOR
from liquid_accel.sim.netlist import netlist_rtlil

CLOCK_MHZ = 12.0


def netlist(config: LiquidConfig, folder: Path) -> Path:
    """The chip's netlist in `folder`, made where it is missing or another."""
    device = Accelerator(config, "ice40", clock_khz=CLOCK_HZ // 1000)
    top = Chip(config, clock_hz=CLOCK_HZ, divisor=MIN_DIVISOR, vendor="ice40", device=device)
    flow.write_design(top, folder)
    flow.synthesise(UP5K, folder, CLOCK_MHZ)
    return folder / "top.json"


def main() -> int:
    """Synthesise, simulate, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="test", help="of the machine; kept sums are left out (default: test)")
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=Path("build/gate-level"))
    options = parser.parse_args()
    config = preset(options.preset, kept_elements=0)
    start = time.perf_counter()
    made = netlist(config, options.folder)
    print(f"synthesised in {time.perf_counter() - start:.0f} s", flush=True)
    start = time.perf_counter()
    with Rig(config, text=netlist_rtlil(made), netlist=True) as rig:
        print(f"simulation of the cells made in {time.perf_counter() - start:.0f} s", flush=True)
        start = time.perf_counter()
        wanted = work(config)
        rig.device.load(wanted.image)
        wrong = [rig.mismatches(wanted, index) for index in range(options.sequences)]
        seconds = time.perf_counter() - start
        frames = sum(int(batch.lengths[0]) for batch in wanted.batches[: options.sequences])
        print(f"sequences {len(wrong)}, frames {frames}, words that differ from the golden model's {sum(wrong)}")
        cycles = rig.chip.simulated_cycles
        print(f"cycles simulated {cycles:,} in {seconds:.0f} s, {cycles / seconds:,.0f} a second")
    return 1 if any(wrong) else 0


if __name__ == "__main__":
    sys.exit(main())
